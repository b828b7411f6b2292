//! Normalisation fused with the residual addition before it: `SkipLayerNormalization` and its
//! simplified sibling, which does not take the mean off.

use remuda_ir::{OpError, Val};
use remuda_kernels::norm::{Affine, RowNorm, add_and_norm};
use remuda_tensor::{DType, Tensor, bf16, f16};

use super::elementwise::{is_fast, with_fast};
use super::norm::per_element;
use crate::kernel::{Kernel, Preparation, Run, optional, tensor, writable};

struct SkipNorm {
    kind: RowNorm,
    /// Places of the inputs that shift the result and the sum.
    beta: Option<usize>,
    bias: usize,
    /// Whether the sum is a result too.
    sums: bool,
}

pub(super) fn prepare(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let node = preparation.node;
    let epsilon = node.attrs.float_or("epsilon", 1e-12).ok()?;
    let (kind, beta, bias) = match &*node.op.name {
        "SkipLayerNormalization" => (RowNorm::Layer(epsilon), Some(3), 4),
        "SkipSimplifiedLayerNormalization" => (RowNorm::Rms(epsilon), None, 3),
        _ => return None,
    };
    let dtype = preparation.dtype(0).filter(|&dtype| is_fast(dtype))?;
    let plain = (1..3).all(|at| node.output(at).is_none());
    let fits = plain && preparation.dtype(1) == Some(dtype);
    let sums = node.output(3).is_some();
    fits.then(|| Box::new(SkipNorm { kind, beta, bias, sums }) as Box<dyn Kernel>)
}

impl Kernel for SkipNorm {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let x = tensor(inputs, 0)?.contiguous();
        let skip = tensor(inputs, 1)?.broadcast_to(x.dims())?.contiguous();
        let &[.., length] = x.dims() else {
            return Err(OpError::Invalid("expected at least 1 dimension, got 0".to_owned()));
        };
        let row = |at: usize| {
            optional(inputs, at)?.map(|factors| per_element(factors, &[length])).transpose()
        };
        let scale = per_element(tensor(inputs, 2)?, &[length])?;
        let beta = self.beta.map_or(Ok(None), row)?;
        let bias = row(self.bias)?;
        let mut sums = run.arena.tensor(x.dtype(), x.dims())?;
        let mut out = run.arena.tensor(x.dtype(), x.dims())?;
        if x.len() > 0 {
            let how = (self.kind, Affine { scale: &scale, bias: beta.as_deref() });
            with_fast!(x.dtype(), T => {
                let from = (x.as_slice::<T>()?, skip.as_slice()?);
                let (sums, out) = (writable(&mut sums)?, writable(&mut out)?);
                add_and_norm(run.context(), how, from, bias.as_deref(), sums, out);
                Ok(())
            })?;
        }
        if !self.sums {
            run.arena.reclaim(sums.into());
            return Ok(vec![out.into()]);
        }
        // Nobody asked for the statistics between the two.
        let none = || Val::from(Tensor::scalar(0.0_f32));
        Ok(vec![out.into(), none(), none(), sums.into()])
    }
}
