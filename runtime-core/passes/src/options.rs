//! Which rules run, by their names.

use remuda_base::{Set, nearest};

use crate::{RULES, Rule};

fn names() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|rule| rule.name)
}

/// Which rules run.
#[derive(Debug, Clone, Default)]
pub struct Options {
    off: Set<&'static str>,
}

impl Options {
    /// No rule at all.
    #[must_use]
    pub fn none() -> Self {
        Self { off: names().collect() }
    }

    /// Without this rule.
    ///
    /// # Errors
    /// When no rule has that name.
    pub fn without(mut self, name: &str) -> Result<Self, UnknownRule> {
        let known = names().find(|known| *known == name).ok_or_else(|| UnknownRule {
            name: name.to_owned(),
            nearest: nearest(name, names()),
        })?;
        self.off.insert(known);
        Ok(self)
    }

    pub(crate) fn rules(&self) -> Vec<&'static Rule> {
        RULES.iter().copied().filter(|rule| !self.off.contains(rule.name)).collect()
    }
}

/// A name that no rule has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no rewrite `{name}`{}", self.hint())]
pub struct UnknownRule {
    name: String,
    nearest: Option<&'static str>,
}

impl UnknownRule {
    fn hint(&self) -> String {
        match self.nearest {
            Some(nearest) => format!("; did you mean `{nearest}`?"),
            None => format!("; there are `{}`", names().collect::<Vec<_>>().join("`, `")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Options;

    #[test]
    fn a_name_that_no_rule_has_is_told_with_the_nearest() {
        let text = |name| Options::default().without(name).unwrap_err().to_string();
        assert_eq!(text("fuse_gelo"), "there is no rewrite `fuse_gelo`; did you mean `fuse_gelu`?");
        assert!(text("zzzzzzzz").contains("there are `"), "{}", text("zzzzzzzz"));
    }
}
