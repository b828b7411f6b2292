//! What callers rely on: each chunk once, no deadlock, panics arrive.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::{PoolError, Schedule, ThreadPool};

const SCHEDULES: [Schedule; 2] = [Schedule::Static, Schedule::Dynamic];

fn counts(pool: &ThreadPool, chunks: usize, schedule: Schedule) -> Vec<usize> {
    let seen: Vec<_> = (0..chunks).map(|_| AtomicUsize::new(0)).collect();
    pool.parallel_for(chunks, schedule, |i| {
        seen[i].fetch_add(1, Ordering::Relaxed);
    });
    seen.into_iter().map(AtomicUsize::into_inner).collect()
}

#[test]
fn every_chunk_runs_exactly_once() {
    for threads in 1..=4 {
        let pool = ThreadPool::new(threads).unwrap();
        assert_eq!(pool.size(), threads);
        for schedule in SCHEDULES {
            for chunks in [0, 1, 2, 3, 7, 64, 65, 1000] {
                assert_eq!(counts(&pool, chunks, schedule), vec![1; chunks]);
            }
        }
    }
}

#[test]
fn no_threads_is_an_error() {
    assert!(matches!(ThreadPool::new(0), Err(PoolError::NoThreads)));
}

#[test]
fn workers_that_went_to_sleep_are_found_again() {
    let pool = ThreadPool::new(3).unwrap();
    for _ in 0..3 {
        assert_eq!(counts(&pool, 50, Schedule::Dynamic), vec![1; 50]);
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn nested_calls_run_inline() {
    let pool = ThreadPool::new(2).unwrap();
    let total = AtomicUsize::new(0);
    pool.parallel_for(8, Schedule::Dynamic, |_| {
        let outer = std::thread::current().id();
        pool.parallel_for(8, Schedule::Static, |_| {
            assert_eq!(std::thread::current().id(), outer);
            total.fetch_add(1, Ordering::Relaxed);
        });
    });
    assert_eq!(total.into_inner(), 64);
}

#[test]
fn more_callers_than_slots_share_a_pool() {
    let pool = ThreadPool::new(3).unwrap();
    std::thread::scope(|scope| {
        for caller in 0..12 {
            let pool = &pool;
            scope.spawn(move || {
                for round in 0..200 {
                    let chunks = 1 + (caller * 7 + round) % 40;
                    let schedule = SCHEDULES[round % 2];
                    assert_eq!(counts(pool, chunks, schedule), vec![1; chunks]);
                }
            });
        }
    });
}

#[test]
fn a_panic_reaches_the_caller_and_the_pool_goes_on() {
    let pool = ThreadPool::new(3).unwrap();
    for round in 0..100 {
        let chunk = round % 32;
        let result = catch_unwind(AssertUnwindSafe(|| {
            pool.parallel_for(32, SCHEDULES[round % 2], |i| assert!(i != chunk, "chunk {i}"));
        }));
        let message = *result.unwrap_err().downcast::<String>().unwrap();
        assert!(message.starts_with(&format!("chunk {chunk}")), "{message}");
        assert_eq!(counts(&pool, 9, Schedule::Static), vec![1; 9]);
    }
}

#[test]
fn pieces_cover_the_slice_without_overlap() {
    let pool = ThreadPool::new(2).unwrap();
    let mut data = vec![0_usize; 103];
    pool.parallel_pieces(&mut data, 10, Schedule::Dynamic, |index, piece| {
        piece.iter_mut().for_each(|value| *value += index + 1);
    });
    let expected: Vec<_> = (0..103).map(|i| i / 10 + 1).collect();
    assert_eq!(data, expected);
}
