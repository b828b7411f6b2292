//! How loading and calls fail.

use remuda_sdk::Failure;

/// Why a file is no usable libonnxruntime.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// The system's loader refuses it.
    #[error("{0}")]
    Open(String),
    /// It is another library.
    #[error("it has no `OrtGetApiBase`, so it is no ONNX Runtime")]
    NoEntry,
    /// It is too old.
    #[error("it is ONNX Runtime {version}, expected 1.{needed} or newer")]
    Version {
        /// What it is.
        version: String,
        /// The least minor version.
        needed: u32,
    },
    /// It is a build for small devices.
    #[error("it is a minimal build, which cannot load models made in memory")]
    NoEditor,
}

/// A call failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct OrtError {
    /// `OrtErrorCode`.
    pub(crate) code: i32,
    /// What the library says.
    pub(crate) text: String,
}

const FAIL: i32 = 1;
const INVALID_ARGUMENT: i32 = 2;
const RUNTIME_EXCEPTION: i32 = 6;
const NOT_IMPLEMENTED: i32 = 9;
const INVALID_GRAPH: i32 = 10;
const DEVICE_RESET: i32 = 15;

impl OrtError {
    /// The library's text without its source locations, its own names and a final stop.
    pub(crate) fn sentence(&self) -> String {
        let mut text = self.text.lines().next().unwrap_or("");
        // `/onnxruntime_src/…/file.cc:46 void f(const X&) reason`, or `file.cc:46 f reason`.
        if let Some((_, rest)) = text.split_once(".cc:").or_else(|| text.split_once(".h:"))
            && let Some((_, said)) = rest.split_once(") ").or_else(|| rest.split_once(' '))
        {
            text = said;
        }
        // An assertion is followed by what it means.
        for sign in ["Status Message: ", " was false. "] {
            if let Some((_, said)) = text.split_once(sign)
                && !said.trim().is_empty()
            {
                text = said;
            }
        }
        // Names of nodes are ours and mean nothing to others.
        let text = text.split(" node with name '").next().unwrap_or(text);
        text.trim().trim_end_matches('.').to_owned()
    }
}

/// What the library says of inputs that break the model's own rules. Other complaints about arguments
/// are limits of its kernels.
const BAD_INPUTS: [&str; 6] = [
    "Got invalid dimensions for input",
    "Invalid rank for input",
    "Unexpected input data type",
    "Invalid input name",
    "out of data bounds",
    "out of bounds",
];

impl From<OrtError> for Failure {
    fn from(error: OrtError) -> Self {
        let text = error.sentence();
        let exhausted =
            ["Failed to allocate memory", "bad_alloc", "out of memory", "OUT_OF_MEMORY"];
        if exhausted.iter().any(|sign| error.text.contains(sign)) {
            return Self::OutOfMemory { needed: 0, free: 0, text };
        }
        let lost = ["CUDA failure", "device lost", "DXGI_ERROR_DEVICE"];
        if error.code == DEVICE_RESET || lost.iter().any(|sign| error.text.contains(sign)) {
            return Self::DeviceLost(text);
        }
        if BAD_INPUTS.iter().any(|sign| error.text.contains(sign)) {
            return Self::Invalid(text);
        }
        match error.code {
            FAIL | INVALID_ARGUMENT | RUNTIME_EXCEPTION | NOT_IMPLEMENTED | INVALID_GRAPH => {
                Self::Unsupported { node: None, text }
            }
            _ => Self::Internal(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Failure, OrtError};

    #[test]
    fn messages_lose_their_source_locations() {
        let error = |code, text: &str| OrtError { code, text: text.to_owned() };
        let text = "/src/onnxruntime/core/x.h:46 void onnxruntime::f(const std::string&, int) opset 27 is under development.";
        assert_eq!(error(1, text).sentence(), "opset 27 is under development");
        let text = "/src/x.cc:88 f(int) const [with T = float] rank == 4 was false. Only images.";
        assert_eq!(error(6, text).sentence(), "Only images");
        let text = "Could not find an implementation for Adam(1) node with name 'n3'";
        assert_eq!(error(9, text).sentence(), "Could not find an implementation for Adam(1)");
        assert!(matches!(Failure::from(error(6, "x.cc:1 bad_alloc")), Failure::OutOfMemory { .. }));
        assert!(matches!(Failure::from(error(15, "gone")), Failure::DeviceLost(_)));
    }
}
