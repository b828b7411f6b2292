//! Running on tokens that this architecture does not have.

use super::Kernel;
use crate::Neon;

impl Neon {
    /// Never runs: there is no such token.
    pub fn run<K: Kernel>(self, _: K) -> K::Output {
        match self {}
    }
}
