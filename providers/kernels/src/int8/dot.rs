//! Dot products of four bytes, per instruction set.
//!
//! A vector holds a few columns of a strip, four bytes each; the bytes of a row are repeated for
//! every column. One side is unsigned, the other signed. Sums wrap at 32 bits and never saturate
//! before.

use super::bytes::QUAD;

#[cfg(target_arch = "x86_64")]
pub(super) mod x86;

/// How an instruction set multiplies quads. Methods are `#[inline(always)]` and may be called only
/// where its features are enabled, as [`super::tile`] does.
pub(super) trait Dot: Copy {
    /// Sums of [`Self::COLUMNS`] columns, in any form.
    type Sums: Copy;
    /// Quads of as many columns.
    type Strip: Copy;
    /// The quad of a row.
    type Row: Copy;

    /// Columns of a vector.
    const COLUMNS: usize;

    fn zero(self) -> Self::Sums;
    /// The first quads of `quads`, signed or not.
    fn strip<const SIGNED: bool>(self, quads: &[u8]) -> Self::Strip;
    /// The quad of the opposite signedness.
    fn row<const STRIP_SIGNED: bool>(self, quad: [u8; QUAD]) -> Self::Row;
    /// `sums + row * strip`.
    fn dot<const STRIP_SIGNED: bool>(
        self,
        sums: Self::Sums,
        row: Self::Row,
        strip: Self::Strip,
    ) -> Self::Sums;
    fn store(self, sums: Self::Sums, out: &mut [i32]);
}

/// Plain integers, vectorised by the compiler where it can.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plain;

const PLAIN_COLUMNS: usize = 4;

#[inline(always)]
fn widen<const SIGNED: bool>(byte: u8) -> i16 {
    if SIGNED { i16::from(byte.cast_signed()) } else { i16::from(byte) }
}

impl Dot for Plain {
    type Sums = [i32; PLAIN_COLUMNS];
    type Strip = [[i16; QUAD]; PLAIN_COLUMNS];
    type Row = [i16; QUAD];

    const COLUMNS: usize = PLAIN_COLUMNS;

    #[inline(always)]
    fn zero(self) -> Self::Sums {
        [0; PLAIN_COLUMNS]
    }

    #[inline(always)]
    fn strip<const SIGNED: bool>(self, quads: &[u8]) -> Self::Strip {
        let quads = &quads[..PLAIN_COLUMNS * QUAD];
        std::array::from_fn(|column| {
            std::array::from_fn(|k| widen::<SIGNED>(quads[column * QUAD + k]))
        })
    }

    #[inline(always)]
    fn row<const STRIP_SIGNED: bool>(self, quad: [u8; QUAD]) -> Self::Row {
        quad.map(|byte| if STRIP_SIGNED { widen::<false>(byte) } else { widen::<true>(byte) })
    }

    #[inline(always)]
    fn dot<const STRIP_SIGNED: bool>(
        self,
        sums: Self::Sums,
        row: Self::Row,
        strip: Self::Strip,
    ) -> Self::Sums {
        std::array::from_fn(|column| {
            (0..QUAD).fold(sums[column], |sum, k| {
                sum.wrapping_add(i32::from(row[k]) * i32::from(strip[column][k]))
            })
        })
    }

    #[inline(always)]
    fn store(self, sums: Self::Sums, out: &mut [i32]) {
        out[..PLAIN_COLUMNS].copy_from_slice(&sums);
    }
}
