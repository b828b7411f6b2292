//! The tokens of 64-bit Arm on other architectures: types without values.

/// Proof of NEON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Neon {}

/// Proof of the int8 dot product beside [`Neon`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NeonDotprod {}

/// Proof of the int8 matrix product beside [`Neon`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NeonI8mm {}

impl Neon {
    /// Never: this is another architecture.
    #[must_use]
    pub const fn detect() -> Option<Self> {
        None
    }

    /// The int8 dot product.
    #[must_use]
    pub const fn dotprod(self) -> Option<NeonDotprod> {
        match self {}
    }

    /// The int8 matrix product.
    #[must_use]
    pub const fn i8mm(self) -> Option<NeonI8mm> {
        match self {}
    }
}
