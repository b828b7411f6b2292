//! What operators that run a body again and again share: types that hold in every round, and the
//! collection of one output per round.

use remuda_ir::{InferCtx, KernelCtx, OpError, Val, ValueType};
use remuda_tensor::{Dim, Tensor, TensorType};

use super::join::stack;
use super::types::either;

/// The types of values that a body carries from round to round, and of all its outputs.
#[derive(Debug)]
pub(crate) struct Settled {
    /// The carried values before any round.
    pub(crate) carried: Vec<ValueType>,
    /// The outputs of the body.
    pub(crate) outputs: Vec<ValueType>,
}

/// Rounds until types no longer change: each can only forget dimensions, then the rank.
const MAX_ROUNDS: usize = 8;

/// Finds types of the carried values that hold in every round. `inputs` makes the body's inputs from
/// them; the body gives the new ones from output `first` on.
pub(crate) fn settle(
    ctx: &InferCtx<'_>,
    initial: Vec<ValueType>,
    first: usize,
    inputs: impl Fn(&[ValueType]) -> Vec<Option<ValueType>>,
) -> Result<Settled, OpError> {
    let mut carried = initial;
    for round in 0..=MAX_ROUNDS {
        let outputs = ctx.body("body", &inputs(&carried))?;
        let Some(made) = outputs.get(first..first + carried.len()) else {
            return Err(OpError::Invalid(format!(
                "the body has {} outputs, expected at least {}",
                outputs.len(),
                first + carried.len()
            )));
        };
        let pairs = carried.iter().zip(made);
        let mut joined =
            pairs.map(|(before, after)| either(before, after)).collect::<Result<Vec<_>, _>>()?;
        if joined == carried {
            return Ok(Settled { carried, outputs });
        }
        if round + 1 == MAX_ROUNDS {
            joined.iter_mut().for_each(forget_dims);
        }
        carried = joined;
    }
    Err(OpError::unsupported("the types of the body's values do not settle"))
}

fn forget_dims(ty: &mut ValueType) {
    match ty {
        ValueType::Tensor(tensor) => tensor.dims = None,
        ValueType::Sequence(item) | ValueType::Optional(item) => forget_dims(item),
        ValueType::State(_) => {}
    }
}

/// The type of an output that is stacked along a new axis.
pub(crate) fn stacked_type(
    ty: &ValueType,
    trips: &Dim,
    axis: impl Fn(usize) -> Result<usize, OpError>,
) -> Result<ValueType, OpError> {
    let tensor = ty.as_tensor().ok_or_else(|| {
        OpError::Invalid(format!("an output that is collected expected a tensor, got `{ty}`"))
    })?;
    let mut dims = tensor.dims.clone();
    if let Some(dims) = &mut dims {
        dims.insert(axis(dims.len() + 1)?, trips.clone());
    }
    Ok(TensorType { dtype: tensor.dtype, dims }.into())
}

/// What is known of an output of the body without running it.
pub(crate) fn body_output<'a>(ctx: &KernelCtx<'a>, at: usize) -> Option<&'a ValueType> {
    let graph = &ctx.attrs().body("body").ok()??.graph;
    graph.value(*graph.outputs.get(at)?).ty.as_ref()
}

/// The collected values of one output, along a new axis. Without any, the body's own type says what
/// an empty tensor of them is; dimensions that it does not know are 0.
pub(crate) fn collected(
    ctx: &KernelCtx<'_>,
    output: usize,
    values: &[Tensor],
    axis: impl Fn(usize) -> Result<usize, OpError>,
) -> Result<Val, OpError> {
    if let Some(first) = values.first() {
        return Ok(stack(values, axis(first.rank() + 1)?)?.into());
    }
    let ty = body_output(ctx, output).and_then(ValueType::as_tensor).ok_or_else(|| {
        OpError::unsupported(format!("output {output} of a body that never ran has no known type"))
    })?;
    let dims = ty.dims.as_deref().unwrap_or(&[]);
    let mut dims: Vec<usize> = dims.iter().map(|dim| dim.as_usize().unwrap_or(0)).collect();
    dims.insert(axis(dims.len() + 1)?, 0);
    Ok(Tensor::zeros(ty.dtype, dims)?.into())
}
