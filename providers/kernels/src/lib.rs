//! The kernels of the CPU provider and its thread pool: matrix products, convolutions, attention,
//! and everything that is computed element by element, row by row or window by window.
//!
//! Functions here work on slices and plain numbers; tensors, graphs and operators are unknown to
//! them. The instruction set is chosen when the program runs, so one build serves every CPU of its
//! architecture. Shapes are checked by whoever plans a call: a slice that does not fit its shape is
//! a bug of the caller and panics.

pub mod attention;
pub mod block;
mod context;
pub mod conv;
pub mod convert;
pub mod elementwise;
pub mod gemm;
pub mod int4;
pub mod int8;
pub mod layout;
mod memory;
pub mod norm;
pub mod pool;
pub mod pooling;
pub mod quantize;
pub mod recurrent;
pub mod reduce;
pub mod resize;
pub mod rotary;
mod rows;
mod scratch;
pub mod softmax;
pub mod suppress;
pub mod threads;

pub use context::Context;
pub use memory::NoMemory;
pub use pool::{Schedule, ThreadPool};
