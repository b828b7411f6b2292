//! Values as text for people, and as JSON for programs.

use remuda::{DType, Tensor, Value};
use serde_json::{Value as Json, json};

/// The type and dimensions in a few letters: `f32[2, 3]`.
pub(crate) fn describe(value: &Value) -> String {
    match value {
        Value::Tensor(tensor) => format!("{}{:?}", tensor.dtype(), tensor.dims()),
        Value::Sequence(items) => format!("sequence of {}", items.len()),
        Value::Optional(None) => "optional, absent".to_owned(),
        Value::Optional(Some(item)) => format!("optional {}", describe(item)),
        Value::State(_) => "state".to_owned(),
    }
}

/// The first `count` elements as text.
pub(crate) fn preview(value: &Value, count: usize) -> String {
    match value {
        Value::Tensor(tensor) => {
            let texts: Vec<String> =
                elements(tensor, count).iter().map(ToString::to_string).collect();
            let more = if tensor.len() > count { "…" } else { "" };
            let comma = if texts.is_empty() || more.is_empty() { "" } else { ", " };
            format!("{}{comma}{more}", texts.join(", "))
        }
        Value::Sequence(items) => {
            let texts = items.iter().take(count).map(|item| format!("[{}]", preview(item, count)));
            texts.collect::<Vec<_>>().join(", ")
        }
        Value::Optional(item) => item.as_ref().map_or(String::new(), |item| preview(item, count)),
        Value::State(_) => String::new(),
    }
}

/// A value as JSON: type, shape, number of elements and the first `count` of them.
pub(crate) fn to_json(value: &Value, count: usize) -> Json {
    match value {
        Value::Tensor(tensor) => json!({
            "type": tensor.dtype().name(),
            "shape": tensor.dims(),
            "elements": tensor.len(),
            "values": elements(tensor, count),
        }),
        Value::Sequence(items) => {
            json!({ "sequence": items.iter().map(|item| to_json(item, count)).collect::<Vec<_>>() })
        }
        Value::Optional(item) => {
            json!({ "optional": item.as_ref().map(|item| to_json(item, count)) })
        }
        Value::State(_) => Json::Null,
    }
}

/// The first elements. Numbers that JSON lacks (infinities, NaN) are texts.
fn elements(tensor: &Tensor, count: usize) -> Vec<Json> {
    let dtype = tensor.dtype();
    if dtype == DType::String {
        return tensor.texts().into_iter().take(count).map(Json::from).collect();
    }
    if dtype == DType::Bool {
        let values = tensor.to_vec::<bool>().unwrap_or_default();
        return values.into_iter().take(count).map(Json::from).collect();
    }
    if dtype == DType::U64 {
        let values = tensor.to_vec::<u64>().unwrap_or_default();
        return values.into_iter().take(count).map(Json::from).collect();
    }
    if dtype.is_int() {
        let values = tensor.to_i64_vec().unwrap_or_default();
        return values.into_iter().take(count).map(Json::from).collect();
    }
    if dtype == DType::F64 {
        let values = tensor.to_f64_vec().unwrap_or_default();
        return values
            .into_iter()
            .take(count)
            .map(|value| number(value, &value.to_string()))
            .collect();
    }
    // Narrow floats in their shortest form: 0.1, not 0.10000000149011612.
    let values = tensor.to_f32_vec().unwrap_or_default();
    values
        .into_iter()
        .take(count)
        .map(|value| number(f64::from(value), &value.to_string()))
        .collect()
}

fn number(value: f64, shortest: &str) -> Json {
    let parsed = shortest.parse().ok().filter(|_| value.is_finite());
    parsed.and_then(serde_json::Number::from_f64).map_or_else(|| shortest.into(), Json::Number)
}

#[cfg(test)]
mod tests {
    use remuda::{DType, Tensor, Value};

    use super::{describe, preview, to_json};

    #[test]
    fn the_first_elements_are_shown() {
        let value: Value =
            Tensor::from_vec([2, 2], vec![0.1f32, f32::NAN, 3.0, 4.0]).unwrap().into();
        assert_eq!(describe(&value), "f32[2, 2]");
        assert_eq!(preview(&value, 2), "0.1, \"NaN\", …");
        let want = r#"{"type":"f32","shape":[2,2],"elements":4,"values":[0.1]}"#;
        assert_eq!(to_json(&value, 1).to_string(), want);
    }

    #[test]
    fn large_integers_are_exact() {
        let value: Value = Tensor::vector(vec![u64::MAX]).into();
        assert_eq!(preview(&value, 2), "18446744073709551615");
        let value: Value = Tensor::vector(vec![i64::MIN]).into();
        assert_eq!(preview(&value, 2), "-9223372036854775808");
    }

    #[test]
    fn nested_values_are_shown() {
        let item: Value = Tensor::zeros(DType::Bool, [1]).unwrap().into();
        let list = Value::sequence(vec![item.clone(), item]);
        assert_eq!(
            (describe(&list), preview(&list, 8)),
            ("sequence of 2".to_owned(), "[false], [false]".to_owned())
        );
        assert_eq!(to_json(&Value::Optional(None), 8).to_string(), r#"{"optional":null}"#);
    }
}
