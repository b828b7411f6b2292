//! The dense kernels of the CPU provider: a thread pool and everything that multiplies matrices.
//!
//! Functions here work on slices and plain numbers; tensors, graphs and operators are unknown to
//! them. The instruction set is chosen when the program runs, so one build serves every CPU of its
//! architecture.

pub mod gemm;
pub mod pool;
mod scratch;
pub mod threads;

pub use pool::{Schedule, ThreadPool};
