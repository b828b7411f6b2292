//! Joining what is known of two types.

use remuda_ir::{OpError, ValueType};
use remuda_tensor::{Dim, TensorType};

/// The type of a value that is either of these: what they agree on.
pub(crate) fn either(a: &ValueType, b: &ValueType) -> Result<ValueType, OpError> {
    let differ = || OpError::Invalid(format!("the branches give `{a}` and `{b}`"));
    match (a, b) {
        (ValueType::Tensor(x), ValueType::Tensor(y)) if x.dtype == y.dtype => {
            let dims = match (&x.dims, &y.dims) {
                (Some(x), Some(y)) if x.len() == y.len() => {
                    let same =
                        |(a, b): (&Dim, &Dim)| if a.same(b) { a.clone() } else { Dim::Unknown };
                    Some(x.iter().zip(y).map(same).collect())
                }
                _ => None,
            };
            Ok(TensorType { dtype: x.dtype, dims }.into())
        }
        (ValueType::Sequence(x), ValueType::Sequence(y)) => {
            Ok(ValueType::Sequence(either(x, y)?.into()))
        }
        (ValueType::Optional(x), ValueType::Optional(y)) => {
            Ok(ValueType::Optional(either(x, y)?.into()))
        }
        // A branch may give the value itself where the other gives an optional of it.
        (ValueType::Optional(x), y) | (y, ValueType::Optional(x)) => {
            Ok(ValueType::Optional(either(x, y)?.into()))
        }
        (ValueType::State(_), _) | (_, ValueType::State(_)) => Err(differ()),
        _ => Err(differ()),
    }
}
