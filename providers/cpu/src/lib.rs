//! The CPU provider: total over all operators, fast where it matters.
//!
//! A region of a graph becomes a [`Program`]: one step per node, each with the best kernel there is
//! for it. [`kernels`] is the table of fast ones, one file per operator family; a node that none of
//! them takes runs on the operator's reference kernel, so that nothing is ever refused. Memory of
//! values that nobody needs any more is used again ([`Arena`]); many threads may run one program at
//! the same time.
#![forbid(unsafe_code)]

mod arena;
mod backend;
mod cache;
mod kernel;
pub mod kernels;
mod operands;
mod packing;
mod profile;
mod program;
mod results;

pub use arena::Arena;
pub use backend::{CpuBackend, table};
pub use cache::{PAGE, PagedCache, cache_bytes};
pub use kernel::{Kernel, Needs, Preparation, Prepare, Run};
pub use packing::Packing;
pub use profile::{Profile, StepTime};
pub use program::{Program, RunOptions, Settings, workspace_bytes};
