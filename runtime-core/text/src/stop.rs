//! Ends a stream of text at the first of some strings, holding back what may become one of them.

use aho_corasick::{AhoCorasick, MatchKind};

/// The most stop strings of one request.
const MAX_STRINGS: usize = 64;
/// The most bytes of one stop string.
const MAX_BYTES: usize = 4096;

/// Watches a stream of text for stop strings.
#[derive(Debug, Clone)]
pub struct StopStrings {
    strings: Vec<String>,
    table: Option<AhoCorasick>,
    held: String,
}

/// What may be passed on after a piece of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// Text that is certain to come before any stop string.
    pub text: String,
    /// Which stop string ended the stream, if one did. Nothing is to be pushed after that.
    pub by: Option<usize>,
}

/// Stop strings that cannot be watched for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StopError {
    /// There are too many.
    #[error("expected at most {MAX_STRINGS} stop strings, got {0}")]
    TooMany(usize),
    /// One is too long, or empty.
    #[error("stop string {index}: expected 1 to {MAX_BYTES} bytes, got {bytes}")]
    Length {
        /// Its place in the list.
        index: usize,
        /// Its length.
        bytes: usize,
    },
}

impl StopStrings {
    /// Watches for `strings`.
    ///
    /// # Errors
    /// When there are too many, or one is empty or too long.
    pub fn new(strings: &[impl AsRef<str>]) -> Result<Self, StopError> {
        if strings.len() > MAX_STRINGS {
            return Err(StopError::TooMany(strings.len()));
        }
        let strings: Vec<String> =
            strings.iter().map(|string| string.as_ref().to_owned()).collect();
        let lengths = strings.iter().map(String::len).enumerate();
        for (index, bytes) in lengths {
            if !(1..=MAX_BYTES).contains(&bytes) {
                return Err(StopError::Length { index, bytes });
            }
        }
        // The first to be complete ends the stream, so that it does not matter how text was cut.
        let table = AhoCorasick::builder().match_kind(MatchKind::Standard).build(&strings).ok();
        let table = table.filter(|_| !strings.is_empty());
        Ok(Self { strings, table, held: String::new() })
    }

    /// Takes the next piece of text, and says what of all text so far may be passed on.
    pub fn push(&mut self, text: &str) -> Stopped {
        self.held.push_str(text);
        let Some(table) = &self.table else {
            return Stopped { text: std::mem::take(&mut self.held), by: None };
        };
        if let Some(found) = table.find(&self.held) {
            self.held.truncate(found.start());
            let by = Some(found.pattern().as_usize());
            return Stopped { text: std::mem::take(&mut self.held), by };
        }
        let kept = self.held.split_off(self.held.len() - self.longest_start());
        Stopped { text: std::mem::replace(&mut self.held, kept), by: None }
    }

    /// What was held back, when the stream ended by itself.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// How much of the end of the text is the start of a stop string.
    fn longest_start(&self) -> usize {
        let starts = |length: &usize| {
            let end = self.held.as_bytes().get(self.held.len() - length..);
            end.is_some_and(|end| {
                self.strings.iter().any(|string| string.as_bytes().starts_with(end))
            })
        };
        let longest = self.strings.iter().map(|string| string.len() - 1).max().unwrap_or(0);
        (1..=longest.min(self.held.len())).rev().find(starts).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_stop_string_may_come_in_pieces() {
        let mut stops = StopStrings::new(&["\nUser:", "###"]).unwrap();
        assert_eq!(stops.push("Hi.\nUs"), Stopped { text: "Hi.".into(), by: None });
        assert_eq!(stops.push("e #"), Stopped { text: "\nUse ".into(), by: None });
        assert_eq!(stops.push("## more"), Stopped { text: String::new(), by: Some(1) });
    }

    #[test]
    fn what_was_held_back_comes_at_the_end() {
        let mut stops = StopStrings::new(&["stop"]).unwrap();
        assert_eq!(stops.push("a sto").text, "a ");
        assert_eq!(stops.finish(), "sto");
    }

    #[test]
    fn lists_are_bounded() {
        let error = StopStrings::new(&["a", ""]).unwrap_err().to_string();
        assert_eq!(error, "stop string 1: expected 1 to 4096 bytes, got 0");
        assert!(StopStrings::new(&vec!["a"; 65]).is_err());
    }

    proptest! {
        #[test]
        fn how_text_is_cut_does_not_matter(
            text in "[abä]{0,30}",
            stops in prop::collection::vec("[abä]{1,4}", 0..4),
            cuts: Vec<bool>,
        ) {
            let whole = StopStrings::new(&stops).unwrap().push(&text);
            let mut watched = StopStrings::new(&stops).unwrap();
            let mut out = String::new();
            let mut by = None;
            let mut piece = String::new();
            let cuts = cuts.into_iter().chain(std::iter::repeat(true));
            for (character, cut) in text.chars().zip(cuts) {
                piece.push(character);
                if cut && by.is_none() {
                    let stopped = watched.push(&std::mem::take(&mut piece));
                    out += &stopped.text;
                    by = stopped.by;
                }
            }
            if by.is_none() {
                let stopped = watched.push(&piece);
                out += &stopped.text;
                by = stopped.by;
            }
            prop_assert_eq!(by, whole.by);
            if by.is_none() {
                out += &watched.finish();
                prop_assert_eq!(out, text);
            } else {
                prop_assert_eq!(out, whole.text);
            }
        }
    }
}
