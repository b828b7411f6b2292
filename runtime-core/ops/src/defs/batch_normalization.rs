//! `BatchNormalization`: normalises each channel by given statistics, or in training mode by
//! those of the batch, and then also gives the running statistics.

use remuda_ir::{
    Attr, AttrDef, AttrKind, Draft, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError,
    OutputDef, Tolerance, Traits, Types, Upgrade, Val,
};
use remuda_tensor::{DType, Dim};

use crate::support::array::Array;
use crate::support::normalize::{
    channel_vector, channels_of, mean_and_variance, read_epsilon, scale_channels,
};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "BatchNormalization",
    since: 1,
    upgrades: &[Upgrade { below: 14, apply: upgrade }],
    inputs: &[
        InputDef::new("x", Types::FLOATS),
        InputDef::new("scale", Types::FLOATS).tied("T1"),
        InputDef::new("b", Types::FLOATS).tied("T1"),
        InputDef::new("input_mean", Types::FLOATS).tied("T2"),
        InputDef::new("input_var", Types::FLOATS).tied("T2"),
    ],
    outputs: &[
        OutputDef::new("y"),
        OutputDef::optional("running_mean"),
        OutputDef::optional("running_var"),
    ],
    attrs: &[
        AttrDef::new("epsilon", AttrKind::Float),
        AttrDef::new("momentum", AttrKind::Float),
        AttrDef::new("training_mode", AttrKind::Int),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(2.0),
    infer,
    reference,
    cases: include_str!("batch_normalization.cases"),
};

/// Training was meant by asking for the running statistics; `spatial` 0 normalised each element.
fn upgrade(draft: &mut Draft<'_>) -> Result<(), OpError> {
    for old in ["consumed_inputs", "is_test"] {
        draft.node.attrs.take(old);
    }
    if let Some(Attr::Int(0)) = draft.node.attrs.take("spatial") {
        return Err(OpError::unsupported("attribute `spatial` of 0"));
    }
    if draft.node.outputs.iter().skip(3).any(Option::is_some) {
        return Err(OpError::unsupported("outputs `saved_mean` and `saved_var`"));
    }
    draft.node.outputs.truncate(3);
    if draft.node.outputs.iter().skip(1).any(Option::is_some) {
        draft.node.attrs.set("training_mode", Attr::Int(1));
    }
    Ok(())
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let statistics = |at: usize| -> Result<Inferred, OpError> {
        Ok(Inferred::tensor(
            ctx.dtype(at)?,
            ctx.dims(at)?.map_or(vec![Dim::Unknown], <[_]>::to_vec),
        ))
    };
    let y = Inferred::maybe(ctx.dtype(0)?, ctx.dims(0)?.map(<[_]>::to_vec));
    Ok(vec![y, statistics(3)?, statistics(4)?])
}

/// Mean and variance of each channel over the batch and all spatial axes.
fn batch_statistics(x: &Array, channels: usize) -> (Vec<f64>, Vec<f64>) {
    let plane = x.dims[2..].iter().product::<usize>().max(1);
    let channel = |channel: usize| {
        let planes = x.values.chunks(plane).skip(channel).step_by(channels);
        mean_and_variance(planes.flatten().copied())
    };
    (0..channels).map(channel).unzip()
}

fn running(old: &[f64], new: &[f64], momentum: f64, dtype: DType) -> Result<Val, OpError> {
    let blend = |(&old, &new): (&f64, &f64)| old * momentum + new * (1.0 - momentum);
    let values: Vec<f64> = old.iter().zip(new).map(blend).collect();
    Ok(Array { dims: vec![values.len()], values }.to_floats(dtype)?.into())
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let mut x = Array::of(ctx.tensor(0)?)?;
    let given = x.dims.clone();
    if x.dims.len() == 1 {
        x = x.reshaped([given[0], 1])?;
    }
    let channels = channels_of(&x)?;
    let vector = |at: usize, name: &str| channel_vector(ctx.tensor(at)?, name, channels);
    let (scale, b) = (vector(1, "scale")?, vector(2, "b")?);
    let (old_mean, old_var) = (vector(3, "input_mean")?, vector(4, "input_var")?);
    let training = ctx.attrs().bool_or("training_mode", false)?;
    let (mean, var) =
        if training { batch_statistics(&x, channels) } else { (old_mean.clone(), old_var.clone()) };
    let epsilon = read_epsilon(ctx.attrs())?;
    let factor: Vec<f64> =
        scale.iter().zip(&var).map(|(scale, var)| scale / (var + epsilon).sqrt()).collect();
    let shift: Vec<f64> = (0..channels).map(|at| b[at] - mean[at] * factor[at]).collect();
    scale_channels(&mut x, &factor, &shift);
    let y = x.reshaped(given)?.to_floats(ctx.tensor(0)?.dtype())?;
    if !training {
        if ctx.wants(1) || ctx.wants(2) {
            let text = "running statistics are made only where `training_mode` is 1".to_owned();
            return Err(OpError::Invalid(text));
        }
        return Ok(vec![y.into()]);
    }
    let momentum = f64::from(ctx.attrs().float_or("momentum", 0.9)?);
    Ok(vec![
        y.into(),
        running(&old_mean, &mean, momentum, ctx.tensor(3)?.dtype())?,
        running(&old_var, &var, momentum, ctx.tensor(4)?.dtype())?,
    ])
}
