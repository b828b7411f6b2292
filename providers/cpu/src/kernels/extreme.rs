//! `ArgMax` and `ArgMin` of the common number types.

use remuda_ir::{OpError, Val};
use remuda_kernels::reduce::{Extreme, Ties, position_of_extreme};
use remuda_tensor::{DType, Element, Tensor, bf16, f16};

use super::resolve_axis;
use crate::kernel::{Kernel, Preparation, Run, tensor, writable};

struct Position {
    extreme: Extreme,
    ties: Ties,
    axis: i64,
    keep: bool,
}

pub(super) fn prepare(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let node = preparation.node;
    let max = &*node.op.name == "ArgMax";
    let last = node.attrs.bool_or("select_last_index", false).ok()?;
    let kernel = Position {
        extreme: if max { Extreme::Max } else { Extreme::Min },
        ties: if last { Ties::Last } else { Ties::First },
        axis: node.attrs.int_or("axis", 0).ok()?,
        keep: node.attrs.bool_or("keepdims", true).ok()?,
    };
    let known = matches!(
        preparation.dtype(0)?,
        DType::F32 | DType::F16 | DType::BF16 | DType::I32 | DType::I64
    );
    known.then(|| Box::new(kernel) as Box<dyn Kernel>)
}

impl Kernel for Position {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let x = tensor(inputs, 0)?.contiguous();
        let axis = resolve_axis(self.axis, x.rank())?;
        let mut dims = x.dims().to_vec();
        dims[axis] = 1;
        let mut out = run.arena.tensor(DType::I64, &dims)?;
        if out.len() > 0 {
            if x.len() == 0 {
                return Err(OpError::Invalid("the axis has no element".to_owned()));
            }
            if u32::try_from(x.dims()[axis]).is_err() {
                return Err(OpError::Unsupported("an axis of 2^32 elements or more".to_owned()));
            }
            match x.dtype() {
                DType::F32 => self.find::<f32>(run, &x, &mut out, axis),
                DType::F16 => self.find::<f16>(run, &x, &mut out, axis),
                DType::BF16 => self.find::<bf16>(run, &x, &mut out, axis),
                DType::I32 => self.find::<i32>(run, &x, &mut out, axis),
                DType::I64 => self.find::<i64>(run, &x, &mut out, axis),
                other => Err(OpError::Bug(format!("a kernel for numbers got `{other}`"))),
            }?;
        }
        if !self.keep {
            dims.remove(axis);
            out = out.reshape(dims)?;
        }
        Ok(vec![out.into()])
    }
}

impl Position {
    fn find<T: Element + PartialOrd>(
        &self,
        run: &Run<'_>,
        x: &Tensor,
        out: &mut Tensor,
        axis: usize,
    ) -> Result<(), OpError> {
        let (how, to) = ((self.extreme, self.ties), writable(out)?);
        position_of_extreme::<T>(run.context(), how, x.as_slice()?, to, x.dims(), axis);
        Ok(())
    }
}
