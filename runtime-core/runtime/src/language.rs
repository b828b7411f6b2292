//! Language models: loaded from a file, asked with tokens.

mod answer;
mod ask;
mod embedder;
mod generation;
mod load;
mod perplexity;
mod prompt;
mod source;
mod voice;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use remuda_chat::ChatTemplate;
use remuda_engine::{Engine, EngineError};
use remuda_grammar::Compiler;
use remuda_ir::OpError;
use remuda_models::{ModelError, ModelFile};
use remuda_tensor::DType;
use remuda_text::Tokenizer;

pub use answer::Answer;
pub use ask::{
    Ask, Constraint, Finish, LogProb, MirostatVersion, Outcome, Piece, SETTINGS, SamplerName,
    Sampling, Setting,
};
pub use embedder::{Embedder, Embedding, EncoderInfo, Pooling};
pub use generation::{Generation, Pick, greedy};
pub use perplexity::Perplexity;
pub use remuda_engine::{Budget, Memory as LanguageMemory, StepFailover, Usage};
pub use remuda_models::{ModelInfo, names as architectures};

use crate::demo::is_demo;
use crate::placement::{Plan, Receipt, Trial};
use crate::{Error, ErrorKind};

/// How a language model is to be loaded.
#[derive(Clone, Debug)]
pub struct LanguageOptions {
    /// Positions of a sequence; the model's own context by default, or the most that memory has room
    /// for.
    pub context: Option<usize>,
    /// Sequences that may generate at once.
    pub sequences: u32,
    /// Tokens of one step: how large the pieces of a long prompt are.
    pub step_tokens: usize,
    /// How keys and values are cached: `f32`, `f16`, `bf16`, `q8_0` or `q4_0`.
    pub cache: DType,
    /// Whether tokens that are likely to follow, because they did before, are run along.
    pub lookup: bool,
    /// Whether caches on devices are kept in host memory, too, so that a lost device costs no
    /// computation.
    pub mirror: bool,
    /// LoRA adapters in GGUF files, and how much of each is added: 1 for as much as it says itself.
    pub adapters: Vec<(PathBuf, f64)>,
    /// A smaller model with the same vocabulary, which guesses tokens for the model to look at several
    /// at once. Answers stay as they are but for rounding; it pauses while it costs time.
    pub draft: Option<PathBuf>,
    /// Whether the same seed must give the same tokens whatever else runs, on however many threads and
    /// with whatever in the caches: only the CPU, whose kernels promise this, runs the model then.
    pub deterministic: bool,
}

impl Default for LanguageOptions {
    fn default() -> Self {
        Self {
            context: None,
            sequences: 1,
            step_tokens: 512,
            cache: DType::F16,
            lookup: false,
            mirror: false,
            adapters: Vec::new(),
            draft: None,
            deterministic: false,
        }
    }
}

/// A loaded language model. Cheap to clone; many threads may ask it at once.
#[derive(Clone, Debug)]
pub struct LanguageModel(Arc<Loaded>);

#[derive(Debug)]
struct Loaded {
    engine: Engine,
    memory: LanguageMemory,
    /// Whether the context was cut to what fits.
    cut: bool,
    file: ModelFile,
    /// What texts need is read when the first one comes; or why it cannot be.
    tokenizer: OnceLock<Result<Arc<Tokenizer>, String>>,
    template: OnceLock<Result<Option<ChatTemplate>, String>>,
    compiler: OnceLock<Result<Compiler, String>>,
    threads: usize,
}

