//! `AffineGrid`: the coordinates that an affine map gives to the places of an image or volume, from -1 to 1.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::Dim;

use crate::support::array::{Array, positions};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "AffineGrid",
    since: 20,
    upgrades: &[],
    inputs: &[InputDef::new("theta", Types::FLOATS), InputDef::new("size", Types::I64).tied("")],
    outputs: &[OutputDef::new("grid")],
    attrs: &[AttrDef::new("align_corners", AttrKind::Int)],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer,
    reference,
    cases: include_str!("affine_grid.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = ctx.dtype(0)?;
    let Some(size) = ctx.content(1) else { return Ok(vec![Inferred::maybe(dtype, None)]) };
    if size.len() != 4 && size.len() != 5 {
        return Err(OpError::Invalid(format!(
            "`size` expected 4 or 5 elements, got {}",
            size.len()
        )));
    }
    let space = size[2..].iter().cloned();
    let last = Dim::from(size.len() - 2);
    Ok(vec![Inferred::tensor(dtype, [size[0].clone()].into_iter().chain(space).chain([last]))])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let theta = Array::of(ctx.tensor(0)?)?;
    let size: Option<Vec<usize>> =
        ctx.ints(1)?.iter().map(|&size| usize::try_from(size).ok()).collect();
    let size = size
        .filter(|size| size.len() == 4 || size.len() == 5)
        .ok_or_else(|| OpError::invalid("`size` expected 4 or 5 sizes"))?;
    let (batch, space) = (size[0], &size[2..]);
    let axes = space.len();
    if theta.dims != [batch, axes, axes + 1] {
        let (want, got) = ([batch, axes, axes + 1], &theta.dims);
        return Err(OpError::Invalid(format!("`theta` expected {want:?}, got {got:?}")));
    }
    let corners = ctx.attrs().bool_or("align_corners", false)?;
    let coordinate = |at: usize, size: usize| match (corners, size) {
        (true, 1) => 0.0,
        (true, _) => 2.0 * at as f64 / (size - 1) as f64 - 1.0,
        (false, _) => (2.0 * at as f64 + 1.0) / size as f64 - 1.0,
    };
    let dims: Vec<usize> = [batch].into_iter().chain(space.iter().copied()).chain([axes]).collect();
    let mut grid = Array::filled(dims, 0.0)?;
    let rows: Vec<usize> = grid.dims[..=axes].to_vec();
    for (out, place) in grid.values.chunks_mut(axes).zip(positions(&rows)) {
        // The fastest axis of the image comes first in the coordinates.
        let mut point: Vec<f64> =
            (0..axes).rev().map(|axis| coordinate(place[axis + 1], space[axis])).collect();
        point.push(1.0);
        let theta = &theta.values[place[0] * axes * (axes + 1)..];
        for (out, row) in out.iter_mut().zip(theta.chunks(axes + 1)) {
            *out = row.iter().zip(&point).map(|(a, b)| a * b).sum();
        }
    }
    Ok(vec![grid.to_floats(ctx.tensor(0)?.dtype())?.into()])
}
