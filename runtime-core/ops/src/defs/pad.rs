//! Pad: elements put in front of and behind each axis (or those that `axes` names), or taken away where
//! the pad is negative: a constant, the edge, the reflection, or the other end.

use remuda_ir::{
    AttrDef, AttrKind, Attrs, Draft, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError,
    OutputDef, Tolerance, Traits, Types, Upgrade, Val,
};
use remuda_tensor::{Dim, Tensor};

use crate::support::array::{offset_of, positions};
use crate::support::axes::{gather_flat, resolve_axis};
use crate::support::flat::{join_flat, one_zero};
use crate::support::upgrades::float_to_input;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Pad",
    since: 1,
    upgrades: &[Upgrade { below: 11, apply: pads_to_inputs }],
    inputs: &[
        InputDef::new("data", Types::ANY),
        InputDef::new("pads", Types::I64).tied(""),
        InputDef::optional("constant_value", Types::ANY),
        InputDef::optional("axes", Types::INDEX).tied(""),
    ],
    outputs: &[OutputDef::new("output")],
    attrs: &[AttrDef::new("mode", AttrKind::Text)],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("pad.cases"),
};

/// Pads in front of and behind each axis.
fn pairs(rank: usize, pads: &[Dim], axes: Option<Vec<i64>>) -> Result<Vec<(Dim, Dim)>, OpError> {
    let axes = axes.unwrap_or_else(|| (0..rank as i64).collect());
    if pads.len() != 2 * axes.len() {
        return Err(OpError::Invalid(format!(
            "`pads` holds {} numbers, expected {}",
            pads.len(),
            2 * axes.len()
        )));
    }
    let mut pairs = vec![(Dim::Known(0), Dim::Known(0)); rank];
    for (at, &axis) in axes.iter().enumerate() {
        pairs[resolve_axis(axis, rank)?] = (pads[at].clone(), pads[at + axes.len()].clone());
    }
    Ok(pairs)
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = ctx.dtype(0)?;
    let Some(dims) = ctx.dims(0)? else { return Ok(vec![Inferred::maybe(dtype, None)]) };
    let axes = if ctx.has(3) { ctx.ints(3) } else { Some((0..dims.len() as i64).collect()) };
    let (Some(pads), Some(axes)) = (ctx.content(1), axes) else {
        return Ok(vec![Inferred::maybe(dtype, Some(vec![Dim::Unknown; dims.len()]))]);
    };
    let pairs = pairs(dims.len(), &pads, Some(axes))?;
    let padded = dims.iter().zip(&pairs).map(|(dim, (front, back))| dim.add(front).add(back));
    Ok(vec![Inferred::tensor(dtype, padded)])
}

/// How places outside the axis are filled.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Constant,
    Edge,
    Reflect,
    Wrap,
}

fn mode(attrs: &Attrs) -> Result<Mode, OpError> {
    match attrs.text_or("mode", "constant")? {
        "constant" => Ok(Mode::Constant),
        "edge" => Ok(Mode::Edge),
        "reflect" => Ok(Mode::Reflect),
        "wrap" => Ok(Mode::Wrap),
        other => {
            let text = format!(
                "attribute `mode` expected `constant`, `edge`, `reflect` or `wrap`, got `{other}`"
            );
            Err(OpError::Invalid(text))
        }
    }
}

/// The place on an axis that a place outside it copies; `None` for the constant.
fn source(at: i128, size: i128, mode: Mode) -> Option<usize> {
    let inside = (0..size).contains(&at);
    let place = match mode {
        _ if inside => at,
        Mode::Constant => return None,
        _ if size == 0 => return None,
        Mode::Edge => at.clamp(0, size - 1),
        Mode::Wrap => at.rem_euclid(size),
        Mode::Reflect if size == 1 => 0,
        Mode::Reflect => {
            let period = 2 * (size - 1);
            let at = at.rem_euclid(period);
            at.min(period - at)
        }
    };
    usize::try_from(place).ok()
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let x = ctx.tensor(0)?;
    let mode = mode(ctx.attrs())?;
    let pads: Vec<Dim> = ctx.ints(1)?.into_iter().map(Dim::Known).collect();
    let pairs = pairs(x.rank(), &pads, ctx.opt_ints(3)?)?;
    let fill = match ctx.opt_tensor(2)? {
        Some(fill) if fill.len() == 1 => fill.reshape([1])?,
        Some(fill) => {
            return Err(OpError::Invalid(format!(
                "`constant_value` holds {} elements, expected one",
                fill.len()
            )));
        }
        None => one_zero(x.dtype())?,
    };
    let mut dims = Vec::with_capacity(x.rank());
    let mut fronts = Vec::with_capacity(x.rank());
    for (axis, (front, back)) in pairs.iter().enumerate() {
        let whole = Dim::from(x.dims()[axis]).add(front).add(back);
        let size =
            whole.as_i64().ok_or_else(|| OpError::invalid("the padded dimensions overflow"))?;
        let size = usize::try_from(size).map_err(|_| {
            OpError::Invalid(format!(
                "`pads` takes more from axis {axis} than its {} elements",
                x.dims()[axis]
            ))
        })?;
        if mode != Mode::Constant && x.dims()[axis] == 0 && size > 0 {
            return Err(OpError::Invalid(format!(
                "axis {axis} is empty: there is nothing to pad with"
            )));
        }
        dims.push(size);
        fronts.push(i128::from(front.as_i64().unwrap_or(0)));
    }
    Tensor::zeros(x.dtype(), dims.clone())?;
    let places: Vec<Vec<Option<usize>>> = dims
        .iter()
        .zip(&fronts)
        .zip(x.dims())
        .map(|((&size, front), &from)| {
            (0..size).map(|at| source(at as i128 - front, from as i128, mode)).collect()
        })
        .collect();
    let constant = x.len();
    let pick = |position: Vec<usize>| {
        let from = position
            .iter()
            .zip(&places)
            .map(|(&at, places)| places[at])
            .collect::<Option<Vec<_>>>();
        from.map_or(constant, |from| offset_of(&from, x.dims()))
    };
    let all = join_flat(&[x, &fill])?;
    Ok(vec![gather_flat(&all, dims.clone(), positions(&dims).map(pick))?.into()])
}

/// Before opset 11, pads and the constant were attributes; before opset 2, the pads had another name.
fn pads_to_inputs(draft: &mut Draft<'_>) -> Result<(), OpError> {
    if let Some(pads) = draft.node.attrs.take("paddings") {
        draft.node.attrs.set("pads", pads);
    }
    draft.ints_to_input("pads", 1)?;
    float_to_input(draft, "value", 2)
}
