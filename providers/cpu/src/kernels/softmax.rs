//! Softmax and its logarithm.

use remuda_ir::{OpError, Val};
use remuda_kernels::softmax::{Softmax, softmax};
use remuda_tensor::{DType, bf16, f16};

use super::elementwise::{is_fast, with_fast};
use super::resolve_axis;
use crate::kernel::{Kernel, Preparation, Run, tensor, writable};

struct SoftmaxKernel {
    kind: Softmax,
    axis: i64,
}

pub(super) fn prepare(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let kind = if &*preparation.node.op.name == "Softmax" { Softmax::Plain } else { Softmax::Log };
    let axis = preparation.node.attrs.int_or("axis", -1).ok()?;
    is_fast(preparation.dtype(0)?)
        .then(|| Box::new(SoftmaxKernel { kind, axis }) as Box<dyn Kernel>)
}

impl Kernel for SoftmaxKernel {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let x = tensor(inputs, 0)?.contiguous();
        let axis = resolve_axis(self.axis, x.rank())?;
        let mut out = run.arena.tensor(x.dtype(), x.dims())?;
        if x.len() > 0 {
            with_fast!(x.dtype(), T => {
                softmax::<T>(run.context(), self.kind, x.as_slice()?, writable(&mut out)?, x.dims(), axis);
                Ok(())
            })?;
        }
        Ok(vec![out.into()])
    }
}
