//! `Linear` of f32 rows with weights in any float or block format: the weights stay as they are in the
//! file and are decoded piece by piece where they are multiplied.

use std::ops::Range;

use remuda_ir::{OpError, Val};
use remuda_kernels::gemm::{Epilogue, Matrix, PanelSource, Product, Rhs, STRIP};
use remuda_simd::{Isa, Kernel as SimdKernel, Simd};
use remuda_tensor::{DType, Tensor, rows};

use super::norm::per_element;
use crate::kernel::{Kernel, Preparation, Run, optional, tensor, writable};

struct Linear {
    isa: Isa,
}

pub(super) fn prepare(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let weight = preparation.dtype(1)?;
    let decodable = matches!(weight, DType::F32 | DType::F16 | DType::BF16 | DType::Block(_));
    let fits = preparation.dtype(0)? == DType::F32 && decodable;
    fits.then(|| Box::new(Linear { isa: preparation.isa }) as Box<dyn Kernel>)
}

/// Weights as the right-hand side of a product: one column per row of theirs.
struct Weights<'a> {
    isa: Isa,
    dtype: DType,
    bytes: &'a [u8],
    outputs: usize,
    inputs: usize,
    row_bytes: usize,
    /// Elements that are encoded together.
    block: usize,
}

impl<'a> Weights<'a> {
    fn new(isa: Isa, weight: &'a Tensor) -> Result<Self, OpError> {
        let dtype = weight.dtype();
        let &[outputs, inputs] = weight.dims() else {
            let text = format!("weights expected 2 dimensions, got {:?}", weight.dims());
            return Err(OpError::Invalid(text));
        };
        let missing = || OpError::Bug(format!("weights of `{dtype}` have no bytes"));
        let bytes = weight.bytes().ok_or_else(missing)?;
        let row_bytes = dtype.bytes_for(inputs).ok_or_else(missing)?;
        let block = if let DType::Block(block) = dtype { block.format().elements } else { 1 };
        Ok(Self { isa, dtype, bytes, outputs, inputs, row_bytes, block })
    }

    /// Decodes the elements `columns` of a row; they start and end with a block.
    fn decode(&self, row: usize, columns: Range<usize>, out: &mut [f32]) {
        let at = |column: usize| self.dtype.bytes_for(column).unwrap_or(0);
        let start = row * self.row_bytes;
        let bytes = &self.bytes[start + at(columns.start)..start + at(columns.end)];
        // Constants are aligned and lengths were checked, so that this cannot fail.
        if rows::decode(self.dtype, bytes, out).is_err() {
            out.fill(f32::NAN);
        }
    }
}

impl PanelSource for Weights<'_> {
    fn rows(&self) -> usize {
        self.inputs
    }

    fn columns(&self) -> usize {
        self.outputs
    }

    fn pack(&self, _start: usize, rows: Range<usize>, strips: Range<usize>, out: &mut [f32]) {
        let first = rows.start / self.block * self.block;
        let last = rows.end.next_multiple_of(self.block).min(self.inputs);
        let mut decoded = vec![0.0; last - first];
        for (strip, out) in strips.zip(out.chunks_exact_mut(rows.len() * STRIP)) {
            for column in 0..STRIP.min(self.outputs - strip * STRIP) {
                self.decode(strip * STRIP + column, first..last, &mut decoded);
                let values = &decoded[rows.start - first..][..rows.len()];
                for (out, value) in out[column..].iter_mut().step_by(STRIP).zip(values) {
                    *out = *value;
                }
            }
        }
    }

    fn direct_rows(&self) -> usize {
        4
    }

    fn multiply(&self, _start: usize, lhs: &[f32], strips: Range<usize>, out: &mut [f32]) {
        let width = strips.len() * STRIP;
        let mut decoded = vec![0.0; self.inputs];
        for (at, row) in (strips.start * STRIP..self.outputs.min(strips.end * STRIP)).enumerate() {
            self.decode(row, 0..self.inputs, &mut decoded);
            for (lhs, out) in lhs.chunks_exact(self.inputs).zip(out.chunks_exact_mut(width)) {
                out[at] = self.isa.run(Dot { a: &decoded, b: lhs });
            }
        }
    }
}

/// The dot product of two rows of one length.
struct Dot<'a> {
    a: &'a [f32],
    b: &'a [f32],
}

impl SimdKernel for Dot<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        let mut sums = [s.splat(0.0); 4];
        let (mut a, mut b) = (self.a.chunks_exact(4 * S::LANES), self.b.chunks_exact(4 * S::LANES));
        for (a, b) in (&mut a).zip(&mut b) {
            let pairs = a.chunks_exact(S::LANES).zip(b.chunks_exact(S::LANES));
            for (sum, (a, b)) in sums.iter_mut().zip(pairs) {
                *sum = s.mul_add(s.load(a), s.load(b), *sum);
            }
        }
        let rest = a.remainder().chunks(S::LANES).zip(b.remainder().chunks(S::LANES));
        for (a, b) in rest {
            sums[0] = s.mul_add(s.load_partial(a, 0.0), s.load_partial(b, 0.0), sums[0]);
        }
        s.reduce_add(s.add(s.add(sums[0], sums[1]), s.add(sums[2], sums[3])))
    }
}

impl Kernel for Linear {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let (x, weight) = (tensor(inputs, 0)?.contiguous(), tensor(inputs, 1)?.contiguous());
        let weights = Weights::new(self.isa, &weight)?;
        let Some((_, front)) = x.dims().split_last().filter(|&(&last, _)| last == weights.inputs)
        else {
            let text = format!("rows of {:?} do not fit weights of {:?}", x.dims(), weight.dims());
            return Err(OpError::Invalid(text));
        };
        let bias = optional(inputs, 2)?;
        let bias = bias.map(|bias| per_element(bias, &[weights.outputs])).transpose()?;
        let mut out = run.arena.tensor(DType::F32, &[front, &[weights.outputs]].concat())?;
        let failed = |error: remuda_kernels::gemm::GemmError| OpError::Bug(error.to_string());
        let rows = front.iter().product();
        let lhs = Matrix::new(x.as_slice::<f32>()?, rows, weights.inputs).map_err(failed)?;
        let epilogue = Epilogue { column_bias: bias.as_deref(), ..Epilogue::default() };
        let product = Product { epilogue, ..Product::new(lhs, Rhs::Source(&weights)) };
        product.run(run.context(), writable(&mut out)?, weights.outputs).map_err(failed)?;
        Ok(vec![out.into()])
    }
}
