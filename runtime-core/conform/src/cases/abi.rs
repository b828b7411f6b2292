//! The table called as the contract allows and few hosts do: null pointers, structs of later versions,
//! numbers that nobody knows, references that are counted.

use std::ffi::c_void;
use std::sync::atomic::{AtomicUsize, Ordering};

use remuda_abi::{self as abi, Status, Value};
use remuda_bridge::{Failure, GraphExport, export, import};
use remuda_ir::Val;
use remuda_ops::NEWEST_OPSET;

use super::raw::{Compiling, Exported, Grown, Instance, ended, grown_graph, host, need, release};
use crate::Outcome;
use crate::bench::{Bed, Bench, Refused, Sample, Verdict, claimed, told};

/// The entry symbol gives the table to hosts of its major version, and nothing to others.
pub(super) fn entry(bench: &Bench) -> Verdict {
    let Some(library) = bench.library else {
        return Ok(Outcome::NotTaken("it is linked into this program".to_owned()));
    };
    let entry = |major| library.entry(major).map_err(|error| error.to_string());
    for major in [0, abi::ABI_MAJOR + 1, u32::MAX] {
        if !entry(major)?.is_null() {
            return Err(format!("it gives a table to a host of contract version {major}"));
        }
    }
    if entry(abi::ABI_MAJOR)? != std::ptr::from_ref(bench.table.raw()) {
        return Err("asked twice, it gives two tables".to_owned());
    }
    Ok(Outcome::Passed)
}

/// Name and version are texts.
pub(super) fn texts(bench: &Bench) -> Verdict {
    for (what, text) in [("name", bench.table.name()), ("version", bench.table.version())] {
        let odd = |letter: char| letter.is_control() || letter == char::REPLACEMENT_CHARACTER;
        if text.trim().is_empty() || text.contains(odd) || text.len() > 200 {
            return Err(format!("its {what} is `{}`", text.escape_debug()));
        }
    }
    match bench.table.score() {
        0 => Err("it says that it does not fit this machine".to_owned()),
        _ => Ok(Outcome::Passed),
    }
}

/// Functions that are of no use without each other are there together.
pub(super) fn function_groups(bench: &Bench) -> Verdict {
    let table = bench.table.raw();
    let groups: [&[(&str, bool)]; 3] = [
        &[
            ("allocate", table.allocate.is_some()),
            ("free_buffer", table.free_buffer.is_some()),
            ("upload", table.upload.is_some()),
            ("download", table.download.is_some()),
        ],
        &[
            ("create_state", table.create_state.is_some()),
            ("free_state", table.free_state.is_some()),
            ("state_bytes", table.state_bytes.is_some()),
            ("state_length", table.state_length.is_some()),
            ("truncate_state", table.truncate_state.is_some()),
            ("copy_state", table.copy_state.is_some()),
            ("export_state", table.export_state.is_some()),
            ("import_state", table.import_state.is_some()),
        ],
        &[
            ("create_stream", table.create_stream.is_some()),
            ("free_stream", table.free_stream.is_some()),
            ("record_event", table.record_event.is_some()),
            ("wait_event", table.wait_event.is_some()),
            ("free_event", table.free_event.is_some()),
        ],
    ];
    for group in groups {
        let there = group.iter().find(|(_, there)| *there);
        let absent = group.iter().find(|(_, there)| !*there);
        if let (Some((there, _)), Some((absent, _))) = (there, absent) {
            return Err(format!("it offers `{there}` without `{absent}`"));
        }
    }
    Ok(Outcome::Passed)
}

/// An option that it does not know is refused, with its name: a misspelt one would have no effect.
pub(super) fn unknown_option(bench: &Bench) -> Verdict {
    let mut options = bench.options.clone();
    options.push(("no-such-option".to_owned(), "7".to_owned()));
    match Instance::open_with(bench, &options) {
        Ok(_) => Err("it opens with the option `no-such-option`, which it cannot know".to_owned()),
        Err(failure) if failure.to_string().trim().is_empty() => {
            Err("it refuses an option without words".to_owned())
        }
        Err(_) => Ok(Outcome::Passed),
    }
}

/// What must not succeed.
fn refused(what: &str, status: Status) -> Result<(), String> {
    match ended(status) {
        Err(_) => Ok(()),
        Ok(()) => Err(format!("{what} succeeds")),
    }
}

