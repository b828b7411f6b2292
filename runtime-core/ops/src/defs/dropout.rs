//! Dropout: its input unless `training_mode` is set; then zeroes where a number drawn as
//! `RandomUniform` draws it is below `ratio`, the rest scaled up to keep the mean.

use remuda_ir::{
    AttrDef, AttrKind, Attrs, Draft, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError,
    OpName, OutputDef, Tolerance, Traits, Types, Upgrade, Val,
};
use remuda_tensor::float8::{F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ};
use remuda_tensor::{DType, Dim, Element, Tensor, bf16, dispatch_types, f16};

use crate::support::random::Twister;
use crate::support::unsupported_dtype;
use crate::support::upgrades::{drop_consumed_inputs, float_to_input};

const TYPES: Types = Types::FLOATS.or(Types::SMALL_FLOATS);

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Dropout",
    since: 1,
    upgrades: &[
        Upgrade { below: 6, apply: drop_consumed_inputs },
        Upgrade { below: 7, apply: mode_to_input },
        Upgrade { below: 10, apply: float_mask },
        Upgrade { below: 12, apply: |draft| float_to_input(draft, "ratio", 1) },
    ],
    inputs: &[
        InputDef::new("data", TYPES),
        InputDef::optional("ratio", TYPES).tied(""),
        InputDef::optional("training_mode", Types::BOOL).tied(""),
    ],
    outputs: &[OutputDef::new("output"), OutputDef::optional("mask")],
    attrs: &[AttrDef::new("seed", AttrKind::Int)],
    traits: Traits::IMPURE,
    tolerance: Tolerance::Float(1.0),
    infer,
    reference,
    cases: include_str!("dropout.cases"),
};

/// Before opset 7, `is_test` said whether the model is trained; it was off by default.
fn mode_to_input(draft: &mut Draft<'_>) -> Result<(), OpError> {
    let training = !draft.node.attrs.bool_or("is_test", false)?;
    draft.node.attrs.take("is_test");
    if training {
        let mode = draft.constant(Tensor::scalar(true));
        draft.set_input(2, mode);
    }
    Ok(())
}

/// Before opset 10, the mask had the dtype of the data.
fn float_mask(draft: &mut Draft<'_>) -> Result<(), OpError> {
    if let (Some(data), Some(_)) = (draft.node.input(0), draft.node.output(1)) {
        draft.behind(1, OpName::onnx("CastLike"), &[data], Attrs::default());
    }
    Ok(())
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let mask = Inferred::maybe(DType::Bool, ctx.dims(0)?.map(<[Dim]>::to_vec));
    Ok(vec![ctx.ty(0)?.clone().into(), mask])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let data = ctx.tensor(0)?;
    let ratio = scalar(ctx.opt_tensor(1)?, "ratio")?.unwrap_or(0.5);
    let training = scalar(ctx.opt_tensor(2)?, "training_mode")?.is_some_and(|mode| mode != 0.0);
    if !training || ratio == 0.0 {
        let mask = Tensor::from_vec(data.dims(), vec![true; data.len()])?;
        return Ok(vec![data.clone().into(), mask.into()]);
    }
    if !(0.0..1.0).contains(&ratio) {
        let text = format!("`ratio` expected a number from 0 on, below 1, got {ratio}");
        return Err(OpError::Invalid(text));
    }
    let mut random = Twister::of_int_seed(ctx.attrs())?;
    let mask: Vec<bool> = (0..data.len()).map(|_| random.uniform() >= ratio).collect();
    let output = dispatch_types!(data.dtype(), T => masked::<T>(data, &mask, ratio)?,
        else return Err(unsupported_dtype(data.dtype())),
        F32 f32, F64 f64, F16 f16, BF16 bf16, F8E4M3FN F8E4M3FN, F8E4M3FNUZ F8E4M3FNUZ,
        F8E5M2 F8E5M2, F8E5M2FNUZ F8E5M2FNUZ);
    Ok(vec![output.into(), Tensor::from_vec(data.dims(), mask)?.into()])
}

fn masked<T: Element>(data: &Tensor, mask: &[bool], ratio: f64) -> Result<Tensor, OpError> {
    let pairs = data.to_vec::<T>()?.into_iter().zip(mask);
    let keep =
        |(x, &keep): (T, &bool)| T::from_f64(if keep { x.to_f64() / (1.0 - ratio) } else { 0.0 });
    Ok(Tensor::from_vec::<T>(data.dims(), pairs.map(keep).collect())?)
}

/// The one element of an optional input.
fn scalar(tensor: Option<&Tensor>, name: &str) -> Result<Option<f64>, OpError> {
    let Some(tensor) = tensor else { return Ok(None) };
    match tensor.to_f64_vec()?[..] {
        [value] => Ok(Some(value)),
        _ => Err(OpError::Invalid(format!(
            "`{name}` expected one element, got dimensions {:?}",
            tensor.dims()
        ))),
    }
}
