//! What becomes of the exact sums: they are kept, scaled to floats, or scaled back to bytes.

use remuda_simd::{Isa, Kernel, MAX_LANES, Simd};

use super::ByteError;
use crate::pool::Shared;

/// One value for all, or one per row or column of the output.
#[derive(Debug, Clone, Copy)]
pub enum Per<'a, T> {
    /// The same everywhere.
    Tensor(T),
    /// One per row.
    Row(&'a [T]),
    /// One per column.
    Column(&'a [T]),
}

impl<T: Copy> Per<'_, T> {
    /// Of a row from a column on: one value, or one per column.
    pub(super) fn at(&self, row: usize, columns: std::ops::Range<usize>) -> Result<T, &[T]> {
        match self {
            Self::Tensor(value) => Ok(*value),
            Self::Row(values) => Ok(values[row]),
            Self::Column(values) => Err(&values[columns]),
        }
    }

    pub(super) fn check(
        &self,
        what: &'static str,
        [rows, columns]: [usize; 2],
    ) -> Result<(), ByteError> {
        let (needed, got) = match self {
            Self::Tensor(_) => return Ok(()),
            Self::Row(values) => (rows, values.len()),
            Self::Column(values) => (columns, values.len()),
        };
        if got < needed {
            return Err(ByteError::TooShort { what, needed: Some(needed), got });
        }
        Ok(())
    }
}

/// How sums become floats: `sum * scale + bias`.
#[derive(Debug, Clone, Copy)]
pub struct Dequantize<'a> {
    /// The factor.
    pub scale: Per<'a, f32>,
    /// Added last.
    pub bias: Option<Per<'a, f32>>,
}

/// How sums become bytes: `round((sum + bias) * scale) + zero_point`, halves to even, cut to the
/// range.
#[derive(Debug, Clone, Copy)]
pub struct Requantize<'a> {
    /// The factor.
    pub scale: Per<'a, f32>,
    /// Added to the exact sum.
    pub bias: Option<Per<'a, i32>>,
    /// The byte that stands for zero.
    pub zero_point: i32,
}

/// Where the result goes.
#[derive(Debug)]
pub enum Output<'a> {
    /// The sums themselves.
    I32(&'a mut [i32]),
    /// Floats.
    F32(&'a mut [f32], Dequantize<'a>),
    /// Unsigned bytes.
    U8(&'a mut [u8], Requantize<'a>),
    /// Signed bytes.
    I8(&'a mut [i8], Requantize<'a>),
}

impl Output<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::I32(out) => out.len(),
            Self::F32(out, _) => out.len(),
            Self::U8(out, _) => out.len(),
            Self::I8(out, _) => out.len(),
        }
    }

    pub(super) fn check(&self, sizes: [usize; 2]) -> Result<(), ByteError> {
        match self {
            Self::I32(_) => Ok(()),
            Self::F32(_, how) => {
                how.scale.check("scale", sizes)?;
                how.bias.map_or(Ok(()), |bias| bias.check("bias", sizes))
            }
            Self::U8(_, how) | Self::I8(_, how) => {
                how.scale.check("scale", sizes)?;
                how.bias.map_or(Ok(()), |bias| bias.check("bias", sizes))
            }
        }
    }
}

