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

/// Demands of which some may be left open. Where two places make some, the nearer one's hold, and of the other
/// those that it leaves open.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Demands {
    /// [`Contract::fallback`].
    pub fallback: Option<Strictness>,
    /// [`Contract::require`].
    pub require: Option<Vec<String>>,
    /// [`Contract::max_cpu_share`].
    pub max_cpu_share: Option<f64>,
    /// [`Contract::max_parts`].
    pub max_parts: Option<usize>,
}

impl Demands {
    /// These, and where they leave something open, the other ones.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            fallback: self.fallback.or(other.fallback),
            require: self.require.or(other.require),
            max_cpu_share: self.max_cpu_share.or(other.max_cpu_share),
            max_parts: self.max_parts.or(other.max_parts),
        }
    }

    /// The contract that they make; `usual` is what happens at a fallback where nothing at all is demanded.
    ///
    /// # Errors
    /// What makes no sense, in words.
    pub fn contract(self, usual: Strictness) -> Result<Contract, String> {
        if let Some(share) = self.max_cpu_share.filter(|share| !(0.0..=1.0).contains(share)) {
            return Err(format!("`max_cpu_share` is {share}, expected 0 to 1"));
        }
        if self == Self::default() {
            return Ok(Contract { fallback: usual, ..Contract::default() });
        }
        Ok(Contract {
            fallback: self.fallback.unwrap_or_default(),
            require: self.require.unwrap_or_default(),
            max_cpu_share: self.max_cpu_share,
            max_parts: self.max_parts,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Contract, Demands, Strictness};

    #[test]
    fn the_nearer_demands_hold_and_of_the_others_what_they_leave_open() {
        let file =
            Demands { fallback: Some(Strictness::Error), max_parts: Some(4), ..Demands::default() };
        let near = Demands { fallback: Some(Strictness::Warn), ..Demands::default() };
        let want =
            Contract { fallback: Strictness::Warn, max_parts: Some(4), ..Contract::default() };
        assert_eq!(near.or(file).contract(Strictness::Allow), Ok(want));
    }

    #[test]
    fn what_is_usual_holds_where_nothing_is_demanded() {
        let fallback = |demands: Demands| demands.contract(Strictness::Warn).unwrap().fallback;
        assert_eq!(fallback(Demands::default()), Strictness::Warn);
        let parts = Demands { max_parts: Some(1), ..Demands::default() };
        assert_eq!(fallback(parts), Strictness::Allow);
    }

    #[test]
    fn a_share_is_between_nothing_and_all() {
        for share in [-0.1, 1.5, f64::NAN] {
            let demands = Demands { max_cpu_share: Some(share), ..Demands::default() };
            let error = demands.contract(Strictness::Allow).unwrap_err();
            assert_eq!(error, format!("`max_cpu_share` is {share}, expected 0 to 1"));
        }
    }
}
