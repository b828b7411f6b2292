//! Tokens of 64-bit Arm, where NEON is part of the architecture.

use std::arch::is_aarch64_feature_detected as has;

/// Proof of NEON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neon {
    dotprod: bool,
    i8mm: bool,
}

/// Proof of the int8 dot product beside [`Neon`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeonDotprod(Neon);

/// Proof of the int8 matrix product beside [`Neon`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeonI8mm(Neon);

impl Neon {
    /// The token.
    #[must_use]
    pub fn detect() -> Option<Self> {
        has!("neon").then(|| Self { dotprod: has!("dotprod"), i8mm: has!("i8mm") })
    }

    /// The int8 dot product, if this CPU has it.
    #[must_use]
    pub fn dotprod(self) -> Option<NeonDotprod> {
        self.dotprod.then_some(NeonDotprod(self))
    }

    /// The int8 matrix product, if this CPU has it.
    #[must_use]
    pub fn i8mm(self) -> Option<NeonI8mm> {
        self.i8mm.then_some(NeonI8mm(self))
    }
}

impl NeonDotprod {
    /// The token this one extends.
    #[must_use]
    pub const fn neon(self) -> Neon {
        self.0
    }
}

impl NeonI8mm {
    /// The token this one extends.
    #[must_use]
    pub const fn neon(self) -> Neon {
        self.0
    }
}
