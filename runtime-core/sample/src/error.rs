//! What can be wrong with the parameters of a sampler.

use remuda_base::Family;

/// A parameter is out of its range, or a sampler has no such name.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SampleError {
    /// A number is out of its range.
    #[error("`{name}`: expected {expected}, got {got}")]
    Range {
        /// The parameter.
        name: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What it is.
        got: f64,
    },
    /// No parameter has that name.
    #[error("parameter `{name}` is not known{}", suggestion(.nearest.as_deref()))]
    UnknownSetting {
        /// The name.
        name: String,
        /// The known name nearest to it.
        nearest: Option<String>,
    },
    /// No sampler has that name.
    #[error("sampler `{name}` is not known{}", suggestion(.nearest.as_deref()))]
    UnknownSampler {
        /// The name.
        name: String,
        /// The known name nearest to it.
        nearest: Option<String>,
    },
}

impl SampleError {
    /// Whose turn it is now.
    #[must_use]
    pub fn family(&self) -> Family {
        Family::Invalid
    }
}

fn suggestion(name: Option<&str>) -> String {
    name.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}
