//! One made-up device: what it has counted, what it has left, whether it still lives.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use remuda_sdk::Failure;

use crate::config::{DeviceConfig, FaultKind};
use crate::meeting::Meeting;

/// One made-up device.
#[derive(Debug)]
pub(crate) struct FakeDevice {
    pub(crate) config: DeviceConfig,
    meeting: Arc<Meeting>,
    allocations: AtomicU64,
    compilations: AtomicU64,
    runs: AtomicU64,
    cache_uses: AtomicU64,
    used: AtomicU64,
    lost: AtomicBool,
}

impl FakeDevice {
    pub(crate) fn new(config: DeviceConfig, meeting: &Arc<Meeting>) -> Self {
        Self {
            config,
            meeting: Arc::clone(meeting),
            allocations: AtomicU64::new(0),
            compilations: AtomicU64::new(0),
            runs: AtomicU64::new(0),
            cache_uses: AtomicU64::new(0),
            used: AtomicU64::new(0),
            lost: AtomicBool::new(false),
        }
    }

    /// Bytes that are free now.
    pub(crate) fn free(&self) -> u64 {
        self.config.memory.saturating_sub(self.used.load(Ordering::Relaxed))
    }

    pub(crate) fn check_alive(&self) -> Result<(), Failure> {
        if self.lost.load(Ordering::Relaxed) {
            return Err(Failure::DeviceLost(format!("the fake {} is gone", self.config.kind)));
        }
        Ok(())
    }

    /// Takes bytes out of the budget.
    pub(crate) fn reserve(&self, bytes: u64) -> Result<(), Failure> {
        self.check_alive()?;
        let count = self.allocations.fetch_add(1, Ordering::Relaxed) + 1;
        let fails = self.fault(count, |kind| kind == FaultKind::OutOfMemory).is_some();
        let taken = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            let after = used.checked_add(bytes)?;
            (after <= self.config.memory && !fails).then_some(after)
        });
        taken.map(|_| ()).map_err(|_| Failure::OutOfMemory {
            needed: bytes,
            free: if fails { 0 } else { self.free() },
            text: format!("a buffer on the fake {}", self.config.kind),
        })
    }

    /// Gives bytes back.
    pub(crate) fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// The fault of the compilation that starts now.
    pub(crate) fn next_compilation(&self) -> Option<FaultKind> {
        let count = self.compilations.fetch_add(1, Ordering::Relaxed) + 1;
        self.fault(count, |kind| kind == FaultKind::Refuse)
    }

    /// The fault of the run that starts now.
    pub(crate) fn next_run(&self) -> Result<Option<FaultKind>, Failure> {
        self.check_alive()?;
        let count = self.runs.fetch_add(1, Ordering::Relaxed) + 1;
        let of_runs = |kind| {
            !matches!(kind, FaultKind::OutOfMemory | FaultKind::Refuse | FaultKind::CacheLost)
        };
        let fault = self.fault(count, of_runs);
        if fault == Some(FaultKind::Lost) {
            self.lost.store(true, Ordering::Relaxed);
            self.check_alive()?;
        }
        Ok(fault)
    }

    /// Whether the device lives through one more use of a cache.
    pub(crate) fn next_cache_use(&self) -> Result<(), Failure> {
        let count = self.cache_uses.fetch_add(1, Ordering::Relaxed) + 1;
        if self.fault(count, |kind| kind == FaultKind::CacheLost).is_some() {
            self.lost.store(true, Ordering::Relaxed);
        }
        self.check_alive()
    }

    fn fault(&self, count: u64, concerns: impl Fn(FaultKind) -> bool) -> Option<FaultKind> {
        let mut faults = self.config.faults.iter();
        faults.find(|fault| fault.at == count && concerns(fault.kind)).map(|fault| fault.kind)
    }

    /// Lets as much time pass as a copy takes.
    pub(crate) fn copy_takes(&self, bytes: u64) {
        #[expect(clippy::cast_precision_loss, reason = "a made-up time")]
        let moving = self.config.bytes_per_second.map_or(0.0, |speed| bytes as f64 / speed);
        pass(self.config.latency + Duration::from_secs_f64(moving.min(60.0)));
    }

    /// Lets as much more time pass as a run takes whose kernels worked so long.
    pub(crate) fn run_takes(&self, kernels: Duration) {
        pass(kernels.mul_f64(self.config.pace - 1.0));
    }

    /// Waits for other runs, if this device does.
    pub(crate) fn meet_others(&self) -> Result<(), Failure> {
        if self.config.meet < 2 || self.meeting.wait(self.config.meet) {
            return Ok(());
        }
        Err(Failure::Internal(format!("no {} runs were under way at once", self.config.meet)))
    }

    /// Waits for a run, if uploads of so many bytes do.
    pub(crate) fn meet_a_run(&self, bytes: u64) -> Result<(), Failure> {
        let waits = self.config.copies_meet.is_some_and(|least| bytes >= least);
        if !waits || self.meeting.wait(2) {
            return Ok(());
        }
        Err(Failure::Internal("no run was under way beside an upload".to_owned()))
    }

    /// Lets as much time pass as a launch takes.
    pub(crate) fn launch_takes(&self) {
        pass(self.config.launch);
    }
}

fn pass(time: Duration) {
    if !time.is_zero() {
        std::thread::sleep(time);
    }
}
