//! Products of matrices.

use remuda_sdk::ir::Node;
use remuda_sdk::tensor::DType;

use super::constants::{Form, transposed};
use super::{Lowering, attribute};
use crate::api::{Binary, Refusal, T, refuse};

/// Rows times the transposed weights, which may be in a block format, plus a bias.
pub(super) fn linear(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let x = lowering.float(node, 0)?;
    let weight = lowering.weight(node, 1)?;
    let mut y = lowering.context.mul_mat(weight, lowering.as_rows(x)?)?;
    if let Some(bias) = lowering.optional(node, 2)? {
        y = lowering.onto(Binary::Add, y, bias)?;
    }
    lowering.set_shaped(node, 0, y)
}

pub(super) fn mat_mul(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let y = lowering.product(node)?;
    lowering.set_shaped(node, 0, y)
}

/// A product, then bias, residual and activation.
pub(super) fn fused_linear(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let y = lowering.product(node)?;
    let mut y = lowering.context.reshape(y, lowering.ne_out(node, 0)?)?;
    for at in [2, 3] {
        if let Some(added) = lowering.optional(node, at)? {
            y = lowering.onto(Binary::Add, y, added)?;
        }
    }
    let y = lowering.activated(node, y)?;
    lowering.set(node, 0, y)
}

pub(super) fn gemm(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let flag = |name: &str| node.attrs.bool_or(name, false).map_err(attribute);
    let number = |name: &str| node.attrs.float_or(name, 1.0).map_err(attribute);
    let mut a = lowering.float(node, 0)?;
    if flag("transA")? {
        a = lowering.context.permute(a, [1, 0, 2, 3])?;
        a = lowering.context.copied(a)?;
    }
    let b = if flag("transB")? { lowering.weight(node, 1)? } else { lowering.turned(node, 1)? };
    let mut y = lowering.context.mul_mat(b, lowering.context.rows(a)?)?;
    let (alpha, beta) = (number("alpha")?, number("beta")?);
    if alpha != 1.0 {
        y = lowering.context.scale(y, alpha, 0.0)?;
    }
    if let Some(mut c) = lowering.optional(node, 2)? {
        if beta != 1.0 {
            c = lowering.context.scale(c, beta, 0.0)?;
        }
        y = lowering.onto(Binary::Add, y, c)?;
    }
    lowering.set(node, 0, y)
}

impl Lowering<'_> {
    /// A matrix that holds one row per output, in its own format where it is a constant.
    fn weight(&mut self, node: &Node, at: usize) -> Result<T, Refusal> {
        let id = self.required(node, at)?;
        let Some(tensor) = self.constant(id) else {
            let t = self.float(node, at)?;
            return self.context.rows(t);
        };
        let known =
            matches!(tensor.dtype(), DType::F32 | DType::F16 | DType::BF16 | DType::Block(_));
        if tensor.rank() != 2 || !known {
            let text = format!("ggml has no product with weights of `{}`", tensor.dtype());
            return Err(refuse("dtype", text));
        }
        self.constant_raw(id, Form::Weight)
    }

    /// The second operand of a product with its last two axes exchanged.
    fn turned(&mut self, node: &Node, at: usize) -> Result<T, Refusal> {
        let id = self.required(node, at)?;
        if let Some(tensor) = self.constant(id) {
            if tensor.rank() < 2 {
                return self.float(node, at);
            }
            if matches!(tensor.dtype(), DType::Block(_)) || !tensor.dtype().is_float() {
                let text = format!("ggml does not turn weights of `{}`", tensor.dtype());
                return Err(refuse("dtype", text));
            }
            let mut dims = tensor.dims().to_vec();
            let rank = dims.len();
            dims.swap(rank - 2, rank - 1);
            let make = &mut || transposed(tensor);
            return self.made_constant((id, Form::Transposed), (DType::F32, &dims), make);
        }
        let t = self.float(node, at)?;
        if self.dims_in(node, at)?.len() < 2 {
            return Ok(t);
        }
        let turned = self.context.permute(t, [1, 0, 2, 3])?;
        self.context.copied(turned)
    }

    /// The product of the first two inputs, as `NumPy` makes it.
    fn product(&mut self, node: &Node) -> Result<T, Refusal> {
        let a = self.float(node, 0)?;
        let b = self.turned(node, 1)?;
        let (of, by) = (a.ne(), b.ne());
        if by[2] == 1 && by[3] == 1 {
            let y = self.context.mul_mat(b, self.as_rows(a)?)?;
            return Ok(y);
        }
        // ggml repeats the second operand of ONNX over the outer axes of the first, not the reverse.
        let outer = |at: usize| of[at].max(by[at]);
        let a = self.context.repeat(a, [of[0], of[1], outer(2), outer(3)])?;
        self.context.mul_mat(b, self.context.rows(a)?)
    }
}
