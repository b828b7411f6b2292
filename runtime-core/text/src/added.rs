//! Special tokens in a text: found before anything else, from the left, the longest first.

use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};

use crate::MAX_SPECIAL_BYTES;
use crate::error::TextError;
use crate::vocab::{Kind, TokenId, Vocabulary};

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fragment {
    /// A special token.
    Token(TokenId),
    /// Plain text.
    Text(Range<usize>),
}

/// The tables that find special tokens.
#[derive(Debug, Clone)]
pub(crate) struct Added {
    all: Finder,
    user_defined: Finder,
    strips: Strips,
}

#[derive(Debug, Clone)]
struct Finder {
    table: Option<AhoCorasick>,
    ids: Vec<TokenId>,
}

/// Which special tokens take the white space beside them along. No file says so; it follows from
/// the names of a few models.
#[derive(Debug, Clone, Default)]
struct Strips {
    left: Vec<TokenId>,
    right: Vec<TokenId>,
}

/// What decides which tokens take white space along.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Names<'a> {
    pub(crate) model: &'a str,
    pub(crate) architecture: &'a str,
    pub(crate) pre: &'a str,
}

impl Added {
    pub(crate) fn new(vocabulary: &Vocabulary, names: Names<'_>) -> Result<Self, TextError> {
        let of = |wanted: &dyn Fn(Kind) -> bool| -> Vec<TokenId> {
            let is = |id: &TokenId| vocabulary.kind(*id).is_some_and(wanted);
            vocabulary.ids().filter(is).collect()
        };
        let special = |kind| matches!(kind, Kind::Control | Kind::UserDefined | Kind::Unknown);
        let all = of(&special);
        let bytes = all.iter().filter_map(|&id| vocabulary.text(id)).map(str::len).sum();
        if bytes > MAX_SPECIAL_BYTES {
            return Err(TextError::SpecialBytes(bytes));
        }
        let strips = Strips::new(vocabulary, names, &all);
        let user_defined = of(&|kind| kind == Kind::UserDefined);
        let all = Finder::new(vocabulary, all)?;
        Ok(Self { all, user_defined: Finder::new(vocabulary, user_defined)?, strips })
    }

    /// The pieces of `text`, in order; control tokens are text unless `special`.
    pub(crate) fn split(&self, text: &str, special: bool) -> Vec<Fragment> {
        let finder = if special { &self.all } else { &self.user_defined };
        let mut fragments = Vec::new();
        let mut start = 0;
        let Some(table) = &finder.table else {
            push_text(&mut fragments, 0..text.len());
            return fragments;
        };
        for found in table.find_iter(text) {
            let Some(&id) = finder.ids.get(found.pattern().as_usize()) else { continue };
            if found.start() < start {
                continue;
            }
            let mut before = start..found.start();
            if self.strips.left.contains(&id) {
                before.end =
                    text.get(before.clone()).map_or(0, |text| text.trim_end().len()) + start;
            }
            push_text(&mut fragments, before);
            fragments.push(Fragment::Token(id));
            start = found.end();
            if self.strips.right.contains(&id) {
                let rest = text.get(start..).unwrap_or_default();
                start += rest.len() - rest.trim_start().len();
            }
        }
        push_text(&mut fragments, start..text.len());
        fragments
    }
}

fn push_text(fragments: &mut Vec<Fragment>, text: Range<usize>) {
    if !text.is_empty() {
        fragments.push(Fragment::Text(text));
    }
}

impl Finder {
    fn new(vocabulary: &Vocabulary, ids: Vec<TokenId>) -> Result<Self, TextError> {
        let texts = ids.iter().filter_map(|&id| vocabulary.text(id));
        let table = (!ids.is_empty())
            .then(|| AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(texts));
        let table = table.transpose().map_err(|_| TextError::SpecialTable)?;
        Ok(Self { table, ids })
    }
}

impl Strips {
    fn new(vocabulary: &Vocabulary, names: Names<'_>, special: &[TokenId]) -> Self {
        let one_of = |name: &str, parts: &[&str]| parts.iter().any(|part| name.contains(part));
        let model = names.model.to_lowercase();
        let find = |text: &str| vocabulary.find(text).into_iter().collect();
        let none = Vec::new();
        if one_of(names.pre, &["jina-v2-de", "jina-v2-es", "jina-v2-code"])
            || one_of(names.architecture, &["nomic-bert-moe", "jina-bert-v3"])
        {
            return Self { left: find("<mask>"), right: none };
        }
        if one_of(&model, &["phi-3", "phi3"]) {
            let keeps = ["<unk>", "<s>", "<|endoftext|>"];
            let strips =
                |id: &TokenId| !vocabulary.text(*id).is_some_and(|text| keeps.contains(&text));
            return Self { left: none, right: special.iter().copied().filter(strips).collect() };
        }
        if model.contains("modern-bert") {
            return Self { left: find("[MASK]"), right: none };
        }
        Self::default()
    }
}
