//! Instruction sets as values: a token such as [`Avx512`] can only be had on a CPU that has the
//! instructions, so everything that takes one is safe to call. [`Isa`] holds the best token of this
//! machine.
//!
//! A [`Kernel`] is written once, generic over [`Simd`], and [`Isa::run`] instantiates it for the
//! instruction set at hand:
//!
//! ```
//! use remuda_simd::{Isa, Kernel, Simd};
//!
//! struct Sum<'a>(&'a [f32]);
//!
//! impl Kernel for Sum<'_> {
//!     type Output = f32;
//!
//!     #[inline(always)]
//!     fn run<S: Simd>(self, simd: S) -> f32 {
//!         let chunks = self.0.chunks_exact(S::LANES);
//!         let tail = simd.load_partial(chunks.remainder(), 0.0);
//!         simd.reduce_add(chunks.fold(tail, |sum, chunk| simd.add(sum, simd.load(chunk))))
//!     }
//! }
//!
//! let isa = Isa::detect()?;
//! assert_eq!(isa.run(Sum(&[1.0; 100])), 100.0);
//! # Ok::<(), remuda_simd::IsaError>(())
//! ```
#![expect(unsafe_code, reason = "vector intrinsics, proven by the tokens")]
#![expect(clippy::cast_possible_truncation, reason = "conversions of lanes are meant to")]

mod isa;
pub mod math;
mod vector;

pub use isa::{Avx2, Avx2Vnni, Avx512, Avx512Vnni, Neon, Portable};
pub use isa::{Isa, IsaError, IsaLevel};
pub use vector::{Element, Kernel, MAX_LANES, Simd};
