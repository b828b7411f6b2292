//! `RegexFullMatch`: which texts a regular expression in the syntax of RE2 matches from end to end.

use regex::{Regex, RegexBuilder};
use remuda_ir::{
    AttrDef, AttrKind, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};
use remuda_tensor::Tensor;

use crate::support::elementwise::truth_of_first;
use crate::support::re2;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "RegexFullMatch",
    since: 20,
    upgrades: &[],
    inputs: &[InputDef::new("x", Types::STRING)],
    outputs: &[OutputDef::new("y")],
    attrs: &[AttrDef::new("pattern", AttrKind::Text)],
    traits: Traits { in_place: false, ..Traits::ELEMENTWISE },
    tolerance: Tolerance::Exact,
    infer: truth_of_first,
    reference,
    cases: include_str!("regex_full_match.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let x = ctx.tensor(0)?;
    let pattern = ctx.attrs().text("pattern")?;
    let pattern = pattern.ok_or_else(|| OpError::invalid("attribute `pattern` is missing"))?;
    let own = re2::translate(pattern)?;
    // Alone first: the group around it must not complete a broken pattern.
    compile(&own).map_err(|reason| broken(pattern, &reason))?;
    let regex = compile(&format!(r"\A(?:{own})\z")).map_err(|reason| broken(pattern, &reason))?;
    let answers = x.texts().into_iter().map(|text| regex.is_match(text)).collect();
    Ok(vec![Tensor::from_vec::<bool>(x.dims(), answers)?.into()])
}

fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).octal(true).build()
}

fn broken(pattern: &str, reason: &regex::Error) -> OpError {
    let reason = reason.to_string();
    let reason = reason.lines().last().unwrap_or_default();
    OpError::Invalid(format!("attribute `pattern` of `{pattern}`: {reason}"))
}
