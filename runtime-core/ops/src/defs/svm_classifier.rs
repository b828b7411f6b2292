//! `SVMClassifier`: for each row the class that wins most duels between two classes, and the
//! scores of the duels or, with `prob_a` and `prob_b`, the probabilities of the classes.
//! Without support vectors the model is linear.

use remuda_ir::{
    AttrDef, AttrKind, Attrs, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Val,
};
use remuda_tensor::{DType, Tensor};

use crate::support::ml::{FEATURES, Labels, Rows, Transform, row_count};
use crate::support::svm::{Judge, duel_count};

pub(crate) static OP: OpDef = OpDef {
    domain: "ai.onnx.ml",
    name: "SVMClassifier",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new("x", FEATURES)],
    outputs: &[OutputDef::new("y"), OutputDef::new("z")],
    attrs: &[
        AttrDef::new("classlabels_ints", AttrKind::Ints),
        AttrDef::new("classlabels_strings", AttrKind::Texts),
        AttrDef::new("coefficients", AttrKind::Floats),
        AttrDef::new("kernel_params", AttrKind::Floats),
        AttrDef::new("kernel_type", AttrKind::Text),
        AttrDef::new("post_transform", AttrKind::Text),
        AttrDef::new("prob_a", AttrKind::Floats),
        AttrDef::new("prob_b", AttrKind::Floats),
        AttrDef::new("rho", AttrKind::Floats),
        AttrDef::new("support_vectors", AttrKind::Floats),
        AttrDef::new("vectors_per_class", AttrKind::Ints),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer,
    reference,
    cases: include_str!("svm_classifier.cases"),
};

fn labels(attrs: &Attrs) -> Result<Labels, OpError> {
    Labels::read(attrs, "classlabels_ints", "classlabels_strings")
}

/// How many scores a row has.
fn score_count(attrs: &Attrs, classes: usize) -> Result<usize, OpError> {
    let is_linear = attrs.ints("vectors_per_class")?.is_none_or(<[i64]>::is_empty);
    let has_chances = attrs.floats("prob_a")?.is_some_and(|list| !list.is_empty());
    // The one duel of two classes gives a score to each.
    Ok(if is_linear || has_chances || classes == 2 { classes } else { duel_count(classes) })
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let (labels, rows) = (labels(ctx.attrs())?, row_count(ctx)?);
    let scores = score_count(ctx.attrs(), labels.len())?;
    Ok(vec![
        Inferred::tensor(labels.dtype(), [rows.clone()]),
        Inferred::tensor(DType::F32, [rows, scores.into()]),
    ])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (attrs, rows) = (ctx.attrs(), Rows::of(ctx.tensor(0)?)?);
    let (labels, transform) = (labels(attrs)?, Transform::read(attrs)?);
    let width = score_count(attrs, labels.len())?;
    let judge = Judge::read(attrs, labels.len(), rows.width)?;
    let (mut classes, mut values) = (Vec::new(), Vec::new());
    for row in rows.iter() {
        let (class, mut scores) = judge.decide(row);
        classes.push(class);
        if let (2, [score]) = (labels.len(), &scores[..]) {
            scores = transform.of_two(*score, true)?.to_vec();
        } else {
            transform.apply(&mut scores);
        }
        values.extend(scores.into_iter().map(|score| score as f32));
    }
    let scores = Tensor::from_vec::<f32>([rows.count, width], values)?;
    Ok(vec![labels.pick(&classes)?.into(), scores.into()])
}
