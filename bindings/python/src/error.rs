//! Errors of the runtime as exceptions of the package.
//!
//! The classes are written in Python (`remuda._errors`), so that they can inherit from built-in ones,
//! be pickled and be read.

use pyo3::prelude::*;
use remuda::{Error, ErrorKind, TensorError};

/// The exception for an error of the runtime.
pub(crate) fn raised(py: Python<'_>, error: &Error) -> PyErr {
    let class = match (error.kind(), error) {
        (ErrorKind::Invalid, Error::Model { .. }) => "ModelFormatError",
        (_, Error::Placement(_)) => "PlacementError",
        (ErrorKind::Invalid, _) => "InputError",
        (ErrorKind::Unsupported, _) => "UnsupportedError",
        (ErrorKind::Resource, _) => "ResourceError",
        (ErrorKind::Cancelled, _) => "Cancelled",
        _ => "InternalError",
    };
    let exception = make(py, class, &error.to_string(), error.hint());
    if let Error::File { source, .. } = error {
        exception.set_cause(py, Some(std::io::Error::from(source.kind()).into()));
    }
    exception
}

/// The exception for an input that cannot be taken.
pub(crate) fn bad_input(py: Python<'_>, message: &str) -> PyErr {
    make(py, "InputError", message, None)
}

/// The exception for a tensor that cannot be made.
pub(crate) fn bad_tensor(py: Python<'_>, error: TensorError) -> PyErr {
    raised(py, &Error::from(error))
}

/// The exception for an element type or a device that is not supported.
pub(crate) fn unsupported(py: Python<'_>, message: &str) -> PyErr {
    make(py, "UnsupportedError", message, None)
}

/// The exception for a broken promise of our own.
pub(crate) fn internal(py: Python<'_>, message: &str) -> PyErr {
    make(py, "InternalError", message, None)
}

fn make(py: Python<'_>, class: &str, message: &str, hint: Option<&str>) -> PyErr {
    let made = py
        .import("remuda._errors")
        .and_then(|module| module.getattr(class))
        .and_then(|class| class.call1((message, hint)));
    made.map_or_else(|error| error, PyErr::from_value)
}
