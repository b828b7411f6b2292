//! A batch normalisation behind a convolution with constant weights: its factors go into the weights
//! and the bias. The product of weights and factors is a node over constants, so that large weights
//! are not read before the first run.

use remuda_ir::{Node, NodeId, OpName, ValueId};
use remuda_tensor::{DType, Tensor};

use crate::pattern::{constant, only_producer};
use crate::{Rewriter, Rule};

pub(crate) static RULE: Rule =
    Rule { name: "fuse_conv_batch_norm", apply, cases: include_str!("fuse_conv_batch_norm.rir") };

fn apply(graph: &mut Rewriter<'_>, id: NodeId) -> bool {
    let Some(folded) = folded(graph, id) else { return false };
    let Folded { conv, weights, factors, bias, conv_id, output } = folded;
    let factors = graph.add_const("folded_factors", factors);
    let bias = graph.add_const("folded_bias", bias);
    let scaled = graph.add_pending("folded_weights");
    let product =
        Node::new(OpName::onnx("Mul"), vec![Some(weights), Some(factors)], vec![Some(scaled)]);
    let mut node =
        Node::new(conv.op, vec![conv.inputs[0], Some(scaled), Some(bias)], vec![Some(output)]);
    node.attrs = conv.attrs;
    node.name = conv.name;
    graph.replace(id, node);
    graph.replace(conv_id, product);
    true
}

struct Folded {
    conv_id: NodeId,
    conv: Node,
    weights: ValueId,
    factors: Tensor,
    bias: Tensor,
    output: ValueId,
}

fn folded(graph: &Rewriter<'_>, id: NodeId) -> Option<Folded> {
    let norm = graph.node(id).filter(|node| node.op.is_onnx("BatchNormalization"))?;
    let plain = norm.outputs.iter().skip(1).all(Option::is_none)
        && norm.attrs.int_or("training_mode", 0).ok()? == 0;
    let (conv_id, conv) = only_producer(graph, norm.input(0)?, "Conv").filter(|_| plain)?;
    let weights = constant(graph, conv, 1).filter(|weights| weights.dtype() == DType::F32)?;
    let channels = *weights.dims().first()?;
    let per_channel = |at: usize| {
        let values = constant(graph, norm, at)?.to_f64_vec().ok()?;
        (values.len() == channels).then_some(values)
    };
    let (scale, offset, mean, variance) =
        (per_channel(1)?, per_channel(2)?, per_channel(3)?, per_channel(4)?);
    let bias = match conv.input(2) {
        None => vec![0.0; channels],
        Some(_) => constant(graph, conv, 2)?.to_f64_vec().ok()?,
    };
    let epsilon = f64::from(norm.attrs.float_or("epsilon", 1e-5).ok()?);
    let factors: Vec<f64> = scale
        .iter()
        .zip(&variance)
        .map(|(scale, variance)| scale / (variance + epsilon).sqrt())
        .collect();
    let bias: Vec<f64> =
        (0..channels).map(|at| (bias[at] - mean[at]) * factors[at] + offset[at]).collect();
    let shape = [&[channels], &vec![1; weights.rank() - 1][..]].concat();
    Some(Folded {
        conv_id,
        conv: conv.clone(),
        weights: conv.input(1)?,
        factors: Tensor::from_vec(shape, narrow(&factors)).ok()?,
        bias: Tensor::vector(narrow(&bias)),
        output: norm.output(0)?,
    })
}

#[expect(clippy::cast_possible_truncation, reason = "back to the width of the weights")]
fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}
