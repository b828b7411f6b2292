//! `TopK` along any axis: what is not among the best is never sorted.

use std::cmp::Ordering;

use remuda_ir::{OpError, Val, resolve_axis};
use remuda_tensor::{DType, Element, Tensor};

use crate::kernel::{Kernel, Preparation, Run, tensor, writable};

struct TopK {
    axis: i64,
    largest: bool,
}

pub(super) fn prepare(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let attrs = &preparation.node.attrs;
    let kernel = TopK {
        axis: attrs.int_or("axis", -1).ok()?,
        largest: attrs.bool_or("largest", true).ok()?,
    };
    let known = matches!(preparation.dtype(0)?, DType::F32 | DType::I32 | DType::I64);
    known.then(|| Box::new(kernel) as Box<dyn Kernel>)
}

impl Kernel for TopK {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let x = tensor(inputs, 0)?.contiguous();
        let axis = resolve_axis(self.axis, x.rank())?;
        let size = x.dims()[axis];
        let &[k] = &tensor(inputs, 1)?.to_i64_vec()?[..] else {
            return Err(OpError::Invalid("`k` expected one element".to_owned()));
        };
        let k = usize::try_from(k).ok().filter(|&k| k <= size).ok_or_else(|| {
            OpError::Invalid(format!("`k` is {k}, axis {axis} has {size} elements"))
        })?;
        let mut dims = x.dims().to_vec();
        dims[axis] = k;
        let mut values = run.arena.tensor(x.dtype(), &dims)?;
        let mut places = run.arena.tensor(DType::I64, &dims)?;
        if values.len() > 0 {
            let shape = [size, k, dims[axis + 1..].iter().product()];
            match x.dtype() {
                DType::F32 => self.find::<f32>(&x, shape, &mut values, &mut places),
                DType::I32 => self.find::<i32>(&x, shape, &mut values, &mut places),
                DType::I64 => self.find::<i64>(&x, shape, &mut values, &mut places),
                other => Err(OpError::Bug(format!("a kernel for numbers got `{other}`"))),
            }?;
        }
        Ok(vec![values.into(), places.into()])
    }
}

impl TopK {
    /// Finds the best of every line; lines lie `inner` elements apart from each other.
    fn find<T: Element + PartialOrd>(
        &self,
        x: &Tensor,
        [size, k, inner]: [usize; 3],
        values: &mut Tensor,
        places: &mut Tensor,
    ) -> Result<(), OpError> {
        let (x, values) = (x.as_slice::<T>()?, writable::<T>(values)?);
        let places = writable::<i64>(places)?;
        let mut line: Vec<(T, i64)> = Vec::with_capacity(size);
        let order = |a: &(T, i64), b: &(T, i64)| {
            let values = compare(a.0, b.0);
            (if self.largest { values.reverse() } else { values }).then(a.1.cmp(&b.1))
        };
        for at in 0..x.len() / size {
            let (block, column) = (at / inner, at % inner);
            let elements = x[block * size * inner + column..].iter().step_by(inner);
            line.clear();
            line.extend(elements.take(size).copied().zip(0..));
            if k < size {
                line.select_nth_unstable_by(k, order);
            }
            line[..k].sort_unstable_by(order);
            for (rank, &(value, place)) in line[..k].iter().enumerate() {
                let slot = (block * k + rank) * inner + column;
                (values[slot], places[slot]) = (value, place);
            }
        }
        Ok(())
    }
}

/// NaN counts as the greatest.
#[expect(clippy::eq_op, reason = "the definition of NaN")]
fn compare<T: PartialOrd + Copy>(a: T, b: T) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| (a != a).cmp(&(b != b)))
}
