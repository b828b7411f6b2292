//! `RotaryEmbedding` of ONNX's own domain and of com.microsoft.

use remuda_ir::{OpError, Val};
use remuda_kernels::rotary::{Angles, Pairing, RotarySizes, RowOrder, rotary as rotary_kernel};
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
                rotary_kernel(run.context(), sizes, (self.pairing, order), angles, from, to);
                Ok(())
            })?;
        }
        Ok(vec![out.into()])
    }
}

/// `RotaryEmbedding` of com.microsoft, where the positions come first and one of them may stand for
/// the first of every sequence.
struct MicrosoftRotary(Rotary);

pub(super) fn prepare_microsoft(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let attrs = &preparation.node.attrs;
    let count = |name: &str| usize::try_from(attrs.int_or(name, 0).ok()?).ok();
    let neighbours = attrs.bool_or("interleaved", false).ok()?;
    let rotary = Rotary {
        pairing: if neighbours { Pairing::Neighbours } else { Pairing::Halves },
        heads: count("num_heads")?,
        turned: count("rotary_embedding_dim")?,
    };
    let dtype = preparation.dtype(0).filter(|&dtype| is_fast(dtype))?;
    let fits = (2..4).all(|at| preparation.dtype(at) == Some(dtype))
        && attrs.float_or("scale", 1.0).ok()? == 1.0
        && !attrs.bool_or("is_packed_batching", false).ok()?;
    fits.then(|| Box::new(MicrosoftRotary(rotary)) as Box<dyn Kernel>)
}

impl Kernel for MicrosoftRotary {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let (x, ids) = (tensor(inputs, 0)?.contiguous(), tensor(inputs, 1)?.to_i64_vec()?);
        let (cosines, sines) = (tensor(inputs, 2)?, tensor(inputs, 3)?);
        let half = cosines.dims().last().copied().unwrap_or(0);
        let (batch, length, heads) = match *x.dims() {
            [batch, heads, length, _] => (batch, length, heads),
            [batch, length, _] if self.0.heads > 0 => (batch, length, self.0.heads),
            [batch, length, features] if half > 0 => (batch, length, features / (2 * half)),
            _ => return Err(OpError::Invalid(format!("an input of {:?} has no heads", x.dims()))),
        };
        let count = batch * length;
        let ids: Vec<i64> = match ids[..] {
            [first] => (0..count)
                .map(|at| first.saturating_add(i64::try_from(at % length).unwrap_or(i64::MAX)))
                .collect(),
            _ if ids.len() == count => ids,
            _ => {
                let got = ids.len();
                let text = format!("`position_ids` expected 1 or {count} elements, got {got}");
                return Err(OpError::Invalid(text));
            }
        };
        let rows = cached_rows(&ids, cosines)?;
        let turn = Turn { pairing: self.0.pairing, cosines, sines, rows: &rows };
        if self.0.turned > 0 && self.0.turned != 2 * half {
            return Err(turn.misfit(&x));
        }
        Ok(vec![turn.run(run, &x, heads)?.into()])
    }
}

/// The row of a cache of cosines for every position.
pub(super) fn cached_rows(ids: &[i64], cosines: &Tensor) -> Result<Vec<usize>, OpError> {
    let count = cosines.dims().first().copied().unwrap_or(0);
    let row = |&id: &i64| {
        usize::try_from(id).ok().filter(|&row| row < count).ok_or_else(|| {
            OpError::Invalid(format!("position {id} is outside {count} rows of cosines"))
        })
    };
    ids.iter().map(row).collect()
}

/// A turn by rows of a cache of angles.
pub(super) struct Turn<'a> {
    pub(super) pairing: Pairing,
    pub(super) cosines: &'a Tensor,
    pub(super) sines: &'a Tensor,
    /// The row for each position of each batch entry.
    pub(super) rows: &'a [usize],
}

impl Turn<'_> {
    fn misfit(&self, x: &Tensor) -> OpError {
        OpError::Invalid(format!(
            "cosines of {:?} and sines of {:?} do not fit {:?}",
            self.cosines.dims(),
            self.sines.dims(),
            x.dims()
        ))
    }

    /// Turns heads that lie side by side, or in their own axis.
    pub(super) fn run(
        &self,
        run: &mut Run<'_>,
        x: &Tensor,
        heads: usize,
    ) -> Result<Tensor, OpError> {
        let &[_, half] = self.cosines.dims() else { return Err(self.misfit(x)) };
        let rotary = Rotary { pairing: self.pairing, heads, turned: 2 * half };
        let (batch, sizes, order) = rotary.sizes(x).ok_or_else(|| self.misfit(x))?;
        let fits = self.rows.len() == batch * sizes.positions
            && self.cosines.dims() == self.sines.dims()
            && half > 0;
        if !fits {
            return Err(self.misfit(x));
        }
        let mut out = run.arena.tensor(x.dtype(), x.dims())?;
        if out.len() == 0 {
            return Ok(out);
        }
        let (cosines, sines) = (self.floats(self.cosines)?, self.floats(self.sines)?);
        let angles = Angles { cosines: &cosines, sines: &sines, rows: Some(self.rows) };
        with_fast!(x.dtype(), T => {
            let (from, to) = (x.as_slice::<T>()?, writable(&mut out)?);
            rotary_kernel(run.context(), sizes, (self.pairing, order), angles, from, to);
            Ok(())
        })?;
        Ok(out)
    }

    fn floats<'a>(&self, cache: &'a Tensor) -> Result<std::borrow::Cow<'a, [f32]>, OpError> {
        Ok(match cache.as_slice::<f32>() {
            Ok(floats) => floats.into(),
            Err(_) => cache.to_f32_vec()?.into(),
        })
    }
}