/// Opening into nothing fails, closing nothing does nothing.
pub(super) fn null_instance(bench: &Bench) -> Verdict {
    let table = bench.table.raw();
    let (open, close) = (need(table.open, "open"), need(table.close, "close"));
    let (open, close) = (open.map_err(|e| e.to_string())?, close.map_err(|e| e.to_string())?);
    let host = host();
    let none = std::ptr::null();
    // SAFETY: null is what is tried; the rest lives during the call.
    let status = unsafe { open(&raw const host.known, none, 0, std::ptr::null_mut()) };
    refused("`open` with a null `out`", status)?;
    // SAFETY: closing nothing.
    unsafe { close(std::ptr::null_mut()) };
    Ok(Outcome::Passed)
}

/// Two instances live at once, and one outlives the other.
pub(super) fn several_instances(bench: &Bench) -> Verdict {
    claimed(|| {
        let (first, second) = (bench.open()?, bench.open()?);
        let devices = first.devices().map_err(|failure| failure.to_string())?;
        let usable = devices.iter().find(|device| device.unusable.is_none());
        let Some(device) = usable else {
            return Err(Refused::NotTaken("it has no usable device".to_owned()));
        };
        let (one, two) = (Bed::new(first, device.index)?, Bed::new(second, device.index)?);
        let sample = Sample::find(&one, 4, 2)?;
        let programs = [one.compile_claimed(&sample.graph)?, two.compile_claimed(&sample.graph)?];
        let [of_one, of_two] = programs;
        let options = remuda_host::RunOptions::default();
        let got = one.run(&of_one, &sample.inputs, &options).map_err(told("the first fails"))?;
        sample.check(&got)?;
        drop((of_one, one));
        let got = two.run(&of_two, &sample.inputs, &options);
        Ok(sample.check(&got.map_err(told("after the first was closed the second fails"))?)?)
    })
}

/// A sample for calls that hand over host values, whatever memory the device has.
fn sample_of(bench: &Bench, device: u32, depth: usize) -> Result<Sample, Refused> {
    Sample::find(&bench.device(device)?, 4, depth)
}

fn in_host_memory(failure: &Failure) -> Refused {
    Refused::Failed(format!("it does not run over values in host memory: {failure}"))
}

/// Every struct comes from a host that knows more fields: nothing is different, nothing is written
/// behind what the provider knows.
pub(super) fn larger_structs(bench: &Bench, device: u32) -> Verdict {
    claimed(|| {
        let sample = sample_of(bench, device, 2)?;
        let instance = Instance::open(bench)?;
        let program = instance.compile(device, &sample.graph, &Compiling::default());
        let program = program.map_err(told("it does not compile"))?;
        let inputs = Exported::new(&sample.inputs);
        let outputs = program.run(&inputs.0).map_err(|failure| in_host_memory(&failure))?;
        sample.check(&read_all(&instance, &outputs)?)?;
        outputs.iter().for_each(release);
        let size = size_of::<Grown<abi::MemoryInfo>>();
        let mut info =
            Grown::new(abi::MemoryInfo { struct_size: size, total_bytes: 0, free_bytes: 0 });
        let call = need(instance.table.memory_info, "memory_info").map_err(|e| e.to_string())?;
        // SAFETY: the struct is ours and lives during the call.
        ended(unsafe { call(instance.handle, device, &raw mut info.known) })
            .map_err(told("it does not tell of its memory"))?;
        let size = size_of::<Grown<abi::ProgramInfo>>();
        let mut held = Grown::new(abi::ProgramInfo {
            struct_size: size,
            resident_bytes: 0,
            workspace_bytes: 0,
        });
        if let Some(call) = instance.table.program_info {
            // SAFETY: as above.
            ended(unsafe { call(program.handle, &raw mut held.known) })
                .map_err(told("it does not tell of a program"))?;
        }
        if info.is_untouched() && held.is_untouched() && instance.host.is_untouched() {
            return Ok(());
        }
        Err("it wrote behind a struct of the host".to_owned().into())
    })
}

/// The outputs as values of the host; device memory is downloaded.
pub(super) fn read_all(instance: &Instance, outputs: &[Value]) -> Result<Vec<Val>, String> {
    outputs.iter().map(|value| read(instance, value)).collect()
}

fn read(instance: &Instance, value: &Value) -> Result<Val, String> {
    let mut bytes = Vec::new();
    let mut value = *value;
    if !value.buffer.is_null() {
        let size = usize::try_from(value.bytes).map_err(|_| "an output is too large")?;
        bytes = vec![0u8; size];
        let call = need(instance.table.download, "download").map_err(|e| e.to_string())?;
        let (buffer, offset) = (value.buffer, value.buffer_offset);
        let (into, stream) = (bytes.as_mut_ptr().cast::<c_void>(), std::ptr::null_mut());
        // SAFETY: the buffer is alive, the bytes are ours.
        ended(unsafe { call(buffer, offset, into, value.bytes, stream) })
            .map_err(told("an output cannot be downloaded"))?;
        (value.data, value.buffer) = (into, std::ptr::null_mut());
    }
    // Copied: the memory may be gone when the value is looked at.
    (value.retain, value.release) = (None, None);
    // SAFETY: a value that a good run gave, still held.
    let val = unsafe { import(&value) };
    drop(bytes);
    val.map_err(|error| format!("an output cannot be read: {error}"))
}

