//! What host and worker tell each other.

use std::ffi::OsString;
use std::path::PathBuf;

use remuda_bridge::Failure;
use remuda_host::loading::Source;
use remuda_host::process::Prober;
use remuda_ir::StateType;
use remuda_tensor::DType;
use serde::{Deserialize, Serialize};

use crate::share::Parcel;

/// A provider that is to run in a process of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Isolated {
    /// The provider.
    pub source: Source,
    /// The program of the worker.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
}

impl Isolated {
    /// A provider in a worker that is started so.
    #[must_use]
    pub fn new(source: Source, prober: &Prober) -> Self {
        let text = |argument: &OsString| argument.to_string_lossy().into_owned();
        let arguments = prober.arguments.iter().map(text).collect();
        Self { source, program: prober.program.clone(), arguments }
    }

    /// The option that [`crate::table`] is opened with.
    #[must_use]
    pub fn option(&self) -> (String, String) {
        (crate::OPTION.to_owned(), serde_json::to_string(self).unwrap_or_default())
    }
}

/// What the worker begins with.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Opening {
    pub(crate) source: Source,
    pub(crate) options: Vec<(String, String)>,
    pub(crate) threads: usize,
}

/// A line to the worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Line {
    Call(u64, Call),
    /// The call of this number is no longer wanted.
    Cancel(u64),
}

/// What the worker is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Call {
    Query { device: u32, graph: SentGraph },
    Propose { device: u32, graph: SentGraph },
    Compile { device: u32, graph: SentGraph },
    FreeProgram(u64),
    Run { program: u64, inputs: Parcel, states: Vec<u64> },
    Memory(u32),
    Synchronize(u32),
    StateBytes(StateCall),
    CreateState(StateCall),
    FreeState(u64),
    Length { state: u64, sequence: u32 },
    Truncate { state: u64, sequence: u32, length: u64 },
    Copy { state: u64, from: u32, to: u32, length: u64 },
    Export { state: u64, sequence: u32, start: u64, end: u64 },
    Append { state: u64, sequence: u32, positions: Parcel },
}

/// A state that is asked about.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StateCall {
    pub(crate) device: u32,
    pub(crate) dtype: String,
    pub(crate) heads: usize,
    pub(crate) key_dim: usize,
    pub(crate) value_dim: usize,
    pub(crate) window: Option<usize>,
    pub(crate) sequences: u32,
    pub(crate) capacity: u64,
}

impl StateCall {
    pub(crate) fn new(device: u32, ty: &StateType, sequences: u32, capacity: u64) -> Self {
        let StateType { dtype, heads, key_dim, value_dim, window } = *ty;
        let dtype = dtype.name().to_owned();
        Self { device, dtype, heads, key_dim, value_dim, window, sequences, capacity }
    }

    pub(crate) fn ty(&self) -> Result<StateType, Failure> {
        let unknown = || Failure::Invalid(format!("element type `{}` is not known", self.dtype));
        let dtype = DType::from_name(&self.dtype).ok_or_else(unknown)?;
        let Self { heads, key_dim, value_dim, window, .. } = *self;
        Ok(StateType { dtype, heads, key_dim, value_dim, window })
    }
}

/// A graph as text, its constants beside it: as the last inputs of the text, in this order.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SentGraph {
    pub(crate) text: String,
    pub(crate) opset: u32,
    pub(crate) constants: Parcel,
}

/// What the worker answers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    Opened(Vec<SentDevice>),
    Answers(Vec<SentAnswer>),
    Proposed(SentProposal),
    Compiled { program: u64, resident: u64, workspace: u64 },
    Values(Parcel),
    Memory { total: u64, free: u64 },
    Number(u64),
    Done,
    Failed(SentFailure),
}

/// A line from the worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Answered {
    pub(crate) call: u64,
    pub(crate) reply: Reply,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SentDevice {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) unique_id: String,
    pub(crate) driver: String,
    pub(crate) unusable: Option<String>,
    pub(crate) total_bytes: u64,
    pub(crate) no_results: bool,
    pub(crate) index: u32,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct SentPrice {
    pub(crate) source: u32,
    pub(crate) nanoseconds: f64,
    pub(crate) bytes: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum SentAnswer {
    Yes(SentPrice),
    No { code: String, text: String },
    If { bounds: String, price: SentPrice },
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum SentProposal {
    Accepted { price: SentPrice, workspace: u64 },
    Refused { node: Option<u32>, code: String, text: String },
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum SentFailure {
    Invalid(String),
    Unsupported { node: Option<u32>, text: String },
    OutOfMemory { needed: u64, free: u64, text: String },
    DeviceLost(String),
    Cancelled,
    Internal(String),
}

impl From<Failure> for SentFailure {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Invalid(text) => Self::Invalid(text),
            Failure::Unsupported { node, text } => Self::Unsupported { node, text },
            Failure::OutOfMemory { needed, free, text } => Self::OutOfMemory { needed, free, text },
            Failure::DeviceLost(text) => Self::DeviceLost(text),
            Failure::Cancelled => Self::Cancelled,
            Failure::Internal(text) => Self::Internal(text),
        }
    }
}

impl From<SentFailure> for Failure {
    fn from(failure: SentFailure) -> Self {
        match failure {
            SentFailure::Invalid(text) => Self::Invalid(text),
            SentFailure::Unsupported { node, text } => Self::Unsupported { node, text },
            SentFailure::OutOfMemory { needed, free, text } => {
                Self::OutOfMemory { needed, free, text }
            }
            SentFailure::DeviceLost(text) => Self::DeviceLost(text),
            SentFailure::Cancelled => Self::Cancelled,
            SentFailure::Internal(text) => Self::Internal(text),
        }
    }
}
