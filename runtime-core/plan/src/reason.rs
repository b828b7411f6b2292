//! Why a provider did not get a node: a code for machines, a sentence for people.
//!
//! Codes from providers, from the user and from the planner itself share one list, so that a
//! report, a test and a plan diff speak the same words.

use crate::ids::ProviderId;
use crate::time::show_ns;

macro_rules! codes {
    ($($variant:ident $text:literal $doc:literal,)*) => {
        /// Why a provider did not get a node.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $doc] $variant,)*
        }

        impl Code {
            /// Every code, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The stable spelling.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}

codes! {
    OpUnsupported "op-unsupported" "The provider has no such operator.",
    Dtype "dtype" "The operator exists, not for this element type.",
    ShapeDynamic "shape-dynamic" "The provider needs a fixed shape here.",
    Rank "rank" "The number of dimensions is out of the provider's range.",
    Attribute "attribute" "An attribute has a value the provider does not handle.",
    Memory "memory" "It does not fit into the provider's budget.",
    Cost "cost" "It would be slower there.",
    CycleSplit "cycle-split" "Alone it is faster there, but it would split parts, whose launches cost more.",
    Priority "priority" "It costs the same there, and the chosen provider comes first.",
    Group "group" "It must stay with another node, which the provider cannot have.",
    Pinned "pinned" "The user pinned it elsewhere.",
    Forbidden "forbidden" "The user forbade it there.",
    RegionRefused "region-refused" "The provider refused the region after seeing it whole.",
    CompileFailed "compile-failed" "Compiling it there failed.",
    Quarantined "quarantined" "The provider is set aside after failures.",
    Unavailable "unavailable" "The provider has no usable device.",
    SearchLimit "search-limit" "The search stopped at its move limit before it tried this.",
    Other "other" "The provider's own reason, in its text.",
}

impl Code {
    /// The code with this spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text)
    }
}

/// One refusal: why `provider` does not run the node this reason is attached to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Who did not get it.
    pub provider: ProviderId,
    /// Why.
    pub code: Code,
    /// What the node itself would cost there; none if the provider said no.
    pub there_ns: Option<u64>,
    /// By how much the whole plan would change if the node moved there; none if it cannot.
    pub delta: Option<Delta>,
    /// The provider's, or the planner's, own words; may be empty.
    pub text: String,
}

/// The change of a plan's predicted cost, by kind. Positive is slower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delta {
    /// Of the nodes themselves.
    pub compute_ns: i64,
    /// Of copies.
    pub transfer_ns: i64,
    /// Of launches; none where it was not worth working out, since the rest decides already.
    pub launch_ns: Option<i64>,
}

impl Delta {
    /// The sum of what is known.
    #[must_use]
    pub fn total_ns(&self) -> i64 {
        self.compute_ns.saturating_add(self.transfer_ns).saturating_add(self.launch_ns.unwrap_or(0))
    }
}

impl Reason {
    /// The reason as a sentence; `name` is the provider's.
    #[must_use]
    pub fn sentence(&self, name: &str) -> String {
        let mut out = format!("`{name}`: {}", self.code.as_str());
        if let Some(delta) = &self.delta {
            out.push_str(&format!(
                ", would change the plan by {} (compute {}, transfers {}",
                signed(delta.total_ns()),
                signed(delta.compute_ns),
                signed(delta.transfer_ns)
            ));
            if let Some(launch) = delta.launch_ns {
                out.push_str(&format!(", launches {}", signed(launch)));
            }
            out.push(')');
        }
        if let Some(there) = self.there_ns {
            out.push_str(&format!("; the node costs {} there", show_ns(there)));
        }
        if !self.text.is_empty() {
            out.push_str("; ");
            out.push_str(&self.text);
        }
        out
    }
}

fn signed(ns: i64) -> String {
    let sign = if ns < 0 { '-' } else { '+' };
    format!("{sign}{}", show_ns(ns.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::{Code, Delta, Reason};
    use crate::ids::ProviderId;

    #[test]
    fn every_code_reads_back() {
        for &code in Code::ALL {
            assert_eq!(Code::parse(code.as_str()), Some(code));
        }
        assert_eq!(Code::parse("nonsense"), None);
    }

    #[test]
    fn a_sentence_tells_where_the_time_would_go() {
        let reason = Reason {
            provider: ProviderId(0),
            code: Code::Cost,
            there_ns: Some(1_500),
            delta: Some(Delta { compute_ns: -500, transfer_ns: 3_100_000, launch_ns: None }),
            text: String::new(),
        };
        assert_eq!(
            reason.sentence("gpu"),
            "`gpu`: cost, would change the plan by +3.10 ms (compute -500 ns, transfers +3.10 ms); \
             the node costs 1.50 us there"
        );
    }
}
