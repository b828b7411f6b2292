//! Reads values and types of case lines.

use remuda_base::Map;
use remuda_ir::{Val, ValueType, text};
use remuda_tensor::float8::Overflow;
use remuda_tensor::{DType, Dim, Element, Tensor, TensorType, dispatch_numeric_or_bool, packed};

use crate::{Random, random_tensor};

/// A value of a case line: its type, and its elements if they are given.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) ty: ValueType,
    pub(super) val: Option<Val>,
}

/// Splits `inputs -> outputs` at the arrow outside brackets.
pub(super) fn split_arrow(text: &str) -> (&str, &str) {
    match text
        .rfind(" -> ")
        .or_else(|| text.trim_end().ends_with(" ->").then(|| text.rfind(" ->")).flatten())
    {
        Some(at) => (&text[..at], text[at..].trim_start().trim_start_matches("->")),
        None => (text, ""),
    }
}

/// Calls `f` with each character that is outside quotes, its place and the depth of brackets.
fn outside(text: &str, mut f: impl FnMut(usize, char, usize) -> bool) -> Option<usize> {
    let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '{' | '[' | '(' => depth += 1,
            '}' | ']' | ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if !quoted && f(at, c, depth) {
            return Some(at);
        }
    }
    None
}

/// The place of the bracket that closes the one the text starts with.
pub(super) fn closing(text: &str) -> Result<usize, String> {
    outside(text, |_, c, depth| depth == 0 && matches!(c, '}' | ']' | ')'))
        .ok_or_else(|| "a bracket is not closed".into())
}

/// Splits at a mark outside brackets and quotes; nothing for an empty text.
pub(super) fn split_outside(text: &str, mark: char) -> Vec<&str> {
    let (mut parts, mut start) = (Vec::new(), 0);
    outside(text, |at, c, depth| {
        if c == mark && depth == 0 {
            parts.push(text[start..at].trim());
            start = at + c.len_utf8();
        }
        false
    });
    parts.push(text[start..].trim());
    if parts == [""] { Vec::new() } else { parts }
}

/// Reads a list of values; with a generator, letters in dimensions are random sizes and elements are
/// random where none are given.
pub(super) fn parse_givens(
    text: &str,
    mut random: Option<&mut Random>,
) -> Result<Vec<Option<Given>>, String> {
    let mut sizes = Map::new();
    split_outside(text, ',')
        .into_iter()
        .map(|part| match part {
            "_" => Ok(None),
            part => parse_given(part, random.as_deref_mut(), &mut sizes).map(Some),
        })
        .collect()
}

fn parse_given(
    text: &str,
    random: Option<&mut Random>,
    sizes: &mut Map<String, Dim>,
) -> Result<Given, String> {
    let inner =
        |word: &str| text.strip_prefix(word).and_then(|rest| rest.strip_suffix('}')).map(str::trim);
    if let Some(items) = inner("seq{") {
        let items =
            split_outside(items, '|').into_iter().map(|item| parse_given(item, None, sizes));
        let items = items.collect::<Result<Vec<_>, _>>()?;
        let ty = items
            .first()
            .ok_or("an empty sequence is `seq(type)` with ` empty` behind")?
            .ty
            .clone();
        let ty = ValueType::Sequence(unranked(ty).into());
        let vals = items
            .into_iter()
            .map(|item| item.val.ok_or("an item without elements"))
            .collect::<Result<_, _>>()?;
        return Ok(Given { ty, val: Some(Val::sequence(vals)) });
    }
    if let Some(item) = inner("some{") {
        let item = parse_given(item, None, sizes)?;
        let val = item.val.map(|val| Val::Optional(Some(val.into())));
        return Ok(Given { ty: ValueType::Optional(item.ty.into()), val });
    }
    if let Some(item) = inner("none{") {
        let ty = ValueType::Optional(parse_type(item)?.into());
        return Ok(Given { ty, val: Some(Val::Optional(None)) });
    }
    if let Some(ty) = text.strip_suffix(" empty") {
        return Ok(Given { ty: parse_type(ty)?, val: Some(Val::sequence(Vec::new())) });
    }
    parse_tensor(text, random, sizes)
}

fn parse_type(text: &str) -> Result<ValueType, String> {
    let source = format!("graph \"t\" {{ input %x: {text} }}");
    let graph = text::parse(&source).map_err(|error| format!("{error} in `{text}`"))?;
    graph.value(graph.inputs[0]).ty.clone().ok_or_else(|| "a type".into())
}

/// Items of a sequence may differ in their dimensions.
fn unranked(ty: ValueType) -> ValueType {
    match ty {
        ValueType::Tensor(tensor) => TensorType::unranked(tensor.dtype).into(),
        other => other,
    }
}

