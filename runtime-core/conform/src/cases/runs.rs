//! Regions of several nodes, threads, cancelling.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use remuda_host::{Failure, Program, RunOptions};
use remuda_ir::{Node, OpName, Val};

use super::raw;
use crate::bench::{Bed, Bench, Refused, Sample, Verdict, claimed, told};

const WORKERS: usize = 4;
const ROUNDS: u64 = 16;

fn runs(bed: &Bed, sample: &Sample, program: &Program) -> Result<(), String> {
    let got = bed.run(program, &sample.inputs, &RunOptions::default());
    sample.check(&got.map_err(told("a run fails"))?)
}

fn compiles_and_runs(bed: &Bed, sample: &Sample) -> Result<(), Refused> {
    let program = bed.compile_claimed(&sample.graph)?;
    Ok(runs(bed, sample, &program)?)
}

/// A region of several nodes.
pub(super) fn chain(bench: &Bench, device: u32) -> Verdict {
    claimed(|| {
        let bed = bench.device(device)?;
        for (size, depth) in [(1, 1), (3, 7), (17, 40)] {
            compiles_and_runs(&bed, &Sample::find(&bed, size, depth)?)?;
        }
        Ok(())
    })
}

/// A value inside a region that is also given out, and one that is given out twice over two nodes.
pub(super) fn values_used_twice(bench: &Bench, device: u32) -> Verdict {
    claimed(|| {
        let bed = bench.device(device)?;
        let mut sample = Sample::find(&bed, 5, 3)?;
        let made: Vec<_> = sample.graph.nodes().filter_map(|(_, node)| node.outputs[0]).collect();
        let ty = sample.graph.value(made[0]).ty.clone();
        let branch = sample.graph.add_pending("branch");
        ty.into_iter().for_each(|ty| sample.graph.set_type(branch, ty));
        let first = sample.graph.nodes().next().map(|(_, node)| node.inputs.clone());
        let mut inputs = first.unwrap_or_default();
        inputs[0] = Some(made[1]);
        sample.graph.push(Node::new(OpName::onnx(sample.operator), inputs, vec![Some(branch)]));
        sample.graph.outputs = vec![made[1], branch, made[2], made[0]];
        if !bed.takes(&sample.graph)? {
            return Err("it takes the nodes of a chain, and not those of a branch"
                .to_owned()
                .into());
        }
        compiles_and_runs(&bed, &sample.again(3)?)
    })
}

/// Constants of the model, one of them used by every node.
pub(super) fn constants(bench: &Bench, device: u32) -> Verdict {
    claimed(|| {
        let bed = bench.device(device)?;
        let sample = Sample::find(&bed, 6, 3)?;
        let mut graph = sample.graph.clone();
        let Some(Val::Tensor(constant)) = sample.inputs.get(1).cloned() else {
            return Err(Refused::NotTaken("it takes no operator of two inputs".to_owned()));
        };
        let id = graph.inputs.split_off(1)[0];
        graph.set_const(id, constant);
        if !bed.takes(&graph)? {
            return Err(Refused::NotTaken("it takes no constants there".to_owned()));
        }
        let program = bed.compile_claimed(&graph)?;
        for _ in 0..2 {
            let got = bed.run(&program, &sample.inputs[..1], &RunOptions::default());
            sample.check(&got.map_err(told("a run fails"))?)?;
        }
        Ok(())
    })
}

/// A run that is watched gives the same.
pub(super) fn profile(bench: &Bench, device: u32) -> Verdict {
    claimed(|| {
        let bed = bench.device(device)?;
        let sample = Sample::find(&bed, 9, 4)?;
        let program = bed.compile_claimed(&sample.graph)?;
        let nameless = RefCell::new(0);
        let watch = |step: remuda_host::StepTime| {
            if step.op.is_empty() && step.name.is_empty() {
                *nameless.borrow_mut() += 1;
            }
        };
        let options = RunOptions { profile: Some(&watch), ..RunOptions::default() };
        let got = bed.run(&program, &sample.inputs, &options);
        sample.check(&got.map_err(told("a run with a profile fails"))?)?;
        match nameless.into_inner() {
            0 => Ok(()),
            count => {
                Err(format!("{count} steps of a profile have neither name nor operator").into())
            }
        }
    })
}

/// What is known of a program can be read.
pub(super) fn program_info(bench: &Bench, device: u32) -> Verdict {
    claimed(|| {
        let bed = bench.device(device)?;
        let sample = Sample::find(&bed, 9, 2)?;
        let program = bed.compile_claimed(&sample.graph)?;
        program.memory().map_err(told("it does not tell what a program holds"))?;
        Ok(())
    })
}

