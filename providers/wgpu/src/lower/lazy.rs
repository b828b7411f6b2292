//! Values that are still expressions: chains of elementwise operators become one kernel.
//!
//! An elementwise node computes nothing at first: its value is an expression of parts of spaces. Where
//! another elementwise node is its only user, that one takes the expression into its own; whoever else
//! asks gets it computed.

use remuda_sdk::ir::{Node, ValueId};
use remuda_sdk::tensor::{DType, Tensor};

use super::{Lowering, Part, Refusal, Value, refuse};
use crate::shaders::{Elem, Expr, View};

/// An expression of parts that all have its dimensions.
#[derive(Clone, Debug)]
pub(crate) struct Lazy {
    pub(crate) expr: Expr,
    pub(crate) leaves: Vec<Part>,
    pub(crate) dims: Vec<usize>,
}

/// Operators in one expression.
const MOST_OPERATORS: usize = 48;

/// How many operators there are in an expression.
fn operators(expr: &Expr) -> usize {
    match expr {
        Expr::Input(_) | Expr::FloatBits(_) | Expr::Int(_) | Expr::Bool(_) => 0,
        Expr::Unary(_, x) | Expr::Cast(_, x) => 1 + operators(x),
        Expr::Binary(_, a, b) => 1 + operators(a) + operators(b),
        Expr::Select(condition, a, b) => 1 + operators(condition) + operators(a) + operators(b),
    }
}

/// The expression with other inputs.
fn renamed(expr: &Expr, names: &[usize]) -> Expr {
    let again = |x: &Expr| Box::new(renamed(x, names));
    match expr {
        Expr::Input(at) => Expr::Input(names.get(*at).copied().unwrap_or(usize::MAX)),
        Expr::FloatBits(_) | Expr::Int(_) | Expr::Bool(_) => expr.clone(),
        Expr::Unary(op, x) => Expr::Unary(*op, again(x)),
        Expr::Cast(to, x) => Expr::Cast(*to, again(x)),
        Expr::Binary(op, a, b) => Expr::Binary(*op, again(a), again(b)),
        Expr::Select(condition, a, b) => Expr::Select(again(condition), again(a), again(b)),
    }
}

/// A constant of one element.
fn single(tensor: &Tensor) -> Option<Expr> {
    if tensor.len() != 1 {
        return None;
    }
    match tensor.dtype() {
        DType::F32 | DType::F16 | DType::BF16 => {
            tensor.to_f32_vec().ok()?.first().map(|&value| Expr::float(value))
        }
        DType::I32 | DType::I64 => {
            let value = *tensor.to_i64_vec().ok()?.first()?;
            i32::try_from(value).ok().map(Expr::Int)
        }
        DType::Bool => tensor.to_vec::<bool>().ok()?.first().map(|&value| Expr::Bool(value)),
        _ => None,
    }
}

impl Part {
    /// The part repeated to dimensions by ONNX's rules.
    pub(super) fn broadcast(&self, to: &[usize]) -> Result<Self, Refusal> {
        let missing = to.len().checked_sub(self.dims.len());
        let fits = |(own, to): (&usize, &usize)| own == to || *own == 1;
        let missing = missing.filter(|&missing| self.dims.iter().zip(&to[missing..]).all(fits));
        let missing = missing
            .ok_or_else(|| refuse("shape", format!("{:?} does not repeat to {to:?}", self.dims)))?;
        let own = self.dims.iter().zip(&self.view.strides);
        let own = own.map(|(&dim, &stride)| if dim == 1 { 0 } else { stride });
        let strides = std::iter::repeat_n(0, missing).chain(own).collect();
        let view = View { strides, ..self.view.clone() };
        Ok(Self { space: self.space, dims: to.to_vec(), view })
    }
}

/// Expressions that become one.
struct Merge {
    dims: Vec<usize>,
    leaves: Vec<Part>,
}

impl Merge {
    fn leaf(&mut self, part: &Part) -> Result<usize, Refusal> {
        let part = part.broadcast(&self.dims)?;
        let known = self.leaves.iter().position(|leaf| *leaf == part);
        Ok(known.unwrap_or_else(|| {
            self.leaves.push(part);
            self.leaves.len() - 1
        }))
    }

    fn take(&mut self, lazy: &Lazy) -> Result<Expr, Refusal> {
        let names = lazy.leaves.iter().map(|leaf| self.leaf(leaf));
        let names = names.collect::<Result<Vec<_>, _>>()?;
        Ok(renamed(&lazy.expr, &names))
    }
}

