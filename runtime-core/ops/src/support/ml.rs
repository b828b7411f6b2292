//! What the operators of `ai.onnx.ml` share: rows of features, class labels, and transforms of scores.

use remuda_ir::{Attrs, InferCtx, OpError, Types};
use remuda_tensor::{DType, Dim, Tensor};

use super::activations::{greater, sigmoid};

/// What features may be.
pub(crate) const FEATURES: Types =
    Types::one(DType::F32).or(Types::one(DType::F64)).or(Types::INDEX);

/// Features as rows; one dimension is one row.
pub(crate) struct Rows {
    /// How many rows.
    pub(crate) count: usize,
    /// Features of each.
    pub(crate) width: usize,
    values: Vec<f64>,
}

impl Rows {
    /// The rows of a tensor of one or two dimensions.
    pub(crate) fn of(tensor: &Tensor) -> Result<Self, OpError> {
        let (count, width) = match *tensor.dims() {
            [width] => (1, width),
            [count, width] => (count, width),
            _ => return Err(wrong_rank(tensor.rank())),
        };
        Ok(Self { count, width, values: tensor.to_f64_vec()? })
    }

    /// Each row.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[f64]> {
        (0..self.count).map(|at| &self.values[at * self.width..(at + 1) * self.width])
    }
}

fn wrong_rank(rank: usize) -> OpError {
    OpError::Invalid(format!("expected 1 or 2 dimensions, got {rank}"))
}

/// The number of rows of input 0, as far as it is known.
pub(crate) fn row_count(ctx: &InferCtx<'_>) -> Result<Dim, OpError> {
    match ctx.dims(0)? {
        None => Ok(Dim::Unknown),
        Some([_]) => Ok(Dim::Known(1)),
        Some([rows, _]) => Ok(rows.clone()),
        Some(dims) => Err(wrong_rank(dims.len())),
    }
}

/// The floats of an attribute, or the tensor of the attribute with `_as_tensor` behind its name.
pub(crate) fn reals(attrs: &Attrs, name: &str) -> Result<Vec<f64>, OpError> {
    if let Some(floats) = attrs.floats(name)? {
        return Ok(floats.iter().copied().map(f64::from).collect());
    }
    Ok(attrs.tensor(&format!("{name}_as_tensor"))?.map_or(Ok(Vec::new()), Tensor::to_f64_vec)?)
}

/// The names of classes.
pub(crate) enum Labels {
    /// Numbers.
    Ints(Vec<i64>),
    /// Texts.
    Texts(Vec<String>),
}

impl Labels {
    /// The one of the two attributes that is there.
    pub(crate) fn read(attrs: &Attrs, ints: &str, texts: &str) -> Result<Self, OpError> {
        match (attrs.ints(ints)?, attrs.texts(texts)?) {
            (Some(labels), None) => Ok(Self::Ints(labels.to_vec())),
            (None, Some(labels)) => Ok(Self::Texts(labels.to_vec())),
            _ => Err(OpError::Invalid(format!("expected one of `{ints}` and `{texts}`"))),
        }
    }

    /// How many classes there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Ints(labels) => labels.len(),
            Self::Texts(labels) => labels.len(),
        }
    }

    /// What the names are.
    pub(crate) fn dtype(&self) -> DType {
        match self {
            Self::Ints(_) => DType::I64,
            Self::Texts(_) => DType::String,
        }
    }

    /// A list of the names of these classes.
    pub(crate) fn pick(&self, classes: &[usize]) -> Result<Tensor, OpError> {
        let missing = || OpError::invalid("there are fewer labels than classes");
        Ok(match self {
            Self::Ints(labels) => {
                let picked = classes.iter().map(|&at| labels.get(at).copied().ok_or_else(missing));
                Tensor::vector::<i64>(picked.collect::<Result<_, _>>()?)
            }
            Self::Texts(labels) => {
                let picked = classes.iter().map(|&at| labels.get(at).cloned().ok_or_else(missing));
                Tensor::from_strings([classes.len()], picked.collect::<Result<_, _>>()?)?
            }
        })
    }
}

/// The first class of the greatest score.
pub(crate) fn best(scores: &[f64]) -> usize {
    let max = scores.iter().copied().fold(f64::NEG_INFINITY, greater);
    scores.iter().position(|&score| score == max).unwrap_or(0)
}

/// What becomes of the scores of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transform {
    /// Nothing.
    None,
    /// Shares of the sum of their exponentials.
    Softmax,
    /// The sigmoid of each.
    Logistic,
    /// As softmax, but zeros stay zeros.
    SoftmaxZero,
    /// The inverse of the cumulative normal distribution, in ONNX Runtime's approximation.
    Probit,
}

impl Transform {
    /// By number, as `TreeEnsemble` has it.
    pub(crate) const BY_NUMBER: [Self; 5] =
        [Self::None, Self::Softmax, Self::Logistic, Self::SoftmaxZero, Self::Probit];

    /// The transform that attribute `post_transform` names.
    pub(crate) fn read(attrs: &Attrs) -> Result<Self, OpError> {
        match attrs.text_or("post_transform", "NONE")? {
            "NONE" => Ok(Self::None),
            "SOFTMAX" => Ok(Self::Softmax),
            "LOGISTIC" => Ok(Self::Logistic),
            "SOFTMAX_ZERO" => Ok(Self::SoftmaxZero),
            "PROBIT" => Ok(Self::Probit),
            other => Err(OpError::Invalid(format!(
                "attribute `post_transform` of `{other}` is not known"
            ))),
        }
    }

    /// Transforms the scores of a row.
    pub(crate) fn apply(self, scores: &mut [f64]) {
        match self {
            Self::None => {}
            Self::Softmax => softmax(scores, |_| false),
            Self::SoftmaxZero => softmax(scores, |score| score.abs() <= NEARLY_ZERO),
            Self::Logistic => scores.iter_mut().for_each(|score| *score = sigmoid(*score)),
            Self::Probit => scores.iter_mut().for_each(|score| *score = probit(*score)),
        }
    }

    /// The scores of both classes from that of the second one: what is left to one, or where
    /// `symmetric` the same with the other sign.
    pub(crate) fn of_two(self, score: f64, symmetric: bool) -> Result<[f64; 2], OpError> {
        match self {
            Self::None if symmetric => Ok([-score, score]),
            Self::None => Ok([1.0 - score, score]),
            Self::Logistic => Ok([sigmoid(-score), sigmoid(score)]),
            _ => Err(OpError::unsupported(
                "attribute `post_transform` other than NONE and LOGISTIC for two classes of one score",
            )),
        }
    }
}

const NEARLY_ZERO: f64 = 1e-7;

fn softmax(scores: &mut [f64], stays: impl Fn(f64) -> bool) {
    let max = scores.iter().copied().fold(f64::NEG_INFINITY, greater);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        if stays(*score) {
            *score *= (-max).exp();
        } else {
            *score = (*score - max).exp();
            sum += *score;
        }
    }
    scores.iter_mut().for_each(|score| *score /= sum);
}

fn probit(share: f64) -> f64 {
    std::f64::consts::SQRT_2 * inverse_erf(2.0 * share - 1.0)
}

/// Winitzki's approximation of the inverse error function.
fn inverse_erf(x: f64) -> f64 {
    const A: f64 = 0.147;
    let log = ((1.0 - x) * (1.0 + x)).ln();
    let half = 2.0 / (std::f64::consts::PI * A) + 0.5 * log;
    (-half + (half * half - log / A).sqrt()).sqrt().copysign(x)
}
