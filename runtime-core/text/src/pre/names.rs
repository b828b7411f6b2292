//! The pre-tokenizers by the names that GGUF files give them in `tokenizer.ggml.pre`.

use Stage::{DropSpaces, Matches};

use super::patterns as p;
use super::{Digits, Spaces, Stage};
use crate::error::TextError;

/// A pre-tokenizer and what goes with it.
#[derive(Debug)]
pub(crate) struct Pre {
    pub(crate) names: &'static [&'static str],
    pub(crate) stages: &'static [Stage],
    /// A word that is a token is taken whole, whatever the merges say.
    pub(crate) whole_words: bool,
    /// Whether prompts start with the token for that unless the file says otherwise.
    pub(crate) add_bos: bool,
    pub(crate) add_separator: bool,
    /// Spaces before punctuation are dropped when decoding.
    pub(crate) clean_up: bool,
    /// Merges work on characters, with `▁` for spaces where `spaces_escaped`, not on bytes.
    pub(crate) characters: bool,
    pub(crate) spaces_escaped: bool,
    /// A run of line breaks that is a token is taken whole.
    pub(crate) whole_breaks: bool,
    /// The format's own start token is not used unless the file names one.
    pub(crate) no_default_bos: bool,
}

const PLAIN: Pre = Pre {
    names: &[],
    stages: &[],
    whole_words: false,
    add_bos: false,
    add_separator: false,
    clean_up: false,
    characters: false,
    spaces_escaped: false,
    whole_breaks: false,
    no_default_bos: false,
};

const fn words(pattern: &'static str) -> Stage {
    Stage::Words(pattern, Spaces::KeepLast)
}

const GPT2: &[Stage] = &[words(p::GPT2)];
const DIGITS_GPT2: &[Stage] = &[Matches(p::NUMBER), words(p::GPT2)];
const LLAMA3: &[Stage] = &[words(p::LLAMA3)];
const QWEN2: &[Stage] = &[words(p::QWEN2)];
const DEEPSEEK3: &[Stage] =
    &[Matches(p::NUMBERS_TO_THREE), Matches(p::CJK_AND_KANA), words(p::DEEPSEEK3)];
const BLOOM: &[Stage] = &[Matches(p::BLOOM)];
const LINES: &[Stage] = &[Matches(p::LINES)];

