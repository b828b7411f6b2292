//! Sixteen rows at a time: the vector operations that the kernels of block formats are written in.
//!
//! One lane is one row of the weights. Sixteen rows fill a 512-bit register with four bytes of each,
//! two 256-bit registers, or an array; everything else is written once over [`Lanes`]. Methods are
//! `#[inline(always)]`, so they take on the instruction set of the [`Work`] that they end up in.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use remuda_simd::{Isa, Portable};

/// Tokens that meet weights as they come from memory, at most.
pub(super) const FEW: usize = 4;
/// Rows in a group, lanes of a vector.
pub(super) const ROWS: usize = 16;
/// Bytes of four values of every row of a group.
pub(super) const VECTOR: usize = 4 * ROWS;

/// Work that is compiled once per instruction set.
pub(super) trait Work {
    /// Does the work. Implementations are `#[inline(always)]`.
    fn run<L: Lanes>(self, l: L);
}

/// Runs `work` compiled for the best instructions that `isa` has for products of bytes.
pub(super) fn dispatch<W: Work>(isa: Isa, work: W) {
    if let Err(work) = dispatch_wide(isa, work) {
        Portable.enter(work);
    }
}

/// Runs `work` if `isa` has registers for it, without a version of it in plain Rust; gives it back
/// where it has none.
pub(super) fn dispatch_wide<W: Work>(isa: Isa, work: W) -> Result<(), W> {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512(token) => {
            match token.vnni() {
                Some(token) => token.enter(work),
                None => avx2::dispatch(token.avx2(), work),
            }
            Ok(())
        }
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2(token) => {
            avx2::dispatch(token, work);
            Ok(())
        }
        _ => Err(work),
    }
}

/// How many of a few tokens meet weights together. What they share is registers: plain Rust has none
/// to speak of, and takes them one by one.
pub(super) fn few_tile(isa: Isa, count: usize) -> usize {
    match (isa, count) {
        (Isa::Portable(_) | Isa::Neon(_), _) | (_, ..=1) => 1,
        (_, 2) => 2,
        _ => FEW,
    }
}

/// Vectors of sixteen lanes, as methods of the token that proves their instruction set.
pub(super) trait Lanes: Copy + Send + Sync + 'static {
    /// Four bytes per lane.
    type Bytes: Copy;
    /// One i32 per lane.
    type Ints: Copy;
    /// One f32 per lane.
    type Floats: Copy;
    /// Four signed bytes, the same for every lane.
    type Quad: Copy;

    /// Groups of rows whose sums fit the registers beside those of three tokens.
    const GROUPS: usize;

    /// Runs `work` in a function of its own that is compiled for this instruction set.
    fn enter<W: Work>(self, work: W);

    /// All bytes.
    fn load(self, bytes: &[u8; VECTOR]) -> Self::Bytes;
    /// Writes all bytes.
    fn store(self, value: Self::Bytes, out: &mut [u8; VECTOR]);
    /// Every byte shifted right by `shift`, left if negative, and cut to `mask`, which excludes the
    /// bits that come in.
    fn field(self, value: Self::Bytes, shift: i32, mask: u8) -> Self::Bytes;
    /// `a | b`.
    fn or(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    /// Every byte plus `summand`, wrapping.
    fn add(self, value: Self::Bytes, summand: u8) -> Self::Bytes;
    /// The entry of `table` for every byte, all of which are below sixteen.
    fn lookup(self, table: &[u8; 16], places: Self::Bytes) -> Self::Bytes;

    /// The same four bytes in every lane.
    fn quad(self, bytes: &[i8; 4]) -> Self::Quad;
    /// `sums` plus the products of unsigned `weights` with signed `quad`, exactly.
    fn dot(self, sums: Self::Ints, weights: Self::Bytes, quad: Self::Quad) -> Self::Ints;

    /// The same value in every lane.
    fn int(self, value: i32) -> Self::Ints;
    /// Unsigned bytes.
    fn bytes_to_ints(self, bytes: &[u8; ROWS]) -> Self::Ints;
    /// Signed bytes.
    fn signed_bytes_to_ints(self, bytes: &[u8; ROWS]) -> Self::Ints;
    /// `(value >> shift) & mask` of values that are not negative.
    fn int_field(self, value: Self::Ints, shift: u32, mask: i32) -> Self::Ints;
    /// `low | high << 4`.
    fn int_join(self, low: Self::Ints, high: Self::Ints) -> Self::Ints;
    /// The nearest floats.
    fn to_floats(self, value: Self::Ints) -> Self::Floats;

    /// The same value in every lane.
    fn float(self, value: f32) -> Self::Floats;
    /// Sixteen f32.
    fn floats(self, values: &[f32; ROWS]) -> Self::Floats;
    /// Sixteen f16, little-endian.
    fn halves(self, bytes: &[u8; 2 * ROWS]) -> Self::Floats;
    /// Sixteen bf16, little-endian.
    fn brain_halves(self, bytes: &[u8; 2 * ROWS]) -> Self::Floats;
    /// Writes sixteen f32.
    fn put(self, value: Self::Floats, out: &mut [f32; ROWS]);
    /// `a * b`.
    fn mul(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `a * b + c`, with one rounding where the instruction set has that.
    fn mul_add(self, a: Self::Floats, b: Self::Floats, c: Self::Floats) -> Self::Floats;

    /// Asks for the cache line at `address`, which may be any.
    fn prefetch(self, address: *const u8);
}

/// The vector at `index` of a run of vectors.
#[inline(always)]
pub(super) fn vector(bytes: &[u8], index: usize) -> &[u8; VECTOR] {
    &bytes.as_chunks().0[index]
}
