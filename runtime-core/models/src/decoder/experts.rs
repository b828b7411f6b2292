//! The feed-forward part as a mixture of experts: a router gives each token its experts and how much
//! each counts; beside them there may be one that every token gets.

use remuda_ir::{Attr, ValueId};
use remuda_tensor::Tensor;

use super::feed_forward::{gated, gated_part};
use super::{Decoder, Experts, Gate};
use crate::ModelError;
use crate::net::{Net, int};

/// The feed-forward part of a layer that has experts.
pub(super) fn experts(
    net: &mut Net<'_>,
    decoder: &Decoder,
    mixture: &Experts,
    x: ValueId,
) -> Result<ValueId, ModelError> {
    let (features, inner, count) = (decoder.features, mixture.inner, mixture.count);
    let (shares, chosen) = route(net, decoder, mixture, x)?;
    let rows = net.reshape(x, &[-1, 1, int(features)]);
    let up = net.expert_linear((rows, chosen), "ffn_up_exps", [count, inner, features])?;
    let gate = net.expert_linear((rows, chosen), "ffn_gate_exps", [count, inner, features])?;
    let hidden = gated(net, decoder, gate, up);
    let down = net.expert_linear((hidden, chosen), "ffn_down_exps", [count, features, inner])?;
    // One row of shares times the experts' rows adds them up.
    let shares = net.reshape(shares, &[-1, 1, int(mixture.used)]);
    let mixed = net.onnx("MatMul", &[shares, down], &[], "mixed");
    let mixed = net.reshape(mixed, &[-1, int(features)]);
    if mixture.shared == 0 {
        return Ok(mixed);
    }
    let names = ["ffn_gate_shexp", "ffn_up_shexp", "ffn_down_shexp"];
    let shared = gated_part(net, decoder, x, (names, mixture.shared * inner))?;
    Ok(net.onnx("Add", &[mixed, shared], &[], "with_shared"))
}

/// How much each chosen expert counts, and which they are.
fn route(
    net: &mut Net<'_>,
    decoder: &Decoder,
    mixture: &Experts,
    x: ValueId,
) -> Result<(ValueId, ValueId), ModelError> {
    let scores = net.linear(x, "ffn_gate_inp", [mixture.count, decoder.features])?;
    let last = [("axis", Attr::Int(-1))];
    let all = match mixture.gate {
        Gate::Softmax => net.onnx("Softmax", &[scores], &last, "shares"),
        Gate::Sigmoid => net.onnx("Sigmoid", &[scores], &[], "shares"),
    };
    let used = net.constant("used", Tensor::vector(vec![int(mixture.used)]));
    let [mut shares, chosen] = if net.has("exp_probs_b.bias") {
        // The bias has a say in who is chosen, not in how much they count.
        let bias = net.vector("exp_probs_b.bias", mixture.count)?;
        let biased = net.onnx("Add", &[all, bias], &[], "biased");
        let [_, chosen] = net.two("TopK", &[biased, used], "chosen");
        [net.onnx("GatherElements", &[all, chosen], &last, "of_chosen"), chosen]
    } else {
        net.two("TopK", &[all, used], "chosen")
    };
    if mixture.to_one {
        let axes = net.constant("axes", Tensor::vector(vec![-1i64]));
        let sum = net.onnx("ReduceSum", &[shares, axes], &[], "sum");
        shares = net.onnx("Div", &[shares, sum], &[], "of_one");
    }
    Ok((net.scale(shares, mixture.scale), chosen))
}
