//! Values written out in an argument: `3`, `1,2,3`, `[[1,2],[3,4]]`, `"text"`.

use remuda::{DType, Tensor, TensorError, Value, ValueType, bf16, f16};
use serde_json::{Number, Value as Json};

use crate::failure::Failure;

/// The value of an argument; the model's type says what its elements are.
pub(super) fn parse(name: &str, text: &str, ty: Option<&ValueType>) -> Result<Value, Failure> {
    let Some(ty) = ty.and_then(ValueType::as_tensor) else {
        // The model says no type; an unknown name is refused with the names that are known.
        return Ok(Tensor::from_strings([], vec![text.to_owned()])
            .map_err(remuda::Error::from)?
            .into());
    };
    let json = read(text, ty.dtype);
    let mut dims = Vec::new();
    let mut leaves = Vec::new();
    let bad = |problem: &str| {
        Failure::usage_hint(
            format!("input `{name}`: {problem}: `{text}`"),
            format!(
                "expected {ty}, as a file `{name}=@file.npy` or a value such as `1,2,3` or `[[1,2],[3,4]]`"
            ),
        )
    };
    flatten(&json, 0, &mut dims, &mut leaves).map_err(bad)?;
    // `3` for a tensor of one element, of whatever rank.
    if dims.is_empty() {
        dims = vec![1; ty.dims.as_ref().map_or(0, Vec::len)];
    }
    let tensor = tensor(ty.dtype, dims, &leaves).map_err(bad)?;
    Ok(tensor.map_err(remuda::Error::from)?.into())
}

/// JSON where it is JSON; a list without brackets; a text where texts are expected.
fn read(text: &str, dtype: DType) -> Json {
    let bracketed =
        || serde_json::from_str(&format!("[{text}]")).ok().filter(|_| text.contains(','));
    let words = || Json::from(text);
    if dtype == DType::String && !text.starts_with(['[', '"']) {
        return words();
    }
    serde_json::from_str(text).ok().or_else(bracketed).unwrap_or_else(words)
}

fn flatten<'a>(
    json: &'a Json,
    depth: usize,
    dims: &mut Vec<usize>,
    leaves: &mut Vec<&'a Json>,
) -> Result<(), &'static str> {
    let Json::Array(items) = json else {
        leaves.push(json);
        return if dims.len() == depth { Ok(()) } else { Err("the lists are not rectangular") };
    };
    if dims.len() == depth {
        if !leaves.is_empty() {
            return Err("the lists are not rectangular");
        }
        dims.push(items.len());
    }
    if dims.get(depth) != Some(&items.len()) {
        return Err("the lists are not rectangular");
    }
    items.iter().try_for_each(|item| flatten(item, depth + 1, dims, leaves))
}

type Made = Result<Tensor, TensorError>;

fn tensor(dtype: DType, dims: Vec<usize>, leaves: &[&Json]) -> Result<Made, &'static str> {
    fn all<'a, T>(
        leaves: &[&'a Json],
        one: impl Fn(&'a Json) -> Option<T>,
    ) -> Result<Vec<T>, &'static str> {
        leaves
            .iter()
            .map(|&leaf| one(leaf))
            .collect::<Option<_>>()
            .ok_or("not a value of this type")
    }
    fn int<T: TryFrom<i128>>(leaf: &Json) -> Option<T> {
        let number = leaf.as_number()?;
        let wide = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))?;
        T::try_from(wide).ok()
    }
    fn float(leaf: &Json) -> Option<f64> {
        match leaf {
            Json::String(text) => text.parse().ok(),
            _ => leaf.as_number().and_then(Number::as_f64),
        }
    }
    #[expect(clippy::cast_possible_truncation, reason = "the nearest value of the input's type")]
    let narrow = |leaf| float(leaf).map(|value| value as f32);
    Ok(match dtype {
        DType::F32 => Tensor::from_vec(dims, all(leaves, narrow)?),
        DType::F64 => Tensor::from_vec(dims, all(leaves, float)?),
        DType::F16 => Tensor::from_vec(dims, all(leaves, |leaf| float(leaf).map(f16::from_f64))?),
        DType::BF16 => Tensor::from_vec(dims, all(leaves, |leaf| float(leaf).map(bf16::from_f64))?),
        DType::I8 => Tensor::from_vec(dims, all(leaves, int::<i8>)?),
        DType::I16 => Tensor::from_vec(dims, all(leaves, int::<i16>)?),
        DType::I32 => Tensor::from_vec(dims, all(leaves, int::<i32>)?),
        DType::I64 => Tensor::from_vec(dims, all(leaves, int::<i64>)?),
        DType::U8 => Tensor::from_vec(dims, all(leaves, int::<u8>)?),
        DType::U16 => Tensor::from_vec(dims, all(leaves, int::<u16>)?),
        DType::U32 => Tensor::from_vec(dims, all(leaves, int::<u32>)?),
        DType::U64 => Tensor::from_vec(dims, all(leaves, int::<u64>)?),
        DType::Bool => Tensor::from_vec(dims, all(leaves, Json::as_bool)?),
        DType::String => {
            Tensor::from_strings(dims, all(leaves, |leaf| leaf.as_str().map(str::to_owned))?)
        }
        _ => return Err("elements of this type can only be given as a file"),
    })
}

#[cfg(test)]
mod tests {
    use remuda::{DType, Tensor, TensorType, Value};

    fn parse(dtype: DType, rank: usize, text: &str) -> Result<Value, String> {
        let ty = TensorType::new(dtype, vec![remuda::Dim::Unknown; rank]).into();
        super::parse("x", text, Some(&ty)).map_err(|error| error.to_string())
    }

    #[test]
    fn numbers_lists_and_texts_are_read() {
        let f32s = |dims: &[usize], values: &[f32]| {
            Tensor::from_vec(dims, values.to_vec()).unwrap().into()
        };
        assert_eq!(parse(DType::F32, 0, "1.5"), Ok(f32s(&[], &[1.5])));
        assert_eq!(parse(DType::F32, 2, "-1"), Ok(f32s(&[1, 1], &[-1.0])));
        assert_eq!(parse(DType::F32, 1, "1,2"), Ok(f32s(&[2], &[1.0, 2.0])));
        assert_eq!(parse(DType::F32, 2, "[[1],[2]]"), Ok(f32s(&[2, 1], &[1.0, 2.0])));
        assert_eq!(parse(DType::F32, 1, "[]"), Ok(f32s(&[0], &[])));
        assert_eq!(parse(DType::F32, 0, "inf"), Ok(f32s(&[], &[f32::INFINITY])));
        let text =
            |text: &str| Ok(Tensor::from_strings([1], vec![text.to_owned()]).unwrap().into());
        assert_eq!(parse(DType::String, 1, "a, b"), text("a, b"));
        assert_eq!(parse(DType::String, 1, "[\"a, b\"]"), text("a, b"));
        assert_eq!(
            parse(DType::I64, 0, "9007199254740993"),
            Ok(Tensor::scalar(9_007_199_254_740_993i64).into())
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (dtype, text) in [
            (DType::F32, "cat"),
            (DType::I8, "300"),
            (DType::I64, "1.5"),
            (DType::U8, "-1"),
            (DType::Bool, "1"),
        ] {
            assert_eq!(
                parse(dtype, 1, text),
                Err(format!("input `x`: not a value of this type: `{text}`"))
            );
        }
        for text in ["[[1],[2,3]]", "[1,[2]]", "[[1],2]", "[[],1]"] {
            let want = format!("input `x`: the lists are not rectangular: `{text}`");
            assert_eq!(parse(DType::F32, 2, text), Err(want));
        }
    }
}
