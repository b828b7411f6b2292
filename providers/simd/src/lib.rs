//! Instruction sets as values: a token such as [`Avx512`] can only be had on a CPU that has the
//! instructions, so everything that takes one is safe to call. [`Isa`] holds the best token of this
//! machine.

mod isa;

pub use isa::{Avx2, Avx2Vnni, Avx512, Avx512Bf16, Avx512Fp16, Avx512Vnni};
pub use isa::{Isa, IsaError, IsaLevel};
pub use isa::{Neon, NeonDotprod, NeonI8mm, Portable};
