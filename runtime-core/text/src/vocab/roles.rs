//! Which token plays which role: what the metadata says, else the texts that models commonly use.

use super::TokenId;

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Role {
    /// Before a text.
    Bos,
    /// After a text.
    Eos,
    /// After a turn of a conversation.
    Eot,
    /// After a message that is not the last of its turn.
    Eom,
    /// For text that has no token.
    Unknown,
    /// Between two texts.
    Separator,
    /// Where a shorter text of a batch has none.
    Padding,
    /// For a token to be guessed.
    Mask,
    /// Before the text before a gap.
    FimPrefix,
    /// Before the text after a gap.
    FimSuffix,
    /// Before the text of a gap.
    FimMiddle,
    /// Padding beside a gap.
    FimPadding,
    /// Before the name of a repository.
    FimRepository,
    /// Before a file of a repository.
    FimSeparator,
}

/// Where a role is written down and which texts play it if it is not.
pub(super) struct Known {
    pub(super) role: Role,
    pub(super) keys: &'static [&'static str],
    pub(super) texts: &'static [&'static str],
}

const fn known(role: Role, keys: &'static [&'static str], texts: &'static [&'static str]) -> Known {
    Known { role, keys, texts }
}

pub(super) const KNOWN: &[Known] = &[
    known(Role::Bos, &["tokenizer.ggml.bos_token_id"], &[]),
    known(Role::Eos, &["tokenizer.ggml.eos_token_id"], &[]),
    known(
        Role::Eot,
        &["tokenizer.ggml.eot_token_id"],
        &[
            "<|eot_id|>",
            "<|im_end|>",
            "<|end|>",
            "<end_of_turn>",
            "<|endoftext|>",
            "<|end_of_text|>",
            "<EOT>",
            "_<EOT>",
            "[EOT]",
            "<｜end▁of▁sentence｜>",
            "<end_of_utterance>",
        ],
    ),
    known(Role::Eom, &["tokenizer.ggml.eom_token_id"], &["<|eom_id|>"]),
    known(Role::Unknown, &["tokenizer.ggml.unknown_token_id"], &[]),
    known(Role::Separator, &["tokenizer.ggml.seperator_token_id"], &[]),
    known(Role::Padding, &["tokenizer.ggml.padding_token_id"], &[]),
    known(Role::Mask, &["tokenizer.ggml.mask_token_id"], &[]),
    known(
        Role::FimPrefix,
        &["tokenizer.ggml.fim_pre_token_id", "tokenizer.ggml.prefix_token_id"],
        &[
            "<|fim_prefix|>",
            "<fim-prefix>",
            "<fim_prefix>",
            "<｜fim▁begin｜>",
            "<PRE>",
            "▁<PRE>",
            "<|code_prefix|>",
            "<|prefix|>",
        ],
    ),
    known(
        Role::FimSuffix,
        &["tokenizer.ggml.fim_suf_token_id", "tokenizer.ggml.suffix_token_id"],
        &[
            "<|fim_suffix|>",
            "<fim-suffix>",
            "<fim_suffix>",
            "<｜fim▁hole｜>",
            "<SUF>",
            "▁<SUF>",
            "<|code_suffix|>",
            "<|suffix|>",
        ],
    ),
    known(
        Role::FimMiddle,
        &["tokenizer.ggml.fim_mid_token_id", "tokenizer.ggml.middle_token_id"],
        &[
            "<|fim_middle|>",
            "<fim-middle>",
            "<fim_middle>",
            "<｜fim▁end｜>",
            "<MID>",
            "▁<MID>",
            "<|code_middle|>",
            "<|middle|>",
        ],
    ),
    known(
        Role::FimPadding,
        &["tokenizer.ggml.fim_pad_token_id"],
        &["<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"],
    ),
    known(
        Role::FimRepository,
        &["tokenizer.ggml.fim_rep_token_id"],
        &["<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"],
    ),
    known(Role::FimSeparator, &["tokenizer.ggml.fim_sep_token_id"], &["<|file_sep|>"]),
];

/// Texts that end an answer in any vocabulary that has them.
pub(super) const ENDS: &[&str] = &[
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<｜end▁of▁sentence｜>",
    "[e~[",
];

/// Roles that end an answer as well.
pub(super) const END_ROLES: &[Role] =
    &[Role::Eos, Role::Eot, Role::Eom, Role::FimPadding, Role::FimRepository, Role::FimSeparator];

/// Marks inside an answer that are shown although they look like control tokens.
pub(super) const SHOWN: &[&str] = &["<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"];

/// In vocabularies that have all of `with`, `text` does not end an answer.
pub(super) struct NoEnd {
    pub(super) text: &'static str,
    pub(super) with: &'static [&'static str],
    pub(super) kind: super::Kind,
}

pub(super) const NO_ENDS: &[NoEnd] = &[
    NoEnd { text: "<|end|>", with: &["<|return|>", "<|call|>"], kind: super::Kind::UserDefined },
    NoEnd { text: "<|end|>", with: &["<|return|>", "<|calls|>"], kind: super::Kind::UserDefined },
    NoEnd { text: "<|end|>", with: &["<|call|>", "<|flush|>"], kind: super::Kind::UserDefined },
    NoEnd { text: "<|end|>", with: &["<|calls|>", "<|flush|>"], kind: super::Kind::UserDefined },
    NoEnd { text: "</s>", with: &["<|tool_response>"], kind: super::Kind::Normal },
];

/// What a role falls back to when the metadata does not name it: part of the format of each model.
pub(crate) type Defaults = &'static [(Role, TokenId)];
