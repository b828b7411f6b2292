//! Why a node is not taken.

use remuda_sdk::ir::OpError;

use crate::shaders::ExprError;

/// A reason: a short word and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) text: String,
}

pub(crate) fn refuse(code: &'static str, text: impl Into<String>) -> Refusal {
    Refusal { code, text: text.into() }
}

/// An attribute that cannot be used.
pub(crate) fn attribute(error: OpError) -> Refusal {
    refuse("attribute", error.to_string())
}

impl From<ExprError> for Refusal {
    fn from(error: ExprError) -> Self {
        refuse("dtype", error.to_string())
    }
}
