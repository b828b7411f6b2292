//! The feed-forward part: a gated product, or a plain one.

use remuda_ir::{Attr, ValueId};

use super::experts::experts;
use super::{Activation, Decoder};
use crate::ModelError;
use crate::net::Net;

/// The feed-forward part of a layer.
pub(super) fn feed_forward(
    net: &mut Net<'_>,
    decoder: &Decoder,
    layer: usize,
    x: ValueId,
) -> Result<ValueId, ModelError> {
    if let Some(mixture) = decoder.experts.as_ref().filter(|of| layer >= of.dense_layers) {
        return experts(net, decoder, mixture, x);
    }
    let (features, inner) = (decoder.features, decoder.inner);
    if decoder.gated && !both_in_one(net, decoder)? {
        return gated_part(net, decoder, x, (["ffn_gate", "ffn_up", "ffn_down"], inner));
    }
    let hidden = if decoder.gated {
        let both = net.linear(x, "ffn_up", [2 * inner, features])?;
        let [gate, up] = net.split(both, [inner, inner], "gate_up");
        gated(net, decoder, gate, up)
    } else {
        let value = net.linear(x, "ffn_up", [inner, features])?;
        activate(net, decoder, value)
    };
    net.linear(hidden, "ffn_down", [features, inner])
}

/// A feed-forward part of three matrices: gate, value, and back.
pub(super) fn gated_part(
    net: &mut Net<'_>,
    decoder: &Decoder,
    x: ValueId,
    ([gate, value, back], inner): ([&str; 3], usize),
) -> Result<ValueId, ModelError> {
    let gate = net.linear(x, gate, [inner, decoder.features])?;
    let value = net.linear(x, value, [inner, decoder.features])?;
    let hidden = gated(net, decoder, gate, value);
    net.linear(hidden, back, [decoder.features, inner])
}

/// Whether gate and value come out of one matrix.
fn both_in_one(net: &Net<'_>, decoder: &Decoder) -> Result<bool, ModelError> {
    Ok(net.weight("ffn_up.weight")?.dims().first() == Some(&(2 * decoder.inner)))
}

pub(super) fn gated(
    net: &mut Net<'_>,
    decoder: &Decoder,
    gate: ValueId,
    value: ValueId,
) -> ValueId {
    let gate = activate(net, decoder, gate);
    net.onnx("Mul", &[gate, value], &[], "gated")
}

fn activate(net: &mut Net<'_>, decoder: &Decoder, x: ValueId) -> ValueId {
    match decoder.activation {
        Activation::Silu => net.onnx("Swish", &[x], &[], "activated"),
        Activation::Gelu => net.onnx("Gelu", &[x], &[], "activated"),
        Activation::GeluTanh => {
            let tanh = [("approximate", Attr::Text("tanh".to_owned()))];
            net.onnx("Gelu", &[x], &tanh, "activated")
        }
    }
}