impl Lowering<'_> {
    /// Sets the first output of a node to an expression of its inputs, each repeated to its dimensions;
    /// `None` stands for one that is left out.
    pub(super) fn elementwise(
        &mut self,
        node: &Node,
        make: impl FnOnce(&[Option<Expr>]) -> Result<Expr, Refusal>,
    ) -> Result<(), Refusal> {
        let dims = self.dims_out(node, 0)?;
        let mut lazies = Vec::with_capacity(node.inputs.len());
        if !node.op.is_onnx("Cast") {
            self.expect_narrow(node)?;
        }
        for input in &node.inputs {
            lazies.push(input.map(|id| self.lazy(id, &dims)).transpose()?);
        }
        self.shorten(&node.inputs, &mut lazies)?;
        let lazy = self.combined(&lazies, dims, make)?;
        self.set(node, 0, Value::Lazy(lazy))
    }

    /// Refuses integers of 64 bits, of which the device has the lower half: only to make floats of them is
    /// worth the risk that a run brings larger ones.
    fn expect_narrow(&self, node: &Node) -> Result<(), Refusal> {
        for &id in node.inputs.iter().flatten() {
            if self.dtype(id)? == DType::I64 && self.constant(id).and_then(single).is_none() {
                return Err(refuse("dtype", "the device has integers of 32 bits"));
            }
        }
        Ok(())
    }

    /// An expression of expressions, each repeated to these dimensions.
    pub(super) fn combined(
        &self,
        lazies: &[Option<Lazy>],
        dims: Vec<usize>,
        make: impl FnOnce(&[Option<Expr>]) -> Result<Expr, Refusal>,
    ) -> Result<Lazy, Refusal> {
        let mut merge = Merge { dims, leaves: Vec::new() };
        let mut exprs = Vec::with_capacity(lazies.len());
        for lazy in lazies {
            exprs.push(lazy.as_ref().map(|lazy| merge.take(lazy)).transpose()?);
        }
        let expr = make(&exprs)?;
        let Merge { dims, leaves } = merge;
        if leaves.len() > self.most_leaves() {
            return Err(refuse("rank", format!("{} operands in one kernel", leaves.len())));
        }
        Ok(Lazy { expr, leaves, dims })
    }

    /// How many parts one kernel can read beside its output and its parameters.
    fn most_leaves(&self) -> usize {
        self.limits.bindings.saturating_sub(2)
    }

    /// Computes what makes an expression too large for one kernel.
    fn shorten(
        &mut self,
        inputs: &[Option<ValueId>],
        lazies: &mut [Option<Lazy>],
    ) -> Result<(), Refusal> {
        for at in 0..lazies.len() {
            let all = || lazies.iter().flatten();
            let leaves: usize = all().map(|lazy| lazy.leaves.len()).sum();
            let size: usize = all().map(|lazy| operators(&lazy.expr)).sum();
            if leaves <= self.most_leaves() && size <= MOST_OPERATORS {
                return Ok(());
            }
            if let (Some(id), Some(lazy)) = (inputs.get(at).copied().flatten(), &mut lazies[at]) {
                *lazy = Lazy::of(self.part_of(id)?);
            }
        }
        Ok(())
    }

    /// A value as an expression; computed first where others need it too, or where it would be computed
    /// again for each element that it is repeated to.
    pub(super) fn lazy(&mut self, id: ValueId, dims: &[usize]) -> Result<Lazy, Refusal> {
        if let Some(expr) = self.constant(id).and_then(single) {
            return Ok(Lazy { expr, leaves: Vec::new(), dims: Vec::new() });
        }
        if let Value::Lazy(lazy) = self.value(id)? {
            let alone = self.uses(id) <= 1;
            let same = lazy.dims.iter().product::<usize>() == dims.iter().product::<usize>();
            if alone && same {
                return Ok(lazy);
            }
        }
        Ok(Lazy::of(self.part_of(id)?))
    }

    /// Computes an expression into a space of its own.
    pub(super) fn computed(&mut self, lazy: &Lazy, elem: Elem) -> Result<Part, Refusal> {
        if let (Expr::Input(0), [leaf]) = (&lazy.expr, &lazy.leaves[..]) {
            return Ok(leaf.clone());
        }
        let part = self.work(elem, lazy.dims.clone())?;
        self.compute_into(lazy, &part)?;
        Ok(part)
    }

    /// Computes an expression into a part of a space.
    pub(super) fn compute_into(&mut self, lazy: &Lazy, part: &Part) -> Result<(), Refusal> {
        let views: Vec<View> = lazy.leaves.iter().map(|leaf| leaf.view.clone()).collect();
        let dispatch = crate::shaders::pointwise(&lazy.expr, &lazy.dims, &part.view, &views)?;
        let reads: Vec<_> = lazy.leaves.iter().map(Part::bound).collect();
        self.launch(dispatch, &reads, &[part.bound()])
    }
}

impl Lazy {
    /// A part as it is.
    pub(super) fn of(part: Part) -> Self {
        let dims = part.dims.clone();
        Self { expr: Expr::Input(0), leaves: vec![part], dims }
    }
}
