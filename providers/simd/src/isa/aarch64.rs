//! Tokens of 64-bit Arm, where NEON is part of the architecture.

use std::arch::is_aarch64_feature_detected as has;

/// Proof of NEON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neon(());

impl Neon {
    /// The token.
    #[must_use]
    pub fn detect() -> Option<Self> {
        has!("neon").then_some(Self(()))
    }
}
