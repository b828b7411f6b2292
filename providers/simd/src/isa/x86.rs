//! Tokens of x86-64.

use std::arch::is_x86_feature_detected as has;

/// Proof of AVX2, FMA, F16C, BMI1, BMI2, LZCNT and POPCNT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Avx2 {
    vnni: bool,
}

/// Proof of AVX-VNNI (the 256-bit int8 dot product without AVX-512) beside [`Avx2`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Avx2Vnni(Avx2);

/// Proof of AVX-512 F, BW, DQ and VL, and of all that [`Avx2`] proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Avx512 {
    vnni: bool,
    avx2: Avx2,
}

/// Proof of AVX-512 VNNI beside [`Avx512`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Avx512Vnni(Avx512);

impl Avx2 {
    /// The token, if this CPU has the features.
    #[must_use]
    pub fn detect() -> Option<Self> {
        let vectors = has!("avx2") && has!("fma") && has!("f16c");
        let bits = has!("bmi1") && has!("bmi2") && has!("lzcnt") && has!("popcnt");
        (vectors && bits).then(|| Self { vnni: has!("avxvnni") })
    }

    /// The int8 dot product, if this CPU has it.
    #[must_use]
    pub fn vnni(self) -> Option<Avx2Vnni> {
        self.vnni.then_some(Avx2Vnni(self))
    }
}

impl Avx512 {
    /// The token, if this CPU has the features.
    #[must_use]
    pub fn detect() -> Option<Self> {
        let avx2 = Avx2::detect()?;
        let all = has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl");
        all.then(|| Self { vnni: has!("avx512vnni"), avx2 })
    }

    /// The AVX2 token, for a kernel that has no wider form.
    #[must_use]
    pub const fn avx2(self) -> Avx2 {
        self.avx2
    }

    /// The int8 dot product, if this CPU has it.
    #[must_use]
    pub fn vnni(self) -> Option<Avx512Vnni> {
        self.vnni.then_some(Avx512Vnni(self))
    }
}

impl Avx2Vnni {
    /// The token this one extends.
    #[must_use]
    pub const fn avx2(self) -> Avx2 {
        self.0
    }
}

impl Avx512Vnni {
    /// The token this one extends.
    #[must_use]
    pub const fn avx512(self) -> Avx512 {
        self.0
    }
}
