//! Fused operators are what their parts make, one after the other: said here by running the parts.

use remuda_ir::{Attr, Attrs, Node, OpError, OpName, Val};
use remuda_tensor::{Element, Tensor, dispatch_float};

use super::unsupported_dtype;
use crate::evaluate;

/// Runs one operator of ONNX's own domain that has one output.
pub(crate) fn step(op: &str, attrs: Attrs, inputs: Vec<Option<Val>>) -> Result<Val, OpError> {
    // Kernels look at the inputs themselves, not at the names of values.
    let mut node = Node::new(OpName::onnx(op), Vec::new(), vec![None]);
    node.attrs = attrs;
    let mut made = evaluate(&node, &inputs)?.into_iter();
    made.next().ok_or_else(|| OpError::Bug(format!("`{op}` gave nothing")))
}

/// Adds a value, if there is one.
pub(crate) fn add(y: Val, other: Option<&Val>) -> Result<Val, OpError> {
    match other {
        None => Ok(y),
        Some(other) => step("Add", Attrs::default(), vec![Some(y), Some(other.clone())]),
    }
}

/// Applies the activation that the attributes `activation` and `activation_params` name.
pub(crate) fn activate(y: Val, attrs: &Attrs) -> Result<Val, OpError> {
    let Some(name) = attrs.text("activation")? else { return Ok(y) };
    let params = attrs.floats("activation_params")?.unwrap_or(&[]);
    let mut own = Attrs::default();
    let mut set = |name: &str, at: usize| {
        if let Some(&value) = params.get(at) {
            own.set(name, Attr::Float(value));
        }
    };
    match name {
        "Relu" | "HardSwish" | "Sigmoid" | "Tanh" | "Gelu" => step(name, own, vec![Some(y)]),
        "LeakyRelu" | "Swish" => {
            set("alpha", 0);
            step(name, own, vec![Some(y)])
        }
        "HardSigmoid" => {
            set("alpha", 0);
            set("beta", 1);
            step(name, own, vec![Some(y)])
        }
        "GeluTanh" => {
            own.set("approximate", Attr::Text("tanh".to_owned()));
            step("Gelu", own, vec![Some(y)])
        }
        "Clip" => {
            let dtype = y.tensor()?.dtype();
            let bound = |at: usize| {
                let Some(&value) = params.get(at) else { return Ok(None) };
                dispatch_float!(dtype, T => Ok(Some(Val::from(Tensor::scalar(T::from_f64(f64::from(value)))))),
                    else Err(unsupported_dtype(dtype)))
            };
            let (low, high) = (bound(0)?, bound(1)?);
            step("Clip", own, vec![Some(y), low, high])
        }
        other => Err(OpError::Invalid(format!(
            "attribute `activation` names `{other}`, which is no activation"
        ))),
    }
}
