//! Normalisation of rows (layer, RMS) and of channels by given statistics (batch).

use remuda_ir::{OpError, Val};
use remuda_kernels::norm::{Affine, ChannelAffine, RowNorm, batch_norm, group_norm, norm};
use remuda_tensor::{DType, Tensor, bf16, f16};

use super::elementwise::{is_fast, with_fast};
use super::resolve_axis;
use crate::kernel::{Kernel, Preparation, Run, optional, tensor, writable};

struct Rows {
    kind: RowNorm,
    axis: i64,
}

pub(super) fn prepare_rows(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let node = preparation.node;
    let epsilon = node.attrs.float_or("epsilon", 1e-5).ok()?;
    let rms = matches!(&*node.op.name, "RMSNormalization" | "SimplifiedLayerNormalization");
    let kind = if rms { RowNorm::Rms(epsilon) } else { RowNorm::Layer(epsilon) };
    let single = (1..node.outputs.len()).all(|at| node.output(at).is_none());
    // Whoever wants another precision of the statistics gets it from the reference.
    let precise = node.attrs.int_or("stash_type", 1).ok()? == 1;
    let fits = single
        && precise
        && is_fast(preparation.dtype(0)?)
        && preparation.dtype(1)? == preparation.dtype(0)?;
    let axis = node.attrs.int_or("axis", -1).ok()?;
    fits.then(|| Box::new(Rows { kind, axis }) as Box<dyn Kernel>)
}

impl Kernel for Rows {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let x = tensor(inputs, 0)?.contiguous();
        let axis = resolve_axis(self.axis, x.rank())?;
        let length = x.dims()[axis..].iter().product();
        let scale = per_element(tensor(inputs, 1)?, &x.dims()[axis..])?;
        let bias =
            optional(inputs, 2)?.map(|bias| per_element(bias, &x.dims()[axis..])).transpose()?;
        debug_assert_eq!(scale.len(), length);
        let mut out = run.arena.tensor(x.dtype(), x.dims())?;
        if x.len() > 0 {
            let affine = Affine { scale: &scale, bias: bias.as_deref() };
            with_fast!(x.dtype(), T => {
                norm::<T>(run.context(), self.kind, affine, x.as_slice()?, writable(&mut out)?);
                Ok(())
            })?;
        }
        Ok(vec![out.into()])
    }
}

/// A factor per element of a row, broadcast to it.
pub(super) fn per_element(factors: &Tensor, row: &[usize]) -> Result<Vec<f32>, OpError> {
    Ok(factors.broadcast_to(row)?.to_f32_vec()?)
}

/// A factor per channel.
fn per_channel(factors: &Tensor, channels: usize) -> Result<Vec<f32>, OpError> {
    if factors.dims() == [channels] {
        return Ok(factors.to_f32_vec()?);
    }
    let got = factors.dims();
    Err(OpError::Invalid(format!("expected a number for each of {channels} channels, got {got:?}")))
}

struct Batch {
    epsilon: f32,
}

pub(super) fn prepare_batch(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let node = preparation.node;
    let training = node.attrs.int_or("training_mode", 0).ok()? != 0;
    let epsilon = node.attrs.float_or("epsilon", 1e-5).ok()?;
    let only_data = (1..node.outputs.len()).all(|at| node.output(at).is_none());
    let fits = !training && only_data && is_fast(preparation.dtype(0)?);
    fits.then(|| Box::new(Batch { epsilon }) as Box<dyn Kernel>)
}

impl Kernel for Batch {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let x = tensor(inputs, 0)?.contiguous();
        let (channels, spatial) = channels_and_spatial(&x)?;
        let values = |at: usize| per_channel(tensor(inputs, at)?, channels);
        let (scale, bias, mean, variance) = (values(1)?, values(2)?, values(3)?, values(4)?);
        let mut out = run.arena.tensor(x.dtype(), x.dims())?;
        if x.len() > 0 {
            let affine = ChannelAffine { scale: &scale, bias: &bias };
            with_fast!(x.dtype(), T => {
                let statistics = (&mean[..], &variance[..], self.epsilon);
                batch_norm::<T>(run.context(), statistics, affine, spatial, x.as_slice()?, writable(&mut out)?);
                Ok(())
            })?;
        }
        Ok(vec![out.into()])
    }
}

fn channels_and_spatial(x: &Tensor) -> Result<(usize, usize), OpError> {
    match x.dims() {
        [_, channels, spatial @ ..] => Ok((*channels, spatial.iter().product())),
        // Without a channel axis, all is one channel.
        [_] => Ok((1, 1)),
        [] => Err(OpError::Invalid("expected at least 1 dimension, got 0".to_owned())),
    }
}

struct Groups {
    /// `None` for instance normalisation: as many groups as channels.
    groups: Option<i64>,
    epsilon: f32,
}

pub(super) fn prepare_groups(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let node = preparation.node;
    let epsilon = node.attrs.float_or("epsilon", 1e-5).ok()?;
    let precise = node.attrs.int_or("stash_type", 1).ok()? == 1;
    let groups = node.attrs.int("num_groups").ok()?;
    let fits = precise && is_fast(preparation.dtype(0)?);
    fits.then(|| Box::new(Groups { groups, epsilon }) as Box<dyn Kernel>)
}

impl Kernel for Groups {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let x = tensor(inputs, 0)?.contiguous();
        let (channels, spatial) = channels_and_spatial(&x)?;
        let groups = match self.groups {
            None => channels,
            Some(groups) => usize::try_from(groups).unwrap_or(0),
        };
        if groups == 0 || channels % groups != 0 {
            return Err(OpError::Invalid(format!(
                "expected groups that divide {channels} channels, got {groups}"
            )));
        }
        let values = |at: usize| per_channel(tensor(inputs, at)?, channels);
        let (scale, bias) = (values(1)?, values(2)?);
        let mut out = run.arena.tensor(x.dtype(), x.dims())?;
        if x.len() > 0 {
            let affine = ChannelAffine { scale: &scale, bias: &bias };
            with_fast!(x.dtype(), T => {
                group_norm::<T>(run.context(), (groups, self.epsilon), affine, spatial, x.as_slice()?, writable(&mut out)?);
                Ok(())
            })?;
        }
        Ok(vec![out.into()])
    }
}
