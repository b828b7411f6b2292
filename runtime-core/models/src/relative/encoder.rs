//! The encoder: every token looks at every other one of its text.

use remuda_gguf::Parts;
use remuda_ir::{Attr, OpError, ValueId};
use remuda_tensor::Tensor;

use super::{BIAS, FARTHEST, Relative, bucket_of_both, vocabulary};
use crate::encoder::{EncoderModel, Outline, Pooling, finish};
use crate::keys::Keys;
use crate::net::{Net, float, int};
use crate::{ModelError, ModelFile};

/// Builds the graph of an encoder, from the file of one or of a whole model.
pub(crate) fn build(
    keys: &Keys<'_>,
    (file, parts): (&ModelFile, &Parts<'_>),
) -> Result<EncoderModel, ModelError> {
    let relative = Relative::read(keys)?;
    let layers = keys.size("block_count")?;
    let mut net = Net::new(keys.architecture(), file, parts);
    if keys.architecture() == super::WHOLE {
        net.pass_over(is_of_decoder);
    }
    let tokens = net.indices("tokens", "tokens");
    let positions = net.indices("positions", "tokens");
    let vocabulary = vocabulary(&net)?;
    let x = rows(&mut net, (&relative, layers), [tokens, positions], vocabulary)?;
    let outline = Outline {
        layers,
        features: relative.features,
        vocabulary,
        context: relative.context,
        pooling: Pooling::read(keys)?,
    };
    let mut weights = file.weights(parts);
    weights.retain(|weight| !is_of_decoder(weight.name));
    finish(net, x, outline, keys, weights)
}

/// Whether an encoder has no use for the weight of a whole model.
fn is_of_decoder(name: &str) -> bool {
    name.starts_with("dec.") || name.starts_with("output.")
}

/// What becomes of the tokens of one text.
pub(super) fn rows(
    net: &mut Net<'_>,
    (relative, layers): (&Relative, usize),
    [tokens, positions]: [ValueId; 2],
    vocabulary: usize,
) -> Result<ValueId, ModelError> {
    net.enter(String::new());
    let mut x = relative.embed(net, tokens, vocabulary)?;
    let mut common = None;
    for layer in 0..layers {
        net.enter(format!("enc.blk.{layer}"));
        // The first layer's bias is that of all that have none of their own.
        let bias = match common.filter(|_| !net.has(BIAS)) {
            Some(bias) => bias,
            None => bias(net, relative, positions)?,
        };
        common.get_or_insert(bias);
        x = attention(net, relative, bias, x)?;
        x = relative.feed_forward(net, x)?;
    }
    net.enter(String::new());
    relative.norm(net, x, "enc.output_norm")
}

/// What is added to scores: `[1, heads, tokens, tokens]`. The file has a row for each bucket; the graph
/// looks up rows by distance.
fn bias(net: &mut Net<'_>, relative: &Relative, positions: ValueId) -> Result<ValueId, ModelError> {
    let rows = relative.bias_rows(net)?;
    let most = int(FARTHEST);
    let of = |distance: i64| {
        let start = bucket_of_both(distance, relative.buckets) * relative.heads;
        rows.iter().skip(start).take(relative.heads).copied()
    };
    let table: Vec<f32> = (-most..=most).flat_map(of).collect();
    let table = Tensor::vector(table).reshape([2 * FARTHEST + 1, relative.heads]);
    let table = net.constant("distances", table.map_err(OpError::from)?);
    let across = net.reshape(positions, &[1, -1]);
    let down = net.reshape(positions, &[-1, 1]);
    let distance = net.onnx("Sub", &[across, down], &[], "distance");
    let bounds = [-most, most].map(|bound| net.constant("bound", Tensor::scalar(bound)));
    let near = net.onnx("Clip", &[distance, bounds[0], bounds[1]], &[], "near");
    let place = net.onnx("Add", &[near, bounds[1]], &[], "place");
    let bias = net.onnx("Gather", &[table, place], &[], "of_distance");
    let order = [("perm", Attr::Ints(vec![2, 0, 1]))];
    let bias = net.onnx("Transpose", &[bias], &order, "of_heads");
    let axes = net.constant("axes", Tensor::vector(vec![0i64]));
    Ok(net.onnx("Unsqueeze", &[bias, axes], &[], "bias"))
}

fn attention(
    net: &mut Net<'_>,
    relative: &Relative,
    bias: ValueId,
    x: ValueId,
) -> Result<ValueId, ModelError> {
    let width = int(relative.width());
    let normed = relative.norm(net, x, "attn_norm")?;
    let mut operands = Vec::with_capacity(4);
    for name in ["attn_q", "attn_k", "attn_v"] {
        let part = relative.project(net, normed, name)?;
        operands.push(net.reshape(part, &[1, -1, width]));
    }
    operands.push(bias);
    let attrs = [
        ("q_num_heads", Attr::Int(int(relative.heads))),
        ("kv_num_heads", Attr::Int(int(relative.heads))),
        ("scale", float(1.0)),
    ];
    let attended = net.onnx("Attention", &operands, &attrs, "attention");
    let attended = net.reshape(attended, &[-1, width]);
    relative.join(net, (x, attended), "attn_o")
}
