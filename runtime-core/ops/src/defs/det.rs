//! `Det`: the determinant of each matrix, by elimination with the greatest pivot of each column.

use remuda_ir::{
    InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};
use remuda_tensor::Dim;
use remuda_tensor::dim::DisplayDims;

use crate::support::array::{Array, element_count};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Det",
    since: 11,
    upgrades: &[],
    inputs: &[InputDef::new("x", Types::FLOATS)],
    outputs: &[OutputDef::new("y")],
    attrs: &[],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(4.0),
    infer,
    reference,
    cases: include_str!("det.cases"),
};

/// The dimensions in front of square matrices.
fn batch(dims: &[Dim]) -> Result<&[Dim], OpError> {
    match dims {
        [batch @ .., rows, columns] if !rows.differs(columns) => Ok(batch),
        _ => {
            let got = DisplayDims(dims);
            Err(OpError::Invalid(format!("expected square matrices, got dimensions {got}")))
        }
    }
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dims = ctx.dims(0)?.map(batch).transpose()?;
    Ok(vec![Inferred::maybe(ctx.dtype(0)?, dims.map(<[Dim]>::to_vec))])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let mut x = Array::of(ctx.tensor(0)?)?;
    let symbolic: Vec<Dim> = x.dims.iter().map(|&dim| dim.into()).collect();
    let dims = x.dims[..batch(&symbolic)?.len()].to_vec();
    let size = x.dims[dims.len()];
    let values = if size == 0 {
        vec![1.0; element_count(&dims)?]
    } else {
        x.values.chunks_exact_mut(size * size).map(|matrix| determinant(matrix, size)).collect()
    };
    Ok(vec![Array { dims, values }.to_floats(ctx.tensor(0)?.dtype())?.into()])
}

fn determinant(matrix: &mut [f64], size: usize) -> f64 {
    let mut product = 1.0;
    for column in 0..size {
        let better = |best: usize, row: usize| {
            let size_of = |row: usize| matrix[row * size + column].abs();
            if size_of(row) > size_of(best) { row } else { best }
        };
        let pivot = (column + 1..size).fold(column, better);
        if pivot != column {
            (0..size).for_each(|at| matrix.swap(pivot * size + at, column * size + at));
            product = -product;
        }
        let head = matrix[column * size + column];
        product *= head;
        if head == 0.0 {
            return product;
        }
        for row in column + 1..size {
            let factor = matrix[row * size + column] / head;
            for at in column..size {
                matrix[row * size + at] -= factor * matrix[column * size + at];
            }
        }
    }
    product
}
