//! `RotaryEmbedding` of ONNX's own domain.

use remuda_ir::{OpError, Val};
use remuda_kernels::rotary::{Angles, Pairing, RotarySizes, RowOrder, rotary};
use remuda_tensor::{DType, Tensor, bf16, f16};

use super::elementwise::{is_fast, with_fast};
use crate::kernel::{Kernel, Preparation, Run, optional, tensor, writable};

struct Rotary {
    pairing: Pairing,
    /// For an input whose heads lie side by side.
    heads: usize,
    /// How many elements of a head turn; zero for all.
    turned: usize,
}

pub(super) fn prepare(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let attrs = &preparation.node.attrs;
    let count = |name: &str| usize::try_from(attrs.int_or(name, 0).ok()?).ok();
    let neighbours = attrs.bool_or("interleaved", false).ok()?;
    let kernel = Rotary {
        pairing: if neighbours { Pairing::Neighbours } else { Pairing::Halves },
        heads: count("num_heads")?,
        turned: count("rotary_embedding_dim")?,
    };
    let fits = (0..3).all(|at| preparation.dtype(at).is_some_and(is_fast));
    fits.then(|| Box::new(kernel) as Box<dyn Kernel>)
}

impl Rotary {
    /// Batch entries, other sizes, and the order of the axes.
    fn sizes(&self, x: &Tensor) -> Option<(usize, RotarySizes, RowOrder)> {
        let turned = |size: usize| if self.turned == 0 { size } else { self.turned };
        let (batch, heads, positions, size, order) = match *x.dims() {
            [batch, heads, positions, size] => {
                (batch, heads, positions, size, RowOrder::HeadsFirst)
            }
            [batch, positions, features] if self.heads > 0 && features % self.heads == 0 => {
                let size = features / self.heads;
                (batch, self.heads, positions, size, RowOrder::PositionsFirst)
            }
            _ => return None,
        };
        let turned = turned(size);
        let fits = turned <= size && turned.is_multiple_of(2);
        fits.then_some((batch, RotarySizes { heads, positions, size, turned }, order))
    }
}

/// The row of angles of every position, if they are not simply in order.
fn rows(
    ids: Option<&Tensor>,
    places: [usize; 2],
    cosines: &Tensor,
) -> Result<Option<Vec<usize>>, OpError> {
    let Some(ids) = ids else {
        if cosines.rank() == 3 && cosines.dims()[..2] == places {
            return Ok(None);
        }
        let text = format!("cosines of {:?} do not fit positions of {places:?}", cosines.dims());
        return Err(OpError::Invalid(text));
    };
    if ids.dims() != places {
        let text = format!("positions expected {places:?}, got {:?}", ids.dims());
        return Err(OpError::Invalid(text));
    }
    let count: usize = cosines.dims().iter().rev().skip(1).product();
    let row = |id: i64| usize::try_from(id).ok().filter(|&row| row < count);
    let rows = ids.to_i64_vec()?.into_iter().map(row).collect::<Option<Vec<_>>>();
    rows.map(Some)
        .ok_or_else(|| OpError::Invalid(format!("a position is outside {count} rows of cosines")))
}

impl Kernel for Rotary {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let x = tensor(inputs, 0)?.contiguous();
        let (cosines, sines) = (tensor(inputs, 1)?, tensor(inputs, 2)?);
        let misfit = || {
            OpError::Invalid(format!(
                "cosines of {:?} and sines of {:?} do not fit {:?}",
                cosines.dims(),
                sines.dims(),
                x.dims()
            ))
        };
        let (batch, sizes, order) = self.sizes(&x).ok_or_else(misfit)?;
        if cosines.dims() != sines.dims() || cosines.dims().last() != Some(&(sizes.turned / 2)) {
            return Err(misfit());
        }
        let rows = rows(optional(inputs, 3)?, [batch, sizes.positions], cosines)?;
        let mut out = run.arena.tensor(x.dtype(), x.dims())?;
        if out.len() > 0 {
            let (cosines, sines) = (cosines.to_f32_vec()?, sines.to_f32_vec()?);
            let angles = Angles { cosines: &cosines, sines: &sines, rows: rows.as_deref() };
            with_fast!(x.dtype(), T => {
                let (from, to) = (x.as_slice::<T>()?, writable(&mut out)?);
                rotary(run.context(), sizes, (self.pairing, order), angles, from, to);
                Ok(())
            })?;
        }
        Ok(vec![out.into()])
    }
}
