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
    let mut shared = gated_part(net, decoder, x, (names, mixture.shared))?;
    if net.has("ffn_gate_inp_shexp.weight") {
        let gate = net.vector("ffn_gate_inp_shexp.weight", features)?;
        let gate = net.reshape(gate, &[int(features), 1]);
        let share = net.onnx("MatMul", &[x, gate], &[], "shared_score");
        let share = net.onnx("Sigmoid", &[share], &[], "shared_share");
        shared = net.onnx("Mul", &[shared, share], &[], "shared_part");
    }
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
    let mut rated = all;
    if net.has("exp_probs_b.bias") {
        let bias = net.vector("exp_probs_b.bias", mixture.count)?;
        rated = net.onnx("Add", &[all, bias], &[], "biased");
    }
    if let Some(groups) = mixture.groups {
        rated = in_best_groups(net, rated, mixture.count, groups);
    }
    let [mut shares, chosen] = net.two("TopK", &[rated, used], "chosen");
    if rated != all {
        // Bias and groups have a say in who is chosen, not in how much they count.
        shares = net.onnx("GatherElements", &[all, chosen], &last, "of_chosen");
    }
    if mixture.to_one {
        let axes = net.constant("axes", Tensor::vector(vec![-1i64]));
        let sum = net.onnx("ReduceSum", &[shares, axes], &[], "sum");
        shares = net.onnx("Div", &[shares, sum], &[], "of_one");
    }
    Ok((net.scale(shares, mixture.scale), chosen))
}

/// The ratings of experts in the groups that are best by the sum of their two best; all others are rated
/// below any.
fn in_best_groups(
    net: &mut Net<'_>,
    rated: ValueId,
    count: usize,
    [groups, best]: [usize; 2],
) -> ValueId {
    let grouped = net.reshape(rated, &[-1, int(groups), int(count / groups)]);
    let two = net.constant("two", Tensor::vector(vec![2i64]));
    let [pairs, _] = net.two("TopK", &[grouped, two], "best_of_group");
    let axes = net.constant("axes", Tensor::vector(vec![-1i64]));
    let flat = [("keepdims", Attr::Int(0))];
    let scores = net.onnx("ReduceSum", &[pairs, axes], &flat, "of_group");
    let best = net.constant("best", Tensor::vector(vec![int(best)]));
    let [tops, _] = net.two("TopK", &[scores, best], "best_groups");
    let least = net.onnx("ReduceMin", &[tops, axes], &[], "least");
    let kept = net.onnx("GreaterOrEqual", &[scores, least], &[], "kept");
    let kept = net.reshape(kept, &[-1, int(groups), 1]);
    let never = net.constant("never", Tensor::scalar(f32::NEG_INFINITY));
    let masked = net.onnx("Where", &[kept, grouped, never], &[], "of_best_groups");
    net.reshape(masked, &[-1, int(count)])
}
