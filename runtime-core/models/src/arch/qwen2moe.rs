//! Qwen 2 with experts: as Qwen 2, and each layer's feed-forward part is a mixture beside a part that
//! every token gets, as much of it as a gate of its own says.

use super::Architecture;

pub(super) static ARCHITECTURE: Architecture = Architecture {
    names: &["qwen2moe"],
    adapt: |keys, decoder| {
        decoder.mixes = true;
        let shared = keys.optional_size("expert_shared_feed_forward_length")?;
        if let Some(mixture) = &mut decoder.experts {
            mixture.to_one = false;
            mixture.shared = shared.unwrap_or(decoder.inner);
        }
        Ok(())
    },
};
