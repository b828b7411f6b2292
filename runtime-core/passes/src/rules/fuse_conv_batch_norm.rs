//! A batch normalisation behind a convolution with constant weights: its factors go into the weights
//! and the bias.

use remuda_ir::{Graph, Node, NodeId};
use remuda_tensor::{DType, Tensor};

use crate::Rule;
use crate::pattern::{constant, only_producer, replace};

pub(crate) static RULE: Rule =
    Rule { name: "fuse_conv_batch_norm", apply, cases: include_str!("fuse_conv_batch_norm.rir") };

fn apply(graph: &mut Graph, id: NodeId) -> bool {
    let Some(folded) = folded(graph, id) else { return false };
    let Folded { conv, weights, bias, conv_id } = folded;
    let weights = graph.add_const("folded_weights", weights);
    let bias = graph.add_const("folded_bias", bias);
    let Some(output) = graph.node(id).and_then(|norm| norm.output(0)) else { return false };
    let mut node =
        Node::new(conv.op, vec![conv.inputs[0], Some(weights), Some(bias)], vec![Some(output)]);
    node.attrs = conv.attrs;
    node.name = conv.name;
    graph.remove(conv_id);
    replace(graph, id, node);
    true
}

struct Folded {
    conv_id: NodeId,
    conv: Node,
    weights: Tensor,
    bias: Tensor,
}

fn folded(graph: &Graph, id: NodeId) -> Option<Folded> {
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
    let row = weights.len() / channels.max(1);
    let values = weights.to_f64_vec().ok()?;
    #[expect(clippy::cast_possible_truncation, reason = "back to the width of the weights")]
    let scaled: Vec<f32> = values
        .iter()
        .enumerate()
        .map(|(at, value)| (value * factors[at / row.max(1)]) as f32)
        .collect();
    #[expect(clippy::cast_possible_truncation, reason = "back to the width of the weights")]
    let bias: Vec<f32> =
        (0..channels).map(|at| ((bias[at] - mean[at]) * factors[at] + offset[at]) as f32).collect();
    Some(Folded {
        conv_id,
        conv: conv.clone(),
        weights: Tensor::from_vec(weights.dims(), scaled).ok()?,
        bias: Tensor::vector(bias),
    })
}
