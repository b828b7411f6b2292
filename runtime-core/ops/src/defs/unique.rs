//! `Unique`: the different elements of a tensor, or the different slices along an axis, with where each
//! was found first, which of them each place holds, and how often each occurs. All NaNs count as one.

use std::collections::BTreeMap;

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::{DType, Dim, Tensor, dispatch_int};

use crate::support::axes::{resolve_axis, select};
use crate::support::numbers::Wrapping;
use crate::support::unsupported_dtype;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Unique",
    since: 11,
    upgrades: &[],
    inputs: &[InputDef::new("x", Types::NUMBERS.or(Types::BOOL).or(Types::STRING))],
    outputs: &[
        OutputDef::new("y"),
        OutputDef::optional("indices"),
        OutputDef::optional("inverse_indices"),
        OutputDef::optional("counts"),
    ],
    attrs: &[AttrDef::new("axis", AttrKind::Int), AttrDef::new("sorted", AttrKind::Int)],
    traits: Traits::DATA_DEPENDENT,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("unique.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dims = ctx.dims(0)?;
    let (values, places) = match ctx.attrs().int("axis")? {
        None => {
            let product = |dims: &[Dim]| dims.iter().fold(Dim::Known(1), |all, dim| all.mul(dim));
            (Some(vec![Dim::Unknown]), dims.map_or(Dim::Unknown, product))
        }
        Some(axis) => match dims {
            None => (None, Dim::Unknown),
            Some(dims) => {
                let axis = resolve_axis(axis, dims.len())?;
                let mut values = dims.to_vec();
                let places = std::mem::replace(&mut values[axis], Dim::Unknown);
                (Some(values), places)
            }
        },
    };
    let list = |dim: Dim| Inferred::tensor(DType::I64, [dim]);
    Ok(vec![
        Inferred::maybe(ctx.dtype(0)?, values),
        list(Dim::Unknown),
        list(places),
        list(Dim::Unknown),
    ])
}

/// For each element a number, equal for equal elements and rising with them.
fn order_keys(x: &Tensor) -> Result<Vec<i128>, OpError> {
    match x.dtype() {
        DType::String => {
            let texts = x.texts();
            let mut sorted = texts.clone();
            sorted.sort_unstable();
            sorted.dedup();
            Ok(texts
                .iter()
                .map(|text| sorted.partition_point(|other| other < text) as i128)
                .collect())
        }
        DType::Bool => Ok(x.to_vec::<bool>()?.into_iter().map(i128::from).collect()),
        dtype if dtype.is_float() => Ok(x.to_f64_vec()?.into_iter().map(float_key).collect()),
        dtype => dispatch_int!(dtype, T => {
            Ok(x.to_vec::<T>()?.into_iter().map(Wrapping::widen).collect())
        }, else Err(unsupported_dtype(dtype))),
    }
}

fn float_key(value: f64) -> i128 {
    if value.is_nan() {
        return i128::MAX;
    }
    let magnitude = i128::from(value.abs().to_bits());
    if value < 0.0 { -magnitude } else { magnitude }
}

/// One of the different slices.
struct Found {
    first: usize,
    count: i64,
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let x = ctx.tensor(0)?.contiguous();
    let sorted = ctx.attrs().bool_or("sorted", true)?;
    let (x, axis) = match ctx.attrs().int("axis")? {
        None => (x.reshape([x.len()])?, 0),
        Some(axis) => {
            let axis = resolve_axis(axis, x.rank())?;
            (x, axis)
        }
    };
    let slices = slices(&x, axis)?;
    let mut found: BTreeMap<&[i128], Found> = BTreeMap::new();
    for (place, slice) in slices.iter().enumerate() {
        found.entry(slice).or_insert(Found { first: place, count: 0 }).count += 1;
    }
    let mut order: Vec<(&[i128], Found)> = found.into_iter().collect();
    if !sorted {
        order.sort_by_key(|(_, found)| found.first);
    }
    let ranks: BTreeMap<&[i128], i64> =
        order.iter().enumerate().map(|(rank, (slice, _))| (*slice, rank as i64)).collect();
    let inverse = slices.iter().map(|slice| ranks[slice.as_slice()]).collect();
    let firsts: Vec<usize> = order.iter().map(|(_, found)| found.first).collect();
    Ok(vec![
        select(&x, axis, &firsts)?.into(),
        Tensor::vector::<i64>(firsts.iter().map(|&first| first as i64).collect()).into(),
        Tensor::vector::<i64>(inverse).into(),
        Tensor::vector::<i64>(order.iter().map(|(_, found)| found.count).collect()).into(),
    ])
}

/// The order keys of each slice along an axis.
fn slices(x: &Tensor, axis: usize) -> Result<Vec<Vec<i128>>, OpError> {
    let keys = order_keys(x)?;
    let (count, inner) = (x.dims()[axis], x.dims()[axis + 1..].iter().product::<usize>());
    if keys.is_empty() {
        if count > MAX_EMPTY {
            return Err(OpError::Unsupported(format!("{count} slices without elements")));
        }
        return Ok(vec![Vec::new(); count]);
    }
    let mut slices = vec![Vec::with_capacity(keys.len() / count.max(1)); count];
    for (at, key) in keys.into_iter().enumerate() {
        slices[at / inner % count].push(key);
    }
    Ok(slices)
}

/// Slices without elements cost no memory in the tensor, so that their number may be anything.
const MAX_EMPTY: usize = 1 << 20;