/// Null where something must be is refused; freeing nothing does nothing.
pub(super) fn null_pointers(bench: &Bench, device: u32) -> Verdict {
    let instance = Instance::open(bench)?;
    let (table, handle) = (instance.table, instance.handle);
    let graph = crate::bench::typed(
        "graph \"g\" {\n  input %x: f32[2, 2]\n  %y = Relu(%x)\n  output %y\n}",
    )?;
    let export = GraphExport::new(graph, NEWEST_OPSET);
    let options = abi::CompileOptions {
        struct_size: size_of::<abi::CompileOptions>(),
        context: std::ptr::null_mut(),
        progress: None,
        cancel: std::ptr::null(),
        engine: std::ptr::null(),
        engine_bytes: 0,
    };
    let (none, mut program) = (std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: null is what is tried; the rest lives during the calls.
    unsafe {
        if let Some(query) = table.query {
            let status = query(handle, device, std::ptr::null(), none, ignore_support);
            refused("`query` of a null graph", status)?;
        }
        if let Some(compile) = table.compile {
            let options = &raw const options;
            let status = compile(handle, device, std::ptr::null(), options, &raw mut program);
            refused("`compile` of a null region", status)?;
            let status = compile(handle, device, export.as_ptr(), options, std::ptr::null_mut());
            refused("`compile` with a null `out`", status)?;
        }
        if let Some(run) = table.run {
            refused("`run` of a null program", run(std::ptr::null_mut(), std::ptr::null()))?;
        }
        if let Some(info) = table.memory_info {
            let status = info(handle, device, std::ptr::null_mut());
            refused("`memory_info` with a null `out`", status)?;
        }
        if let Some(create) = table.create_state {
            let status = create(handle, device, std::ptr::null(), std::ptr::null_mut());
            refused("`create_state` of a null description", status)?;
        }
        if let Some(allocate) = table.allocate {
            let status = allocate(handle, device, 64, 64, std::ptr::null_mut());
            refused("`allocate` with a null `out`", status)?;
        }
        table.free_program.iter().for_each(|free| free(std::ptr::null_mut()));
        table.free_buffer.iter().for_each(|free| free(std::ptr::null_mut()));
        table.free_state.iter().for_each(|free| free(std::ptr::null_mut()));
    }
    null_arguments(bench, &instance, device)
}

unsafe extern "C" fn ignore_support(_: *mut c_void, _: u32, _: *const abi::Support) {}

/// A good program that is run with nothing.
fn null_arguments(bench: &Bench, instance: &Instance, device: u32) -> Verdict {
    claimed(|| {
        let sample = sample_of(bench, device, 1)?;
        let program = instance.compile(device, &sample.graph, &Compiling::default());
        let program = program.map_err(told("it does not compile"))?;
        if let Some(run) = instance.table.run {
            // SAFETY: null is what is tried.
            let status = unsafe { run(program.handle, std::ptr::null()) };
            refused("`run` with null arguments", status)?;
        }
        Ok(())
    })
}

/// What a value is turned into, in words and in deed.
type Change = (&'static str, fn(&mut abi::ValueInfo));

/// A graph with numbers that nobody knows is not taken.
pub(super) fn unknown_numbers(bench: &Bench, device: u32) -> Verdict {
    claimed(|| {
        let sample = sample_of(bench, device, 1)?;
        let instance = Instance::open(bench)?;
        let export = GraphExport::new(sample.graph, NEWEST_OPSET);
        let change: [Change; 2] = [
            ("an element type", |value| value.ty.dtype = 999),
            ("a kind of value", |value| value.ty.kind = 999),
        ];
        for (what, change) in change {
            let mut grown = grown_graph(&export);
            let graph = grown.known;
            // SAFETY: the export is alive and has so many values.
            let mut values =
                unsafe { std::slice::from_raw_parts(graph.values, graph.value_count) }.to_vec();
            values.iter_mut().for_each(change);
            grown.known.values = values.as_ptr();
            let mut taken = false;
            let query = need(instance.table.query, "query").map_err(|e| e.to_string())?;
            let context = (&raw mut taken).cast();
            // SAFETY: the graph and the context live during the call.
            let status = unsafe {
                query(instance.handle, device, &raw const grown.known, context, note_yes)
            };
            if ended(status).is_ok() && taken {
                return Err(
                    format!("it takes a graph with {what} that is none of the contract").into()
                );
            }
        }
        Ok(())
    })
}

unsafe extern "C" fn note_yes(context: *mut c_void, _: u32, support: *const abi::Support) {
    // SAFETY: the context is the flag that the call was given; the struct lives during this call.
    unsafe {
        if support.as_ref().is_some_and(|said| said.answer == abi::SUPPORT_YES) {
            *context.cast::<bool>() = true;
        }
    }
}

/// A run with too few inputs fails, and the next one is as if nothing had been.
pub(super) fn wrong_count(bench: &Bench, device: u32) -> Verdict {
    claimed(|| {
        let sample = sample_of(bench, device, 1)?;
        let instance = Instance::open(bench)?;
        let program = instance.compile(device, &sample.graph, &Compiling::default());
        let program = program.map_err(told("it does not compile"))?;
        if program.run(&[]).is_ok() {
            return Err("a run without inputs succeeds".to_owned().into());
        }
        let inputs = Exported::new(&sample.inputs);
        let outputs = program.run(&inputs.0).map_err(|failure| in_host_memory(&failure))?;
        sample.check(&read_all(&instance, &outputs)?)?;
        outputs.iter().for_each(release);
        Ok(())
    })
}

/// How often references to a value were taken and given up.
#[derive(Default)]
struct Counts {
    taken: AtomicUsize,
    given_up: AtomicUsize,
}

unsafe extern "C" fn count_taken(owner: *mut c_void) {
    // SAFETY: the owner is the counts of `references`, which outlive the provider.
    unsafe { &*owner.cast::<Counts>() }.taken.fetch_add(1, Ordering::SeqCst);
}

unsafe extern "C" fn count_given_up(owner: *mut c_void) {
    // SAFETY: as above.
    unsafe { &*owner.cast::<Counts>() }.given_up.fetch_add(1, Ordering::SeqCst);
}

/// References to inputs are given up as often as they were taken, no more and no less.
pub(super) fn references(bench: &Bench, device: u32) -> Verdict {
    claimed(|| {
        let sample = sample_of(bench, device, 3)?;
        // Leaked: a provider that counts wrongly may come back later.
        let counts: &'static Counts = Box::leak(Box::default());
        let instance = Instance::open(bench)?;
        let program = instance.compile(device, &sample.graph, &Compiling::default());
        let program = program.map_err(told("it does not compile"))?;
        let exported = Exported::new(&sample.inputs);
        let counted: Vec<Value> = exported
            .0
            .iter()
            .map(|value| Value {
                owner: std::ptr::from_ref(counts).cast_mut().cast(),
                retain: Some(count_taken),
                release: Some(count_given_up),
                ..*value
            })
            .collect();
        for _ in 0..3 {
            let outputs = program.run(&counted).map_err(|failure| in_host_memory(&failure))?;
            sample.check(&read_all(&instance, &outputs)?)?;
            outputs.iter().for_each(release);
        }
        drop(program);
        drop(instance);
        let count = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
        let (taken, given_up) = (count(&counts.taken), count(&counts.given_up));
        if taken == given_up {
            return Ok(());
        }
        Err(format!("it took {taken} references to its inputs and gave up {given_up}").into())
    })
}

/// An output lives on after the program that made it was freed, and is released by another thread.
pub(super) fn outputs_outlive(bench: &Bench, device: u32) -> Verdict {
    struct Sent(Value);
    // SAFETY: the contract lets references be given up from any thread.
    unsafe impl Send for Sent {}

    claimed(|| {
        let sample = sample_of(bench, device, 2)?;
        let instance = Instance::open(bench)?;
        let program = instance.compile(device, &sample.graph, &Compiling::default());
        let program = program.map_err(told("it does not compile"))?;
        let inputs: Vec<Value> = sample.inputs.iter().map(export).collect();
        let outputs = program.run(&inputs).map_err(|failure| in_host_memory(&failure))?;
        inputs.iter().for_each(release);
        for output in &outputs {
            if let Some(retain) = output.retain {
                // SAFETY: the output is held; the reference is given up at once.
                unsafe { retain(output.owner) };
                release(output);
            }
        }
        drop(program);
        sample.check(&read_all(&instance, &outputs)?)?;
        let sent: Vec<Sent> = outputs.into_iter().map(Sent).collect();
        let ended =
            std::thread::spawn(move || sent.iter().for_each(|sent| release(&sent.0))).join();
        ended.map_err(|_| "releasing an output panicked".to_owned())?;
        Ok(())
    })
}
