//! Trilu: keeps the upper or the lower triangle of the last two axes and zeroes the rest.

use remuda_ir::{
    AttrDef, AttrKind, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};
use remuda_tensor::{Element, Tensor, dispatch_numeric_or_bool};

use crate::support::elementwise::same_as_first;
use crate::support::scalar_i64;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Trilu",
    since: 14,
    upgrades: &[],
    inputs: &[
        InputDef::new("input", Types::NUMBERS.or(Types::BOOL)),
        InputDef::optional("k", Types::I64).tied(""),
    ],
    outputs: &[OutputDef::new("output")],
    attrs: &[AttrDef::new("upper", AttrKind::Int)],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer: same_as_first,
    reference,
    cases: include_str!("trilu.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let input = ctx.tensor(0)?;
    let k = ctx.opt_tensor(1)?.map_or(Ok(0), scalar_i64)?;
    let upper = ctx.attrs().bool_or("upper", true)?;
    dispatch_numeric_or_bool!(input.dtype(), T => triangle::<T>(input, k, upper),
        else Err(OpError::Unsupported(format!("`{}` elements", input.dtype()))))
}

fn triangle<T: Element>(input: &Tensor, k: i64, upper: bool) -> Result<Vec<Val>, OpError> {
    let &[.., rows, columns] = input.dims() else {
        return Err(OpError::Invalid(format!(
            "expected at least 2 dimensions, got {}",
            input.rank()
        )));
    };
    let mut values = input.to_vec::<T>()?;
    for (at, value) in values.iter_mut().enumerate() {
        let (row, column) = ((at / columns % rows) as i64, (at % columns) as i64);
        let above = column.saturating_sub(row) >= k;
        let on_diagonal = column.saturating_sub(row) == k;
        if !(above == upper || on_diagonal) {
            *value = T::default();
        }
    }
    Ok(vec![Tensor::from_vec(input.dims(), values)?.into()])
}