const TABLE: &[Pre] = &[
    Pre {
        names: &["default"],
        stages: &[
            Matches(p::PUNCTUATION),
            words(p::GPT2),
            Matches(p::NUMBERS),
            Matches(p::THREE_DIGITS),
        ],
        clean_up: true,
        ..PLAIN
    },
    Pre {
        names: &[
            "llama3",
            "llama-v3",
            "llama-bpe",
            "falcon3",
            "falcon-h1",
            "pixtral",
            "midm-2.0",
            "lfm2",
            "jina-v5-nano",
        ],
        stages: LLAMA3,
        whole_words: true,
        add_bos: true,
        clean_up: true,
        ..PLAIN
    },
    Pre { names: &["dbrx", "smaug-bpe"], stages: LLAMA3, clean_up: true, ..PLAIN },
    Pre { names: &["chatglm-bpe"], stages: LLAMA3, clean_up: true, no_default_bos: true, ..PLAIN },
    Pre {
        names: &["glm4", "glm5"],
        stages: LLAMA3,
        whole_words: true,
        clean_up: true,
        no_default_bos: true,
        ..PLAIN
    },
    Pre {
        names: &["jais-2"],
        stages: &[Stage::Words(p::LLAMA3, Spaces::Powers)],
        clean_up: true,
        ..PLAIN
    },
    Pre {
        names: &["minicpm5"],
        stages: &[Matches(p::NUMBERS_TO_THREE), words(p::MINICPM5)],
        whole_words: true,
        clean_up: true,
        ..PLAIN
    },
    Pre {
        names: &[
            "gpt-2",
            "phi-2",
            "jina-es",
            "jina-de",
            "gigachat",
            "jina-v2-es",
            "jina-v2-de",
            "a.x-4.0",
            "mellum",
            "modern-bert",
            "mpt",
            "olmo",
            "jais",
            "exaone4",
        ],
        stages: GPT2,
        clean_up: true,
        ..PLAIN
    },
    Pre { names: &["trillion", "granite-docling"], stages: GPT2, ..PLAIN },
    Pre {
        names: &["jina-v1-en", "jina-v2-code", "roberta-bpe"],
        stages: GPT2,
        add_separator: true,
        clean_up: true,
        ..PLAIN
    },
    Pre {
        names: &["starcoder", "refact", "codeshell", "exaone", "minerva-7b", "mellum2"],
        stages: DIGITS_GPT2,
        clean_up: true,
        ..PLAIN
    },
    Pre { names: &["command-r", "smollm"], stages: DIGITS_GPT2, ..PLAIN },
    Pre { names: &["stablelm2"], stages: QWEN2, clean_up: true, ..PLAIN },
    Pre {
        names: &[
            "qwen2",
            "deepseek-r1-qwen",
            "kormo",
            "f2llmv2",
            "hunyuan",
            "solar-open",
            "grok-2",
        ],
        stages: QWEN2,
        ..PLAIN
    },
    Pre { names: &["megrez"], stages: QWEN2, clean_up: true, ..PLAIN },
    Pre { names: &["qwen35"], stages: &[words(p::QWEN35)], ..PLAIN },
    Pre { names: &["ufakzeka"], stages: &[words(p::UFAKZEKA)], ..PLAIN },
    Pre { names: &["laguna"], stages: &[Matches(p::LINES), words(p::QWEN2)], ..PLAIN },
    Pre { names: &["seed-coder"], stages: &[words(p::SEED_CODER)], ..PLAIN },
    Pre {
        names: &["bailingmoe", "bailingmoe2", "llada-moe"],
        stages: &[words(p::BAILING)],
        ..PLAIN
    },
    Pre { names: &["exaone-moe"], stages: &[words(p::EXAONE_MOE)], clean_up: true, ..PLAIN },
    Pre {
        names: &["tekken"],
        stages: &[words(p::TEKKEN)],
        whole_words: true,
        add_bos: true,
        ..PLAIN
    },
    Pre {
        names: &["gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"],
        stages: &[words(p::GPT4O)],
        ..PLAIN
    },
    Pre {
        names: &["granite-embed-multi-97m"],
        stages: &[words(p::GPT4O)],
        whole_words: true,
        ..PLAIN
    },
    Pre {
        names: &["tiny_aya", "cohere2moe"],
        stages: &[Stage::Digits(Digits::Whole), words(p::GPT4O)],
        ..PLAIN
    },
    Pre {
        names: &["superbpe"],
        stages: &[Matches(p::NUMBERS), Stage::Digits(Digits::All)],
        ..PLAIN
    },
    Pre {
        names: &["youtu"],
        stages: &[Matches(p::YOUTU_SCRIPTS), words(p::YOUTU)],
        whole_words: true,
        ..PLAIN
    },
    Pre { names: &["kimi-k2"], stages: &[words(p::KIMI_K2)], ..PLAIN },
    Pre {
        names: &["deepseek-llm"],
        stages: &[
            Matches(p::LINE_BREAK),
            Matches(p::DEEPSEEK_LETTERS),
            Matches(p::DEEPSEEK_PUNCTUATION),
            Matches(p::SPACES_AT_END),
            Matches(p::DEEPSEEK_SCRIPTS),
            Matches(p::NUMBERS),
        ],
        ..PLAIN
    },
    Pre {
        names: &["deepseek-coder"],
        stages: &[
            Matches(p::LINE_BREAK),
            Matches(p::SPACE_AND_LETTERS),
            Matches(p::SPACE_AND_PUNCTUATION),
            Matches(p::DEEPSEEK_SCRIPTS),
            Matches(p::NUMBER),
        ],
        ..PLAIN
    },
    Pre {
        names: &["deepseek-v3", "hunyuan-dense", "hy_v4", "joyai-llm"],
        stages: DEEPSEEK3,
        ..PLAIN
    },
    Pre {
        names: &["spark2_5"],
        stages: &[
            Matches(p::NUMBERS_TO_THREE),
            Matches(p::CJK_AND_KANA),
            words(p::SPARK),
            Matches(p::NUMBER),
        ],
        ..PLAIN
    },
    Pre {
        names: &["afmoe"],
        stages: &[Stage::Digits(Digits::All), Matches(p::AFMOE_SCRIPTS), words(p::DEEPSEEK3)],
        ..PLAIN
    },
    Pre {
        names: &["falcon"],
        stages: &[Matches(p::FALCON_PUNCTUATION), words(p::GPT2), Matches(p::THREE_DIGITS)],
        clean_up: true,
        ..PLAIN
    },
    Pre { names: &["poro-chat"], stages: BLOOM, ..PLAIN },
    Pre { names: &["bloom", "gpt3-finnish"], stages: BLOOM, clean_up: true, ..PLAIN },
    Pre { names: &["viking"], stages: &[Matches(p::BLOOM), Matches(p::NUMBER)], ..PLAIN },
    Pre {
        names: &["chameleon"],
        stages: &[
            Matches(p::SENTINEL),
            Matches(p::IMAGE),
            Matches(p::CHAMELEON_SPACES),
            Matches(p::NUMBER),
            Matches(p::CHAMELEON_PUNCTUATION),
            words(p::GPT2),
        ],
        add_bos: true,
        ..PLAIN
    },
    Pre {
        names: &["gemma4", "granite-embed-multi-311m"],
        stages: LINES,
        add_bos: true,
        clean_up: true,
        characters: true,
        spaces_escaped: true,
        whole_breaks: true,
        ..PLAIN
    },
    Pre { names: &["sarvam-moe"], stages: LINES, characters: true, spaces_escaped: true, ..PLAIN },
    Pre {
        names: &["whitespace"],
        stages: &[DropSpaces],
        clean_up: true,
        characters: true,
        ..PLAIN
    },
];

impl Pre {
    /// The pre-tokenizer of that name.
    pub(crate) fn named(name: &str) -> Result<&'static Self, TextError> {
        TABLE.iter().find(|pre| pre.names.contains(&name)).ok_or_else(|| {
            let names = TABLE.iter().flat_map(|pre| pre.names).copied();
            let nearest = remuda_base::nearest(name, names).map(ToOwned::to_owned);
            TextError::UnknownPre { name: crate::error::shown(name), nearest }
        })
    }

    /// Every one of them.
    #[cfg(test)]
    pub(crate) fn all() -> &'static [Self] {
        TABLE
    }
}
