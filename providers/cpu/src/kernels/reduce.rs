//! Reductions of floats.

use remuda_ir::{OpError, Val};
use remuda_kernels::reduce::{Reduction, reduce};
use remuda_tensor::{DType, bf16, f16};

use super::elementwise::{is_fast, with_fast};
use super::resolve_axis;
use crate::kernel::{Kernel, Preparation, Run, optional, tensor, writable};

struct Reduce {
    kind: Reduction,
    keep: bool,
    /// Without axes, nothing is reduced instead of everything.
    noop: bool,
}

pub(super) fn prepare(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let node = preparation.node;
    let kind = match &*node.op.name {
        "ReduceSum" => Reduction::Sum,
        "ReduceMean" => Reduction::Mean,
        "ReduceMax" => Reduction::Max,
        "ReduceMin" => Reduction::Min,
        "ReduceProd" => Reduction::Product,
        "ReduceL1" => Reduction::L1,
        "ReduceL2" => Reduction::L2,
        "ReduceSumSquare" => Reduction::SumOfSquares,
        "ReduceLogSum" => Reduction::LogSum,
        "ReduceLogSumExp" => Reduction::LogSumExp,
        _ => return None,
    };
    let keep = node.attrs.bool_or("keepdims", true).ok()?;
    let noop = node.attrs.bool_or("noop_with_empty_axes", false).ok()?;
    is_fast(preparation.dtype(0)?).then(|| Box::new(Reduce { kind, keep, noop }) as Box<dyn Kernel>)
}

impl Kernel for Reduce {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let x = tensor(inputs, 0)?.contiguous();
        let axes = optional(inputs, 1)?
            .map(remuda_tensor::Tensor::to_i64_vec)
            .transpose()?
            .unwrap_or_default();
        let mut reduced = vec![axes.is_empty() && !self.noop; x.rank()];
        for axis in axes {
            let axis = resolve_axis(axis, x.rank())?;
            if std::mem::replace(&mut reduced[axis], true) {
                return Err(OpError::Invalid(format!("`axes` names axis {axis} twice")));
            }
        }
        let sizes = x.dims().iter().zip(&reduced);
        let dims: Vec<usize> = sizes
            .filter_map(
                |(&dim, &reduced)| if !reduced { Some(dim) } else { self.keep.then_some(1) },
            )
            .collect();
        let mut out = run.arena.tensor(x.dtype(), &dims)?;
        with_fast!(x.dtype(), T => {
            reduce::<T>(run.context(), self.kind, x.as_slice()?, writable(&mut out)?, x.dims(), &reduced);
            Ok(())
        })?;
        Ok(vec![out.into()])
    }
}
