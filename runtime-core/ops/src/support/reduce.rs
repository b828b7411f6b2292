//! Reductions: many elements along some axes become one.

use remuda_ir::{Draft, InferCtx, Inferred, InputDef, KernelCtx, OpError, Types, Val};
use remuda_tensor::{DType, Dim, Tensor};

use super::array::element_count;
use super::axes::resolve_axis;
use super::contents::{checked, flat_content};
use super::numbers::Numbers;

/// What most reductions take.
pub(crate) const REDUCIBLE: Types =
    Types::FLOATS.or(Types::INDEX).or(Types::one(DType::U32)).or(Types::one(DType::U64));

/// The inputs of a reduction over elements of these dtypes.
pub(crate) const fn inputs(types: Types) -> [InputDef; 2] {
    [InputDef::new("data", types), InputDef::optional("axes", Types::I64).tied("")]
}

/// The axes were an attribute before they became an input.
pub(crate) fn axes_to_input(draft: &mut Draft<'_>) -> Result<(), OpError> {
    draft.ints_to_input("axes", 1)
}

/// Which axes are reduced: those that are given, or all, or with `noop_with_empty_axes` none.
fn reduced_axes(given: &[i64], rank: usize, noop: bool) -> Result<Vec<bool>, OpError> {
    let mut reduced = vec![given.is_empty() && !noop; rank];
    for &axis in given {
        let at = resolve_axis(axis, rank)?;
        if std::mem::replace(&mut reduced[at], true) {
            return Err(OpError::Invalid(format!("axis {axis} is reduced twice")));
        }
    }
    Ok(reduced)
}

/// The dimensions that are left.
fn left<D: Clone>(dims: &[D], reduced: &[bool], one: &D, keep: bool) -> Vec<D> {
    let pairs = dims.iter().zip(reduced);
    pairs
        .filter(|(_, reduced)| keep || !**reduced)
        .map(|(dim, reduced)| if *reduced { one.clone() } else { dim.clone() })
        .collect()
}

/// The shape rule of a reduction.
pub(crate) fn reduced_types(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let keep = ctx.attrs().bool_or("keepdims", true)?;
    let noop = ctx.attrs().bool_or("noop_with_empty_axes", false)?;
    let dtype = ctx.dtype(0)?;
    let Some(dims) = ctx.dims(0)? else { return Ok(vec![Inferred::maybe(dtype, None)]) };
    let given = if ctx.has(1) { ctx.ints(1) } else { Some(Vec::new()) };
    if let Some(given) = given {
        let reduced = reduced_axes(&given, dims.len(), noop)?;
        return Ok(vec![Inferred::tensor(dtype, left(dims, &reduced, &Dim::Known(1), keep))]);
    }
    let count = match ctx.dims(1)? {
        Some([count]) => count.as_usize().filter(|&count| count > 0),
        _ => None,
    };
    let rank = if keep { Some(dims.len()) } else { count.and_then(|k| dims.len().checked_sub(k)) };
    Ok(vec![Inferred::maybe(dtype, rank.map(|rank| vec![Dim::Unknown; rank]))])
}

/// As [`reduced_types`]; a list of whole numbers of a shape computation is folded by `f`.
pub(crate) fn reduced_with_content(
    ctx: &InferCtx<'_>,
    f: impl Fn(&Dim, &Dim) -> Dim,
) -> Result<Vec<Inferred>, OpError> {
    let mut inferred = reduced_types(ctx)?;
    let noop = ctx.attrs().bool_or("noop_with_empty_axes", false)?;
    let is_list = ctx.dims(0)?.is_some_and(|dims| dims.len() == 1);
    let over_all =
        if ctx.has(1) { ctx.ints(1).is_some_and(|axes| !axes.is_empty()) } else { !noop };
    if let Some(first) = inferred.pop() {
        let content = flat_content(ctx, 0).filter(|_| is_list && over_all);
        let folded = content.and_then(|list| list.into_iter().reduce(|a, b| f(&a, &b)));
        let content = folded.and_then(|one| checked(&first.ty, vec![one]));
        inferred.push(first.with_content(content));
    }
    Ok(inferred)
}

/// Reduces each group of elements: floats in `f64`, integers in `i128`.
pub(crate) fn reduce(
    ctx: &KernelCtx<'_>,
    float: impl Fn(&[f64]) -> f64,
    int: impl Fn(&[i128]) -> Result<i128, OpError>,
) -> Result<Vec<Val>, OpError> {
    let groups = Groups::of(ctx)?;
    let reduced = match Numbers::of(&groups.data)? {
        Numbers::Floats(values) => Numbers::Floats(groups.each(&values, |group| Ok(float(group)))?),
        Numbers::Ints(values) => Numbers::Ints(groups.each(&values, int)?),
    };
    Ok(vec![reduced.to_tensor(groups.dtype(), &groups.dims)?.into()])
}

/// A function of floats of whole numbers, without its fraction.
pub(crate) fn whole(float: impl Fn(&[f64]) -> f64, group: &[i128]) -> i128 {
    let values: Vec<f64> = group.iter().map(|&x| x as f64).collect();
    float(&values) as i128
}

/// The elements of input 0, those of each group together.
pub(crate) struct Groups {
    /// The reduced axes are last, and its elements lie together.
    data: Tensor,
    /// Elements of a group.
    size: usize,
    /// Dimensions of the result.
    dims: Vec<usize>,
}

