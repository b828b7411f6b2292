//! Elementwise operators: shape rules, and kernels over floats (in `f64`) and integers (in `i128`).

use remuda_ir::{Attrs, Draft, InferCtx, Inferred, KernelCtx, OpError, OpName, Val};
use remuda_tensor::dim::DisplayDims;
use remuda_tensor::index::broadcast;
use remuda_tensor::{DType, Dim, Tensor};

use super::numbers::{Numbers, Pair, check_float, check_same, rounded};
use super::unsupported_dtype;

/// Output 0 has the type of input 0.
pub(crate) fn same_as_first(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    Ok(vec![Inferred::from(ctx.ty(0)?.clone()).with_content(None)])
}

/// Output 0 has the dimensions of input 0 and holds truth values.
pub(crate) fn truth_of_first(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    Ok(vec![Inferred::maybe(DType::Bool, ctx.dims(0)?.map(<[Dim]>::to_vec))])
}

/// Output 0 has the dtype of input 0 and the dimensions that all inputs broadcast to.
pub(crate) fn broadcast_types(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dims = broadcast_dims(ctx, 0..ctx.input_count())?;
    Ok(vec![Inferred::maybe(ctx.dtype(0)?, dims)])
}

/// The dimensions that these inputs broadcast to, if their ranks are known.
pub(crate) fn broadcast_dims(
    ctx: &InferCtx<'_>,
    inputs: impl Iterator<Item = usize>,
) -> Result<Option<Vec<Dim>>, OpError> {
    let mut joined: Vec<Dim> = Vec::new();
    for input in inputs {
        let Some(dims) = ctx.dims(input)? else { return Ok(None) };
        joined = join_dims(&joined, dims)?;
    }
    Ok(Some(joined))
}

/// The dimensions that two lists broadcast to.
pub(crate) fn join_dims(a: &[Dim], b: &[Dim]) -> Result<Vec<Dim>, OpError> {
    let one = Dim::Known(1);
    let rank = a.len().max(b.len());
    let from_end = |dims: &[Dim], back: usize| {
        dims.len().checked_sub(back).map_or(one.clone(), |at| dims[at].clone())
    };
    (1..=rank)
        .rev()
        .map(|back| match (from_end(a, back), from_end(b, back)) {
            (x, y) if x.same(&y) => Ok(x),
            (Dim::Known(1), y) => Ok(y),
            (x, Dim::Known(1)) => Ok(x),
            (Dim::Known(_), Dim::Known(_)) => {
                let text = format!(
                    "dimensions {} and {} do not broadcast",
                    DisplayDims(a),
                    DisplayDims(b)
                );
                Err(OpError::Invalid(text))
            }
            // A number above 1 wins over a symbol, which must then be equal to it or 1.
            (x @ Dim::Known(_), _) | (_, x @ Dim::Known(_)) => Ok(x),
            (x, y) if y.is_capped(&x) => Ok(x),
            (x, y) if x.is_capped(&y) => Ok(y),
            _ => Ok(Dim::Unknown),
        })
        .collect()
}

/// Before opset 7, a smaller second input was aligned to the first at `axis` when `broadcast` was
/// set; unit dimensions behind it say the same now.
pub(crate) fn upgrade_axis_broadcast(draft: &mut Draft<'_>) -> Result<(), OpError> {
    draft.node.attrs.take("consumed_inputs");
    draft.node.attrs.take("broadcast");
    let Some(axis) = draft.node.attrs.int("axis")? else { return Ok(()) };
    draft.node.attrs.take("axis");
    let rank = |draft: &Draft<'_>, at: usize| {
        let ty = draft.node.input(at).and_then(|id| draft.graph.value(id).ty.clone());
        ty.and_then(|ty| Some(ty.as_tensor()?.dims.as_ref()?.len()))
    };
    let (Some(rank_a), Some(rank_b)) = (rank(draft, 0), rank(draft, 1)) else {
        return Err(OpError::unsupported(
            "attribute `axis` of an opset below 7 with inputs of unknown rank",
        ));
    };
    let axis = super::axes::resolve_axis(axis, rank_a.max(1))?;
    let behind = rank_a.saturating_sub(axis + rank_b) as i64;
    let Some(b) = draft.node.input(1).filter(|_| behind > 0) else { return Ok(()) };
    let axes = (0..behind).map(|at| rank_b as i64 + at).collect();
    let axes = draft.constant(Tensor::vector::<i64>(axes));
    let wider = draft.before(OpName::onnx("Unsqueeze"), &[b, axes], Attrs::default());
    draft.node.inputs[1] = Some(wider);
    Ok(())
}

