//! Constants as tensors of ggml, in the form that an operator wants.

use remuda_sdk::ir::{StateType, ValueId, ValueType};
use remuda_sdk::tensor::{DType, Tensor};

use super::{Lowering, attribute, ne_of};
use crate::api::{Context, Kind, Refusal, T, refuse};

/// A form of a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Form {
    /// In f32.
    Floats,
    /// As it is, to pick rows from.
    Table,
    /// As it is, to multiply rows with.
    Weight,
    /// In f32, the last two axes exchanged.
    Transposed,
    /// The divisors of rotations: see `rotary`.
    Divisors,
}

/// Where constants and caches come from.
#[derive(Clone, Copy)]
pub(crate) enum Sources<'g> {
    /// From nowhere: only sizes and types matter.
    Question,
    /// From what a program keeps.
    Program(&'g dyn Kept),
}

/// What a program keeps over its runs.
pub(crate) trait Kept {
    /// The tensor of a constant in a form, made by `make` if it is not kept yet.
    fn constant(
        &self,
        key: (ValueId, Form),
        make: &mut dyn FnMut() -> Result<Tensor, Refusal>,
    ) -> Result<T, Refusal>;

    /// Keys and values of a cache, a row per position, and how many rows there may be to look at.
    fn cache(&self, state: ValueId) -> Result<([T; 2], i64), Refusal>;
}

impl Lowering<'_> {
    /// A constant in f32.
    pub(super) fn constant_floats(&mut self, id: ValueId, tensor: &Tensor) -> Result<T, Refusal> {
        let dtype = tensor.dtype();
        if !dtype.is_float() && !matches!(dtype, DType::Block(_)) {
            return Err(refuse("dtype", format!("constants of `{dtype}` are not computed with")));
        }
        let dims = tensor.dims().to_vec();
        self.made_constant((id, Form::Floats), (DType::F32, &dims), &mut || as_floats(tensor))
    }

    /// A constant as it is.
    pub(super) fn constant_raw(&mut self, id: ValueId, form: Form) -> Result<T, Refusal> {
        let tensor = self.constant(id).ok_or_else(|| refuse("dtype", "it is no constant"))?;
        let dims = tensor.dims().to_vec();
        self.made_constant((id, form), (tensor.dtype(), &dims), &mut || Ok(tensor.contiguous()))
    }

    /// A constant in some form.
    pub(super) fn made_constant(
        &mut self,
        key: (ValueId, Form),
        (dtype, dims): (DType, &[usize]),
        make: &mut dyn FnMut() -> Result<Tensor, Refusal>,
    ) -> Result<T, Refusal> {
        match self.sources {
            Sources::Question => meta(&self.context, dtype, dims),
            Sources::Program(kept) => kept.constant(key, make),
        }
    }

    /// The type of a cache, its tensors, and how many rows of them are looked at.
    pub(super) fn cache(&mut self, id: ValueId) -> Result<(StateType, [T; 2], i64), Refusal> {
        /// Positions that a question is asked with.
        const CELLS: i64 = 256;
        let Some(ValueType::State(ty)) = &self.graph.value(id).ty else {
            return Err(refuse("dtype", "the cache is no state"));
        };
        let (tensors, cells) = match self.sources {
            Sources::Program(kept) => kept.cache(id)?,
            Sources::Question => {
                let rows = |width: usize| {
                    let kind = cache_kind(ty)?;
                    let width = i64::try_from(width).unwrap_or(i64::MAX);
                    self.context.tensor(kind, [width, CELLS, 1, 1])
                };
                ([rows(ty.heads * ty.key_dim)?, rows(ty.heads * ty.value_dim)?], CELLS)
            }
        };
        Ok((ty.clone(), tensors, cells))
    }
}

/// How ggml stores what a cache holds.
pub(crate) fn cache_kind(ty: &StateType) -> Result<Kind, Refusal> {
    ty.check().map_err(attribute)?;
    Kind::of(ty.dtype).ok_or_else(|| refuse("dtype", format!("ggml keeps no `{}`", ty.dtype)))
}

/// A tensor without content.
fn meta(context: &Context, dtype: DType, dims: &[usize]) -> Result<T, Refusal> {
    let kind = Kind::of(dtype);
    let kind = kind.ok_or_else(|| refuse("dtype", format!("ggml has no `{dtype}`")))?;
    context.tensor(kind, ne_of(dims)?)
}

/// Any floats as f32.
fn as_floats(tensor: &Tensor) -> Result<Tensor, Refusal> {
    if tensor.dtype() == DType::F32 {
        return Ok(tensor.contiguous());
    }
    let values = tensor.to_f32_vec().map_err(|error| refuse("dtype", error.to_string()))?;
    Tensor::from_vec::<f32>(tensor.dims().to_vec(), values)
        .map_err(|error| refuse("memory", error.to_string()))
}

/// A matrix, or many, in f32 with the last two axes exchanged.
pub(super) fn transposed(tensor: &Tensor) -> Result<Tensor, Refusal> {
    let error = |error: remuda_sdk::tensor::TensorError| refuse("memory", error.to_string());
    let mut axes: Vec<usize> = (0..tensor.rank()).collect();
    let rank = axes.len();
    if rank >= 2 {
        axes.swap(rank - 2, rank - 1);
    }
    let turned = as_floats(tensor)?.permute(&axes).map_err(error)?;
    Ok(turned.contiguous())
}
