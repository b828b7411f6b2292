//! Running a pre-tokenizer: a text to the ranges of its words.

use std::ops::Range;

use regex_automata::meta::Regex;
use regex_automata::{Anchored, Input};

use super::{Digits, Pre, Spaces, Stage};

/// The stages of a pre-tokenizer, compiled.
#[derive(Debug, Clone)]
pub(crate) struct Splitter {
    stages: Vec<Compiled>,
}

#[derive(Debug, Clone)]
enum Compiled {
    Matches(Regex),
    /// Pattern 0 is the words', pattern 1 white space.
    Words(Regex, Spaces),
    Digits(Regex, Digits),
    DropSpaces(Regex),
}

impl Splitter {
    /// The patterns are our own: each compiles, as a test checks.
    pub(crate) fn new(pre: &Pre) -> Self {
        Self { stages: pre.stages.iter().filter_map(compile).collect() }
    }

    /// The words of `text`, in order.
    pub(crate) fn split(&self, text: &str) -> Vec<Range<usize>> {
        let mut pieces = Vec::with_capacity(text.len() / 4 + 1);
        if !text.is_empty() {
            pieces.push(0..text.len());
        }
        let mut next = Vec::with_capacity(pieces.capacity());
        for stage in &self.stages {
            for piece in pieces.drain(..) {
                let mut cuts = Cuts { base: piece.start, end: piece.start, pieces: &mut next };
                let Some(part) = text.get(piece.clone()) else { continue };
                stage.cut(part, &mut cuts);
                if !matches!(stage, Compiled::DropSpaces(_)) {
                    cuts.rest(part.len());
                }
            }
            std::mem::swap(&mut pieces, &mut next);
        }
        pieces
    }
}

/// Where pieces go: positions are relative to the piece that is being cut.
struct Cuts<'a> {
    base: usize,
    end: usize,
    pieces: &'a mut Vec<Range<usize>>,
}

impl Cuts<'_> {
    /// A piece, and before it what was left out.
    fn piece(&mut self, piece: Range<usize>) {
        self.rest(piece.start);
        self.only(piece);
    }

    /// A piece alone.
    fn only(&mut self, piece: Range<usize>) {
        self.end = self.base + piece.end;
        if !piece.is_empty() {
            self.pieces.push(self.base + piece.start..self.end);
        }
    }

    /// What was left out before `until`.
    fn rest(&mut self, until: usize) {
        let until = self.base + until;
        if self.end < until {
            self.pieces.push(self.end..until);
            self.end = until;
        }
    }
}

fn compile(stage: &Stage) -> Option<Compiled> {
    Some(match *stage {
        Stage::Matches(pattern) => Compiled::Matches(Regex::new(pattern).ok()?),
        Stage::Words(pattern, spaces) => {
            Compiled::Words(Regex::new_many(&[pattern, r"\s+"]).ok()?, spaces)
        }
        Stage::Digits(Digits::All) => Compiled::Digits(Regex::new(r"\p{N}+").ok()?, Digits::All),
        Stage::Digits(Digits::Whole) => Compiled::Digits(Regex::new(r"\d+").ok()?, Digits::Whole),
        Stage::DropSpaces => Compiled::DropSpaces(Regex::new(r"\S+").ok()?),
    })
}

impl Compiled {
    fn cut(&self, part: &str, cuts: &mut Cuts<'_>) {
        match self {
            Self::Matches(regex) => {
                regex.find_iter(part).for_each(|found| cuts.piece(found.range()));
            }
            Self::Words(regex, spaces) => cut_words(regex, *spaces, part, cuts),
            Self::Digits(regex, digits) => {
                for found in regex.find_iter(part) {
                    cut_digits(part, found.range(), *digits, cuts);
                }
            }
            Self::DropSpaces(regex) => {
                regex.find_iter(part).for_each(|found| cuts.only(found.range()));
            }
        }
    }
}