/// Applies a function to each element of input 0, a float tensor, in `f64`.
pub(crate) fn map_floats(ctx: &KernelCtx<'_>, f: impl Fn(f64) -> f64) -> Result<Vec<Val>, OpError> {
    let tensor = ctx.tensor(0)?;
    check_float(tensor.dtype())?;
    let mut values = tensor.to_f64_vec()?;
    values.iter_mut().for_each(|x| *x = f(*x));
    Ok(vec![rounded(&values, tensor.dtype(), tensor.dims())?.into()])
}

/// Asks a question of each element of input 0, a tensor of any numbers.
pub(crate) fn test_elements(
    ctx: &KernelCtx<'_>,
    question: impl Fn(f64) -> bool,
) -> Result<Vec<Val>, OpError> {
    let tensor = ctx.tensor(0)?;
    let answers = tensor.to_f64_vec()?.into_iter().map(question).collect();
    Ok(vec![Tensor::from_vec::<bool>(tensor.dims(), answers)?.into()])
}

/// Applies a function to each element: one for floats, one for integers.
pub(crate) fn map_numbers(
    tensor: &Tensor,
    float: impl Fn(f64) -> f64,
    int: impl Fn(i128) -> i128,
) -> Result<Vec<Val>, OpError> {
    let mut numbers = Numbers::of(tensor)?;
    match &mut numbers {
        Numbers::Floats(values) => values.iter_mut().for_each(|x| *x = float(*x)),
        Numbers::Ints(values) => values.iter_mut().for_each(|x| *x = int(*x)),
    }
    Ok(vec![numbers.to_tensor(tensor.dtype(), tensor.dims())?.into()])
}

/// The inputs 0 and 1 as views of the dimensions they broadcast to.
pub(crate) fn broadcast_pair(a: &Tensor, b: &Tensor) -> Result<(Tensor, Tensor), OpError> {
    let dims = common_dims(a.dims(), b.dims())?;
    Ok((a.broadcast_to(&dims)?, b.broadcast_to(&dims)?))
}

/// The dimensions that two lists broadcast to.
pub(crate) fn common_dims(a: &[usize], b: &[usize]) -> Result<Vec<usize>, OpError> {
    broadcast(a, b)
        .ok_or_else(|| OpError::Invalid(format!("dimensions {a:?} and {b:?} do not broadcast")))
}

/// Combines inputs 0 and 1 element by element: one function for floats, one for integers.
pub(crate) fn zip_numbers(
    ctx: &KernelCtx<'_>,
    float: impl Fn(f64, f64) -> f64,
    int: impl Fn(i128, i128) -> Result<i128, OpError>,
) -> Result<Vec<Val>, OpError> {
    let (a, b) = broadcast_pair(ctx.tensor(0)?, ctx.tensor(1)?)?;
    zip_pair(&a, &b, float, int)
}

/// Combines two tensors of the same dimensions element by element.
pub(crate) fn zip_pair(
    a: &Tensor,
    b: &Tensor,
    float: impl Fn(f64, f64) -> f64,
    int: impl Fn(i128, i128) -> Result<i128, OpError>,
) -> Result<Vec<Val>, OpError> {
    let combined = match Pair::of(a, b)? {
        Pair::Floats(mut xs, ys) => {
            xs.iter_mut().zip(ys).for_each(|(x, y)| *x = float(*x, y));
            Numbers::Floats(xs)
        }
        Pair::Ints(mut xs, ys) => {
            for (x, y) in xs.iter_mut().zip(ys) {
                *x = int(*x, y)?;
            }
            Numbers::Ints(xs)
        }
    };
    Ok(vec![combined.to_tensor(a.dtype(), a.dims())?.into()])
}

