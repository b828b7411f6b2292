//! Normalisation.

use remuda_sdk::ir::{Node, resolve_axis};

use super::{Lowering, Part, Refusal, Value, attribute, number, refuse};
use crate::lower::lazy::Lazy;
use crate::shaders::{Binary, Channels, Elem, Norm, Unary};

/// What is normalised, and what is done with it before and after.
struct Given {
    x: Part,
    added: Vec<Part>,
    scale: Option<Part>,
    bias: Option<Part>,
    /// The output that keeps the sum.
    sum: Option<usize>,
}

/// How.
struct How {
    lines: usize,
    centred: bool,
    epsilon: f32,
    channels: Channels,
}

impl Lowering<'_> {
    fn normalised(&mut self, node: &Node, given: &Given, how: &How) -> Result<(), Refusal> {
        let Given { x, added, scale, bias, sum } = given;
        let norm = Norm {
            elem: x.view.elem,
            lines: how.lines,
            width: x.count() / how.lines.max(1),
            centred: how.centred,
            epsilon: how.epsilon,
            added: added.iter().map(|part| (part.view.elem, part.count())).collect(),
            keeps_sum: sum.is_some(),
            scale: scale.as_ref().map(|part| part.view.elem),
            bias: bias.as_ref().map(|part| part.view.elem),
            channels: how.channels,
        };
        let reads = [x].into_iter().chain(added).chain(scale).chain(bias).map(Part::bound);
        let reads: Vec<_> = reads.collect();
        let y = self.work(Elem::F32, x.dims.clone())?;
        let mut writes = vec![y.bound()];
        if let Some(at) = *sum {
            let kept = self.work(Elem::F32, x.dims.clone())?;
            writes.push(kept.bound());
            self.set_part(node, at, kept)?;
        }
        self.launch(norm.dispatch(), &reads, &writes)?;
        self.set_part(node, 0, y)
    }

    /// A scale or bias with a number for each place of a line of these dimensions.
    fn per_place(&mut self, part: Part, line: &[usize]) -> Result<Part, Refusal> {
        let part = part.broadcast(line)?;
        self.dense(part)
    }

    /// What is added to a tensor of these dimensions: it begins anew after so many elements.
    fn summand(&mut self, part: Part, dims: &[usize]) -> Result<Part, Refusal> {
        let own = part.dims.iter().position(|&dim| dim != 1).unwrap_or(part.dims.len());
        let part = if dims.ends_with(&part.dims[own..]) { part } else { part.broadcast(dims)? };
        self.dense(part)
    }
}

pub(super) fn layer(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    line_norm(lowering, node, true)
}

pub(super) fn rms(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    line_norm(lowering, node, false)
}

fn line_norm(lowering: &mut Lowering<'_>, node: &Node, centred: bool) -> Result<(), Refusal> {
    let epsilon = node.attrs.float_or("epsilon", 1e-5).map_err(attribute)?;
    let x = lowering.floats(node, 0)?;
    let axis = node.attrs.int_or("axis", -1).map_err(attribute)?;
    let axis = resolve_axis(axis, x.dims.len()).map_err(attribute)?;
    let line = x.dims[axis..].to_vec();
    let scale = lowering.float_part(node, 1)?;
    let scale = Some(lowering.per_place(scale, &line)?);
    let bias = match node.input(2) {
        Some(_) => {
            let bias = lowering.float_part(node, 2)?;
            Some(lowering.per_place(bias, &line)?)
        }
        None => None,
    };
    let lines = x.dims[..axis].iter().product();
    let given = Given { x, added: Vec::new(), scale, bias, sum: None };
    let how = How { lines, centred, epsilon, channels: Channels::EACH };
    lowering.normalised(node, &given, &how)
}

pub(super) fn skip_layer(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    skip_norm(lowering, node, true, Some(3), 4)
}

pub(super) fn skip_rms(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    skip_norm(lowering, node, false, None, 3)
}

