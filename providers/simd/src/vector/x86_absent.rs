//! Running on tokens that this architecture does not have.

use super::Kernel;
use crate::{Avx2, Avx512};

impl Avx2 {
    /// Never runs: there is no such token.
    pub fn run<K: Kernel>(self, _: K) -> K::Output {
        match self {}
    }
}

impl Avx512 {
    /// Never runs: there is no such token.
    pub fn run<K: Kernel>(self, _: K) -> K::Output {
        match self {}
    }

    /// Never runs: there is no such token.
    pub fn run_narrow<K: Kernel>(self, _: K) -> K::Output {
        match self {}
    }
}
