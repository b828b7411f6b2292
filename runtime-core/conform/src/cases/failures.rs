//! Calls that must fail, and what holds after them: inputs as they were, the next call as if nothing
//! had been.

use std::ffi::c_void;

use remuda_host::{Failure, Program, RunOptions};
use remuda_ir::{Tolerance, Val};
use remuda_ops::cases::agree;
use remuda_ops::interpret;
use remuda_tensor::Tensor;

use super::raw::{Compiling, Instance, ended};
use crate::Outcome;
use crate::bench::{Bed, Bench, Refused, Sample, Verdict, claimed, told};

/// More bytes than any device has.
const TOO_MUCH: u64 = 1 << 60;

/// Checks that a program does what it did.
fn still_works(bed: &Bed, sample: &Sample, program: &Program) -> Result<(), String> {
    let got = bed.run(program, &sample.inputs, &RunOptions::default());
    let got = got.map_err(told("after a failed run the next one fails"))?;
    sample.check(&got).map_err(|error| format!("after a failed run: {error}"))
}

/// Runs over inputs that were not compiled for: they are refused, or the answer is theirs.
fn refuses_or_answers(bench: &Bench, device: u32, wrong: &Tensor, what: &str) -> Verdict {
    claimed(|| {
        let bed = bench.device(device)?;
        let sample = Sample::find(&bed, 4, 2)?;
        let program = bed.compile_claimed(&sample.graph)?;
        let inputs: Vec<Val> = sample.inputs.iter().map(|_| wrong.clone().into()).collect();
        if let Ok(got) = bed.run(&program, &inputs, &RunOptions::default()) {
            let want = interpret(&sample.graph, &inputs).map_err(|error| error.to_string());
            want.and_then(|want| agree(Tolerance::Float(1.0), &got, &want)).map_err(|error| {
                format!("compiled for f32[4, 4], it runs over {what} and is wrong: {error}")
            })?;
        }
        Ok(still_works(&bed, &sample, &program)?)
    })
}

fn tensor<T: remuda_tensor::Element>(dims: &[usize], value: T) -> Result<Tensor, String> {
    let count = dims.iter().product();
    Tensor::from_vec(dims, vec![value; count]).map_err(|error| error.to_string())
}

/// Inputs of other sizes than the region was compiled for.
pub(super) fn wrong_shape(bench: &Bench, device: u32) -> Verdict {
    refuses_or_answers(bench, device, &tensor(&[2, 3], 1.0f32)?, "f32[2, 3]")
}

/// Inputs of another type than the region was compiled for.
pub(super) fn wrong_type(bench: &Bench, device: u32) -> Verdict {
    refuses_or_answers(bench, device, &tensor(&[4, 4], 1i32)?, "i32[4, 4]")
}

/// A place that is too small is not written to, and nothing behind it is.
pub(super) fn small_place(bench: &Bench, device: u32) -> Verdict {
    claimed(|| {
        let bed = bench.device(device)?;
        let sample = Sample::find(&bed, 4, 2)?;
        let program = bed.compile_claimed(&sample.graph)?;
        let mut memory = [0xa5u8; 128];
        let operands = bed.operands(&sample.inputs).map_err(told("an input cannot be moved"))?;
        let (place, rest) = memory.split_at_mut(60);
        let ran = program.run_into(&operands, &mut [place], &RunOptions::default());
        if rest.iter().any(|&byte| byte != 0xa5) {
            return Err("it wrote behind a place that is too small".to_owned().into());
        }
        if ran.is_ok() {
            return Err("an output of 64 bytes fits a place of 60".to_owned().into());
        }
        Ok(still_works(&bed, &sample, &program)?)
    })
}

/// More memory than there is cannot be had, and that is said as such.
pub(super) fn too_much_memory(bench: &Bench, device: u32) -> Verdict {
    let bed = bench.device(device)?;
    if !bed.provider.has_device_memory() {
        return Ok(Outcome::NotTaken("it has no memory of its own".to_owned()));
    }
    match bed.provider.allocate(device, TOO_MUCH) {
        Ok(_) => Err(format!("it allocates {TOO_MUCH} bytes")),
        Err(Failure::OutOfMemory { needed, .. }) if needed >= TOO_MUCH => Ok(Outcome::Passed),
        Err(Failure::OutOfMemory { needed, .. }) => {
            Err(format!("out of memory for {TOO_MUCH} bytes, it says that it needed {needed}"))
        }
        Err(failure) => Err(format!("expected it to be out of memory, got: {failure}")),
    }
}

/// An engine that was damaged on the way is refused or made anew.
pub(super) fn damaged_engine(bench: &Bench, device: u32) -> Verdict {
    claimed(|| {
        let sample = Sample::find(&bench.device(device)?, 4, 2)?;
        let instance = Instance::open(bench)?;
        let engine = export_engine(&instance, device, &sample)?;
        let mut flipped = engine.clone();
        flipped.iter_mut().step_by(7).for_each(|byte| *byte ^= 0x5a);
        let cut = &engine[..engine.len() / 2];
        for (what, engine) in [("sound", &engine[..]), ("flipped", &flipped), ("cut", cut)] {
            let how = Compiling { engine: Some(engine), ..Compiling::default() };
            let program = match instance.compile(device, &sample.graph, &how) {
                Ok(program) => program,
                Err(failure) if what == "sound" => {
                    return Err(format!("it does not take its own engine: {failure}").into());
                }
                Err(_) => continue,
            };
            let inputs = super::raw::Exported::new(&sample.inputs);
            let outputs = program.run(&inputs.0).map_err(told("with an engine a run fails"))?;
            outputs.iter().for_each(super::raw::release);
        }
        Ok(())
    })
}

fn export_engine(instance: &Instance, device: u32, sample: &Sample) -> Result<Vec<u8>, Refused> {
    let program = instance.compile(device, &sample.graph, &Compiling::default());
    let program = program.map_err(told("it does not compile"))?;
    let none = || Refused::NotTaken("it exports no engines".to_owned());
    let export = instance.table.export_engine.ok_or_else(none)?;
    let mut engine: Vec<u8> = Vec::new();
    // SAFETY: the program and the context live during the call.
    let status = unsafe { export(program.handle, (&raw mut engine).cast(), append) };
    match ended(status) {
        Ok(()) if engine.is_empty() => Err("it exports an empty engine".to_owned().into()),
        Ok(()) => Ok(engine),
        Err(Failure::Unsupported { .. }) => Err(none()),
        Err(failure) => Err(format!("it does not export its engine: {failure}").into()),
    }
}

unsafe extern "C" fn append(context: *mut c_void, bytes: *const u8, len: usize) -> u32 {
    if bytes.is_null() {
        return u32::from(len > 0);
    }
    // SAFETY: the context is the engine that is gathered; the bytes live during this call.
    unsafe { (*context.cast::<Vec<u8>>()).extend(std::slice::from_raw_parts(bytes, len)) };
    0
}
