//! The named results of a run.

use std::ops::Index;

use remuda_ir::Val;

/// The named results of a run, in the order of the model's outputs (or as asked for).
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Outputs(pub(crate) Vec<(String, Val)>);

impl Outputs {
    /// The result of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Val> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, val)| val)
    }

    /// Names and results in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Val)> {
        self.0.iter().map(|(name, val)| (name.as_str(), val))
    }

    /// How many results there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Index<&str> for Outputs {
    type Output = Val;

    /// The result of this name.
    ///
    /// # Panics
    /// When there is none, as for any map.
    #[expect(clippy::panic, reason = "what indexing a map means")]
    fn index(&self, name: &str) -> &Val {
        self.get(name).unwrap_or_else(|| panic!("no output `{name}`"))
    }
}

impl IntoIterator for Outputs {
    type Item = (String, Val);
    type IntoIter = std::vec::IntoIter<(String, Val)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
