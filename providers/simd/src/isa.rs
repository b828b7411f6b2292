//! Which instruction set this process uses: detected once, capped by `REMUDA_CPU_ISA`.
//!
//! A token is the proof that the CPU has the features named in its documentation. Tokens of another
//! architecture exist too, as types without values, so that callers match on [`Isa`] without
//! conditional compilation.

use std::fmt;
use std::sync::OnceLock;

use remuda_base::knobs::{CPU_ISA, KnobError};

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(not(target_arch = "aarch64"))]
#[path = "isa/aarch64_absent.rs"]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86;
#[cfg(not(target_arch = "x86_64"))]
#[path = "isa/x86_absent.rs"]
mod x86;

pub use aarch64::Neon;
pub use x86::{Avx2, Avx2Vnni, Avx512, Avx512Vnni};

/// The instruction set every CPU of the target has: plain Rust, vectorised by the compiler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Portable;

/// An instruction set without its proof: a name that can be compared and parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum IsaLevel {
    /// What every CPU of the target has.
    Baseline,
    /// 128-bit vectors of 64-bit Arm.
    Neon,
    /// 256-bit vectors of x86-64, with FMA and F16C.
    Avx2,
    /// 512-bit vectors of x86-64, with BW, DQ and VL.
    Avx512,
}

impl IsaLevel {
    /// The name that the knob takes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Neon => "neon",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// The levels this architecture can have, lowest first.
    #[must_use]
    pub const fn of_this_architecture() -> &'static [Self] {
        if cfg!(target_arch = "x86_64") {
            &[Self::Baseline, Self::Avx2, Self::Avx512]
        } else if cfg!(target_arch = "aarch64") {
            &[Self::Baseline, Self::Neon]
        } else {
            &[Self::Baseline]
        }
    }
}

impl fmt::Display for IsaLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why no instruction set could be chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IsaError {
    /// The knob holds something that is no instruction set of this architecture.
    #[error(transparent)]
    Knob(#[from] KnobError),
}

/// An instruction set that this CPU has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// Plain Rust.
    Portable(Portable),
    /// NEON.
    Neon(Neon),
    /// AVX2, FMA and F16C.
    Avx2(Avx2),
    /// AVX-512 F, BW, DQ and VL.
    Avx512(Avx512),
}

impl Isa {
    /// The best instruction set of this CPU that `REMUDA_CPU_ISA` allows; found once per process.
    ///
    /// # Errors
    /// When the knob does not name an instruction set of this architecture.
    pub fn detect() -> Result<Self, IsaError> {
        static CHOSEN: OnceLock<Result<Isa, IsaError>> = OnceLock::new();
        CHOSEN
            .get_or_init(|| {
                let cap = CPU_ISA.text().map(parse_cap).transpose()?;
                Ok(cap.map_or_else(Self::best, Self::capped))
            })
            .clone()
    }

    /// The best instruction set of this CPU, whatever the knob says.
    #[must_use]
    pub fn best() -> Self {
        Self::available().pop().unwrap_or(Self::Portable(Portable))
    }

    /// The best instruction set of this CPU that is not above `cap`.
    #[must_use]
    pub fn capped(cap: IsaLevel) -> Self {
        let allowed = Self::available().into_iter().rfind(|isa| isa.level() <= cap);
        allowed.unwrap_or(Self::Portable(Portable))
    }

    /// Every instruction set this CPU has, lowest first. Tests run a kernel on each.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let mut found = vec![Self::Portable(Portable)];
        found.extend(Neon::detect().map(Self::Neon));
        found.extend(Avx2::detect().map(Self::Avx2));
        found.extend(Avx512::detect().map(Self::Avx512));
        found
    }

    /// Its name.
    #[must_use]
    pub const fn level(self) -> IsaLevel {
        match self {
            Self::Portable(_) => IsaLevel::Baseline,
            Self::Neon(_) => IsaLevel::Neon,
            Self::Avx2(_) => IsaLevel::Avx2,
            Self::Avx512(_) => IsaLevel::Avx512,
        }
    }

    /// The AVX-512 token, if this is AVX-512.
    #[must_use]
    pub const fn avx512(self) -> Option<Avx512> {
        if let Self::Avx512(token) = self { Some(token) } else { None }
    }

    /// The AVX2 token, if this is AVX2.
    #[must_use]
    pub const fn avx2(self) -> Option<Avx2> {
        if let Self::Avx2(token) = self { Some(token) } else { None }
    }

    /// The NEON token, if this is NEON.
    #[must_use]
    pub const fn neon(self) -> Option<Neon> {
        if let Self::Neon(token) = self { Some(token) } else { None }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.level().fmt(f)
    }
}

fn parse_cap(value: String) -> Result<IsaLevel, KnobError> {
    let levels = IsaLevel::of_this_architecture();
    let found = levels.iter().copied().find(|level| level.name() == value);
    found.ok_or(KnobError { name: CPU_ISA.name, value, expected: EXPECTED })
}

#[cfg(target_arch = "x86_64")]
const EXPECTED: &str = "`baseline`, `avx2` or `avx512`";
#[cfg(target_arch = "aarch64")]
const EXPECTED: &str = "`baseline` or `neon`";
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const EXPECTED: &str = "`baseline`";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cap_is_never_exceeded_and_the_best_is_within_what_is_available() {
        for &cap in IsaLevel::of_this_architecture() {
            assert!(Isa::capped(cap).level() <= cap);
        }
        assert_eq!(Isa::capped(IsaLevel::Baseline), Isa::Portable(Portable));
        assert_eq!(Some(Isa::best()), Isa::available().pop());
    }

    #[test]
    fn available_sets_are_of_this_architecture_and_rise() {
        let levels: Vec<_> = Isa::available().into_iter().map(Isa::level).collect();
        assert!(levels.is_sorted());
        assert!(levels.iter().all(|level| IsaLevel::of_this_architecture().contains(level)));
    }

    #[test]
    fn every_level_parses_by_its_name_and_nonsense_names_the_choices() {
        for &level in IsaLevel::of_this_architecture() {
            assert_eq!(parse_cap(level.name().to_owned()), Ok(level));
        }
        let error = parse_cap("sse9".to_owned()).unwrap_err().to_string();
        assert!(error.starts_with("`REMUDA_CPU_ISA` is `sse9`, expected `baseline`"), "{error}");
    }
}
