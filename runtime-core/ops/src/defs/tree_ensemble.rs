//! `TreeEnsemble`: the votes of decision trees for each target.

use remuda_ir::{
    AttrDef, AttrKind, Attrs, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::{DType, Tensor};

use crate::support::convert::{Rounding, convert};
use crate::support::ml::{Rows, Transform, row_count};
use crate::support::trees::{
    Aggregate, Branch, Forest, Next, Question, Vote, column, flags, index, numbers,
};

pub(crate) static OP: OpDef = OpDef {
    domain: "ai.onnx.ml",
    name: "TreeEnsemble",
    since: 5,
    upgrades: &[],
    inputs: &[InputDef::new(
        "x",
        Types::one(DType::F32).or(Types::one(DType::F64)).or(Types::one(DType::F16)),
    )],
    outputs: &[OutputDef::new("y")],
    attrs: &[
        AttrDef::new("aggregate_function", AttrKind::Int),
        AttrDef::required("leaf_targetids", AttrKind::Ints),
        AttrDef::required("leaf_weights", AttrKind::Tensor),
        AttrDef::new("membership_values", AttrKind::Tensor),
        AttrDef::new("n_targets", AttrKind::Int),
        AttrDef::required("nodes_falseleafs", AttrKind::Ints),
        AttrDef::required("nodes_falsenodeids", AttrKind::Ints),
        AttrDef::required("nodes_featureids", AttrKind::Ints),
        AttrDef::new("nodes_hitrates", AttrKind::Tensor),
        AttrDef::new("nodes_missing_value_tracks_true", AttrKind::Ints),
        AttrDef::required("nodes_modes", AttrKind::Tensor),
        AttrDef::required("nodes_splits", AttrKind::Tensor),
        AttrDef::required("nodes_trueleafs", AttrKind::Ints),
        AttrDef::required("nodes_truenodeids", AttrKind::Ints),
        AttrDef::new("post_transform", AttrKind::Int),
        AttrDef::required("tree_roots", AttrKind::Ints),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer,
    reference,
    cases: include_str!("tree_ensemble.cases"),
};

fn targets(attrs: &Attrs) -> Result<usize, OpError> {
    index("target", attrs.required_int("n_targets")?)
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    Ok(vec![Inferred::tensor(ctx.dtype(0)?, [row_count(ctx)?, targets(ctx.attrs())?.into()])])
}

/// One of a list, by an attribute that numbers them.
fn choice<T: Copy>(attrs: &Attrs, name: &str, default: i64, all: &[T]) -> Result<T, OpError> {
    let number = attrs.int_or(name, default)?;
    let chosen = usize::try_from(number).ok().and_then(|at| all.get(at).copied());
    chosen.ok_or_else(|| {
        OpError::Invalid(format!(
            "attribute `{name}` expected 0 to {}, got {number}",
            all.len() - 1
        ))
    })
}

/// The questions of all branches. Members of sets stand one set after the other, each ended by NaN.
fn questions(attrs: &Attrs) -> Result<Vec<Question>, OpError> {
    let (modes, splits) = (numbers(attrs, "nodes_modes")?, numbers(attrs, "nodes_splits")?);
    let members = attrs.tensor("membership_values")?.map_or(Ok(Vec::new()), Tensor::to_f64_vec)?;
    let mut sets = members.split(|member| member.is_nan());
    let question = |(at, &mode): (usize, &f64)| {
        let split = splits.get(at).copied();
        let split =
            split.ok_or_else(|| OpError::invalid("attribute `nodes_splits` is too short"))?;
        Ok(match mode as i64 {
            0 => Question::AtMost(split),
            1 => Question::Below(split),
            2 => Question::AtLeast(split),
            3 => Question::Above(split),
            4 => Question::Is(split),
            5 => Question::IsNot(split),
            6 => Question::OneOf(sets.next().unwrap_or(&[]).to_vec()),
            other => return Err(OpError::Invalid(format!("there is no mode {other}"))),
        })
    };
    modes.iter().enumerate().map(question).collect()
}

fn forest(attrs: &Attrs) -> Result<Forest, OpError> {
    let questions = questions(attrs)?;
    let count = questions.len();
    let features = column(attrs, "nodes_featureids", count)?;
    let missing = flags(attrs, "nodes_missing_value_tracks_true", count)?;
    let ways = |side: &str| -> Result<Vec<Next>, OpError> {
        let ids = column(attrs, &format!("nodes_{side}nodeids"), count)?;
        let leaf = flags(attrs, &format!("nodes_{side}leafs"), count)?;
        let next = |(&id, leaf)| {
            index("node", id).map(|at| if leaf { Next::Leaf(at) } else { Next::Branch(at) })
        };
        ids.iter().zip(leaf).map(next).collect()
    };
    let (yes, no) = (ways("true")?, ways("false")?);
    let branch = |(at, question)| {
        let feature = index("feature", features[at])?;
        Ok(Branch { feature, question, missing_is_yes: missing[at], yes: yes[at], no: no[at] })
    };
    let weights = numbers(attrs, "leaf_weights")?;
    let leaf = |(&id, weight)| Ok(vec![Vote { target: index("target", id)?, weight }]);
    let ids = column(attrs, "leaf_targetids", weights.len())?;
    let roots = attrs.ints("tree_roots")?.unwrap_or(&[]);
    Ok(Forest {
        branches: questions.into_iter().enumerate().map(branch).collect::<Result<_, OpError>>()?,
        leaves: ids.iter().zip(weights).map(leaf).collect::<Result<_, OpError>>()?,
        roots: roots
            .iter()
            .map(|&root| index("node", root).map(Next::Branch))
            .collect::<Result<_, _>>()?,
    })
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (attrs, x) = (ctx.attrs(), ctx.tensor(0)?);
    let (rows, forest, targets) = (Rows::of(x)?, forest(attrs)?, targets(attrs)?);
    let aggregate = choice(attrs, "aggregate_function", 1, &Aggregate::BY_NUMBER)?;
    let transform = choice(attrs, "post_transform", 0, &Transform::BY_NUMBER)?;
    let mut values = Vec::new();
    for row in rows.iter() {
        let mut scores = forest.scores(row, targets, aggregate)?;
        transform.apply(&mut scores);
        values.append(&mut scores);
    }
    let scores = Tensor::from_vec::<f64>([rows.count, targets], values)?;
    Ok(vec![convert(&scores, x.dtype(), Rounding::DEFAULT)?.into()])
}
