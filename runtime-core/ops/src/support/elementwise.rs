//! Elementwise operators: shape rules, and kernels over floats (in `f64`) and integers (in `i128`).
//!
//! Computing in a wider type and rounding once is what makes these the oracle; integers wrap to
//! their width as ONNX's own reference does.

use remuda_ir::{Attrs, Draft, InferCtx, Inferred, KernelCtx, OpError, OpName, Val};
use remuda_tensor::dim::DisplayDims;
use remuda_tensor::index::broadcast;
use remuda_tensor::{DType, Dim, Element, Tensor, dispatch_float};

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

/// Integers by their values; wraps back to the width of the dtype.
pub(crate) trait Wrapping: Element {
    fn widen(self) -> i128;
    fn wrap(value: i128) -> Self;
}

macro_rules! wrapping {
    ($($rust:ty),*) => {$(
        impl Wrapping for $rust {
            fn widen(self) -> i128 {
                i128::from(self)
            }
            fn wrap(value: i128) -> Self {
                value as $rust
            }
        }
    )*};
}

wrapping!(i8, i16, i32, i64, u8, u16, u32, u64);

/// Runs `$float` for a float dtype and `$int` for an integer dtype, with the element type bound.
macro_rules! by_kind {
    ($dtype:expr, $T:ident, float => $float:expr, int => $int:expr) => {
        by_kind!(@ $dtype, $T, $float, $int,
            [F32 f32, F64 f64, F16 remuda_tensor::f16, BF16 remuda_tensor::bf16],
            [I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64])
    };
    (@ $dtype:expr, $T:ident, $float:expr, $int:expr, [$($fv:ident $ft:ty),*], [$($iv:ident $it:ty),*]) => {
        match $dtype {
            $(remuda_tensor::DType::$fv => { type $T = $ft; $float })*
            $(remuda_tensor::DType::$iv => { type $T = $it; $int })*
            other => Err($crate::support::unsupported_dtype(other)),
        }
    };
}

pub(crate) use by_kind;

/// Applies a function to each element of input 0, a float tensor, in `f64`.
pub(crate) fn map_floats(ctx: &KernelCtx<'_>, f: impl Fn(f64) -> f64) -> Result<Vec<Val>, OpError> {
    let tensor = ctx.tensor(0)?;
    dispatch_float!(tensor.dtype(), T => map_with::<T>(tensor, |x| T::from_f64(f(x.to_f64()))),
        else Err(unsupported_dtype(tensor.dtype())))
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
    by_kind!(tensor.dtype(), T,
        float => map_with::<T>(tensor, |x| T::from_f64(float(x.to_f64()))),
        int => map_with::<T>(tensor, |x| T::wrap(int(x.widen()))))
}

pub(crate) fn map_with<T: Element>(
    tensor: &Tensor,
    f: impl Fn(T) -> T,
) -> Result<Vec<Val>, OpError> {
    let values = tensor.to_vec::<T>()?.into_iter().map(f).collect();
    Ok(vec![Tensor::from_vec::<T>(tensor.dims(), values)?.into()])
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
    by_kind!(a.dtype(), T,
        float => zip_with::<T, T>(&a, &b, |x, y| Ok(T::from_f64(float(x.to_f64(), y.to_f64())))),
        int => zip_with::<T, T>(&a, &b, |x, y| Ok(T::wrap(int(x.widen(), y.widen())?))))
}

/// Combines inputs 0 and 1, integer tensors, element by element.
pub(crate) fn zip_ints(
    ctx: &KernelCtx<'_>,
    f: impl Fn(i128, i128) -> i128,
) -> Result<Vec<Val>, OpError> {
    let (a, b) = broadcast_pair(ctx.tensor(0)?, ctx.tensor(1)?)?;
    by_kind!(a.dtype(), T,
        float => Err(unsupported_dtype(T::DTYPE)),
        int => zip_with::<T, T>(&a, &b, |x, y| Ok(T::wrap(f(x.widen(), y.widen())))))
}

/// Combines inputs 0 and 1, tensors of truth values, element by element.
pub(crate) fn zip_bools(
    ctx: &KernelCtx<'_>,
    f: impl Fn(bool, bool) -> bool,
) -> Result<Vec<Val>, OpError> {
    let (a, b) = broadcast_pair(ctx.tensor(0)?, ctx.tensor(1)?)?;
    zip_with::<bool, bool>(&a, &b, |x, y| Ok(f(x, y)))
}

/// Compares inputs 0 and 1 element by element: one question for floats, one for integers.
pub(crate) fn compare_numbers(
    ctx: &KernelCtx<'_>,
    float: impl Fn(&f64, &f64) -> bool,
    int: impl Fn(&i128, &i128) -> bool,
) -> Result<Vec<Val>, OpError> {
    let (a, b) = broadcast_pair(ctx.tensor(0)?, ctx.tensor(1)?)?;
    by_kind!(a.dtype(), T,
        float => zip_with::<T, bool>(&a, &b, |x, y| Ok(float(&x.to_f64(), &y.to_f64()))),
        int => zip_with::<T, bool>(&a, &b, |x, y| Ok(int(&x.widen(), &y.widen()))))
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
    let first = tensors.first().ok_or_else(|| OpError::invalid("expected at least one input"))?;
    let mut dims = first.dims().to_vec();
    for tensor in &tensors[1..] {
        dims = common_dims(&dims, tensor.dims())?;
    }
    let wide: Vec<Tensor> =
        tensors.iter().map(|tensor| tensor.broadcast_to(&dims)).collect::<Result<_, _>>()?;
    by_kind!(first.dtype(), T,
    float => {
        let sums = fold_columns::<T, f64>(&wide, T::to_f64, float)?;
        let values = sums.into_iter().map(|sum| T::from_f64(finish(sum))).collect();
        Ok(vec![Tensor::from_vec::<T>(dims, values)?.into()])
    },
    int => {
        let sums = fold_columns::<T, i128>(&wide, T::widen, int)?;
        let values = sums.into_iter().map(T::wrap).collect();
        Ok(vec![Tensor::from_vec::<T>(dims, values)?.into()])
    })
}

fn fold_columns<T: Element, W: Copy>(
    tensors: &[Tensor],
    widen: impl Fn(T) -> W,
    fold: impl Fn(W, W) -> W,
) -> Result<Vec<W>, OpError> {
    let mut folded: Vec<W> = Vec::new();
    for (at, tensor) in tensors.iter().enumerate() {
        let values = tensor.to_vec::<T>()?;
        if at == 0 {
            folded = values.into_iter().map(&widen).collect();
        } else {
            folded.iter_mut().zip(values).for_each(|(sum, x)| *sum = fold(*sum, widen(x)));
        }
    }
    Ok(folded)
}

/// Combines two tensors of the same dimensions element by element.
pub(crate) fn zip_with<T: Element, R: Element>(
    a: &Tensor,
    b: &Tensor,
    f: impl Fn(T, T) -> Result<R, OpError>,
) -> Result<Vec<Val>, OpError> {
    let (xs, ys) = (a.to_vec::<T>()?, b.to_vec::<T>()?);
    let values = xs.into_iter().zip(ys).map(|(x, y)| f(x, y)).collect::<Result<_, _>>()?;
    Ok(vec![Tensor::from_vec::<R>(a.dims(), values)?.into()])
}
