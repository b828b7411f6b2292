//! Unigram: of all ways to cut a text into tokens, the one with the highest sum of scores.

mod charsmap;
mod sorted;

use remuda_gguf::{Array, Metadata};

use self::charsmap::Charsmap;
use self::sorted::Sorted;
use crate::Role;
use crate::error::TextError;
use crate::sentencepiece::SPACE;
use crate::vocab::{Kind, TokenId, Vocabulary};

const CHARSMAP: &str = "tokenizer.ggml.precompiled_charsmap";
/// How much worse than the worst token an unknown character is.
const UNKNOWN_PENALTY: f32 = 10.0;

/// The tables of a Unigram tokenizer.
#[derive(Debug, Clone)]
pub(crate) struct Unigram {
    tokens: Sorted,
    user_defined: Sorted,
    charsmap: Option<Charsmap>,
    unknown_score: f64,
    add_space_prefix: bool,
    merge_spaces: bool,
}

impl Unigram {
    pub(crate) fn read(
        metadata: &Metadata<'_>,
        vocabulary: &Vocabulary,
    ) -> Result<Self, TextError> {
        let charsmap = metadata.optional::<Array<'_>>(CHARSMAP)?;
        let charsmap = charsmap.map(|array| Charsmap::read(&array)).transpose()?;
        let kinds = |wanted: &dyn Fn(Kind) -> bool| {
            let is = |id: &TokenId| vocabulary.kind(*id).is_some_and(wanted);
            Sorted::new(vocabulary, vocabulary.ids().filter(is))
        };
        let normal = |id: &TokenId| vocabulary.kind(*id) == Some(Kind::Normal);
        let scores = vocabulary.ids().filter(normal).map(|id| vocabulary.score(id));
        let worst = scores.fold(f32::MAX, f32::min);
        let worst = if worst == f32::MAX { 0.0 } else { worst };
        let flag = |key: &str| metadata.optional::<bool>(key);
        Ok(Self {
            tokens: kinds(&|kind| matches!(kind, Kind::Normal | Kind::UserDefined | Kind::Unused)),
            user_defined: kinds(&|kind| kind == Kind::UserDefined),
            charsmap,
            unknown_score: f64::from(worst - UNKNOWN_PENALTY),
            add_space_prefix: flag("tokenizer.ggml.add_space_prefix")?.unwrap_or(false),
            merge_spaces: flag("tokenizer.ggml.remove_extra_whitespaces")?.unwrap_or(false),
        })
    }

    pub(crate) fn encode(&self, text: &str, vocabulary: &Vocabulary, out: &mut Vec<TokenId>) {
        let text = self.normalise(text);
        let best = self.best_cuts(&text, vocabulary);
        let start = out.len();
        let mut at = text.len();
        let mut unknown_before = false;
        while at > 0 {
            let Some(step) = best.get(at) else { break };
            match step.token {
                Some(id) => out.push(id),
                None if unknown_before => {}
                None => out.extend(vocabulary.role(Role::Unknown)),
            }
            unknown_before = step.token.is_none();
            at = step.start;
        }
        if let Some(new) = out.get_mut(start..) {
            new.reverse();
        }
    }

    /// For each position the best last token of the text before it.
    fn best_cuts(&self, text: &str, vocabulary: &Vocabulary) -> Vec<Step> {
        let worst = Step { token: None, start: 0, score: f64::NEG_INFINITY };
        let mut best = vec![worst; text.len() + 1];
        if let Some(first) = best.first_mut() {
            first.score = 0.0;
        }
        for (start, character) in text.char_indices() {
            let so_far = best.get(start).map_or(f64::NEG_INFINITY, |step| step.score);
            let mut offer = |end: usize, token: Option<TokenId>, score: f64| {
                let score = so_far + score;
                if let Some(step) = best.get_mut(end).filter(|step| score > step.score) {
                    *step = Step { token, start, score };
                }
            };
            let rest = text.as_bytes().get(start..).unwrap_or_default();
            let mut known = false;
            for (length, id) in self.tokens.prefixes(rest) {
                known |= length == character.len_utf8();
                let user_defined = vocabulary.kind(id) == Some(Kind::UserDefined);
                let score = if user_defined { 0.0 } else { f64::from(vocabulary.score(id)) };
                offer(start + length, Some(id), score);
            }
            if !known {
                offer(start + character.len_utf8(), None, self.unknown_score);
            }
        }
        best
    }

    fn normalise(&self, text: &str) -> String {
        let mut out = Normalised {
            text: String::with_capacity(text.len() + 3),
            in_word: false,
            started: false,
            rules: self,
        };
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let consumed =
                self.next_piece(rest, first, |piece| piece.chars().for_each(|c| out.add(c)));
            rest = rest.get(consumed..).unwrap_or_default();
        }
        out.text
    }

    /// Gives the first piece of `rest` as it shall be read; says how much of `rest` it was.
    fn next_piece(&self, rest: &str, first: char, mut give: impl FnMut(&str)) -> usize {
        if let Some(length) = self.user_defined.longest_in(rest.as_bytes()) {
            give(rest.get(..length).unwrap_or_default());
            return length;
        }
        if let Some((length, piece)) = self.charsmap.as_ref().and_then(|map| map.replace(rest)) {
            give(piece);
            return length;
        }
        give(first.encode_utf8(&mut [0; 4]));
        first.len_utf8()
    }
}

/// The best way so far to reach a position.
#[derive(Debug, Clone, Copy)]
struct Step {
    token: Option<TokenId>,
    start: usize,
    score: f64,
}

/// A text with its spaces escaped, and merged where the model asks for it.
struct Normalised<'a> {
    text: String,
    in_word: bool,
    started: bool,
    rules: &'a Unigram,
}

impl Normalised<'_> {
    fn add(&mut self, character: char) {
        if character == ' ' {
            self.in_word = false;
            if !self.rules.merge_spaces {
                self.text.push(SPACE);
            }
            return;
        }
        if !self.in_word {
            self.in_word = true;
            if self.rules.merge_spaces || (self.rules.add_space_prefix && !self.started) {
                self.text.push(SPACE);
            }
            self.started = true;
        }
        self.text.push(character);
    }
}