/// Combines inputs 0 and 1, integer tensors, element by element.
pub(crate) fn zip_ints(
    ctx: &KernelCtx<'_>,
    f: impl Fn(i128, i128) -> i128,
) -> Result<Vec<Val>, OpError> {
    let (a, b) = broadcast_pair(ctx.tensor(0)?, ctx.tensor(1)?)?;
    let Pair::Ints(mut xs, ys) = Pair::of(&a, &b)? else {
        return Err(unsupported_dtype(a.dtype()));
    };
    xs.iter_mut().zip(ys).for_each(|(x, y)| *x = f(*x, y));
    Ok(vec![Numbers::Ints(xs).to_tensor(a.dtype(), a.dims())?.into()])
}

/// Combines inputs 0 and 1, tensors of truth values, element by element.
pub(crate) fn zip_bools(
    ctx: &KernelCtx<'_>,
    f: impl Fn(bool, bool) -> bool,
) -> Result<Vec<Val>, OpError> {
    let (a, b) = broadcast_pair(ctx.tensor(0)?, ctx.tensor(1)?)?;
    let pairs = a.to_vec::<bool>()?.into_iter().zip(b.to_vec::<bool>()?);
    truths(&a, pairs.map(|(x, y)| f(x, y)).collect())
}

/// Compares inputs 0 and 1 element by element: one question for floats, one for integers.
pub(crate) fn compare_numbers(
    ctx: &KernelCtx<'_>,
    float: impl Fn(&f64, &f64) -> bool,
    int: impl Fn(&i128, &i128) -> bool,
) -> Result<Vec<Val>, OpError> {
    let (a, b) = broadcast_pair(ctx.tensor(0)?, ctx.tensor(1)?)?;
    let answers = match Pair::of(&a, &b)? {
        Pair::Floats(xs, ys) => xs.iter().zip(&ys).map(|(x, y)| float(x, y)).collect(),
        Pair::Ints(xs, ys) => xs.iter().zip(&ys).map(|(x, y)| int(x, y)).collect(),
    };
    truths(&a, answers)
}

/// Truth values of the dimensions of a tensor.
fn truths(like: &Tensor, values: Vec<bool>) -> Result<Vec<Val>, OpError> {
    Ok(vec![Tensor::from_vec::<bool>(like.dims(), values)?.into()])
}

/// Folds all inputs, broadcast to common dimensions, element by element in `f64` or `i128`; `finish`
/// is applied to the float results before they are rounded.
pub(crate) fn fold_numbers(
    ctx: &KernelCtx<'_>,
    float: impl Fn(f64, f64) -> f64,
    int: impl Fn(i128, i128) -> i128,
    finish: impl Fn(f64) -> f64,
) -> Result<Vec<Val>, OpError> {
    let tensors = ctx.tensors_from(0)?;
    let (first, others) =
        tensors.split_first().ok_or_else(|| OpError::invalid("expected at least one input"))?;
    let mut dims = first.dims().to_vec();
    for tensor in others {
        dims = common_dims(&dims, tensor.dims())?;
    }
    let mut folded = Numbers::of(&first.broadcast_to(&dims)?)?;
    for tensor in others {
        check_same(first.dtype(), tensor)?;
        let numbers = Numbers::of(&tensor.broadcast_to(&dims)?)?;
        if let (Numbers::Floats(sums), Numbers::Floats(values)) = (&mut folded, &numbers) {
            sums.iter_mut().zip(values).for_each(|(sum, x)| *sum = float(*sum, *x));
        }
        if let (Numbers::Ints(sums), Numbers::Ints(values)) = (&mut folded, &numbers) {
            sums.iter_mut().zip(values).for_each(|(sum, x)| *sum = int(*sum, *x));
        }
    }
    if let Numbers::Floats(sums) = &mut folded {
        sums.iter_mut().for_each(|sum| *sum = finish(*sum));
    }
    Ok(vec![folded.to_tensor(first.dtype(), &dims)?.into()])
}
