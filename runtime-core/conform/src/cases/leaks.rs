//! What is made and freed again leaves nothing behind: memory, threads, open files, device memory.

use remuda_host::RunOptions;

use crate::Outcome;
use crate::bench::{Bench, Refused, Sample, Verdict, claimed, told};

/// Growth of the process that is no leak: allocators keep what they had.
const SLACK_KIB: u64 = 24 << 10;
/// Rounds before anything is counted: what is made once may stay.
const WARM_UP: usize = 8;
const MIB: u64 = 1 << 20;

/// What a process holds.
struct Holding {
    kib: u64,
    threads: usize,
    files: usize,
}

/// What this process holds now; nothing where the system does not tell.
fn holding() -> Option<Holding> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib = line.trim().trim_end_matches(" kB").trim().parse().ok()?;
    let count = |folder| std::fs::read_dir(folder).map(Iterator::count).ok();
    Some(Holding { kib, threads: count("/proc/self/task")?, files: count("/proc/self/fd")? })
}

/// Does something many times; what the process holds must not grow.
fn repeated(
    what: &str,
    rounds: usize,
    work: &mut dyn FnMut() -> Result<(), Refused>,
) -> Result<(), Refused> {
    for _ in 0..WARM_UP {
        work()?;
    }
    let unknown = || Refused::NotTaken("this system does not tell what a process holds".to_owned());
    let before = holding().ok_or_else(unknown)?;
    for _ in 0..rounds {
        work()?;
    }
    let after = settled(&before).ok_or_else(unknown)?;
    let grew = after.kib.saturating_sub(before.kib);
    if grew > SLACK_KIB {
        return Err(format!("{rounds} {what} left {} MiB behind", grew >> 10).into());
    }
    // A few may be made late; one for every round or two is a leak.
    let spare = rounds / 4;
    for (kind, before, after) in
        [("threads", before.threads, after.threads), ("open files", before.files, after.files)]
    {
        if after > before + spare {
            return Err(format!("{rounds} {what} left {} {kind} behind", after - before).into());
        }
    }
    Ok(())
}

/// What is held once threads that are ending have ended.
fn settled(before: &Holding) -> Option<Holding> {
    for _ in 0..50 {
        let now = holding()?;
        if now.threads <= before.threads {
            return Some(now);
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    holding()
}

/// Opening and closing.
pub(super) fn instances(bench: &Bench) -> Verdict {
    claimed(|| {
        repeated("instances", 40, &mut || {
            let provider = bench.open()?;
            provider.devices().map_err(|failure| failure.to_string())?;
            Ok(())
        })
    })
}

/// Compiling and freeing, with a megabyte of results each.
pub(super) fn programs(bench: &Bench, device: u32) -> Verdict {
    claimed(|| {
        let bed = bench.device(device)?;
        let sample = Sample::find(&bed, 512, 1)?;
        repeated("programs", 60, &mut || {
            let program = bed.compile_claimed(&sample.graph)?;
            let got = bed.run(&program, &sample.inputs, &RunOptions::default());
            got.map_err(told("a run fails"))?;
            Ok(())
        })
    })
}

/// Runs of one program: large ones, then many.
pub(super) fn runs(bench: &Bench, device: u32) -> Verdict {
    claimed(|| {
        let bed = bench.device(device)?;
        for (size, rounds) in [(512, 80), (3, 3000)] {
            let sample = Sample::find(&bed, size, 2)?;
            let program = bed.compile_claimed(&sample.graph)?;
            repeated("runs", rounds, &mut || {
                let got = bed.run(&program, &sample.inputs, &RunOptions::default());
                got.map_err(told("a run fails"))?;
                Ok(())
            })?;
        }
        Ok(())
    })
}

/// Memory of the device that is allocated and freed.
pub(super) fn memory(bench: &Bench, device: u32) -> Verdict {
    let bed = bench.device(device)?;
    if !bed.provider.has_device_memory() {
        return Ok(Outcome::NotTaken("it has no memory of its own".to_owned()));
    }
    let free = || -> Result<u64, String> {
        let memory = bed.provider.memory(device).map_err(told("it does not tell of its memory"))?;
        Ok(memory.free_bytes)
    };
    let before = free()?;
    for _ in 0..16 {
        let held: Result<Vec<_>, _> = (0..4).map(|_| bed.provider.allocate(device, MIB)).collect();
        held.map_err(told("it does not allocate 4 MiB"))?;
    }
    let after = free()?;
    // Others may use the device meanwhile; half of what went through is more than chance.
    if before.saturating_sub(after) > 32 * MIB {
        return Err(format!("64 MiB were freed, and {} MiB are missing", (before - after) / MIB));
    }
    Ok(Outcome::Passed)
}
