//! `Einsum`: the sum of products that an equation in Einstein's notation describes. Letters name axes, a
//! letter twice in one term is a diagonal, `...` are the axes that no letter names.

use remuda_ir::{
    AttrDef, AttrKind, Attrs, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::index::{Offsets, contiguous_strides};
use remuda_tensor::{Dim, Tensor};

use crate::support::array::{element_count, vec_of};
use crate::support::einsum::{Equation, Label};
use crate::support::numbers::{Numbers, check_same};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Einsum",
    since: 12,
    upgrades: &[],
    inputs: &[InputDef::variadic("inputs", Types::NUMBERS)],
    outputs: &[OutputDef::new("output")],
    attrs: &[AttrDef::required("equation", AttrKind::Text)],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer,
    reference,
    cases: include_str!("einsum.cases"),
};

fn equation(attrs: &Attrs) -> Result<Equation, OpError> {
    let text = attrs.text("equation")?;
    Equation::parse(text.ok_or_else(|| OpError::invalid("attribute `equation` is missing"))?)
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let equation = equation(ctx.attrs())?;
    let all = (0..ctx.input_count()).map(|at| Ok(ctx.dims(at)?.map(<[Dim]>::to_vec)));
    let dims = match all.collect::<Result<Option<Vec<_>>, OpError>>()? {
        None => None,
        Some(all) => {
            let sizes = equation.sizes(&all)?;
            Some(sizes.output.iter().map(|label| sizes.of(*label)).collect())
        }
    };
    Ok(vec![Inferred::maybe(ctx.dtype(0)?, dims)])
}

/// How the operands are walked: for each place of the output, every place of the summed axes.
struct Walk {
    dims: Vec<usize>,
    count: usize,
    summed: usize,
    /// Where each operand's elements lie; none if nothing is added.
    operands: Vec<Offsets>,
}

fn plan(equation: &Equation, inputs: &[&Tensor]) -> Result<Walk, OpError> {
    let symbolic = |tensor: &&Tensor| tensor.dims().iter().map(|&dim| dim.into()).collect();
    let all: Vec<Vec<Dim>> = inputs.iter().map(symbolic).collect();
    let sizes = equation.sizes(&all)?;
    let rank = sizes.output.len();
    let labels: Vec<Label> = sizes.output.iter().copied().chain(sizes.summed()).collect();
    let dims: Option<Vec<usize>> = labels.iter().map(|&label| sizes.of(label).as_usize()).collect();
    let dims = dims.ok_or_else(|| OpError::Bug("an axis without a size".into()))?;
    let (output, inner) = dims.split_at(rank);
    let count = element_count(output)?;
    let summed = inner.iter().try_fold(1usize, |all, &dim| all.checked_mul(dim));
    let summed = summed.filter(|summed| summed.checked_mul(count).is_some());
    let summed = summed.ok_or_else(|| {
        OpError::Unsupported(format!("a sum over {inner:?} places of {output:?}"))
    })?;
    let operand = |(axes, tensor): (&Vec<Label>, &&Tensor)| {
        let own = contiguous_strides(tensor.dims());
        let mut strides = vec![0; labels.len()];
        for (at, label) in axes.iter().enumerate().filter(|(at, _)| tensor.dims()[*at] != 1) {
            let slot = labels.iter().position(|other| other == label);
            slot.into_iter().for_each(|slot| strides[slot] += own[at]);
        }
        Offsets::new(&dims, &strides, 0)
    };
    let operands = sizes.operands.iter().zip(inputs).map(operand).collect();
    Ok(Walk { dims: output.to_vec(), count, summed, operands })
}

/// The sums of products of the operands' elements.
fn contract<W: Copy>(
    walk: &mut Walk,
    operands: &[Vec<W>],
    [zero, one]: [W; 2],
    multiply: impl Fn(W, W) -> W,
    add: impl Fn(W, W) -> W,
) -> Result<Vec<W>, OpError> {
    let mut out = vec_of(&walk.dims, zero)?;
    for sum in out.iter_mut().take(walk.count) {
        for _ in 0..walk.summed {
            let mut product = one;
            for (offsets, values) in walk.operands.iter_mut().zip(operands) {
                product = offsets.next().map_or(zero, |at| multiply(product, values[at]));
            }
            *sum = add(*sum, product);
        }
    }
    Ok(out)
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let inputs = ctx.tensors_from(0)?;
    let first = *inputs.first().ok_or_else(|| OpError::invalid("expected at least one input"))?;
    let mut walk = plan(&equation(ctx.attrs())?, &inputs)?;
    let (mut floats, mut ints) = (Vec::new(), Vec::new());
    for input in inputs {
        check_same(first.dtype(), input)?;
        match Numbers::of(input)? {
            Numbers::Floats(values) => floats.push(values),
            Numbers::Ints(values) => ints.push(values),
        }
    }
    let sums = if floats.is_empty() {
        Numbers::Ints(contract(&mut walk, &ints, [0, 1], i128::wrapping_mul, i128::wrapping_add)?)
    } else {
        Numbers::Floats(contract(&mut walk, &floats, [0.0, 1.0], |x, y| x * y, |x, y| x + y)?)
    };
    Ok(vec![sums.to_tensor(first.dtype(), &walk.dims)?.into()])
}
