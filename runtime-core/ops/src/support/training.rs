//! Steps of optimisers: each element of a tensor is updated from its gradient and running values.

use remuda_ir::{InferCtx, Inferred, KernelCtx, OpError, Types, Val};
use remuda_tensor::DType;

use super::numbers::rounded;
use super::scalar_i64;

/// What is optimised.
pub(crate) const REALS: Types = Types::one(DType::F32).or(Types::one(DType::F64));

/// Inputs in front of the tensors: the rate and the count of rounds.
const LEADING: usize = 2;

fn group_size(tensors: usize, lists: usize) -> Result<usize, OpError> {
    if tensors > 0 && tensors.is_multiple_of(lists) {
        return Ok(tensors / lists);
    }
    Err(OpError::Invalid(format!("expected {lists} lists of tensors, got {tensors} tensors")))
}

/// The shape rule of a step over `lists` lists of tensors: all but the gradients come out updated.
pub(crate) fn step_types(ctx: &InferCtx<'_>, lists: usize) -> Result<Vec<Inferred>, OpError> {
    let size = group_size(ctx.input_count().saturating_sub(LEADING), lists)?;
    let updated = (0..lists).filter(|&list| list != 1);
    let places = updated.flat_map(|list| (0..size).map(move |at| LEADING + list * size + at));
    places.map(|at| Ok(ctx.tensor(at)?.clone().into())).collect()
}

/// Updates every element: `update` gets the rate, the round, and the element of each list; it gives
/// those of all lists but the gradients.
pub(crate) fn step<const IN: usize, const OUT: usize>(
    ctx: &KernelCtx<'_>,
    update: impl Fn(f64, i64, [f64; IN]) -> [f64; OUT],
) -> Result<Vec<Val>, OpError> {
    let [rate] = ctx.tensor(0)?.to_f64_vec()?[..] else {
        return Err(OpError::invalid("the rate expected one element"));
    };
    let round = scalar_i64(ctx.tensor(1)?)?;
    let tensors = ctx.tensors_from(LEADING)?;
    let size = group_size(tensors.len(), IN)?;
    let mut outputs = vec![None; OUT * size];
    for at in 0..size {
        let first = tensors[at];
        let mut columns = Vec::with_capacity(IN);
        for tensor in (0..IN).map(|list| tensors[list * size + at]) {
            if tensor.dims() != first.dims() {
                let (a, b) = (first.dims(), tensor.dims());
                let text = format!("tensors of dimensions {a:?} and {b:?} are of one step");
                return Err(OpError::Invalid(text));
            }
            columns.push(tensor.to_f64_vec()?);
        }
        let updated: Vec<[f64; OUT]> = (0..first.len())
            .map(|place| update(rate, round, std::array::from_fn(|list| columns[list][place])))
            .collect();
        for list in 0..OUT {
            let values: Vec<f64> = updated.iter().map(|element| element[list]).collect();
            // Among the inputs the gradients stand second.
            let like = tensors[if list == 0 { at } else { (list + 1) * size + at }];
            outputs[list * size + at] = Some(rounded(&values, like.dtype(), like.dims())?.into());
        }
    }
    Ok(outputs.into_iter().flatten().collect())
}
