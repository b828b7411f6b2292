//! `TfIdfVectorizer`: how often each n-gram of a pool occurs in a row of tokens, as a number (TF), as a
//! weight if it occurs (IDF), or as both multiplied (TFIDF). The tokens of an n-gram may lie up to
//! `max_skip_count` tokens apart.

use remuda_base::Map;
use remuda_ir::{
    AttrDef, AttrKind, Attrs, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::{DType, Dim, Tensor};

use crate::support::array::vec_of;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "TfIdfVectorizer",
    since: 9,
    upgrades: &[],
    inputs: &[InputDef::new("x", Types::INDEX.or(Types::STRING))],
    outputs: &[OutputDef::new("y")],
    attrs: &[
        AttrDef::required("max_gram_length", AttrKind::Int),
        AttrDef::required("max_skip_count", AttrKind::Int),
        AttrDef::required("min_gram_length", AttrKind::Int),
        AttrDef::required("mode", AttrKind::Text),
        AttrDef::required("ngram_counts", AttrKind::Ints),
        AttrDef::required("ngram_indexes", AttrKind::Ints),
        AttrDef::new("pool_int64s", AttrKind::Ints),
        AttrDef::new("pool_strings", AttrKind::Texts),
        AttrDef::new("weights", AttrKind::Floats),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer,
    reference,
    cases: include_str!("tf_idf_vectorizer.cases"),
};

/// The place in the output of each n-gram of the pool.
fn places(attrs: &Attrs) -> Result<Vec<usize>, OpError> {
    let indexes = attrs.ints("ngram_indexes")?.unwrap_or(&[]);
    let places = indexes.iter().map(|&index| usize::try_from(index)).collect::<Result<_, _>>();
    places.map_err(|_| OpError::invalid("attribute `ngram_indexes` holds a negative place"))
}

/// The places of the output.
fn width(places: &[usize]) -> usize {
    places.iter().max().map_or(0, |&max| max.saturating_add(1))
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let width = Dim::from(width(&places(ctx.attrs())?));
    let dims = match ctx.dims(0)? {
        None => None,
        Some([_]) => Some(vec![width]),
        Some([rows, _]) => Some(vec![rows.clone(), width]),
        Some(dims) => return Err(wrong_rank(dims.len())),
    };
    Ok(vec![Inferred::maybe(DType::F32, dims)])
}

fn wrong_rank(rank: usize) -> OpError {
    OpError::Invalid(format!("expected 1 or 2 dimensions, got {rank}"))
}

/// A token: a number as its digits, so that both kinds of pool are looked up alike.
type Token = String;

fn tokens(tensor: &Tensor) -> Result<Vec<Token>, OpError> {
    if tensor.dtype() == DType::String {
        return Ok(tensor.texts().into_iter().map(str::to_owned).collect());
    }
    Ok(tensor.to_i64_vec()?.iter().map(ToString::to_string).collect())
}

fn pool(attrs: &Attrs, dtype: DType) -> Result<Vec<Token>, OpError> {
    match (attrs.texts("pool_strings")?, attrs.ints("pool_int64s")?) {
        (Some(texts), None) if dtype == DType::String => Ok(texts.to_vec()),
        (None, Some(ints)) if dtype != DType::String => {
            Ok(ints.iter().map(ToString::to_string).collect())
        }
        _ => Err(OpError::Invalid(format!(
            "expected one of `pool_strings` and `pool_int64s`, of the input's dtype `{dtype}`"
        ))),
    }
}

/// The n-grams that are counted, and which of the pool each is.
struct Grams {
    of: Map<Vec<Token>, usize>,
    lengths: std::ops::RangeInclusive<usize>,
}

impl Grams {
    fn read(attrs: &Attrs, dtype: DType) -> Result<Self, OpError> {
        let pool = pool(attrs, dtype)?;
        let length = |name| {
            let length = attrs.required_int(name)?;
            usize::try_from(length).ok().filter(|&length| length > 0).ok_or_else(|| {
                OpError::Invalid(format!("attribute `{name}` expected a length, got {length}"))
            })
        };
        let lengths = length("min_gram_length")?..=length("max_gram_length")?;
        let starts = attrs.ints("ngram_counts")?.unwrap_or(&[]);
        let broken = || OpError::invalid("attribute `ngram_counts` does not divide the pool");
        let (mut of, mut number) = (Map::new(), 0);
        for (at, &start) in starts.iter().enumerate() {
            let end = starts.get(at + 1).map_or(Ok(pool.len()), |&end| usize::try_from(end));
            let (Ok(start), Ok(end)) = (usize::try_from(start), end) else { return Err(broken()) };
            let part = pool.get(start..end).ok_or_else(broken)?;
            if !part.len().is_multiple_of(at + 1) {
                return Err(broken());
            }
            for gram in part.chunks(at + 1) {
                if lengths.contains(&gram.len()) {
                    of.insert(gram.to_vec(), number);
                }
                number += 1;
            }
        }
        Ok(Self { of, lengths })
    }

    /// Calls `found` with each n-gram of a row.
    fn each(&self, row: &[Token], skips: usize, mut found: impl FnMut(usize)) {
        let longest = (*self.lengths.end()).min(row.len());
        for length in *self.lengths.start()..=longest {
            // Single tokens do not depend on how many are skipped between them.
            let steps = if length == 1 { 1 } else { skips.saturating_add(1).min(row.len()) };
            for step in 1..=steps {
                let reach = step.saturating_mul(length - 1);
                for start in 0..row.len().saturating_sub(reach) {
                    let gram: Vec<Token> =
                        (0..length).map(|at| row[start + at * step].clone()).collect();
                    if let Some(&number) = self.of.get(&gram) {
                        found(number);
                    }
                }
            }
        }
    }
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (x, attrs) = (ctx.tensor(0)?, ctx.attrs());
    let grams = Grams::read(attrs, x.dtype())?;
    let places = places(attrs)?;
    if grams.of.values().any(|&number| number >= places.len()) {
        return Err(OpError::invalid("attribute `ngram_indexes` is shorter than the pool"));
    }
    let weights = attrs.floats("weights")?;
    let weight = |number: usize| {
        f64::from(weights.and_then(|list| list.get(number).copied()).unwrap_or(1.0))
    };
    let value: fn(f64, f64) -> f64 = match attrs.text_or("mode", "")? {
        "TF" => |count, _| count,
        "IDF" => |count, weight| count.min(1.0) * weight,
        "TFIDF" => |count, weight| count * weight,
        other => {
            let text = format!("attribute `mode` expected `TF`, `IDF` or `TFIDF`, got `{other}`");
            return Err(OpError::Invalid(text));
        }
    };
    let skips = usize::try_from(attrs.required_int("max_skip_count")?)
        .map_err(|_| OpError::invalid("attribute `max_skip_count` is negative"))?;
    let (rows, columns) = match *x.dims() {
        [columns] => (1, columns),
        [rows, columns] => (rows, columns),
        _ => return Err(wrong_rank(x.rank())),
    };
    let width = width(&places);
    let mut y = vec_of(&[rows, width], 0f32)?;
    let all = tokens(x)?;
    for row in 0..rows {
        let mut counts = vec![0.0; places.len()];
        let here = &all[row * columns..(row + 1) * columns];
        grams.each(here, skips, |number| counts[number] += 1.0);
        for (number, count) in counts.into_iter().enumerate() {
            y[row * width + places[number]] += value(count, weight(number)) as f32;
        }
    }
    let dims = if x.rank() == 1 { vec![width] } else { vec![rows, width] };
    Ok(vec![Tensor::from_vec::<f32>(dims, y)?.into()])
}
