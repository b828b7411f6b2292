//! `Inverse`: the inverse of each matrix, by elimination with the greatest pivot of each column.

use remuda_ir::{InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types, Val};

use crate::support::array::Array;
use crate::support::elementwise::same_as_first;

pub(crate) static OP: OpDef = OpDef {
    domain: "com.microsoft",
    name: "Inverse",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new("x", Types::FLOATS)],
    outputs: &[OutputDef::new("y")],
    attrs: &[],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(16.0),
    infer: same_as_first,
    reference,
    cases: include_str!("inverse.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let mut x = Array::of(ctx.tensor(0)?)?;
    let size = match x.dims[..] {
        [.., rows, columns] if rows == columns => rows,
        _ => return Err(OpError::Invalid(format!("expected square matrices, got {:?}", x.dims))),
    };
    for matrix in x.values.chunks_exact_mut((size * size).max(1)) {
        invert(matrix, size);
    }
    Ok(vec![x.to_floats(ctx.tensor(0)?.dtype())?.into()])
}

/// Turns a matrix into the unit matrix and the unit matrix into its inverse, by the same steps. A matrix
/// without an inverse becomes infinities and `NaN`.
fn invert(matrix: &mut [f64], size: usize) {
    let mut inverse: Vec<f64> =
        (0..size * size).map(|at| f64::from(u8::from(at / size == at % size))).collect();
    for column in 0..size {
        let size_of = |row: usize| matrix[row * size + column].abs();
        let better =
            |best: usize, row: usize| if size_of(row) > size_of(best) { row } else { best };
        let pivot = (column + 1..size).fold(column, better);
        let head = matrix[pivot * size + column];
        for side in [&mut *matrix, &mut inverse[..]] {
            for at in 0..size {
                side.swap(pivot * size + at, column * size + at);
                side[column * size + at] /= head;
            }
        }
        for row in (0..size).filter(|&row| row != column) {
            let factor = matrix[row * size + column];
            for side in [&mut *matrix, &mut inverse[..]] {
                for at in 0..size {
                    side[row * size + at] -= factor * side[column * size + at];
                }
            }
        }
    }
    matrix.copy_from_slice(&inverse);
}
