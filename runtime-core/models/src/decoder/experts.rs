//! The feed-forward part as a mixture of experts: a router gives each token its experts and how much
//! each counts.

use remuda_ir::{Attr, OpName, ValueId};
use remuda_tensor::Tensor;

use super::feed_forward::gated;
use super::{Decoder, Experts};
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
    let up = expert_linear(net, (rows, chosen), "ffn_up_exps", [count, inner, features])?;
    let gate = expert_linear(net, (rows, chosen), "ffn_gate_exps", [count, inner, features])?;
    let hidden = gated(net, decoder, gate, up);
    let down = expert_linear(net, (hidden, chosen), "ffn_down_exps", [count, features, inner])?;
    // One row of shares times the experts' rows adds them up.
    let shares = net.reshape(shares, &[-1, 1, int(mixture.used)]);
    let mixed = net.onnx("MatMul", &[shares, down], &[], "mixed");
    Ok(net.reshape(mixed, &[-1, int(features)]))
}

/// How much each chosen expert counts, and which they are.
fn route(
    net: &mut Net<'_>,
    decoder: &Decoder,
    mixture: &Experts,
    x: ValueId,
) -> Result<(ValueId, ValueId), ModelError> {
    let scores = net.linear(x, "ffn_gate_inp", [mixture.count, decoder.features])?;
    let shares = net.onnx("Softmax", &[scores], &[("axis", Attr::Int(-1))], "shares");
    let used = net.constant("used", Tensor::vector(vec![int(mixture.used)]));
    let [shares, chosen] = net.two("TopK", &[shares, used], "chosen");
    if !mixture.to_one {
        return Ok((shares, chosen));
    }
    let axes = net.constant("axes", Tensor::vector(vec![-1i64]));
    let sum = net.onnx("ReduceSum", &[shares, axes], &[], "sum");
    Ok((net.onnx("Div", &[shares, sum], &[], "of_one"), chosen))
}

fn expert_linear(
    net: &mut Net<'_>,
    (rows, chosen): (ValueId, ValueId),
    name: &str,
    dims: [usize; 3],
) -> Result<ValueId, ModelError> {
    let weight = net.shaped(&format!("{name}.weight"), &dims)?;
    let inputs = [rows, weight, chosen].map(Some);
    Ok(net.apply(OpName::new("remuda", "ExpertLinear"), &inputs, &[], name))
}
