//! DFT: the discrete Fourier transform along an axis. The last axis holds real numbers, or real and
//! imaginary parts. `onesided` leaves out what symmetry gives, or in the inverse puts it back.

use remuda_ir::{
    AttrDef, AttrKind, Attrs, Draft, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError,
    OutputDef, Tolerance, Traits, Types, Upgrade, Val,
};
use remuda_tensor::{Dim, Tensor};

use crate::support::array::{Array, element_count, positions};
use crate::support::axes::resolve_axis;
use crate::support::scalar_i64;
use crate::support::signal::{Complex, size_input, transform};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "DFT",
    since: 17,
    upgrades: &[Upgrade { below: 20, apply: upgrade }],
    inputs: &[
        InputDef::new("input", Types::FLOATS),
        InputDef::optional("dft_length", Types::INDEX).tied("T2"),
        InputDef::optional("axis", Types::I64).tied(""),
    ],
    outputs: &[OutputDef::new("output")],
    attrs: &[AttrDef::new("inverse", AttrKind::Int), AttrDef::new("onesided", AttrKind::Int)],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(4.0),
    infer,
    reference,
    cases: include_str!("dft.cases"),
};

/// The axis was an attribute, 1 unless given.
fn upgrade(draft: &mut Draft<'_>) -> Result<(), OpError> {
    let axis = draft.node.attrs.int_or("axis", 1)?;
    draft.node.attrs.take("axis");
    let axis = draft.constant(Tensor::scalar(axis));
    draft.set_input(2, axis);
    Ok(())
}

struct Mode {
    inverse: bool,
    onesided: bool,
}

fn mode(attrs: &Attrs) -> Result<Mode, OpError> {
    Ok(Mode {
        inverse: attrs.bool_or("inverse", false)?,
        onesided: attrs.bool_or("onesided", false)?,
    })
}

/// The axis, which cannot be that of the parts of complex numbers.
fn signal_axis(axis: i64, rank: usize) -> Result<usize, OpError> {
    let resolved = resolve_axis(axis, rank)?;
    if rank < 2 || resolved == rank - 1 {
        return Err(OpError::Invalid(format!("axis {axis} holds the parts of complex numbers")));
    }
    Ok(resolved)
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let (dtype, mode) = (ctx.dtype(0)?, mode(ctx.attrs())?);
    let Some(dims) = ctx.dims(0)? else { return Ok(vec![Inferred::maybe(dtype, None)]) };
    let mut out = dims.to_vec();
    let axis =
        if ctx.has(2) { ctx.ints(2).and_then(|axis| axis.first().copied()) } else { Some(-2) };
    let parts = if mode.inverse && mode.onesided { 1i64 } else { 2 };
    let Some(axis) = axis else {
        return Ok(vec![Inferred::tensor(dtype, vec![Dim::Unknown; dims.len()])]);
    };
    let axis = signal_axis(axis, dims.len())?;
    let (one, two) = (Dim::Known(1), Dim::Known(2));
    let length = match ctx.has(1) {
        true => ctx.content(1).and_then(|length| length.first().cloned()).unwrap_or(Dim::Unknown),
        false if mode.inverse && mode.onesided => dims[axis].sub(&one).mul(&two),
        false => dims[axis].clone(),
    };
    let halved = mode.onesided && !mode.inverse;
    out[axis] = if halved { length.floor_div(&two).add(&one) } else { length };
    if let Some(last) = out.last_mut() {
        *last = Dim::Known(parts);
    }
    Ok(vec![Inferred::tensor(dtype, out)])
}

/// One line of the input as complex numbers, cut or padded with zeros to the length.
fn line(values: &[f64], parts: usize, step: usize, count: usize, length: usize) -> Vec<Complex> {
    let part = |at: usize, part: usize| if part < parts { values[at * step + part] } else { 0.0 };
    let mut line: Vec<Complex> =
        (0..count.min(length)).map(|at| Complex { re: part(at, 0), im: part(at, 1) }).collect();
    line.resize(length, Complex::default());
    line
}

/// Puts back the half of a spectrum that symmetry gives.
fn mirror(spectrum: &mut [Complex]) {
    let length = spectrum.len();
    for at in length / 2 + 1..length {
        let Complex { re, im } = spectrum[length - at];
        spectrum[at] = Complex { re, im: -im };
    }
    // What stands at the ends of a half is real.
    spectrum.iter_mut().take(1).for_each(|value| value.im = 0.0);
    if length.is_multiple_of(2) && length > 0 {
        spectrum[length / 2].im = 0.0;
    }
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (x, mode) = (Array::of(ctx.tensor(0)?)?, mode(ctx.attrs())?);
    let axis = ctx.opt_tensor(2)?.map_or(Ok(-2), scalar_i64)?;
    let axis = signal_axis(axis, x.dims.len())?;
    let parts = x.dims[x.dims.len() - 1];
    if parts != 1 && parts != 2 {
        return Err(OpError::Invalid(format!("the last axis expected 1 or 2 parts, got {parts}")));
    }
    let real = mode.inverse && mode.onesided;
    let count = x.dims[axis];
    let length = match ctx.opt_tensor(1)? {
        Some(length) => size_input(length, "dft_length")?,
        None if real => 2 * count.saturating_sub(1),
        None => count,
    };
    let halved = mode.onesided && !mode.inverse;
    let kept = if halved { length / 2 + 1 } else { length };
    let mut dims = x.dims.clone();
    dims[axis] = kept;
    let last = dims.len() - 1;
    dims[last] = if real { 1 } else { 2 };
    element_count(&[length, 4])?;
    let mut out = Array::filled(dims, 0.0)?;
    let inner: usize = x.dims[axis + 1..last].iter().product();
    let outer: usize = x.dims[..axis].iter().product();
    let parts_out = out.dims[last];
    for place in positions(&[outer, inner]) {
        let start = place[0] * count * inner + place[1];
        let values = x.values.get(start * parts..).unwrap_or(&[]);
        let mut spectrum = line(values, parts, inner * parts, count, length);
        if real {
            mirror(&mut spectrum);
        }
        transform(&mut spectrum, mode.inverse);
        let scale = if mode.inverse { 1.0 / length as f64 } else { 1.0 };
        for (at, value) in spectrum.iter().take(kept).enumerate() {
            let to = ((place[0] * kept + at) * inner + place[1]) * parts_out;
            out.values[to] = value.re * scale;
            if !real {
                out.values[to + 1] = value.im * scale;
            }
        }
    }
    Ok(vec![out.to_floats(ctx.tensor(0)?.dtype())?.into()])
}
