//! `LinearClassifier`: for each row the class of the greatest score, and all scores: weighted
//! sums of the features plus an intercept. One row of weights for two classes gives the score
//! of the second; what is left to one is that of the first.

use remuda_ir::{
    AttrDef, AttrKind, Attrs, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Val,
};
use remuda_tensor::{DType, Tensor};

use crate::support::linear::Linear;
use crate::support::ml::{FEATURES, Labels, Rows, Transform, best, row_count};

pub(crate) static OP: OpDef = OpDef {
    domain: "ai.onnx.ml",
    name: "LinearClassifier",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new("x", FEATURES)],
    outputs: &[OutputDef::new("y"), OutputDef::new("z")],
    attrs: &[
        AttrDef::new("classlabels_ints", AttrKind::Ints),
        AttrDef::new("classlabels_strings", AttrKind::Texts),
        AttrDef::required("coefficients", AttrKind::Floats),
        AttrDef::new("intercepts", AttrKind::Floats),
        AttrDef::new("multi_class", AttrKind::Int),
        AttrDef::new("post_transform", AttrKind::Text),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer,
    reference,
    cases: include_str!("linear_classifier.cases"),
};

fn labels(attrs: &Attrs) -> Result<Labels, OpError> {
    Labels::read(attrs, "classlabels_ints", "classlabels_strings")
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let (labels, rows) = (labels(ctx.attrs())?, row_count(ctx)?);
    Ok(vec![
        Inferred::tensor(labels.dtype(), [rows.clone()]),
        Inferred::tensor(DType::F32, [rows, labels.len().into()]),
    ])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (rows, labels) = (Rows::of(ctx.tensor(0)?)?, labels(ctx.attrs())?);
    let transform = Transform::read(ctx.attrs())?;
    let weights = ctx.attrs().floats("coefficients")?.map_or(0, <[f32]>::len);
    // One row of weights can tell two classes apart.
    let is_single = labels.len() == 2 && weights == rows.width;
    let model = Linear::read(ctx.attrs(), if is_single { 1 } else { labels.len() }, rows.width)?;
    let (mut classes, mut values) = (Vec::new(), Vec::new());
    for row in rows.iter() {
        let mut scores = model.scores(row)?;
        if is_single {
            classes.push(usize::from(scores[0] > 0.0));
            scores = transform.of_two(scores[0], false)?.to_vec();
        } else {
            classes.push(best(&scores));
            transform.apply(&mut scores);
        }
        values.extend(scores.into_iter().map(|score| score as f32));
    }
    let scores = Tensor::from_vec::<f32>([rows.count, labels.len()], values)?;
    Ok(vec![labels.pick(&classes)?.into(), scores.into()])
}
