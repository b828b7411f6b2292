//! The architectures: one file each, and the list of them.

mod deepseek2;
mod falcon;
mod gemma2;
mod gemma3;
mod gpt2;
mod gptneox;
mod granite;
mod llama;
mod olmo2;
mod phi3;
mod qwen2;
mod qwen2moe;
mod qwen3;
mod qwen3moe;
mod starcoder2;

use crate::decoder::{self, Decoder};
use crate::keys::Keys;
use crate::rope::Pairing;
use crate::{LanguageModel, ModelError, ModelFile, Options, relative};

/// What is special about an architecture.
pub(crate) struct Architecture {
    /// The names in `general.architecture` that it answers to.
    pub(crate) names: &'static [&'static str],
    /// Changes what every decoder has in common to what this one has.
    pub(crate) adapt: fn(&Keys<'_>, &mut Decoder) -> Result<(), ModelError>,
}

/// Every architecture, sorted by name.
static ALL: &[&Architecture] = &[
    &deepseek2::ARCHITECTURE,
    &falcon::ARCHITECTURE,
    &gemma2::ARCHITECTURE,
    &gemma3::ARCHITECTURE,
    &gpt2::ARCHITECTURE,
    &gptneox::ARCHITECTURE,
    &granite::ARCHITECTURE,
    &llama::ARCHITECTURE,
    &olmo2::ARCHITECTURE,
    &phi3::ARCHITECTURE,
    &qwen2::ARCHITECTURE,
    &qwen2moe::ARCHITECTURE,
    &qwen3::ARCHITECTURE,
    &qwen3moe::ARCHITECTURE,
    &starcoder2::ARCHITECTURE,
];

/// The name of every architecture that can be built.
pub fn names() -> impl Iterator<Item = &'static str> {
    let own = ALL.iter().flat_map(|architecture| architecture.names.iter().copied());
    own.chain([relative::WHOLE])
}

pub(crate) fn build(file: &ModelFile, options: &Options) -> Result<LanguageModel, ModelError> {
    let parts = file.parse()?;
    let name = parts.metadata().required::<&str>("general.architecture")?;
    if file.folder().is_some() && !options.adapters.is_empty() {
        return Err(ModelError::AdapterOfFolder);
    }
    let keys = Keys::new(parts.metadata(), name);
    if name == relative::WHOLE {
        return relative::build_text(&keys, (file, &parts), options);
    }
    let found = ALL.iter().find(|architecture| architecture.names.contains(&name));
    let architecture = found.ok_or_else(|| ModelError::unknown(name, names()))?;
    let mut decoder = Decoder::read(&keys, options)?;
    (architecture.adapt)(&keys, &mut decoder)?;
    if let (Some(experts), false) = (&decoder.experts, decoder.mixes) {
        return Err(ModelError::Unsupported {
            key: "expert_count".to_owned(),
            expected: "a model of this architecture without experts".to_owned(),
            got: experts.count.to_string(),
        });
    }
    // Whatever GGUF makes of it: folders keep the halves of a head apart, but for latent rows.
    if file.folder().is_some() && decoder.latent.is_none() {
        decoder.rope.pairing = Pairing::Halves;
    }
    decoder::build(&decoder, &keys, (file, &parts), options)
}

#[cfg(test)]
mod tests {
    use super::{ALL, names};

    #[test]
    fn every_file_is_in_the_sorted_list() {
        assert!(ALL.is_sorted_by_key(|architecture| architecture.names[0]));
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/arch");
        let files = std::fs::read_dir(folder).unwrap().count();
        assert_eq!(files, ALL.len());
        let mut all: Vec<_> = names().collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), names().count());
    }
}
