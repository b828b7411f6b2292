//! One inference runtime for any hardware.
//!
//! A [`Runtime`] says which backends may be used and with how many threads; it loads a [`Model`] from
//! a file or from bytes; a model tells what it wants and gives and is run with named values, from as
//! many threads as you like.
//!
//! ```no_run
//! use remuda::{Runtime, Tensor};
//!
//! let runtime = Runtime::builder().backends(["cpu"]).build()?;
//! let model = runtime.load("model.onnx")?;
//! let x = Tensor::from_vec([1, 3], vec![1.0f32, 2.0, 3.0])?;
//! let outputs = model.run([("x", x)])?;
//! println!("{:?}", outputs["y"]);
//! # Ok::<(), remuda::Error>(())
//! ```
//!
//! This crate is the only one under semantic versioning; it wires the stages of the others and owns
//! no logic of its own.
#![forbid(unsafe_code)]

mod demo;
mod error;
mod language;
mod model;
mod outputs;
pub mod placement;
mod runtime;
pub mod text;
mod trace;

pub use demo::is_demo;
pub use error::{Error, ErrorKind};
pub use language::{
    Answer, Ask, Budget, Constraint, Embedder, Embedding, EncoderInfo, Finish, Generation,
    LanguageMemory, LanguageModel, LanguageOptions, LogProb, MirostatVersion, ModelInfo, Outcome,
    Perplexity, Pick, Piece, Pooling, SETTINGS, SamplerName, Sampling, Setting, StepFailover,
    Usage, architectures, greedy,
};
pub use model::{Model, Port, RunOptions, RunReport, Summary};
pub use outputs::Outputs;
pub use remuda_host::{StepTime, Table};
pub use remuda_ir::{Val as Value, ValueType};
pub use remuda_tensor::{
    DType, Dim, Element, Memory, Tensor, TensorError, TensorType, bf16, f16, packed,
};
pub use runtime::{Builder, Runtime};
pub use trace::chrome_trace;

/// What the operator set holds, for reference pages and `remuda ops`.
pub mod operators {
    pub use remuda_cpu::kernels::fast_operators;
    pub use remuda_ir::OpDef;
    pub use remuda_ops::{LEGACY, NEWEST_OPSET, TABLE};
}

/// Provider libraries: where they are looked for, what is said of each, those that may be called.
pub mod libraries {
    use remuda_host::loading::Isolate;
    pub use remuda_host::loading::{
        Config, ConfigError, DeviceReport, Found, KernelTrial, Looked, Manifest, Origin, Package,
        Prober, Registry, Report, Verdict,
    };
    use remuda_host::process::Job;

    /// How a provider is run in a process of its own, for [`Config::isolate`].
    #[must_use]
    pub fn isolate() -> Isolate {
        Isolate(remuda_isolate::for_library)
    }

    /// Does the job of a worker process, which comes on standard input: what the program that a
    /// [`Prober`] names calls, before it does anything else. Says whether there was one.
    #[must_use]
    pub fn serve_worker() -> bool {
        let Some(job) = Job::receive() else { return false };
        match job.name() {
            remuda_conform::JOB => remuda_conform::serve(&job, &crate::conformance::built_in()),
            remuda_isolate::JOB => remuda_isolate::serve(&job, &crate::conformance::built_in()),
            _ => remuda_host::serve(&job),
        }
    }
}

/// Whether a provider keeps to the contract.
pub mod conformance {
    pub use remuda_conform::{
        BuiltIn, CaseReport, Group, Kit, KitError, Outcome, Report, SkipError, Skips, Subject,
    };

    /// The providers that are built in, by name.
    #[must_use]
    pub fn built_in() -> [BuiltIn; 1] {
        [("cpu", remuda_cpu::table())]
    }
}

/// What is kept to be found again: plans, what backends refused, speeds of devices.
pub mod cache {
    pub use remuda_cache::{Cache, CacheError, Cleared, Entry, Key, Kind};
}

/// Values to try a model with: random ones, and ones that others keep in files.
pub mod samples {
    pub use remuda_ops::{Random, random_tensor};

    pub use crate::model::value_from_protobuf;
}
