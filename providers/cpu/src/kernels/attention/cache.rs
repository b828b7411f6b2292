//! Keys and values behind each other: what was seen before, and what is new.

use remuda_ir::OpError;
use remuda_kernels::layout::{concat, transpose};
use remuda_tensor::Tensor;

use super::Headed;
use crate::kernel::Run;
use crate::kernels::layout::{bits, bits_mut, by_width};

/// The past followed by what is new, heads in their own axis.
pub(in crate::kernels) fn append(
    run: &mut Run<'_>,
    past: &Tensor,
    new: &Headed,
) -> Result<Headed, OpError> {
    let past = past.contiguous();
    let [batch, heads, positions, size] = new.dims;
    let before = match *past.dims() {
        [a, b, before, c] if [a, b, c] == [batch, heads, size] => before,
        _ => {
            let text = format!("a past of {:?} does not fit {:?}", past.dims(), new.dims);
            return Err(OpError::Invalid(text));
        }
    };
    let new = separate_copy(run, new)?;
    let dims = [batch, heads, before + positions, size];
    let mut out = run.arena.tensor(past.dtype(), &dims)?;
    if out.len() > 0 {
        by_width!(past.dtype(), T => {
            let parts = [(bits::<T>(&past)?, before * size), (bits(&new)?, positions * size)];
            let parts: Vec<_> = parts.into_iter().filter(|(_, length)| *length > 0).collect();
            concat(run.context(), &parts, bits_mut(&mut out)?);
            Ok(())
        })?;
    }
    Ok(Headed { tensor: out, dims, merged: false })
}

/// The tensor with heads in their own axis.
pub(in crate::kernels) fn separate(run: &mut Run<'_>, of: Headed) -> Result<Tensor, OpError> {
    if of.merged { separate_copy(run, &of) } else { Ok(of.tensor) }
}

fn separate_copy(run: &mut Run<'_>, of: &Headed) -> Result<Tensor, OpError> {
    if !of.merged {
        return Ok(of.tensor.clone());
    }
    let [batch, heads, positions, size] = of.dims;
    let mut out = run.arena.tensor(of.tensor.dtype(), &of.dims)?;
    if out.len() > 0 {
        by_width!(of.tensor.dtype(), T => {
            let dims = [batch, positions, heads, size];
            transpose::<T>(run.context(), bits(&of.tensor)?, bits_mut(&mut out)?, &dims, &[0, 2, 1, 3]);
            Ok(())
        })?;
    }
    Ok(out)
}
