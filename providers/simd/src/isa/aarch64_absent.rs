//! The tokens of 64-bit Arm on other architectures: types without values.

/// Proof of NEON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Neon {}

impl Neon {
    /// Never: this is another architecture.
    #[must_use]
    pub const fn detect() -> Option<Self> {
        None
    }
}
