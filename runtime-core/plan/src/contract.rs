//! What the user demands of a placement, beside getting an answer.

/// What happens when a demand is not met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Strictness {
    /// Nothing: it is in the plan and in the receipt.
    #[default]
    Allow,
    /// The receipt carries a warning.
    Warn,
    /// The model is not loaded, or the run fails.
    Error,
}

impl Strictness {
    /// The strictness with this spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "allow" => Some(Self::Allow),
            "warn" => Some(Self::Warn),
            "error" => Some(Self::Error),
            _ => None,
        }
    }
}

/// What the user demands of a placement.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contract {
    /// Whether the CPU may run what nobody asked it to run, and others what a failed backend ran. With
    /// `Warn`, the other demands are warnings too when they are not met; else they are errors.
    pub fallback: Strictness,
    /// Backends, by any of their names, that must run something.
    pub require: Vec<String>,
    /// The largest share of the nodes that the CPU may run, 0 to 1.
    pub max_cpu_share: Option<f64>,
    /// The most parts that the graph may fall into.
    pub max_parts: Option<usize>,
}