impl LanguageModel {
    /// Whether a file holds a language model, by its first bytes; or a folder, by its files.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn is_one(path: &Path) -> Result<bool, Error> {
        if path.is_dir() {
            return Ok(path.join("config.json").exists());
        }
        use std::io::Read;
        if is_demo(path) {
            return Ok(true);
        }
        let file = |source| Error::File { path: path.to_owned(), source };
        let mut start = [0; 4];
        let mut opened = std::fs::File::open(path).map_err(file)?;
        let read = opened.read(&mut start).map_err(file)?;
        Ok(ModelFile::is_one(start.get(..read).unwrap_or_default()))
    }

    /// What the model is.
    #[must_use]
    pub fn info(&self) -> &ModelInfo {
        self.0.engine.handle().info()
    }

    /// What the engine may take: context and sequences.
    #[must_use]
    pub fn budget(&self) -> &Budget {
        self.0.engine.handle().budget()
    }

    /// Whether memory had no room for the model's own context, so that it has the most that fits.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.0.cut
    }

    /// Who runs what.
    #[must_use]
    pub fn placement(&self) -> Plan {
        self.0.engine.handle().plan()
    }

    /// What was found out before the first step by trying the plan against others; nothing before it, or
    /// where there was nothing to try.
    #[must_use]
    pub fn trials(&self) -> &[Trial] {
        self.0.engine.handle().trials()
    }

    /// What the placement contract wants the user to know.
    #[must_use]
    pub fn placement_warnings(&self) -> Arc<[String]> {
        self.0.engine.handle().plan_warnings()
    }

    /// The receipt of the step that ended last. A device that took caches with it when it failed is in
    /// [`Self::failovers`] alone.
    #[must_use]
    pub fn last_receipt(&self) -> Option<Receipt> {
        self.0.engine.handle().last_receipt()
    }

    /// The devices that failed since the model was loaded, in order. What is asked goes on without them;
    /// each answer tells of those that failed during it ([`Usage::failovers`]).
    #[must_use]
    pub fn failovers(&self) -> Vec<StepFailover> {
        self.0.engine.handle().failovers()
    }

    /// Why the draft model was given up, if it was: answers go on without its guesses.
    #[must_use]
    pub fn draft_lost(&self) -> Option<String> {
        self.0.engine.handle().draft_lost()
    }

    /// The memory it takes.
    #[must_use]
    pub fn memory(&self) -> LanguageMemory {
        self.0.memory
    }

    /// The file it was loaded from.
    #[must_use]
    pub fn file(&self) -> &ModelFile {
        &self.0.file
    }

    /// How many threads kernels run on.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.0.threads
    }

    /// Goes on from a prompt, token by token as `pick` chooses from logits; at most `most` tokens.
    ///
    /// # Errors
    /// When the engine has stopped; everything else is told by the generation.
    pub fn generate(
        &self,
        prompt: Vec<u32>,
        most: Option<usize>,
        pick: Pick,
    ) -> Result<Generation, Error> {
        generation::start(self, prompt, most, pick).map_err(run_error)
    }

    /// Whether an encoder reads prompts, and what the model writes is the answer alone: it knows no
    /// conversations, and says nothing of the prompt's own tokens.
    #[must_use]
    pub fn reads_prompts_apart(&self) -> bool {
        self.info().start.is_some()
    }

    fn expect_goes_on(&self) -> Result<(), Error> {
        if !self.reads_prompts_apart() {
            return Ok(());
        }
        Err(Error::Input(format!(
            "`{}` reads prompts with an encoder: there are logits behind the tokens of an answer, and none \
             behind those of a prompt",
            self.info().architecture
        )))
    }

    /// The logits behind each token of a prompt, in rows as long as the vocabulary.
    ///
    /// # Errors
    /// When the prompt does not fit, an encoder reads it, or the run fails.
    pub fn logits(&self, prompt: Vec<u32>) -> Result<Vec<f32>, Error> {
        self.expect_goes_on()?;
        prompt::logits(self.0.engine.handle(), prompt).map_err(run_error)
    }

    /// The logits behind a prompt, and behind each token of an answer to it: a row more than the answer has
    /// tokens.
    ///
    /// # Errors
    /// When they do not fit, or the run fails.
    pub fn answer_logits(&self, prompt: Vec<u32>, answer: Vec<u32>) -> Result<Vec<f32>, Error> {
        prompt::answer_logits(self.0.engine.handle(), prompt, answer).map_err(run_error)
    }

    /// The logarithm of the probability of each token of a prompt after those in front of it; of all
    /// but the first.
    ///
    /// # Errors
    /// As for [`Self::logits`].
    pub fn log_probabilities(&self, prompt: Vec<u32>) -> Result<Vec<f64>, Error> {
        self.expect_goes_on()?;
        prompt::log_probabilities(self.0.engine.handle(), prompt).map_err(run_error)
    }
}

pub(crate) fn run_error(error: EngineError) -> Error {
    match error {
        EngineError::Run(error) => error.into(),
        EngineError::Stopped => Error::Run(OpError::Cancelled),
        other => Error::Input(other.to_string()),
    }
}

fn model_error(error: ModelError) -> Error {
    let kind = match &error {
        ModelError::File { .. } => ErrorKind::Resource,
        ModelError::Architecture { .. }
        | ModelError::EncoderDecoder { .. }
        | ModelError::Unsupported { .. }
        | ModelError::Unused { .. } => ErrorKind::Unsupported,
        ModelError::Graph(error) => crate::error::kind_of(error),
        ModelError::Verify(_) => ErrorKind::Bug,
        ModelError::Gguf(_)
        | ModelError::Key { .. }
        | ModelError::Shape { .. }
        | ModelError::Missing { .. }
        | ModelError::Adapter { .. }
        | ModelError::AdapterOfFolder
        | ModelError::Folder { .. } => ErrorKind::Invalid,
    };
    match error {
        ModelError::File { path, source } => Error::File { path, source },
        other => {
            let hint = matches!(other, ModelError::Architecture { .. }).then(|| {
                let list = |names: Vec<&str>| names.join(", ");
                let encoders = remuda_models::encoder_names().collect();
                format!(
                    "for text: {}; for vectors: {}",
                    list(architectures().collect()),
                    list(encoders)
                )
            });
            Error::Model { kind, message: other.to_string(), hint }
        }
    }
}
