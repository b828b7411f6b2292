//! The four families of errors, which are kept apart from where an error arises to the exit code.

use std::fmt;

/// Whose turn it is after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// The input is wrong: a file, a request, an argument.
    Invalid,
    /// The input is right, but this build cannot do it.
    Unsupported,
    /// Memory, a device or a file is missing or gone.
    Resource,
    /// This project is wrong: please report.
    Bug,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invalid => "invalid",
            Self::Unsupported => "unsupported",
            Self::Resource => "resource",
            Self::Bug => "bug",
        })
    }
}
