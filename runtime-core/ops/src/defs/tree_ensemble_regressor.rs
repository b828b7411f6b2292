//! `TreeEnsembleRegressor`: the votes of decision trees for each target, in the tables of the
//! versions before `TreeEnsemble`.

use remuda_ir::{
    AttrDef, AttrKind, Attrs, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Val,
};
use remuda_tensor::{DType, Tensor};

use crate::support::ml::{FEATURES, Rows, Transform, reals, row_count};
use crate::support::trees::{Aggregate, Forest, add_base, index};

pub(crate) static OP: OpDef = OpDef {
    domain: "ai.onnx.ml",
    name: "TreeEnsembleRegressor",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new("x", FEATURES)],
    outputs: &[OutputDef::new("y")],
    attrs: &[
        AttrDef::new("aggregate_function", AttrKind::Text),
        AttrDef::new("base_values", AttrKind::Floats),
        AttrDef::new("base_values_as_tensor", AttrKind::Tensor),
        AttrDef::new("n_targets", AttrKind::Int),
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
        AttrDef::new("target_ids", AttrKind::Ints),
        AttrDef::new("target_nodeids", AttrKind::Ints),
        AttrDef::new("target_treeids", AttrKind::Ints),
        AttrDef::new("target_weights", AttrKind::Floats),
        AttrDef::new("target_weights_as_tensor", AttrKind::Tensor),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer,
    reference,
    cases: include_str!("tree_ensemble_regressor.cases"),
};

fn targets(attrs: &Attrs) -> Result<usize, OpError> {
    index("target", attrs.required_int("n_targets")?)
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    Ok(vec![Inferred::tensor(DType::F32, [row_count(ctx)?, targets(ctx.attrs())?.into()])])
}

fn aggregate(attrs: &Attrs) -> Result<Aggregate, OpError> {
    match attrs.text_or("aggregate_function", "SUM")? {
        "SUM" => Ok(Aggregate::Sum),
        "AVERAGE" => Ok(Aggregate::Average),
        "MIN" => Ok(Aggregate::Min),
        "MAX" => Ok(Aggregate::Max),
        other => Err(OpError::Invalid(format!(
            "attribute `aggregate_function` of `{other}` is not known"
        ))),
    }
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (attrs, rows) = (ctx.attrs(), Rows::of(ctx.tensor(0)?)?);
    let forest = Forest::of_named_nodes(attrs, "target")?;
    let (targets, aggregate) = (targets(attrs)?, aggregate(attrs)?);
    let (base, transform) = (reals(attrs, "base_values")?, Transform::read(attrs)?);
    let mut values = Vec::new();
    for row in rows.iter() {
        let mut scores = forest.scores(row, targets, aggregate)?;
        add_base(&mut scores, &base)?;
        transform.apply(&mut scores);
        values.extend(scores.into_iter().map(|score| score as f32));
    }
    Ok(vec![Tensor::from_vec::<f32>([rows.count, targets], values)?.into()])
}
