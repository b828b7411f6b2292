//! `BiasGelu`, and `FastGelu` with a bias: the sum and its activation in one pass.

use remuda_ir::{OpError, Val};
use remuda_kernels::elementwise::{Binary, Step, Unary, View, chain};
use remuda_tensor::{DType, bf16, f16};

use super::elementwise::{is_fast, joined, with_fast};
use crate::kernel::{Kernel, Preparation, Run, tensor, writable};

struct BiasGelu(Unary);

pub(super) fn prepare(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let gelu = match &*preparation.node.op.name {
        "BiasGelu" => Unary::Gelu,
        "FastGelu" => Unary::GeluTanh,
        _ => return None,
    };
    let dtype = preparation.dtype(0).filter(|&dtype| is_fast(dtype))?;
    (preparation.dtype(1)? == dtype).then(|| Box::new(BiasGelu(gelu)) as Box<dyn Kernel>)
}

impl Kernel for BiasGelu {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let (x, bias) = (tensor(inputs, 0)?.contiguous(), tensor(inputs, 1)?.contiguous());
        let dims = joined(&x, &bias)?;
        if dims != x.dims() {
            let text = format!("`bias` of {:?} does not fit {:?}", bias.dims(), x.dims());
            return Err(OpError::Invalid(text));
        }
        let mut out = run.arena.tensor(x.dtype(), &dims)?;
        if out.len() > 0 {
            with_fast!(x.dtype(), T => {
                let input = View::new(x.as_slice::<T>()?, x.dims());
                let bias = View::new(bias.as_slice::<T>()?, bias.dims());
                let steps = [Step::Right(Binary::Add, bias), Step::Unary(self.0)];
                chain(run.context(), input, &steps, writable(&mut out)?, &dims);
                Ok(())
            })?;
        }
        Ok(vec![out.into()])
    }
}
