//! What a command fails with, and how it is told.

use std::error::Error as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::npy::NpyError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The runtime says so.
    #[error("{0}")]
    Runtime(#[from] remuda::Error),
    /// A file is no model, or no value, that can be used.
    #[error("cannot load `{}`", path.display())]
    Load {
        /// The file.
        path: PathBuf,
        /// Why.
        source: remuda::Error,
    },
    /// The arguments contradict the model or themselves.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to type.
        hint: Option<String>,
    },
    /// A file cannot be read or written.
    #[error("cannot {action} `{}`", path.display())]
    File {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is no array.
    #[error("cannot {action} `{}`", path.display())]
    Npy {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: NpyError,
    },
    /// The runtime to compare with does not run.
    #[error("{message}")]
    Peer {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// Ctrl-C.
    #[error("it was stopped")]
    Cancelled,
    /// A check of `doctor` found a problem.
    #[error("{0}")]
    Unwell(String),
}

impl Failure {
    /// What is wrong with a file, with its name in front where the runtime does not say it.
    pub(crate) fn loading(path: &Path, source: remuda::Error) -> Self {
        match source {
            remuda::Error::File { .. } => source.into(),
            _ => Self::Load { path: path.to_owned(), source },
        }
    }

    /// A wrong argument.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: None }
    }

    /// A wrong argument, and what to type instead.
    pub(crate) fn usage_hint(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: Some(hint.into()) }
    }

    /// Tells it on standard error: what, the causes, what to try.
    pub(crate) fn print(&self) {
        noteln!("error: {self}");
        let mut cause = self.source();
        // The runtime's message holds its causes already.
        while let Some(error) = cause.filter(|_| !matches!(self, Self::Runtime(_))) {
            noteln!("  caused by: {error}");
            cause = error.source();
        }
        if let Some(hint) = self.hint() {
            noteln!("hint: {hint}");
        }
    }

    fn hint(&self) -> Option<&str> {
        match self {
            Self::Runtime(error) | Self::Load { source: error, .. } => error.hint(),
            Self::Usage { hint, .. } | Self::Peer { hint, .. } => hint.as_deref(),
            _ => None,
        }
    }

    /// 2 for wrong arguments, 130 for Ctrl-C, 1 for the rest.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage { .. }
            | Self::Runtime(remuda::Error::Input(_) | remuda::Error::Setup(_)) => ExitCode::from(2),
            Self::Cancelled => ExitCode::from(130),
            Self::Runtime(error) if error.kind() == remuda::ErrorKind::Cancelled => {
                ExitCode::from(130)
            }
            _ => ExitCode::FAILURE,
        }
    }
}
