//! Normalisation.

use remuda_sdk::ir::{Node, resolve_axis};

use super::{Lowering, attribute};
use crate::api::{Binary, Refusal, T, Unary, refuse};

/// What a row is normalised by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    MeanAndVariance,
    RootMeanSquare,
}

/// What makes the affine part after a normalisation.
struct Affine {
    scale: Option<T>,
    bias: Option<T>,
}

impl Lowering<'_> {
    /// All axes from ONNX's `axis` on in one row.
    fn in_rows(&self, node: &Node, x: T) -> Result<(T, i64), Refusal> {
        let dims = self.dims_in(node, 0)?;
        let axis = node.attrs.int_or("axis", -1).map_err(attribute)?;
        let axis = resolve_axis(axis, dims.len()).map_err(attribute)?;
        let width: usize = dims[axis..].iter().product();
        let width = i64::try_from(width).unwrap_or(i64::MAX);
        let rows = x.elements() / width.max(1);
        Ok((self.context.reshape(x, [width, rows, 1, 1])?, width))
    }

    /// A scale or bias as one row, if it has a number for each element of a row, or one for all.
    fn as_row(&self, t: T, width: i64) -> Result<T, Refusal> {
        let count = t.elements();
        if count == width || count == 1 {
            return self.context.reshape(t, [count, 1, 1, 1]);
        }
        Err(refuse("shape", format!("{count} numbers for rows of {width}")))
    }

    fn normalised(&self, x: T, by: By, epsilon: f32, affine: &Affine) -> Result<T, Refusal> {
        let width = x.ne()[0];
        let x = self.context.rows(x)?;
        let mut y = match by {
            By::MeanAndVariance => self.context.norm(x, epsilon)?,
            By::RootMeanSquare => self.context.rms_norm(x, epsilon)?,
        };
        if let Some(scale) = affine.scale {
            y = self.onto(Binary::Mul, y, self.as_row(scale, width)?)?;
        }
        if let Some(bias) = affine.bias {
            y = self.onto(Binary::Add, y, self.as_row(bias, width)?)?;
        }
        Ok(y)
    }
}

pub(super) fn layer(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    row_norm(lowering, node, By::MeanAndVariance)
}

pub(super) fn rms(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    row_norm(lowering, node, By::RootMeanSquare)
}

fn row_norm(lowering: &mut Lowering<'_>, node: &Node, by: By) -> Result<(), Refusal> {
    let epsilon = node.attrs.float_or("epsilon", 1e-5).map_err(attribute)?;
    let x = lowering.float(node, 0)?;
    let affine =
        Affine { scale: Some(lowering.float(node, 1)?), bias: lowering.optional(node, 2)? };
    let (x, _) = lowering.in_rows(node, x)?;
    let y = lowering.normalised(x, by, epsilon, &affine)?;
    lowering.set_shaped(node, 0, y)
}

pub(super) fn skip_layer(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let bias = lowering.optional(node, 3)?;
    skip_norm(lowering, node, By::MeanAndVariance, bias, 4)
}

pub(super) fn skip_rms(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    skip_norm(lowering, node, By::RootMeanSquare, None, 3)
}

fn skip_norm(
    lowering: &mut Lowering<'_>,
    node: &Node,
    by: By,
    bias: Option<T>,
    added: usize,
) -> Result<(), Refusal> {
    let epsilon = node.attrs.float_or("epsilon", 1e-12).map_err(attribute)?;
    let (x, skip) = (lowering.float(node, 0)?, lowering.float(node, 1)?);
    let mut sum = lowering.onto(Binary::Add, x, skip)?;
    if let Some(added) = lowering.optional(node, added)? {
        sum = lowering.onto(Binary::Add, sum, added)?;
    }
    let affine = Affine { scale: Some(lowering.float(node, 2)?), bias };
    let y = lowering.normalised(sum, by, epsilon, &affine)?;
    lowering.set(node, 0, y)?;
    lowering.set(node, 3, sum)
}

