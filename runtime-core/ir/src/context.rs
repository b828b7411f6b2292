//! What shape rules and kernels see of a node.

use std::fmt;

use remuda_tensor::{DType, Dim, Tensor, TensorType};

use crate::{Attrs, Node, OpError, Val, ValueType};

/// What is known of one input while types are inferred.
#[derive(Clone, Debug)]
pub struct InferInput<'a> {
    /// Its type.
    pub ty: &'a ValueType,
    /// Its content, if it is a constant.
    pub constant: Option<&'a Tensor>,
    /// Its content as (symbolic) whole numbers, if it is the result of a shape computation.
    pub content: Option<&'a [Dim]>,
}

/// What a shape rule says of one output.
#[derive(Clone, Debug, PartialEq)]
pub struct Inferred {
    /// The type.
    pub ty: ValueType,
    /// The content, for a small integer tensor that is part of a shape computation.
    pub content: Option<Vec<Dim>>,
}

impl From<TensorType> for Inferred {
    fn from(ty: TensorType) -> Self {
        Self { ty: ty.into(), content: None }
    }
}

impl From<ValueType> for Inferred {
    fn from(ty: ValueType) -> Self {
        Self { ty, content: None }
    }
}

impl Inferred {
    /// A tensor of this dtype and dimensions.
    pub fn tensor(dtype: DType, dims: impl IntoIterator<Item = Dim>) -> Self {
        TensorType::new(dtype, dims).into()
    }

    /// A tensor of this dtype, its dimensions known or not.
    #[must_use]
    pub fn maybe(dtype: DType, dims: Option<Vec<Dim>>) -> Self {
        TensorType { dtype, dims }.into()
    }

    /// The same with known content.
    #[must_use]
    pub fn with_content(self, content: Option<Vec<Dim>>) -> Self {
        Self { content, ..self }
    }
}

/// Infers the types of a body's outputs from those of its inputs.
pub(crate) type BodyTypes<'a> =
    &'a dyn Fn(&str, &[Option<ValueType>]) -> Result<Vec<ValueType>, OpError>;

/// What a shape rule sees.
pub struct InferCtx<'a> {
    /// The node.
    pub node: &'a Node,
    pub(crate) inputs: Vec<Option<InferInput<'a>>>,
    pub(crate) bodies: BodyTypes<'a>,
}

impl fmt::Debug for InferCtx<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InferCtx")
            .field("node", self.node)
            .field("inputs", &self.inputs)
            .finish_non_exhaustive()
    }
}

fn missing(at: usize) -> OpError {
    OpError::Invalid(format!("input {at} is missing"))
}

impl<'a> InferCtx<'a> {
    /// The node's attributes.
    #[must_use]
    pub fn attrs(&self) -> &'a Attrs {
        &self.node.attrs
    }

    /// How many inputs the node lists, left-out ones included.
    #[must_use]
    pub fn input_count(&self) -> usize {
        self.inputs.len()
    }

    /// How many outputs the node lists, left-out ones included.
    #[must_use]
    pub fn output_count(&self) -> usize {
        self.node.outputs.len()
    }

    /// What is known of an input, if it is there.
    #[must_use]
    pub fn input(&self, at: usize) -> Option<&InferInput<'a>> {
        self.inputs.get(at)?.as_ref()
    }

    /// Whether the input is there.
    #[must_use]
    pub fn has(&self, at: usize) -> bool {
        self.input(at).is_some()
    }

    /// The type of an input.
    ///
    /// # Errors
    /// When it is missing.
    pub fn ty(&self, at: usize) -> Result<&'a ValueType, OpError> {
        self.input(at).map(|input| input.ty).ok_or_else(|| missing(at))
    }

    /// The type of a tensor input.
    ///
    /// # Errors
    /// When it is missing or no tensor.
    pub fn tensor(&self, at: usize) -> Result<&'a TensorType, OpError> {
        let ty = self.ty(at)?;
        ty.as_tensor()
            .ok_or_else(|| OpError::Invalid(format!("input {at} expected a tensor, got `{ty}`")))
    }

    /// The dtype of a tensor input.
    ///
    /// # Errors
    /// When it is missing or no tensor.
    pub fn dtype(&self, at: usize) -> Result<DType, OpError> {
        Ok(self.tensor(at)?.dtype)
    }

    /// The dimensions of a tensor input, if its rank is known.
    ///
    /// # Errors
    /// When it is missing or no tensor.
    pub fn dims(&self, at: usize) -> Result<Option<&'a [Dim]>, OpError> {
        Ok(self.tensor(at)?.dims.as_deref())
    }

    /// The content of a constant input.
    #[must_use]
    pub fn constant(&self, at: usize) -> Option<&'a Tensor> {
        self.input(at)?.constant
    }

    /// The content of an integer input as (symbolic) whole numbers, from a constant or from a shape
    /// computation.
    #[must_use]
    pub fn content(&self, at: usize) -> Option<Vec<Dim>> {
        let input = self.input(at)?;
        if let Some(content) = input.content {
            return Some(content.to_vec());
        }
        let constant = input.constant.filter(|tensor| tensor.len() <= MAX_CONTENT)?;
        Some(constant.to_i64_vec().ok()?.into_iter().map(Dim::Known).collect())
    }

    /// The content of an integer input, if all of it is numbers.
    #[must_use]
    pub fn ints(&self, at: usize) -> Option<Vec<i64>> {
        self.content(at)?.iter().map(Dim::as_i64).collect()
    }

    /// The types of a body's outputs when its inputs have these types (`None`: as it declares).
    ///
    /// # Errors
    /// When there is no such body or its nodes do not fit.
    pub fn body(
        &self,
        attr: &str,
        inputs: &[Option<ValueType>],
    ) -> Result<Vec<ValueType>, OpError> {
        (self.bodies)(attr, inputs)
    }
}

