//! What a fast kernel is, and how a node gets one.

use std::sync::atomic::{AtomicBool, Ordering};

use remuda_ir::{Graph, Node, OpError, Val, ValueType};
use remuda_kernels::block::Grain;
use remuda_kernels::{Context, ThreadPool};
use remuda_simd::Isa;
use remuda_tensor::{DType, Tensor};

use crate::{Arena, Packing};

/// A kernel of one node, prepared once and run by many threads.
pub trait Kernel: Send + Sync {
    /// The places of inputs that are known before the first run and that the kernel reads only once,
    /// in [`Kernel::pack`]: weights. A run sees no more than their dimensions.
    fn packs(&self) -> &[usize] {
        &[]
    }

    /// Takes what it needs of the inputs that [`Kernel::packs`] names; called once, with those alone,
    /// before the first run.
    ///
    /// # Errors
    /// When they break the operator's rules.
    fn pack(&self, packing: &Packing<'_>, inputs: &[Option<Tensor>]) -> Result<(), OpError> {
        let _ = (packing, inputs);
        Ok(())
    }

    /// Bytes of the copies that [`Kernel::pack`] makes, where they are known before.
    fn packed_bytes(&self) -> usize {
        0
    }

    /// What a run takes of memory beside inputs and outputs, where dimensions are numbers.
    fn needs(&self, preparation: &Preparation<'_>) -> Needs {
        let _ = preparation;
        Needs::default()
    }

    /// Whether elements of this input may lie at any address.
    fn reads_unaligned(&self, at: usize) -> bool {
        let _ = at;
        false
    }

    /// Computes the node's outputs. Inputs are handed over: one that nobody else holds may be
    /// written in place ([`Run::reuse`]); what is left of them is taken back afterwards.
    ///
    /// # Errors
    /// When the inputs break the operator's rules, or memory does not suffice.
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError>;
}

/// Memory that a kernel takes beside its inputs and outputs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs {
    /// Whether it writes over an input as large as its output, if nobody else needs that.
    pub in_place: bool,
    /// How rows of its first input are made ready to be multiplied (`Arena::operands`), how many they
    /// are, and values of each.
    pub operands: Option<(Grain, [usize; 2])>,
    /// Bytes until it returns.
    pub run_bytes: usize,
    /// Bytes of each thread, which are kept for the next kernel.
    pub thread_bytes: usize,
}

/// Gives a node a fast kernel, or `None` where there is none for its types and attributes.
pub type Prepare = fn(&Preparation<'_>) -> Option<Box<dyn Kernel>>;

/// What is known of a node before it runs.
#[derive(Debug, Clone, Copy)]
pub struct Preparation<'a> {
    /// The graph it stands in.
    pub graph: &'a Graph,
    /// The node.
    pub node: &'a Node,
    /// The instructions that kernels may use.
    pub isa: Isa,
    /// Whether the value of this index is known before the first run.
    pub(crate) fixed: &'a [bool],
    /// Whether the value of this index need not lie together.
    pub(crate) strided: &'a [bool],
    /// Whether the kernel is given f32 in the place of floats of 16 bits.
    pub(crate) widened: bool,
    /// Whether kernels may copy weights into forms of their own.
    pub(crate) packs: bool,
}

impl<'a> Preparation<'a> {
    /// The type of an input, if it is there and known.
    #[must_use]
    pub fn input_type(&self, at: usize) -> Option<&'a ValueType> {
        self.graph.value(self.node.input(at)?).ty.as_ref()
    }

    /// The dtype of a tensor input, as the kernel is given it.
    #[must_use]
    pub fn dtype(&self, at: usize) -> Option<DType> {
        Some(match self.input_type(at)?.as_tensor()?.dtype {
            DType::F16 | DType::BF16 if self.widened => DType::F32,
            dtype => dtype,
        })
    }

    /// Whether an input is known before the first run, be it a constant or computed from constants:
    /// what [`Kernel::packs`] may name.
    #[must_use]
    pub fn is_fixed(&self, at: usize) -> bool {
        self.node.input(at).is_some_and(|id| self.fixed.get(id.index()).copied().unwrap_or(false))
    }

    /// Whether all that read an output go by its strides, so that it may be a view of an input.
    #[must_use]
    pub fn may_be_view(&self, output: usize) -> bool {
        let id = self.node.output(output);
        id.is_some_and(|id| self.strided.get(id.index()).copied().unwrap_or(false))
    }

    /// The number of dimensions of a tensor input.
    #[must_use]
    pub fn rank(&self, at: usize) -> Option<usize> {
        Some(self.input_type(at)?.as_tensor()?.dims.as_ref()?.len())
    }

    /// The dimensions of an input, if all are known numbers.
    #[must_use]
    pub fn dims(&self, at: usize) -> Option<Vec<usize>> {
        self.input_type(at)?.as_tensor()?.fixed_dims()
    }

    /// The content of a constant input. Weights are not to be read here: see [`Kernel::packs`].
    #[must_use]
    pub fn constant(&self, at: usize) -> Option<&'a Tensor> {
        self.graph.value(self.node.input(at)?).constant()
    }
}

/// What a kernel may use while it runs.
#[derive(Debug)]
pub struct Run<'a> {
    /// The threads.
    pub pool: &'a ThreadPool,
    /// The instructions.
    pub isa: Isa,
    /// Memory for results and scratch.
    pub arena: &'a mut Arena,
    pub(crate) cancel: &'a AtomicBool,
}

impl<'a> Run<'a> {
    /// Threads and instructions, as kernels want them.
    #[must_use]
    pub fn context(&self) -> Context<'a> {
        Context { pool: self.pool, isa: self.isa }
    }

    /// Whether the caller no longer wants the result.
    #[must_use]
    pub fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    /// Input `at`, to be written over, if it is a tensor of this dtype and these dimensions that nobody
    /// else holds.
    pub fn reuse(
        &mut self,
        inputs: &mut [Option<Val>],
        at: usize,
        dtype: DType,
        dims: &[usize],
    ) -> Option<Tensor> {
        let Some(Some(Val::Tensor(tensor))) = inputs.get_mut(at) else { return None };
        let fits = tensor.dtype() == dtype && tensor.dims() == dims;
        if !fits || tensor.bytes_mut().is_none() {
            return None;
        }
        match inputs[at].take() {
            Some(Val::Tensor(tensor)) => Some(tensor),
            _ => None,
        }
    }
}

/// The tensor input at this place.
///
/// # Errors
/// When it is missing or no tensor.
pub(crate) fn tensor(inputs: &[Option<Val>], at: usize) -> Result<&Tensor, OpError> {
    optional(inputs, at)?.ok_or_else(|| OpError::Invalid(format!("input {at} is missing")))
}

/// The tensor input at this place, if it is there.
///
/// # Errors
/// When it is no tensor.
pub(crate) fn optional(inputs: &[Option<Val>], at: usize) -> Result<Option<&Tensor>, OpError> {
    inputs.get(at).and_then(Option::as_ref).map(Val::tensor).transpose()
}

/// A result that a kernel made can be written: it was made for this purpose.
pub(crate) fn writable<T: remuda_tensor::Element>(
    tensor: &mut Tensor,
) -> Result<&mut [T], OpError> {
    tensor.as_mut_slice().ok_or_else(|| OpError::Bug("a result is not writable".to_owned()))
}