fn cut_words(regex: &Regex, spaces: Spaces, part: &str, cuts: &mut Cuts<'_>) {
    let mut at = 0;
    while at < part.len() {
        let input = Input::new(part).range(at..).anchored(Anchored::No);
        let Some(found) = regex.search(&input) else { break };
        let end = match found.pattern().as_usize() {
            0 => found.end(),
            _ => end_of_spaces(part, found.range(), spaces),
        };
        cuts.piece(found.start()..end);
        at = end.max(at + 1);
    }
}

/// Where the first piece of a run of white space ends. A word that follows keeps the last space.
fn end_of_spaces(part: &str, run: Range<usize>, spaces: Spaces) -> usize {
    let Some(text) = part.get(run.clone()) else { return run.end };
    let last = text.char_indices().next_back().map_or(0, |(at, _)| at);
    let free = if run.end == part.len() { text.len() } else { last };
    let first = text.chars().next().map_or(0, char::len_utf8);
    let taken = match spaces {
        Spaces::KeepLast => free,
        Spaces::Powers => {
            let count = text.get(..free).map_or(0, |free| free.chars().count());
            let chunk = (2..=9).rev().map(|power| 1 << power).find(|&chunk| chunk <= count);
            let chunk = chunk.unwrap_or(count.min(2));
            text.chars().take(chunk).map(char::len_utf8).sum()
        }
    };
    run.start + taken.max(first)
}

/// Groups of three digits from the right, each of them a piece.
fn cut_digits(part: &str, run: Range<usize>, digits: Digits, cuts: &mut Cuts<'_>) {
    let after = part.get(run.end..).and_then(|rest| rest.chars().next());
    if digits == Digits::Whole && after.is_some_and(|next| next.is_alphabetic() || next == '_') {
        return;
    }
    let Some(text) = part.get(run.clone()) else { return };
    let count = text.chars().count();
    let mut start = run.start;
    for (index, (at, digit)) in text.char_indices().enumerate() {
        if (count - index - 1).is_multiple_of(3) {
            let end = run.start + at + digit.len_utf8();
            cuts.piece(start..end);
            start = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split<'a>(pre: &str, text: &'a str) -> Vec<&'a str> {
        let splitter = Splitter::new(Pre::named(pre).unwrap());
        splitter.split(text).into_iter().map(|word| &text[word]).collect()
    }

    #[test]
    fn every_pattern_compiles_and_loses_nothing() {
        let text = "Hello, it's  12345 \n\n  ÄÖü 東京 한국어 <sentinel:12>\u{301} 💡\t\tend  ";
        for pre in Pre::all() {
            let splitter = Splitter::new(pre);
            assert_eq!(splitter.stages.len(), pre.stages.len(), "{:?}", pre.names);
            let words: Vec<&str> = splitter.split(text).into_iter().map(|at| &text[at]).collect();
            if pre.stages != [Stage::DropSpaces] {
                assert_eq!(words.concat(), text, "{:?}", pre.names);
            }
        }
    }

    #[test]
    fn a_word_keeps_one_space_of_a_run() {
        assert_eq!(split("gpt-2", "a   b  "), ["a", "  ", " b", "  "]);
        assert_eq!(split("llama-bpe", "a \n  b"), ["a", " \n", " ", " b"]);
        assert_eq!(split("gpt-2", "it's 12ab!"), ["it", "'s", " 12", "ab", "!"]);
        assert_eq!(split("llama-bpe", "1234"), ["123", "4"]);
    }

    #[test]
    fn spaces_are_cut_by_powers() {
        let text = format!("{}b", " ".repeat(14));
        let lengths: Vec<usize> = split("jais-2", &text).iter().map(|word| word.len()).collect();
        assert_eq!(lengths, [8, 4, 1, 2]);
    }

    #[test]
    fn digits_are_grouped_from_the_right() {
        assert_eq!(split("superbpe", "1234567 89"), ["1", "234", "567", " ", "89"]);
        assert_eq!(split("tiny_aya", "1234 1234a"), ["1", "234", " ", "123", "4", "a"]);
    }

    #[test]
    fn unknown_names_suggest_the_nearest() {
        let error = Pre::named("lama-bpe").unwrap_err().to_string();
        assert_eq!(error, "pre-tokenizer `lama-bpe` is not known; did you mean `llama-bpe`?");
    }
}