/// Contents longer than this are not followed through shape computations.
pub(crate) const MAX_CONTENT: usize = 256;

/// Runs the bodies of control flow for a kernel.
pub trait BodyRunner {
    /// Runs the body of this attribute name; captured values are known to the runner.
    ///
    /// # Errors
    /// Whatever its nodes say.
    fn run_body(&self, attr: &str, inputs: Vec<Val>) -> Result<Vec<Val>, OpError>;

    /// Whether the caller no longer wants the result; long loops ask now and then.
    fn cancelled(&self) -> bool {
        false
    }
}

/// For nodes that have no bodies.
#[derive(Debug, Clone, Copy)]
pub struct NoBodies;

impl BodyRunner for NoBodies {
    fn run_body(&self, attr: &str, _inputs: Vec<Val>) -> Result<Vec<Val>, OpError> {
        Err(OpError::Invalid(format!("there is no body `{attr}`")))
    }
}

/// What a reference kernel sees.
pub struct KernelCtx<'a> {
    /// The node: its attributes and which outputs are wanted.
    pub node: &'a Node,
    /// The inputs, `None` where an optional one is left out.
    pub inputs: &'a [Option<Val>],
    /// Runs the node's bodies.
    pub bodies: &'a dyn BodyRunner,
}

impl fmt::Debug for KernelCtx<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KernelCtx")
            .field("node", self.node)
            .field("inputs", &self.inputs)
            .finish_non_exhaustive()
    }
}

impl<'a> KernelCtx<'a> {
    /// The node's attributes.
    #[must_use]
    pub fn attrs(&self) -> &'a Attrs {
        &self.node.attrs
    }

    /// How many outputs the node lists, left-out ones included.
    #[must_use]
    pub fn output_count(&self) -> usize {
        self.node.outputs.len()
    }

    /// Whether somebody wants this output.
    #[must_use]
    pub fn wants(&self, at: usize) -> bool {
        self.node.output(at).is_some()
    }

    /// An input, whatever it is.
    ///
    /// # Errors
    /// When it is missing.
    pub fn val(&self, at: usize) -> Result<&'a Val, OpError> {
        self.opt_val(at).ok_or_else(|| missing(at))
    }

    /// An input, whatever it is, if it is there.
    #[must_use]
    pub fn opt_val(&self, at: usize) -> Option<&'a Val> {
        self.inputs.get(at)?.as_ref()
    }

    /// A tensor input.
    ///
    /// # Errors
    /// When it is missing or no tensor.
    pub fn tensor(&self, at: usize) -> Result<&'a Tensor, OpError> {
        self.val(at)?.tensor()
    }

    /// A tensor input, if it is there.
    ///
    /// # Errors
    /// When it is no tensor.
    pub fn opt_tensor(&self, at: usize) -> Result<Option<&'a Tensor>, OpError> {
        self.opt_val(at).map(Val::tensor).transpose()
    }

    /// The content of an integer tensor input.
    ///
    /// # Errors
    /// When it is missing or no integer tensor.
    pub fn ints(&self, at: usize) -> Result<Vec<i64>, OpError> {
        Ok(self.tensor(at)?.to_i64_vec()?)
    }

    /// The content of an integer tensor input, if it is there.
    ///
    /// # Errors
    /// When it is no integer tensor.
    pub fn opt_ints(&self, at: usize) -> Result<Option<Vec<i64>>, OpError> {
        Ok(self.opt_tensor(at)?.map(Tensor::to_i64_vec).transpose()?)
    }

    /// All variadic tensor inputs from this place on.
    ///
    /// # Errors
    /// When one is missing or no tensor.
    pub fn tensors_from(&self, at: usize) -> Result<Vec<&'a Tensor>, OpError> {
        (at..self.inputs.len()).map(|at| self.tensor(at)).collect()
    }

    /// Runs a body of this node.
    ///
    /// # Errors
    /// Whatever its nodes say; when cancelled.
    pub fn run_body(&self, attr: &str, inputs: Vec<Val>) -> Result<Vec<Val>, OpError> {
        if self.bodies.cancelled() {
            return Err(OpError::Cancelled);
        }
        self.bodies.run_body(attr, inputs)
    }
}