/// `[1, 1, channels, 1]` of one number per channel, for an input of this many dimensions.
fn per_channel(lowering: &Lowering<'_>, t: T, rank: usize) -> Result<T, Refusal> {
    let mut ne = [1; 4];
    let axis = rank.checked_sub(2).ok_or_else(|| refuse("rank", "there are no channels"))?;
    *ne.get_mut(axis).ok_or_else(|| refuse("rank", "ggml has 4 dimensions"))? = t.elements();
    lowering.context.reshape(t, ne)
}

pub(super) fn batch(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    if node.attrs.bool_or("training_mode", false).map_err(attribute)? {
        return Err(refuse("attribute", "ggml does not train"));
    }
    let epsilon = node.attrs.float_or("epsilon", 1e-5).map_err(attribute)?;
    let rank = lowering.dims_in(node, 0)?.len();
    let x = lowering.float(node, 0)?;
    let mut given = [x; 4];
    for (at, place) in given.iter_mut().enumerate() {
        *place = lowering.float(node, at + 1)?;
    }
    let [scale, bias, mean, variance] = given;
    let spread =
        lowering.context.unary(Unary::Sqrt, lowering.context.scale(variance, 1.0, epsilon)?)?;
    let factor = lowering.onto(Binary::Div, scale, spread)?;
    let centred = lowering.onto(Binary::Sub, x, per_channel(lowering, mean, rank)?)?;
    let scaled = lowering.onto(Binary::Mul, centred, per_channel(lowering, factor, rank)?)?;
    let y = lowering.onto(Binary::Add, scaled, per_channel(lowering, bias, rank)?)?;
    lowering.set(node, 0, y)
}

/// An image as `[elements of a channel, 1, channels, batch]`.
fn as_channels(lowering: &Lowering<'_>, node: &Node, x: T) -> Result<(T, [i64; 2]), Refusal> {
    let dims = lowering.dims_in(node, 0)?;
    let [batch, channels, ..] = dims[..] else {
        return Err(refuse("rank", "there are no channels"));
    };
    let [batch, channels] = [batch, channels].map(|dim| i64::try_from(dim).unwrap_or(i64::MAX));
    let size = x.elements() / (batch * channels).max(1);
    Ok((lowering.context.reshape(x, [size, 1, channels, batch])?, [batch, channels]))
}

pub(super) fn instance(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let epsilon = node.attrs.float_or("epsilon", 1e-5).map_err(attribute)?;
    let x = lowering.float(node, 0)?;
    let (scale, bias) = (lowering.float(node, 1)?, lowering.float(node, 2)?);
    let (x, _) = as_channels(lowering, node, x)?;
    let y = lowering.context.norm(x, epsilon)?;
    affine_channels(lowering, node, y, scale, bias)
}

pub(super) fn group(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let epsilon = node.attrs.float_or("epsilon", 1e-5).map_err(attribute)?;
    let groups = node.attrs.int_or("num_groups", 1).map_err(attribute)?;
    let x = lowering.float(node, 0)?;
    let (scale, bias) = (lowering.float(node, 1)?, lowering.float(node, 2)?);
    let (x, _) = as_channels(lowering, node, x)?;
    let y = lowering.context.group_norm(x, groups, epsilon)?;
    affine_channels(lowering, node, y, scale, bias)
}

/// Scales and shifts channels of `[size, 1, channels, batch]`.
fn affine_channels(
    lowering: &mut Lowering<'_>,
    node: &Node,
    y: T,
    scale: T,
    bias: T,
) -> Result<(), Refusal> {
    let channels = y.ne()[2];
    if scale.elements() != channels || bias.elements() != channels {
        return Err(refuse("shape", format!("scale and bias are not of {channels} channels")));
    }
    let y = lowering.onto(Binary::Mul, y, per_channel(lowering, scale, 4)?)?;
    let y = lowering.onto(Binary::Add, y, per_channel(lowering, bias, 4)?)?;
    lowering.set_shaped(node, 0, y)
}
