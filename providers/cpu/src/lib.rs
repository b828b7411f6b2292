//! The dense kernels of the CPU provider: a thread pool and everything that multiplies matrices.
//!
//! Functions here work on slices and plain numbers; tensors, graphs and operators are unknown to
//! them. The instruction set is chosen when the program runs, so one build serves every CPU of its
//! architecture.

pub mod attention;
mod context;
pub mod conv;
pub mod convert;
pub mod elementwise;
pub mod gemm;
pub mod int4;
pub mod int8;
pub mod layout;
pub mod norm;
pub mod pool;
pub mod pooling;
pub mod quantize;
pub mod reduce;
pub mod resize;
pub mod rotary;
mod rows;
mod scratch;
pub mod softmax;
pub mod threads;

pub use context::Context;
pub use pool::{Schedule, ThreadPool};