fn parse_tensor(
    text: &str,
    random: Option<&mut Random>,
    sizes: &mut Map<String, Dim>,
) -> Result<Given, String> {
    let open = text.find(['[', '(']).ok_or_else(|| format!("expected a type, got `{text}`"))?;
    let end = open + closing(&text[open..])?;
    let (ty, elements) = text.split_at(end + 1);
    let mut ty = parse_type(ty)?;
    let ValueType::Tensor(tensor) = &mut ty else { return Ok(Given { ty, val: None }) };
    if let (Some(random), Some(dims)) = (random, tensor.dims.as_mut()) {
        for dim in dims.iter_mut() {
            *dim = size_of_letter(dim, random, sizes);
        }
        let dims = tensor.fixed_dims().ok_or("a size that is not a number")?;
        if elements.trim().is_empty() {
            let val =
                random_tensor(random, tensor.dtype, &dims).map_err(|error| error.to_string())?;
            return Ok(Given { ty, val: Some(val.into()) });
        }
    }
    let Some(dims) = tensor.fixed_dims() else { return Ok(Given { ty, val: None }) };
    let words = words(elements);
    if words.is_empty() && dims.iter().product::<usize>() > 0 {
        return Ok(Given { ty, val: None });
    }
    let val =
        tensor_of(tensor.dtype, &dims, &words).map_err(|error| format!("{error} in `{text}`"))?;
    Ok(Given { ty, val: Some(val.into()) })
}

fn size_of_letter(dim: &Dim, random: &mut Random, sizes: &mut Map<String, Dim>) -> Dim {
    dim.substitute(&|name: &str| sizes.get(name).cloned()).as_i64().map_or_else(
        || {
            let size = Dim::from(1 + random.below(9));
            sizes.insert(dim.to_string(), size.clone());
            size
        },
        Dim::Known,
    )
}

/// Words and quoted texts.
fn words(text: &str) -> Vec<&str> {
    split_outside(text, ' ').into_iter().filter(|word| !word.is_empty()).collect()
}

fn tensor_of(dtype: DType, dims: &[usize], words: &[&str]) -> Result<Tensor, String> {
    let result = match dtype {
        DType::String => {
            let texts = words.iter().map(|word| word.trim_matches('"').to_owned()).collect();
            Tensor::from_strings(dims, texts)
        }
        _ if dtype.is_packed() => {
            let value = |word: &&str| {
                let number = number(word)?;
                Ok(packed::layout(dtype).map_or(number as i8, |layout| {
                    layout.encode(number as f32, Overflow::Saturate).cast_signed()
                }))
            };
            let values = words.iter().map(value).collect::<Result<Vec<_>, String>>()?;
            Tensor::from_bytes(dtype, dims, &packed::pack(dtype, &values))
        }
        DType::I64 => Tensor::from_vec(dims, integers::<i64>(words)?),
        DType::U64 => Tensor::from_vec(dims, integers::<u64>(words)?),
        _ => {
            dispatch_numeric_or_bool!(dtype, T => Tensor::from_vec(dims, floats::<T>(words)?), else small(dtype, dims, words)?)
        }
    };
    result.map_err(|error| error.to_string())
}

fn small(
    dtype: DType,
    dims: &[usize],
    words: &[&str],
) -> Result<Result<Tensor, remuda_tensor::TensorError>, String> {
    use remuda_tensor::float8::{F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0};
    Ok(match dtype {
        DType::F8E4M3FN => Tensor::from_vec(dims, floats::<F8E4M3FN>(words)?),
        DType::F8E4M3FNUZ => Tensor::from_vec(dims, floats::<F8E4M3FNUZ>(words)?),
        DType::F8E5M2 => Tensor::from_vec(dims, floats::<F8E5M2>(words)?),
        DType::F8E5M2FNUZ => Tensor::from_vec(dims, floats::<F8E5M2FNUZ>(words)?),
        DType::F8E8M0 => Tensor::from_vec(dims, floats::<F8E8M0>(words)?),
        other => return Err(format!("elements of `{other}` cannot be written in cases")),
    })
}

fn number(word: &str) -> Result<f64, String> {
    word.parse().map_err(|_| format!("expected a number, got `{word}`"))
}

fn floats<T: Element>(words: &[&str]) -> Result<Vec<T>, String> {
    words.iter().map(|word| number(word).map(T::from_f64)).collect()
}

fn integers<T: std::str::FromStr>(words: &[&str]) -> Result<Vec<T>, String> {
    words
        .iter()
        .map(|word| word.parse().map_err(|_| format!("expected an integer, got `{word}`")))
        .collect()
}
