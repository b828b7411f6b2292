//! `TreeEnsembleClassifier`: the class that decision trees vote for and the scores of all
//! classes, in the tables of the versions before `TreeEnsemble`. Of two classes, votes for one
//! alone decide as ONNX Runtime lets them: above a half where no vote is negative, above zero
//! otherwise.

use remuda_base::Set;
use remuda_ir::{
    AttrDef, AttrKind, Attrs, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Val,
};
use remuda_tensor::{DType, Tensor};

use crate::support::ml::{FEATURES, Labels, Rows, Transform, best, reals, row_count};
use crate::support::trees::{Aggregate, Forest, add_base, index};

pub(crate) static OP: OpDef = OpDef {
    domain: "ai.onnx.ml",
    name: "TreeEnsembleClassifier",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new("x", FEATURES)],
    outputs: &[OutputDef::new("y"), OutputDef::new("z")],
    attrs: &[
        AttrDef::new("base_values", AttrKind::Floats),
        AttrDef::new("base_values_as_tensor", AttrKind::Tensor),
        AttrDef::new("class_ids", AttrKind::Ints),
        AttrDef::new("class_nodeids", AttrKind::Ints),
        AttrDef::new("class_treeids", AttrKind::Ints),
        AttrDef::new("class_weights", AttrKind::Floats),
        AttrDef::new("class_weights_as_tensor", AttrKind::Tensor),
        AttrDef::new("classlabels_int64s", AttrKind::Ints),
        AttrDef::new("classlabels_strings", AttrKind::Texts),
        AttrDef::new("nodes_falsenodeids", AttrKind::Ints),
        AttrDef::new("nodes_featureids", AttrKind::Ints),
        AttrDef::new("nodes_hitrates", AttrKind::Floats),
        AttrDef::new("nodes_hitrates_as_tensor", AttrKind::Tensor),
        AttrDef::new("nodes_missing_value_tracks_true", AttrKind::Ints),
        AttrDef::new("nodes_modes", AttrKind::Texts),
        AttrDef::new("nodes_nodeids", AttrKind::Ints),
        AttrDef::new("nodes_treeids", AttrKind::Ints),
        AttrDef::new("nodes_truenodeids", AttrKind::Ints),
        AttrDef::new("nodes_values", AttrKind::Floats),
        AttrDef::new("nodes_values_as_tensor", AttrKind::Tensor),
        AttrDef::new("post_transform", AttrKind::Text),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer,
    reference,
    cases: include_str!("tree_ensemble_classifier.cases"),
};

fn labels(attrs: &Attrs) -> Result<Labels, OpError> {
    Labels::read(attrs, "classlabels_int64s", "classlabels_strings")
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let (labels, rows) = (labels(ctx.attrs())?, row_count(ctx)?);
    Ok(vec![
        Inferred::tensor(labels.dtype(), [rows.clone()]),
        Inferred::tensor(DType::F32, [rows, labels.len().into()]),
    ])
}

/// How the scores of a row decide.
enum Decision {
    /// The greatest wins.
    Greatest,
    /// Of two classes all votes are for this one.
    OneSided { class: usize, all_positive: bool },
}

fn decision(attrs: &Attrs, classes: usize) -> Result<Decision, OpError> {
    let voted: Set<i64> = attrs.ints("class_ids")?.unwrap_or(&[]).iter().copied().collect();
    let (2, 1, Some(&class)) = (classes, voted.len(), voted.first()) else {
        return Ok(Decision::Greatest);
    };
    let base = reals(attrs, "base_values")?.len();
    if base > 1 || (base == 1 && class != 0) {
        return Err(OpError::unsupported(
            "attribute `base_values` of two classes with votes for one alone",
        ));
    }
    let all_positive = reals(attrs, "class_weights")?.iter().all(|&weight| weight >= 0.0);
    Ok(Decision::OneSided { class: index("class", class)?, all_positive })
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (attrs, rows) = (ctx.attrs(), Rows::of(ctx.tensor(0)?)?);
    let (labels, transform) = (labels(attrs)?, Transform::read(attrs)?);
    let forest = Forest::of_named_nodes(attrs, "class")?;
    let (base, decision) = (reals(attrs, "base_values")?, decision(attrs, labels.len())?);
    let (mut classes, mut values) = (Vec::new(), Vec::new());
    for row in rows.iter() {
        let mut scores = forest.scores(row, labels.len(), Aggregate::Sum)?;
        match decision {
            Decision::Greatest => {
                add_base(&mut scores, &base)?;
                classes.push(best(&scores));
                transform.apply(&mut scores);
            }
            Decision::OneSided { class, all_positive } => {
                // The class goes by the score as it is given out.
                let score = scores[class] + base.first().copied().unwrap_or(0.0);
                let score = f64::from(score as f32);
                classes.push(usize::from(score > if all_positive { 0.5 } else { 0.0 }));
                if class == 0 {
                    scores = transform.of_two(score, !all_positive)?.to_vec();
                } else {
                    transform.apply(&mut scores);
                }
            }
        }
        values.extend(scores.into_iter().map(|score| score as f32));
    }
    let scores = Tensor::from_vec::<f32>([rows.count, labels.len()], values)?;
    Ok(vec![labels.pick(&classes)?.into(), scores.into()])
}
