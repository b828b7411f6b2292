//! Language models: from metadata and named weights to the common graph.
//!
//! A file says an architecture by name; `arch` holds one small file per architecture, which says
//! how it differs from its relatives, and `decoder` builds the graph of all of them from the same
//! operators as any other model. Weights stay in the mapped file, in their block formats. Builders
//! depend on names and shapes, never on a dtype or a provider.
//!
//! The graph takes a step of tokens of any number of sequences: `tokens`, `positions` and
//! `sequences` (one each per token) and `outputs` (the tokens whose logits are wanted), has one state
//! per layer, and gives `logits`. Where prompts are read by an encoder it also takes those of one prompt:
//! `encoded`, `encoded_positions` and `encoded_sequences` (one each per token, or none), and has a second
//! state per layer for what was made of them.
#![forbid(unsafe_code)]
#![warn(clippy::expect_used, clippy::indexing_slicing)]

mod adapter;
mod arch;
mod decoder;
mod encoder;
mod error;
mod file;
mod folder;
mod keys;
mod net;
mod relative;
mod rope;

pub use adapter::Adapter;
pub use arch::names;
pub use encoder::{EncoderInfo, EncoderModel, Pooling, encoder_names};
pub use error::ModelError;
pub use file::ModelFile;

use remuda_ir::{Graph, StateType};
use remuda_tensor::DType;

/// How a model is to be built.
#[derive(Clone, Debug)]
pub struct Options {
    /// How keys and values are cached.
    pub cache: DType,
    /// Positions that a sequence may have; the model's own context by default.
    pub context: Option<usize>,
    /// Adapters whose parts are added to the model's products.
    pub adapters: Vec<Adapter>,
}

impl Default for Options {
    fn default() -> Self {
        Self { cache: DType::F16, context: None, adapters: Vec::new() }
    }
}

/// A language model as a graph, and what is known of it.
#[derive(Clone, Debug)]
pub struct LanguageModel {
    /// The verified and typed graph.
    pub graph: Graph,
    /// What the model is.
    pub info: ModelInfo,
}

/// What a model is, in names and numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelInfo {
    /// The architecture's name: `llama`, `qwen3`, …
    pub architecture: String,
    /// The model's own name, if it says one.
    pub name: Option<String>,
    /// Layers.
    pub layers: usize,
    /// Features of a token between layers.
    pub features: usize,
    /// Entries of the vocabulary.
    pub vocabulary: usize,
    /// Positions of a sequence that the model was made for.
    pub context: usize,
    /// Numbers in all weights.
    pub parameters: u64,
    /// Bytes of all weights.
    pub weight_bytes: u64,
    /// The dtype that most of the weights' bytes are in.
    pub dtype: DType,
    /// The type of each state, in the order in which runs take them.
    pub states: Vec<StateType>,
    /// The token that every answer starts with, where prompts are read by an encoder and what follows
    /// it is the answer alone; none where a model goes on from the prompt.
    pub start: Option<u32>,
}

impl LanguageModel {
    /// Builds the graph of a model.
    ///
    /// # Errors
    /// When the architecture is not known, or metadata or weights are missing or do not fit.
    pub fn build(file: &ModelFile, options: &Options) -> Result<Self, ModelError> {
        arch::build(file, options)
    }
}
