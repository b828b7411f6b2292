//! Qwen 2 and 2.5: a Llama with biases, whose heads are turned by halves.

use super::Architecture;

pub(super) static ARCHITECTURE: Architecture =
    Architecture { names: &["qwen2"], adapt: |_keys, _decoder| Ok(()) };