/// [`Output`] that several threads write parts of.
#[derive(Debug)]
pub(super) enum Target<'a> {
    I32(Shared<i32>),
    F32(Shared<f32>, Dequantize<'a>),
    U8(Shared<u8>, Requantize<'a>),
    I8(Shared<i8>, Requantize<'a>),
}

impl<'a> Target<'a> {
    pub(super) fn new(output: Output<'a>) -> Self {
        match output {
            Output::I32(out) => Self::I32(Shared::new(out.as_mut_ptr())),
            Output::F32(out, how) => Self::F32(Shared::new(out.as_mut_ptr()), how),
            Output::U8(out, how) => Self::U8(Shared::new(out.as_mut_ptr()), how),
            Output::I8(out, how) => Self::I8(Shared::new(out.as_mut_ptr()), how),
        }
    }

    /// Writes the sums of a row, from `column` on, to `start` of the output.
    ///
    /// # Safety
    /// As many elements from `start` on lie within the output and belong to the caller.
    pub(super) unsafe fn write(
        &self,
        isa: Isa,
        start: usize,
        [row, column]: [usize; 2],
        sums: &[i32],
    ) {
        let columns = column..column + sums.len();
        match self {
            // SAFETY: passed on.
            Self::I32(out) => unsafe { part(out, start, sums.len()) }.copy_from_slice(sums),
            Self::F32(out, how) => {
                // SAFETY: passed on.
                let out = unsafe { part(out, start, sums.len()) };
                let scale = how.scale.at(row, columns.clone());
                let bias = how.bias.as_ref().map_or(Ok(0.0), |bias| bias.at(row, columns));
                isa.run(ToFloats { sums, scale, bias, out });
            }
            Self::U8(out, how) => {
                // SAFETY: passed on.
                let out = unsafe { part(out, start, sums.len()) };
                how.run(isa, [row, column], sums, [0, 255], |index, value| {
                    out[index] = value as u8;
                });
            }
            Self::I8(out, how) => {
                // SAFETY: passed on.
                let out = unsafe { part(out, start, sums.len()) };
                let range = [-128, 127];
                how.run(isa, [row, column], sums, range, |index, value| out[index] = value as i8);
            }
        }
    }
}

/// # Safety
/// The part lies within the output and belongs to the caller.
#[expect(clippy::mut_from_ref, reason = "the pointer is shared, the part is not")]
unsafe fn part<T>(out: &Shared<T>, start: usize, length: usize) -> &mut [T] {
    // SAFETY: passed on.
    unsafe { std::slice::from_raw_parts_mut(out.pointer().add(start), length) }
}

/// Longest row of sums that is handled at once.
const ROW: usize = 64;

impl Requantize<'_> {
    /// Calls `put` with each result.
    fn run(
        &self,
        isa: Isa,
        [row, column]: [usize; 2],
        sums: &[i32],
        range: [i32; 2],
        mut put: impl FnMut(usize, i32),
    ) {
        let mut results = [0; ROW];
        for (index, sums) in sums.chunks(ROW).enumerate() {
            let first = column + index * ROW;
            let columns = first..first + sums.len();
            let results = &mut results[..sums.len()];
            let scale = self.scale.at(row, columns.clone());
            let bias = self.bias.as_ref().map_or(Ok(0), |bias| bias.at(row, columns));
            isa.run(ToRange { sums, scale, bias, zero: self.zero_point, range, out: results });
            for (place, value) in results.iter().enumerate() {
                put(index * ROW + place, *value);
            }
        }
    }
}

struct ToFloats<'a> {
    sums: &'a [i32],
    scale: Result<f32, &'a [f32]>,
    bias: Result<f32, &'a [f32]>,
    out: &'a mut [f32],
}

impl Kernel for ToFloats<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for (index, out) in self.out.chunks_mut(S::LANES).enumerate() {
            let place = index * S::LANES..index * S::LANES + out.len();
            let sums = simd.to_f32(load_i32(simd, &self.sums[place.clone()]));
            let at = |per: Result<f32, &[f32]>| match per {
                Ok(value) => simd.splat(value),
                Err(values) => simd.load_partial(&values[place.clone()], 0.0),
            };
            let value = simd.add(simd.mul(sums, at(self.scale)), at(self.bias));
            simd.store_partial(value, out);
        }
    }
}

struct ToRange<'a> {
    sums: &'a [i32],
    scale: Result<f32, &'a [f32]>,
    bias: Result<i32, &'a [i32]>,
    zero: i32,
    range: [i32; 2],
    out: &'a mut [i32],
}

impl Kernel for ToRange<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        // Cut before the conversion, where every float fits an integer.
        let [low, high] = self.range.map(|bound| simd.splat((bound - self.zero) as f32));
        let zero = simd.splat_i32(self.zero);
        for (index, out) in self.out.chunks_mut(S::LANES).enumerate() {
            let place = index * S::LANES..index * S::LANES + out.len();
            let sums = load_i32(simd, &self.sums[place.clone()]);
            let bias = match self.bias {
                Ok(value) => simd.splat_i32(value),
                Err(values) => load_i32(simd, &values[place.clone()]),
            };
            let scale = match self.scale {
                Ok(value) => simd.splat(value),
                Err(values) => simd.load_partial(&values[place], 0.0),
            };
            let value = simd.mul(simd.to_f32(simd.add_i32(sums, bias)), scale);
            let value = simd.max(low, simd.min(high, value));
            let mut lanes = [0; MAX_LANES];
            simd.store_i32(simd.add_i32(simd.to_i32(value), zero), &mut lanes);
            out.copy_from_slice(&lanes[..out.len()]);
        }
    }
}

/// All of `values`, at most a vector.
#[inline(always)]
fn load_i32<S: Simd>(simd: S, values: &[i32]) -> S::I32 {
    if values.len() >= S::LANES {
        return simd.load_i32(values);
    }
    let mut lanes = [0; MAX_LANES];
    lanes[..values.len()].copy_from_slice(values);
    simd.load_i32(&lanes)
}
