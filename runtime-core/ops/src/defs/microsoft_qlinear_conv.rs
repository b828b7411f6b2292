//! `QLinearConv` of com.microsoft, whose channels may come last.

use remuda_ir::{Attr, Attrs, Draft, LegacyOp, OpError, OpName};

use crate::support::upgrades::{become_newest, known_rank};

pub(crate) static OP: LegacyOp = LegacyOp { domain: "com.microsoft", name: "QLinearConv", apply };

fn apply(draft: &mut Draft<'_>) -> Result<(), OpError> {
    let last = draft.node.attrs.bool_or("channels_last", false)?;
    draft.node.attrs.take("channels_last");
    if last {
        let rank = known_rank(draft, 0).or_else(|| known_rank(draft, 3));
        let rank = rank.filter(|&rank| rank >= 3).and_then(|rank| i64::try_from(rank).ok());
        let rank = rank.ok_or_else(|| OpError::unsupported("channels last of unknown rank"))?;
        let x = draft.node.input(0).ok_or_else(|| OpError::invalid("`x` is missing"))?;
        let order = |order: Vec<i64>| {
            let mut attrs = Attrs::default();
            attrs.set("perm", Attr::Ints(order));
            attrs
        };
        let first = order([0, rank - 1].into_iter().chain(1..rank - 1).collect());
        let x = draft.before(OpName::onnx("Transpose"), &[x], first);
        draft.set_input(0, x);
        let back = order([0].into_iter().chain(2..rank).chain([1]).collect());
        draft.behind(0, OpName::onnx("Transpose"), &[], back);
    }
    become_newest(draft, "QLinearConv");
    Ok(())
}