/// Threads run one program at once, each with numbers of its own.
pub(super) fn threads_on_one_program(bench: &Bench, device: u32) -> Verdict {
    claimed(|| {
        let bed = bench.device(device)?;
        let sample = Sample::find(&bed, 33, 5)?;
        let program = bed.compile_claimed(&sample.graph)?;
        let work = |worker: u64| -> Result<(), String> {
            for round in 0..ROUNDS {
                runs(&bed, &sample.again(worker * ROUNDS + round)?, &program)?;
            }
            Ok(())
        };
        Ok(together(&work)?)
    })
}

/// Threads ask, compile and run at once.
pub(super) fn threads_with_programs(bench: &Bench, device: u32) -> Verdict {
    claimed(|| {
        let bed = bench.device(device)?;
        Sample::find(&bed, 3, 2)?;
        let work = |worker: u64| -> Result<(), String> {
            for depth in 1..5 {
                let sample = Sample::find(&bed, 3 + depth, depth);
                let sample = sample.map_err(|_| "it does not take what it took".to_owned())?;
                let program = bed.compile_claimed(&sample.graph)?;
                runs(&bed, &sample.again(worker)?, &program)?;
            }
            Ok(())
        };
        Ok(together(&work)?)
    })
}

fn together(work: &(dyn Fn(u64) -> Result<(), String> + Sync)) -> Result<(), String> {
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..WORKERS as u64).map(|worker| scope.spawn(move || work(worker))).collect();
        threads.into_iter().try_for_each(|thread| {
            let ended = thread.join().map_err(|_| "a thread panicked".to_owned())?;
            ended.map_err(|error| format!("in one of {WORKERS} threads: {error}"))
        })
    })
}

/// A run that is called off either ends so, or is right; the next one is as if nothing had been.
fn called_off(
    bed: &Bed,
    sample: &Sample,
    program: &Program,
    flag: &AtomicBool,
) -> Result<(), String> {
    let options = RunOptions { cancel: Some(flag), ..RunOptions::default() };
    match bed.run(program, &sample.inputs, &options) {
        Ok(got) => sample.check(&got)?,
        Err(Failure::Cancelled) => {}
        Err(failure) => return Err(format!("a run that was called off ends with: {failure}")),
    }
    runs(bed, sample, program).map_err(|error| format!("after a run that was called off: {error}"))
}

/// A run that is called off before it begins.
pub(super) fn cancelled_before(bench: &Bench, device: u32) -> Verdict {
    claimed(|| {
        let bed = bench.device(device)?;
        let sample = Sample::find(&bed, 8, 6)?;
        let program = bed.compile_claimed(&sample.graph)?;
        Ok(called_off(&bed, &sample, &program, &AtomicBool::new(true))?)
    })
}

/// Runs that are called off at one time or another.
pub(super) fn cancelled_during(bench: &Bench, device: u32) -> Verdict {
    claimed(|| {
        let bed = bench.device(device)?;
        let sample = Sample::find(&bed, 64, 60)?;
        let program = bed.compile_claimed(&sample.graph)?;
        for microseconds in [1, 50, 500, 5000] {
            let flag = AtomicBool::new(false);
            let ended = std::thread::scope(|scope| {
                scope.spawn(|| {
                    std::thread::sleep(Duration::from_micros(microseconds));
                    flag.store(true, Ordering::Relaxed);
                });
                called_off(&bed, &sample, &program, &flag)
            });
            ended?;
        }
        Ok(())
    })
}

/// A compilation that is called off, and one that is watched.
pub(super) fn cancelled_compile(bench: &Bench, device: u32) -> Verdict {
    claimed(|| {
        let bed = bench.device(device)?;
        let sample = Sample::find(&bed, 8, 6)?;
        let instance = raw::Instance::open(bench)?;
        match instance.compile(
            device,
            &sample.graph,
            &raw::Compiling { cancelled: true, ..raw::Compiling::default() },
        ) {
            Ok(_) | Err(Failure::Cancelled) => {}
            Err(failure) => {
                let text = format!("a compilation that was called off ends with: {failure}");
                return Err(text.into());
            }
        }
        let watched = raw::Compiling { watched: true, ..raw::Compiling::default() };
        let program = instance.compile(device, &sample.graph, &watched);
        let program = program.map_err(told("a compilation that is watched fails"))?;
        match program.wrong_progress {
            None => Ok(()),
            Some(fraction) => {
                Err(format!("it says that compiling has come {fraction} of the way").into())
            }
        }
    })
}
