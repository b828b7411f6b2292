//! `Gather` of whole rows of weights in a block format: only the rows that are named are decoded.

use remuda_ir::{OpError, Val};
use remuda_kernels::Schedule;
use remuda_tensor::{DType, rows};

use super::resolve_axis;
use crate::kernel::{Kernel, Preparation, Run, tensor, writable};

struct GatherRows;

pub(super) fn prepare(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let data = preparation.input_type(0)?.as_tensor()?;
    let rank = data.dims.as_ref()?.len();
    let axis = preparation.node.attrs.int_or("axis", 0).ok()?;
    let whole = rank == 2 && resolve_axis(axis, rank).ok()? == 0;
    let fits = matches!(data.dtype, DType::Block(_)) && whole;
    fits.then(|| Box::new(GatherRows) as Box<dyn Kernel>)
}

impl Kernel for GatherRows {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let (data, indices) = (tensor(inputs, 0)?, tensor(inputs, 1)?);
        let broken = || OpError::Bug("rows of blocks have no bytes".to_owned());
        let &[count, size] = data.dims() else { return Err(broken()) };
        let bytes = data.bytes().ok_or_else(broken)?;
        let row_bytes = data.dtype().bytes_for(size).ok_or_else(broken)?;
        let signed = i64::try_from(count).unwrap_or(i64::MAX);
        let place = |index: i64| {
            let at = if index < 0 { index.saturating_add(signed) } else { index };
            usize::try_from(at).ok().filter(|&at| at < count).ok_or_else(|| {
                OpError::Invalid(format!("index {index} is outside an axis of {count}"))
            })
        };
        let places: Vec<usize> =
            indices.to_i64_vec()?.into_iter().map(place).collect::<Result<_, _>>()?;
        let mut out = run.arena.tensor(DType::F32, &[indices.dims(), &[size]].concat())?;
        let dtype = data.dtype();
        run.pool.parallel_pieces(writable(&mut out)?, size.max(1), Schedule::Static, |at, row| {
            let start = places[at] * row_bytes;
            if rows::decode(dtype, &bytes[start..start + row_bytes], row).is_err() {
                row.fill(f32::NAN);
            }
        });
        Ok(vec![out.into()])
    }
}
