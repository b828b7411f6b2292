//! Language models: loaded from a file, asked with tokens.

mod answer;
mod ask;
mod embedder;
mod generation;
mod perplexity;
mod prompt;
mod source;
mod voice;

use std::path::Path;
use std::sync::{Arc, OnceLock};

use remuda_chat::ChatTemplate;
use remuda_engine::{Engine, EngineError, Runner};
use remuda_grammar::Compiler;
use remuda_ir::OpError;
use remuda_models::{ModelError, ModelFile};
use remuda_tensor::{DType, Memory};
use remuda_text::Tokenizer;

pub use answer::Answer;
pub use ask::{
    Ask, Constraint, Finish, LogProb, MirostatVersion, Outcome, Piece, SETTINGS, SamplerName,
    Sampling, Setting,
};
pub use embedder::{Embedder, Embedding, EncoderInfo, Pooling};
pub use generation::{Generation, Pick, greedy};
pub use perplexity::Perplexity;
pub use remuda_engine::{Budget, Memory as LanguageMemory, Usage};
pub use remuda_models::{ModelInfo, names as architectures};

use crate::demo::{demo, is_demo};
use crate::placement::Plan;
use crate::{Error, ErrorKind, Runtime};

/// How a language model is to be loaded.
#[derive(Clone, Debug)]
pub struct LanguageOptions {
    /// Positions of a sequence; the model's own context by default, or the largest half of it that
    /// memory has room for.
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
    file: ModelFile,
    /// What texts need is read when the first one comes; or why it cannot be.
    tokenizer: OnceLock<Result<Arc<Tokenizer>, String>>,
    template: OnceLock<Result<Option<ChatTemplate>, String>>,
    compiler: OnceLock<Result<Compiler, String>>,
    threads: usize,
}

/// Of the memory that is free, so much is left to others.
const SPARE: u64 = 10;

/// No context is cut below this.
const LEAST_CONTEXT: usize = 512;

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

    pub(crate) fn open(
        runtime: &Runtime,
        path: &Path,
        options: &LanguageOptions,
    ) -> Result<Self, Error> {
        let file = match demo(path) {
            Some(carried) => ModelFile::from_memory(carried),
            None => ModelFile::open(path).map_err(model_error)?,
        };
        Self::prepare(runtime, file, options)
    }

    pub(crate) fn from_memory(
        runtime: &Runtime,
        bytes: Arc<dyn Memory>,
        options: &LanguageOptions,
    ) -> Result<Self, Error> {
        Self::prepare(runtime, ModelFile::from_memory(bytes), options)
    }

    fn prepare(
        runtime: &Runtime,
        file: ModelFile,
        options: &LanguageOptions,
    ) -> Result<Self, Error> {
        let targets = &runtime.selection.targets;
        let cpu = targets.last().ok_or_else(|| Error::Setup("there is no CPU".to_owned()))?;
        let place = (&cpu.provider, cpu.device.index);
        let build = |context| {
            let options = remuda_models::Options { cache: options.cache, context };
            remuda_models::LanguageModel::build(&file, &options).map_err(model_error)
        };
        let model = build(options.context)?;
        let budget = |context| Budget {
            context,
            sequences: options.sequences,
            step_tokens: options.step_tokens,
            lookup: options.lookup,
            mirror: options.mirror,
        };
        let need = |context| {
            LanguageMemory::of(&model.info, &budget(context), place)
                .map_err(|failure| Error::Run(failure.into()))
        };
        let context = match options.context {
            Some(context) => context,
            None => fitting(
                model.info.context,
                cpu.provider.memory(place.1).ok().map(|info| info.free_bytes),
                need,
            )?,
        };
        let memory = need(context)?;
        let model = if context == model.info.context { model } else { build(Some(context))? };
        let session = runtime.session_options();
        let runner = Runner::new(model, budget(context), (&runtime.selection, &session))
            .map_err(run_error)?;
        let engine = Engine::start(runner).map_err(run_error)?;
        Ok(Self(Arc::new(Loaded {
            engine,
            memory,
            file,
            tokenizer: OnceLock::new(),
            template: OnceLock::new(),
            compiler: OnceLock::new(),
            threads: runtime.threads(),
        })))
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

    /// Who runs what, as it was planned when it was loaded.
    #[must_use]
    pub fn placement(&self) -> &Plan {
        self.0.engine.handle().plan()
    }

    /// What the placement contract wants the user to know.
    #[must_use]
    pub fn placement_warnings(&self) -> Arc<[String]> {
        self.0.engine.handle().plan_warnings()
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

    /// The logits behind each token of a prompt, in rows as long as the vocabulary.
    ///
    /// # Errors
    /// When the prompt does not fit, or the run fails.
    pub fn logits(&self, prompt: Vec<u32>) -> Result<Vec<f32>, Error> {
        prompt::logits(self.0.engine.handle(), prompt).map_err(run_error)
    }

    /// The logarithm of the probability of each token of a prompt after those in front of it; of all
    /// but the first.
    ///
    /// # Errors
    /// As for [`Self::logits`].
    pub fn log_probabilities(&self, prompt: Vec<u32>) -> Result<Vec<f64>, Error> {
        prompt::log_probabilities(self.0.engine.handle(), prompt).map_err(run_error)
    }
}

/// The model's own context if the caches for it fit into free memory, else the largest half, quarter
/// and so on that does.
fn fitting(
    own: usize,
    free: Option<u64>,
    need: impl Fn(usize) -> Result<LanguageMemory, Error>,
) -> Result<usize, Error> {
    let Some(free) = free else { return Ok(own) };
    let room = free - free / SPARE;
    let mut context = own;
    while context > LEAST_CONTEXT && need(context)?.cache_bytes > room {
        context /= 2;
    }
    Ok(context)
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
        | ModelError::Unsupported { .. }
        | ModelError::Unused { .. } => ErrorKind::Unsupported,
        ModelError::Graph(error) => crate::error::kind_of(error),
        ModelError::Verify(_) => ErrorKind::Bug,
        ModelError::Gguf(_)
        | ModelError::Key { .. }
        | ModelError::Shape { .. }
        | ModelError::Missing { .. }
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