impl Groups {
    /// The groups that attributes and input 1 ask for.
    pub(crate) fn of(ctx: &KernelCtx<'_>) -> Result<Self, OpError> {
        let keep = ctx.attrs().bool_or("keepdims", true)?;
        let noop = ctx.attrs().bool_or("noop_with_empty_axes", false)?;
        let data = ctx.tensor(0)?;
        let given = ctx.opt_ints(1)?.unwrap_or_default();
        let reduced = reduced_axes(&given, data.rank(), noop)?;
        Self::over(data, &reduced, keep)
    }

    /// The groups along one axis, with `keepdims` as the attribute says.
    pub(crate) fn along(ctx: &KernelCtx<'_>, axis: i64) -> Result<Self, OpError> {
        let data = ctx.tensor(0)?;
        let reduced = reduced_axes(&[axis], data.rank(), false)?;
        Self::over(data, &reduced, ctx.attrs().bool_or("keepdims", true)?)
    }

    fn over(data: &Tensor, reduced: &[bool], keep: bool) -> Result<Self, OpError> {
        let (inner, outer): (Vec<usize>, Vec<usize>) =
            (0..data.rank()).partition(|&axis| reduced[axis]);
        let size = inner.iter().map(|&axis| data.dims()[axis]).product();
        let order: Vec<usize> = outer.into_iter().chain(inner).collect();
        let dims = left(data.dims(), reduced, &1, keep);
        Ok(Self { data: data.permute(&order)?, size, dims })
    }

    /// The elements' dtype.
    pub(crate) fn dtype(&self) -> DType {
        self.data.dtype()
    }

    /// One truth value for each group of truth values.
    pub(crate) fn truths(&self, f: impl Fn(&[bool]) -> bool) -> Result<Vec<Val>, OpError> {
        let answers = self.each(&self.data.to_vec::<bool>()?, |group| Ok(f(group)))?;
        Ok(vec![Tensor::from_vec::<bool>(&self.dims[..], answers)?.into()])
    }

    /// What `f` makes of each group of the elements.
    fn each<W, R>(
        &self,
        values: &[W],
        f: impl Fn(&[W]) -> Result<R, OpError>,
    ) -> Result<Vec<R>, OpError> {
        // Checks that there is memory for the results even where groups are empty.
        let count = element_count(&self.dims)?;
        (0..count).map(|at| f(&values[at * self.size..(at + 1) * self.size])).collect()
    }
}

/// The shape rule of `ArgMax` and `ArgMin`.
pub(crate) fn arg_types(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let keep = ctx.attrs().bool_or("keepdims", true)?;
    let Some(dims) = ctx.dims(0)? else { return Ok(vec![Inferred::maybe(DType::I64, None)]) };
    let reduced = reduced_axes(&[ctx.attrs().int_or("axis", 0)?], dims.len(), false)?;
    Ok(vec![Inferred::tensor(DType::I64, left(dims, &reduced, &Dim::Known(1), keep))])
}

/// The place of the element of each group that beats all others. NaN beats everything.
pub(crate) fn arg_best(
    ctx: &KernelCtx<'_>,
    float: impl Fn(&f64, &f64) -> bool,
    int: impl Fn(&i128, &i128) -> bool,
) -> Result<Vec<Val>, OpError> {
    let last = ctx.attrs().bool_or("select_last_index", false)?;
    let groups = Groups::along(ctx, ctx.attrs().int_or("axis", 0)?)?;
    let beats = |a: &f64, b: &f64| float(a, b) && !b.is_nan() || a.is_nan() && !b.is_nan();
    let places = match Numbers::of(&groups.data)? {
        Numbers::Floats(values) => groups.each(&values, |group| best_place(group, last, beats))?,
        Numbers::Ints(values) => groups.each(&values, |group| best_place(group, last, &int))?,
    };
    Ok(vec![Tensor::from_vec::<i64>(&groups.dims[..], places)?.into()])
}

fn best_place<W>(group: &[W], last: bool, beats: impl Fn(&W, &W) -> bool) -> Result<i64, OpError> {
    let mut best = 0;
    if group.is_empty() {
        return Err(OpError::invalid("the axis has no element"));
    }
    for at in 1..group.len() {
        if beats(&group[at], &group[best]) || (last && !beats(&group[best], &group[at])) {
            best = at;
        }
    }
    Ok(best as i64)
}

/// Turns a line into its running combinations.
pub(crate) fn running<W: Copy>(
    line: &mut [W],
    start: W,
    exclusive: bool,
    reverse: bool,
    combine: impl Fn(W, W) -> W,
) {
    let mut total = start;
    let count = line.len();
    for step in 0..count {
        let at = if reverse { count - 1 - step } else { step };
        let with = combine(total, line[at]);
        line[at] = if exclusive { total } else { with };
        total = with;
    }
}

/// The least integer of a dtype.
pub(crate) fn least_int(dtype: DType) -> i128 {
    if dtype.is_signed_int() { -1 << (dtype.bits() - 1) } else { 0 }
}

/// The greatest integer of a dtype.
pub(crate) fn greatest_int(dtype: DType) -> i128 {
    let bits = dtype.bits() - usize::from(dtype.is_signed_int());
    (1 << bits) - 1
}
