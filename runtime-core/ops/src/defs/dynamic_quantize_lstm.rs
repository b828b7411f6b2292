//! `DynamicQuantizeLSTM`: an LSTM with quantised weights, whose data and states are quantised by their own
//! range: the data as a whole, the state of each sequence before each step.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::{DType, Tensor};

use crate::support::array::Array;
use crate::support::lstm::{FUNCTIONS, GATES, lstm};
use crate::support::quantize::dynamic_range;
use crate::support::recurrent::{Layer, infer_layer};

const F32: Types = Types::one(DType::F32);

pub(crate) static OP: OpDef = OpDef {
    domain: "com.microsoft",
    name: "DynamicQuantizeLSTM",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("x", F32),
        InputDef::new("w", Types::BYTES).tied("T2"),
        InputDef::new("r", Types::BYTES).tied("T2"),
        InputDef::optional("b", F32),
        InputDef::optional("sequence_lens", Types::one(DType::I32)).tied(""),
        InputDef::optional("initial_h", F32),
        InputDef::optional("initial_c", F32),
        InputDef::optional("p", F32),
        InputDef::new("w_scale", F32),
        InputDef::new("w_zero_point", Types::BYTES).tied("T2"),
        InputDef::new("r_scale", F32),
        InputDef::new("r_zero_point", Types::BYTES).tied("T2"),
    ],
    outputs: &[OutputDef::optional("y"), OutputDef::optional("y_h"), OutputDef::optional("y_c")],
    attrs: &[
        AttrDef::new("activation_alpha", AttrKind::Floats),
        AttrDef::new("activation_beta", AttrKind::Floats),
        AttrDef::new("activations", AttrKind::Texts),
        AttrDef::new("clip", AttrKind::Float),
        AttrDef::new("direction", AttrKind::Text),
        AttrDef::new("hidden_size", AttrKind::Int),
        AttrDef::new("input_forget", AttrKind::Int),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(4.0),
    infer,
    reference,
    cases: include_str!("dynamic_quantize_lstm.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    infer_layer(ctx, 2, 1)
}

/// What numbers become that are stored as `u8` by their own range.
fn through_bytes(values: &[f64]) -> Vec<f64> {
    let (scale, zero) = dynamic_range(values);
    let (scale, zero) = (f64::from(scale), f64::from(zero));
    let stored =
        |value: f64| (f64::from((value / scale) as f32).round_ties_even() + zero).clamp(0.0, 255.0);
    values.iter().map(|&value| (stored(value) - zero) * scale).collect()
}

/// Weights as real numbers, `[directions, gates, size]`. They are stored with the last axes exchanged;
/// scales and zero points are one for each direction, or for each of its gates' rows.
fn weights(ctx: &KernelCtx<'_>, at: usize, scale: usize) -> Result<Array, OpError> {
    let mut array = Array::of(ctx.tensor(at)?)?;
    let [directions, _, rows] = array.with_rank(if at == 1 { "w" } else { "r" })?;
    let spread = |parameter: &Tensor| {
        let parameter = Array::of(parameter)?;
        let own = if parameter.values.len() == directions { 1 } else { rows };
        parameter.reshaped([directions, 1, own])?.broadcast_to(&array.dims)
    };
    let (scales, zeros) = (spread(ctx.tensor(scale)?)?, spread(ctx.tensor(scale + 1)?)?);
    let parameters = scales.values.into_iter().zip(zeros.values);
    for (value, (scale, zero)) in array.values.iter_mut().zip(parameters) {
        *value = (*value - zero) * scale;
    }
    array.permuted(&[0, 2, 1])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let mut x = Array::of(ctx.tensor(0)?)?;
    x.values = through_bytes(&x.values);
    let layer = Layer::of(ctx, [x, weights(ctx, 1, 8)?, weights(ctx, 2, 10)?], GATES, FUNCTIONS)?;
    lstm(ctx, &layer, through_bytes)
}
