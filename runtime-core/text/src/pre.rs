//! Pre-tokenizers: the rules by which each family of models cuts text into words before merging.
//!
//! A [`Pre`] is a list of stages; each cuts the pieces that the one before left. The table of all
//! names that GGUF files use is in `names`, the regular expressions are in `patterns`. They come from
//! the models' own files; look-ahead is expressed by rules beside them (`split`), so that every
//! stage runs in linear time.

mod names;
mod patterns;
mod split;

pub(crate) use names::Pre;
pub(crate) use split::Splitter;

/// One way of cutting every piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Matches become pieces; so does what lies between them.
    Matches(&'static str),
    /// The same, then white space that nothing matched, by a rule.
    Words(&'static str, Spaces),
    /// Runs of digits, in groups of three from the right.
    Digits(Digits),
    /// White space is dropped, and what lies between it is a piece.
    DropSpaces,
}

/// How a run of white space is cut that no pattern matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spaces {
    /// All of it, but the last space stays with a word that follows.
    KeepLast,
    /// The same, in chunks of 512, 256 and so on to 4, then of 2 and 1.
    Powers,
}

/// Which runs of digits are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Digits {
    /// Any run.
    All,
    /// Those that no letter follows.
    Whole,
}