/// The inputs `bias` and `added` are looked for at these places.
fn skip_norm(
    lowering: &mut Lowering<'_>,
    node: &Node,
    centred: bool,
    bias: Option<usize>,
    added: usize,
) -> Result<(), Refusal> {
    let epsilon = node.attrs.float_or("epsilon", 1e-12).map_err(attribute)?;
    let x = lowering.floats(node, 0)?;
    let mut summands = Vec::new();
    for at in [1, added] {
        if node.input(at).is_some() {
            let part = lowering.float_part(node, at)?;
            summands.push(lowering.summand(part, &x.dims)?);
        }
    }
    let Some((width, front)) = x.dims.split_last() else {
        return Err(refuse("rank", "there is nothing to normalise"));
    };
    let (line, lines) = ([*width], front.iter().product());
    let scale = lowering.float_part(node, 2)?;
    let scale = Some(lowering.per_place(scale, &line)?);
    let bias = match bias.filter(|&at| node.input(at).is_some()) {
        Some(at) => {
            let part = lowering.float_part(node, at)?;
            Some(lowering.per_place(part, &line)?)
        }
        None => None,
    };
    let sum = node.output(3).map(|_| 3);
    let given = Given { x, added: summands, scale, bias, sum };
    let how = How { lines, centred, epsilon, channels: Channels::EACH };
    lowering.normalised(node, &given, &how)
}

pub(super) fn instance(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let dims = lowering.dims_in(node, 0)?;
    let channels = *dims.get(1).ok_or_else(|| refuse("rank", "there are no channels"))?;
    channel_norm(lowering, node, channels)
}

pub(super) fn group(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let groups = node.attrs.required_int("num_groups").map_err(attribute)?;
    let groups = usize::try_from(groups).unwrap_or(0);
    channel_norm(lowering, node, groups)
}

/// So many lines per element of the batch, with a scale and a bias per channel.
fn channel_norm(lowering: &mut Lowering<'_>, node: &Node, groups: usize) -> Result<(), Refusal> {
    let epsilon = node.attrs.float_or("epsilon", 1e-5).map_err(attribute)?;
    let x = lowering.floats(node, 0)?;
    let [batch, channels, ref plane @ ..] = x.dims[..] else {
        return Err(refuse("rank", "there are no channels"));
    };
    if groups == 0 || channels % groups != 0 {
        return Err(refuse("attribute", format!("{channels} channels in {groups} groups")));
    }
    let inner = plane.iter().product();
    let scale = lowering.floats(node, 1)?;
    let bias = lowering.floats(node, 2)?;
    if scale.count() != channels || bias.count() != channels {
        return Err(refuse("shape", format!("scale and bias are not of {channels} channels")));
    }
    let given = Given { x, added: Vec::new(), scale: Some(scale), bias: Some(bias), sum: None };
    let channels = Channels { period: groups, inner };
    let how = How { lines: batch * groups, centred: true, epsilon, channels };
    lowering.normalised(node, &given, &how)
}

/// With the mean and the variance given: a function of each element and of its channel.
pub(super) fn batch(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    if node.attrs.bool_or("training_mode", false).map_err(attribute)? {
        return Err(refuse("attribute", "the device does not train"));
    }
    let epsilon = node.attrs.float_or("epsilon", 1e-5).map_err(attribute)?;
    let dims = lowering.dims_out(node, 0)?;
    let id = lowering.required(node, 0)?;
    let mut lazies = vec![Some(lowering.lazy(id, &dims)?)];
    let channels = *dims.get(1).ok_or_else(|| refuse("rank", "there are no channels"))?;
    let mut per_channel = vec![1; dims.len() - 1];
    per_channel[0] = channels;
    for at in 1..5 {
        let part = lowering.float_part(node, at)?;
        let part = lowering.reshaped(part, per_channel.clone())?;
        lazies.push(Some(Lazy::of(part)));
    }
    let lazy = lowering.combined(&lazies, dims, |exprs| {
        let all: Vec<_> = exprs.iter().flatten().cloned().collect();
        let [x, scale, bias, mean, variance] =
            <[_; 5]>::try_from(all).map_err(|_| refuse("attribute", "an operand is left out"))?;
        let spread = variance.plus(number(epsilon)).unary(Unary::Sqrt);
        let centred = x.binary(Binary::Sub, mean);
        Ok(centred.binary(Binary::Div, spread).times(scale).plus(bias))
    })?;
    lowering.set(node, 0, Value::Lazy(lazy))
}
