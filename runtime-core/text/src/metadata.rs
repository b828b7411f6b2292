//! Which tokenizer a GGUF file describes.

use remuda_gguf::Metadata;

use crate::Role;
use crate::added::{Added, Names};
use crate::bpe::Bpe;
use crate::error::{TextError, shown};
use crate::pre::Pre;
use crate::sentencepiece::SentencePiece;
use crate::tokenizer::{Affixes, Algorithm, Tokenizer};
use crate::unigram::Unigram;
use crate::vocab::{Pieces, TokenId, VocabularyBuilder};
use crate::wordpiece::WordPiece;

const MODEL: &str = "tokenizer.ggml.model";
const PRE: &str = "tokenizer.ggml.pre";
const MODELS: [&str; 6] = ["llama", "gpt2", "bert", "t5", "gemma4", "whitespace"];

/// What each model's format takes for granted when the file says nothing.
const SENTENCE_PIECE: &[(Role, TokenId)] = &[(Role::Bos, 1), (Role::Eos, 2), (Role::Unknown, 0)];
const BPE: &[(Role, TokenId)] = &[(Role::Bos, 11), (Role::Eos, 11)];
const WORD_PIECE: &[(Role, TokenId)] = &[
    (Role::Bos, 101),
    (Role::Unknown, 100),
    (Role::Separator, 102),
    (Role::Padding, 0),
    (Role::Mask, 103),
];
const UNIGRAM: &[(Role, TokenId)] = &[(Role::Eos, 1), (Role::Unknown, 2), (Role::Padding, 0)];

impl Tokenizer {
    /// The tokenizer that the metadata of a GGUF file describes.
    ///
    /// # Errors
    /// When it is of a kind that is not known, or its arrays do not fit together.
    pub fn from_gguf(metadata: &Metadata<'_>) -> Result<Self, TextError> {
        match metadata.required::<&str>(MODEL)? {
            "llama" => sentence_piece(metadata),
            "gpt2" | "whitespace" => bpe(metadata, None),
            "gemma4" => bpe(metadata, Some("gemma4")),
            "bert" => word_piece(metadata),
            "t5" => unigram(metadata),
            other => {
                let nearest = remuda_base::nearest(other, MODELS).map(ToOwned::to_owned);
                Err(TextError::UnknownModel { name: shown(other), nearest })
            }
        }
    }
}

fn sentence_piece(metadata: &Metadata<'_>) -> Result<Tokenizer, TextError> {
    let builder = VocabularyBuilder::read(metadata, SENTENCE_PIECE)?;
    let space_prefix = flag(metadata, "add_space_prefix", true)?;
    let affixes = Affixes { bos: true, space_prefix, ..Affixes::default() }.read(metadata)?;
    let vocabulary = builder.finish(Pieces::Spaces)?;
    let added = Added::new(&vocabulary, names(metadata))?;
    let algorithm = Algorithm::SentencePiece(SentencePiece::new(&vocabulary));
    Tokenizer::new(vocabulary, algorithm, added, affixes, Vec::new())
}

fn bpe(metadata: &Metadata<'_>, fixed: Option<&str>) -> Result<Tokenizer, TextError> {
    let mut builder = VocabularyBuilder::read(metadata, if fixed.is_some() { &[] } else { BPE })?;
    let named = metadata.optional::<&str>(PRE)?.filter(|name| !name.is_empty());
    let pre = Pre::named(fixed.or(named).unwrap_or("default"))?;
    if pre.no_default_bos {
        builder.without(Role::Bos, metadata);
    }
    let base = Affixes {
        bos: pre.add_bos,
        separator: pre.add_separator,
        clean_up: pre.clean_up,
        ..Affixes::default()
    };
    let mut affixes = base.read(metadata)?;
    // Files of this kind say that they add none, and are wrong.
    affixes.bos |= pre.whole_breaks;
    let pieces = if pre.characters { Pieces::Spaces } else { Pieces::ByteLevel };
    let vocabulary = builder.finish(pieces)?;
    let added = Added::new(&vocabulary, names(metadata))?;
    let algorithm = Algorithm::Bpe(Box::new(Bpe::read(metadata, &vocabulary, pre)?));
    let notes = if fixed.or(named).is_none() {
        vec![format!(
            "`{PRE}` is missing: words are split by the default rule, answers may be worse"
        )]
    } else {
        Vec::new()
    };
    Tokenizer::new(vocabulary, algorithm, added, affixes, notes)
}

fn word_piece(metadata: &Metadata<'_>) -> Result<Tokenizer, TextError> {
    let builder = VocabularyBuilder::read(metadata, WORD_PIECE)?;
    let lower_case = flag(metadata, "normalizer.lowercase", true)?;
    let strip_accents = flag(metadata, "normalizer.strip_accents", lower_case)?;
    let base = Affixes { bos: true, separator: true, clean_up: true, ..Affixes::default() };
    let mut affixes = base.read(metadata)?;
    // Both marks are part of the format: no key turns them off.
    (affixes.bos, affixes.eos, affixes.separator) = (true, false, true);
    let vocabulary = builder.finish(Pieces::Spaces)?;
    let added = Added::new(&vocabulary, names(metadata))?;
    let algorithm = Algorithm::WordPiece(WordPiece { lower_case, strip_accents });
    Tokenizer::new(vocabulary, algorithm, added, affixes, Vec::new())
}

fn unigram(metadata: &Metadata<'_>) -> Result<Tokenizer, TextError> {
    let builder = VocabularyBuilder::read(metadata, UNIGRAM)?;
    let space_prefix = flag(metadata, "add_space_prefix", false)?;
    let affixes = Affixes { eos: true, space_prefix, ..Affixes::default() }.read(metadata)?;
    let vocabulary = builder.finish(Pieces::Spaces)?;
    let added = Added::new(&vocabulary, names(metadata))?;
    let algorithm = Algorithm::Unigram(Box::new(Unigram::read(metadata, &vocabulary)?));
    Tokenizer::new(vocabulary, algorithm, added, affixes, Vec::new())
}

impl Affixes {
    fn read(self, metadata: &Metadata<'_>) -> Result<Self, TextError> {
        Ok(Self {
            bos: flag(metadata, "add_bos_token", self.bos)?,
            eos: flag(metadata, "add_eos_token", self.eos)?,
            separator: flag(metadata, "add_sep_token", self.separator)?,
            ..self
        })
    }
}

fn flag(metadata: &Metadata<'_>, name: &str, default: bool) -> Result<bool, TextError> {
    let key = format!("tokenizer.ggml.{name}");
    Ok(metadata.optional::<bool>(&key)?.unwrap_or(default))
}

fn names<'a>(metadata: &Metadata<'a>) -> Names<'a> {
    let text = |key: &str| metadata.optional::<&'a str>(key).ok().flatten().unwrap_or_default();
    Names {
        model: text("general.name"),
        architecture: text("general.architecture"),
        pre: text(PRE),
    }
}
