//! What every kernel is given: the instruction set to use and the threads to use it on.
//!
//! A kernel says what an element costs; work that would finish sooner than threads can be told of it
//! stays on the caller.

use std::sync::{Mutex, OnceLock, PoisonError};

use remuda_simd::{Isa, Kernel};

use crate::{Schedule, ThreadPool};

/// Work below this runs on the caller alone.
const SEQUENTIAL_NS: usize = 6_000;
/// No piece is cut below this.
const PIECE_NS: usize = 2_500;
/// More pieces than threads, so that a thread which starts late or is descheduled loses little.
const PIECES_PER_THREAD: usize = 4;

/// The instruction set and the threads of a kernel call.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The instruction set.
    pub isa: Isa,
    /// The threads.
    pub pool: &'a ThreadPool,
}

/// The cost of an element in picoseconds on one thread, roughly: what decides on splitting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Picoseconds(pub(crate) usize);

impl<'a> Context<'a> {
    /// Kernels on `pool` with `isa`.
    #[must_use]
    pub const fn new(isa: Isa, pool: &'a ThreadPool) -> Self {
        Self { isa, pool }
    }

    /// Runs `kernel` on the calling thread.
    #[inline]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        self.isa.run(kernel)
    }

    /// Runs a plain loop on the calling thread.
    #[inline]
    pub(crate) fn run_loop<K: Kernel>(self, kernel: K) -> K::Output {
        self.isa.run_narrow(kernel)
    }

    /// How many units of so many elements a piece of the work should have.
    fn units_per_piece(self, units: usize, elements_per_unit: usize, cost: Picoseconds) -> usize {
        let total_ns = units.saturating_mul(elements_per_unit).saturating_mul(cost.0) / 1000;
        if self.pool.size() == 1 || total_ns < SEQUENTIAL_NS {
            return units.max(1);
        }
        let pieces = (total_ns / PIECE_NS).clamp(2, self.pool.size() * PIECES_PER_THREAD);
        units.div_ceil(pieces).max(1)
    }

    /// Cuts `data` into pieces of whole units of `unit` elements and calls `body` with the index of
    /// the first unit of each piece and the piece.
    pub(crate) fn pieces<T: Send>(
        self,
        data: &mut [T],
        unit: usize,
        cost: Picoseconds,
        body: impl Fn(usize, &mut [T]) + Sync,
    ) {
        self.cut(data, unit, cost, &body);
    }

    /// [`Self::pieces`], compiled once for each type of elements.
    fn cut<T: Send>(
        self,
        data: &mut [T],
        unit: usize,
        cost: Picoseconds,
        body: &(dyn Fn(usize, &mut [T]) + Sync),
    ) {
        if data.is_empty() || unit == 0 {
            return;
        }
        let units = self.units_per_piece(data.len().div_ceil(unit), unit, cost);
        if units * unit >= data.len() {
            return body(0, data);
        }
        self.pool.parallel_pieces(data, units * unit, Schedule::Static, |index, piece| {
            body(index * units, piece);
        });
    }

    /// Like [`Self::pieces`] where each may fail: one of the errors, if there are any.
    pub(crate) fn try_pieces<T: Send, E: Send + Sync>(
        self,
        data: &mut [T],
        unit: usize,
        cost: Picoseconds,
        body: impl Fn(usize, &mut [T]) -> Result<(), E> + Sync,
    ) -> Result<(), E> {
        let failure = OnceLock::new();
        self.pieces(data, unit, cost, |first, piece| {
            if let Err(error) = body(first, piece) {
                failure.get_or_init(|| error);
            }
        });
        failure.into_inner().map_or(Ok(()), Err)
    }

    /// Like [`Self::pieces`] for two slices of the same number of units, cut at the same units.
    pub(crate) fn piece_pairs<T: Send, U: Send>(
        self,
        (first, first_unit): (&mut [T], usize),
        (second, second_unit): (&mut [U], usize),
        cost: Picoseconds,
        body: impl Fn(usize, &mut [T], &mut [U]) + Sync,
    ) {
        if first.is_empty() || second.is_empty() || first_unit == 0 || second_unit == 0 {
            return;
        }
        let units = self.units_per_piece(first.len() / first_unit, first_unit, cost);
        let pairs =
            first.chunks_mut(units * first_unit).zip(second.chunks_mut(units * second_unit));
        let pairs: Vec<_> = pairs.map(|pair| Mutex::new(Some(pair))).collect();
        self.pool.parallel_for(pairs.len(), Schedule::Static, |index| {
            let taken = pairs[index].lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some((first, second)) = taken {
                body(index * units, first, second);
            }
        });
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! Runs a check on every instruction set of this machine with one to four threads.

    use super::{Context, Isa, ThreadPool};

    pub(crate) fn everywhere(check: impl Fn(Context<'_>)) {
        for threads in 1..=4 {
            let pool = ThreadPool::new(threads).unwrap();
            for isa in Isa::available() {
                check(Context::new(isa, &pool));
            }
        }
    }

    /// Numbers that look random and are the same on every run, in `-1..1`.
    pub(crate) fn noise(count: usize, seed: u64) -> Vec<f32> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    /// Panics unless every value is within `tolerance` of the expected one, relative to the greater
    /// of it and `scale`.
    pub(crate) fn assert_close(
        got: &[f32],
        expected: &[f64],
        tolerance: f64,
        scale: f64,
        what: &str,
    ) {
        assert_eq!(got.len(), expected.len(), "{what}");
        for (index, (&got, &expected)) in got.iter().zip(expected).enumerate() {
            let off = (f64::from(got) - expected).abs();
            let same = f64::from(got) == expected || (got.is_nan() && expected.is_nan());
            let close = off <= tolerance * expected.abs().max(scale);
            assert!(same || close, "{what}: [{index}] is {got}, expected {expected}");
        }
    }
}
