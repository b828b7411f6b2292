//! The one error type of the facade.

use std::path::PathBuf;

use remuda_exec::ExecError;
use remuda_exec::plan::PlanError;
use remuda_ir::OpError;
use remuda_tensor::TensorError;

/// Which family an error belongs to: what the caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The model or its inputs are wrong.
    Invalid,
    /// Valid, but not implemented.
    Unsupported,
    /// Memory, a device or a file does not suffice.
    Resource,
    /// The caller asked for the run to end.
    Cancelled,
    /// A bug of this project.
    Bug,
}

/// Why a model could not be loaded or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no model that can be run.
    #[error("{}", shortened(message))]
    Model {
        /// The family.
        kind: ErrorKind,
        /// What and where.
        message: String,
        /// What to try.
        hint: Option<String>,
    },
    /// The values given to a run do not fit the model.
    #[error("{}", shortened(.0))]
    Input(String),
    /// The runtime cannot be set up as asked.
    #[error("{0}")]
    Setup(String),
    /// A run failed.
    #[error("{}", shortened(.0))]
    Run(#[from] OpError),
    /// No placement does what is demanded of it.
    #[error("{0}")]
    Placement(String),
    /// A tensor could not be made.
    #[error("{}", shortened(.0))]
    Tensor(#[from] TensorError),
}

/// Bytes of the longest message: names, lists and dimensions of a model may have any length.
const LONGEST: usize = 4096;

/// The message, without its middle where it is too long.
fn shortened(message: &impl ToString) -> String {
    let text = message.to_string();
    if text.len() <= LONGEST {
        return text;
    }
    let (head, tail) = (text.floor_char_boundary(LONGEST / 2), text.len() - LONGEST / 4);
    let tail = text.ceil_char_boundary(tail);
    format!("{} … {} bytes left out … {}", &text[..head], tail - head, &text[tail..])
}

impl Error {
    /// The family.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::File { .. } => ErrorKind::Resource,
            Self::Model { kind, .. } => *kind,
            Self::Input(_) | Self::Setup(_) => ErrorKind::Invalid,
            Self::Placement(_) => ErrorKind::Unsupported,
            Self::Run(error) => kind_of(error),
            Self::Tensor(TensorError::TooLarge { .. }) => ErrorKind::Resource,
            Self::Tensor(_) => ErrorKind::Invalid,
        }
    }

    /// What to try, where there is something.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Model { hint, .. } => hint.as_deref(),
            _ => None,
        }
    }
}

impl From<ExecError> for Error {
    fn from(error: ExecError) -> Self {
        let model =
            |kind, error: &ExecError| Self::Model { kind, message: error.to_string(), hint: None };
        match error {
            ExecError::Failed { target, failure } if target.is_empty() => Self::Run(failure.into()),
            ExecError::Failed { ref target, ref failure } => {
                Self::Run(OpError::from(failure.clone()).at(&format!("`{target}`")))
            }
            ExecError::StatesLost { .. } => Self::Run(OpError::Resource(error.to_string())),
            ExecError::Contract(_) => Self::Placement(error.to_string()),
            ExecError::Wish(text) => Self::Setup(text),
            ExecError::Plan(ref why) => match why {
                PlanError::Unsupported { .. } => Self::Model {
                    kind: ErrorKind::Unsupported,
                    message: error.to_string(),
                    hint: Some("`remuda ops` lists what every build runs; a provider library can bring more".to_owned()),
                },
                PlanError::NoProvider { .. } | PlanError::PinRefused { .. } => {
                    Self::Placement(error.to_string())
                }
                PlanError::OutOfMemory { .. } => model(ErrorKind::Resource, &error),
                PlanError::Malformed { .. }
                | PlanError::Cyclic { .. }
                | PlanError::NothingRefused { .. }
                | PlanError::Broken { .. } => model(ErrorKind::Bug, &error),
            },
        }
    }
}

pub(crate) fn kind_of(error: &OpError) -> ErrorKind {
    match error {
        OpError::Invalid(_) => ErrorKind::Invalid,
        OpError::Unsupported(_) => ErrorKind::Unsupported,
        OpError::Resource(_) | OpError::DeviceLost(_) => ErrorKind::Resource,
        OpError::Cancelled => ErrorKind::Cancelled,
        OpError::Bug(_) => ErrorKind::Bug,
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, LONGEST};

    #[test]
    fn long_messages_keep_their_ends() {
        let short = "é".repeat(LONGEST / 2);
        assert_eq!(Error::Input(short.clone()).to_string(), short);
        let long = format!("first {} last", "é".repeat(1 << 20));
        let shown = Error::Input(long).to_string();
        assert!(shown.len() < LONGEST, "{}", shown.len());
        assert!(shown.starts_with("first é") && shown.ends_with("é last"), "{shown}");
        assert!(shown.contains(" bytes left out "), "{shown}");
    }
}
