//! The tokens of x86-64 on other architectures: types without values.

/// Proof of AVX2, FMA, F16C, BMI1, BMI2, LZCNT and POPCNT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Avx2 {}

/// Proof of AVX-VNNI beside [`Avx2`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Avx2Vnni {}

/// Proof of AVX-512 F, BW, DQ and VL, and of all that [`Avx2`] proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Avx512 {}

/// Proof of AVX-512 VNNI beside [`Avx512`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Avx512Vnni {}

impl Avx2 {
    /// Never: this is another architecture.
    #[must_use]
    pub const fn detect() -> Option<Self> {
        None
    }

    /// The int8 dot product.
    #[must_use]
    pub const fn vnni(self) -> Option<Avx2Vnni> {
        match self {}
    }
}

impl Avx512 {
    /// Never: this is another architecture.
    #[must_use]
    pub const fn detect() -> Option<Self> {
        None
    }

    /// The AVX2 token.
    #[must_use]
    pub const fn avx2(self) -> Avx2 {
        match self {}
    }

    /// The int8 dot product.
    #[must_use]
    pub const fn vnni(self) -> Option<Avx512Vnni> {
        match self {}
    }
}
