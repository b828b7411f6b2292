//! Encoders: a text to a vector.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use remuda_exec::{RunRequest, Session};
use remuda_ir::{OpError, Val};
pub use remuda_models::{EncoderInfo, Pooling};
use remuda_models::{EncoderModel, ModelFile};
use remuda_tensor::{Memory, Tensor};
use remuda_text::{Encode, Tokenizer};

use super::{model_error, source};
use crate::placement::{Failover, Plan, Receipt};
use crate::{Error, Runtime};

/// A loaded encoder. Cheap to clone; many threads may ask it at once.
#[derive(Clone, Debug)]
pub struct Embedder(Arc<Loaded>);

#[derive(Debug)]
struct Loaded {
    session: Session,
    info: EncoderInfo,
    tokenizer: Tokenizer,
    last: Mutex<Option<Receipt>>,
}

/// What a vector comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    /// The vector, of length 1.
    pub vector: Vec<f32>,
    /// Tokens of the text.
    pub tokens: usize,
    /// Devices that failed meanwhile; the vector was made without them.
    pub failovers: Vec<Failover>,
}

impl Embedder {
    /// Whether a file holds an encoder.
    ///
    /// # Errors
    /// When it cannot be read, or is no GGUF file.
    pub fn is_one(path: &Path) -> Result<bool, Error> {
        EncoderModel::is_one(&ModelFile::open(path).map_err(model_error)?).map_err(model_error)
    }

    pub(crate) fn open(runtime: &Runtime, path: &Path) -> Result<Self, Error> {
        Self::prepare(runtime, &ModelFile::open(path).map_err(model_error)?)
    }

    pub(crate) fn from_memory(runtime: &Runtime, bytes: Arc<dyn Memory>) -> Result<Self, Error> {
        Self::prepare(runtime, &ModelFile::from_memory(bytes))
    }

    fn prepare(runtime: &Runtime, file: &ModelFile) -> Result<Self, Error> {
        let EncoderModel { mut graph, info } = EncoderModel::build(file).map_err(model_error)?;
        remuda_passes::optimize(&mut graph, &runtime.rewrites)?;
        let session = Session::new(graph, &runtime.selection, &runtime.session_options())?;
        let tokenizer = source::tokenizer(file)?;
        Ok(Self(Arc::new(Loaded { session, info, tokenizer, last: Mutex::default() })))
    }

    /// What the model is.
    #[must_use]
    pub fn info(&self) -> &EncoderInfo {
        &self.0.info
    }

    /// Its tokenizer.
    #[must_use]
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.0.tokenizer
    }

    /// Who runs what.
    #[must_use]
    pub fn placement(&self) -> Plan {
        self.0.session.plan()
    }

    /// What the placement contract wants the user to know.
    #[must_use]
    pub fn placement_warnings(&self) -> Arc<[String]> {
        self.0.session.plan_warnings()
    }

    /// The receipt of the run that ended last.
    #[must_use]
    pub fn last_receipt(&self) -> Option<Receipt> {
        self.0.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The vector of a text.
    ///
    /// # Errors
    /// When the text is longer than the context, `cancel` is set, or the run fails.
    pub fn embed(&self, text: &str, cancel: &AtomicBool) -> Result<Embedding, Error> {
        let tokens = self.0.tokenizer.encode(text, Encode { special: false, affixes: true })?;
        self.embed_tokens(&tokens, cancel)
    }

    /// The vector of tokens.
    ///
    /// # Errors
    /// As for [`Self::embed`], or when there are none, or a token is not in the vocabulary.
    pub fn embed_tokens(&self, tokens: &[u32], cancel: &AtomicBool) -> Result<Embedding, Error> {
        self.check(tokens)?;
        let ids = Tensor::vector(tokens.iter().map(|&id| i64::from(id)).collect::<Vec<_>>());
        let positions = Tensor::vector((0i64..).take(tokens.len()).collect::<Vec<_>>());
        let request = RunRequest { cancel: Some(cancel), profile: None };
        let inputs = [Val::from(ids), Val::from(positions)];
        let session = &self.0.session;
        session.canary_once(None, || vec![inputs.to_vec()], &request);
        let (made, receipt) = session.run(&inputs, &request)?;
        let failovers = receipt.failovers.clone();
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(receipt);
        let rows = made.first().ok_or_else(|| OpError::Bug("it gave no features".to_owned()))?;
        let rows = rows.tensor()?.to_f32_vec().map_err(OpError::from)?;
        let vector = pooled(&rows, self.0.info.features, self.0.info.pooling);
        Ok(Embedding { vector: normalised(vector), tokens: tokens.len(), failovers })
    }

    fn check(&self, tokens: &[u32]) -> Result<(), Error> {
        let info = &self.0.info;
        if tokens.is_empty() {
            return Err(Error::Input("the text has no tokens: expected at least 1".to_owned()));
        }
        if tokens.len() > info.context {
            let (got, most) = (tokens.len(), info.context);
            return Err(Error::Input(format!(
                "the text has {got} tokens, the context has room for {most}"
            )));
        }
        match tokens.iter().find(|&&token| token as usize >= info.vocabulary) {
            None => Ok(()),
            Some(token) => {
                let all = info.vocabulary;
                Err(Error::Input(format!("token {token} is not in the vocabulary of {all}")))
            }
        }
    }
}

/// The rows of a text as one.
fn pooled(rows: &[f32], features: usize, pooling: Pooling) -> Vec<f64> {
    let wide = |row: &[f32]| row.iter().map(|&value| f64::from(value)).collect();
    let mut each = rows.chunks_exact(features);
    match pooling {
        Pooling::First => each.next().map(wide).unwrap_or_default(),
        Pooling::Last => each.next_back().map(wide).unwrap_or_default(),
        // The mean; its length does not matter.
        _ => each.fold(vec![0.0; features], |mut sum, row| {
            sum.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
            sum
        }),
    }
}

/// The vector at length 1.
fn normalised(vector: Vec<f64>) -> Vec<f32> {
    let length = vector.iter().map(|value| value * value).sum::<f64>().sqrt();
    let factor = if length > 0.0 { 1.0 / length } else { 0.0 };
    #[expect(clippy::cast_possible_truncation, reason = "vectors are single precision")]
    let single = |value: f64| (value * factor) as f32;
    vector.into_iter().map(single).collect()
}

#[cfg(test)]
mod tests {
    use super::{Pooling, normalised, pooled};

    #[test]
    fn rows_become_one_vector_of_length_one() {
        let rows = [1.0, 2.0, 5.0, 6.0];
        let of = |pooling| normalised(pooled(&rows, 2, pooling));
        assert_eq!(of(Pooling::Mean), [0.6, 0.8]);
        let (first, last) = (of(Pooling::First), of(Pooling::Last));
        assert!((first[1] / first[0] - 2.0).abs() < 1e-6 && (last[1] / last[0] - 1.2).abs() < 1e-6);
        assert_eq!(normalised(vec![0.0, 0.0]), [0.0, 0.0]);
    }
}
