//! From the source of a constraint to a constraint that can be followed.

use std::fmt;
use std::sync::Arc;

use llguidance::api::TopLevelGrammar;
use llguidance::{Matcher, ParserFactory};
use remuda_text::Tokenizer;
use serde_json::{Value, json};

use crate::constraint::Constraint;
use crate::error::{GrammarError, first_line};
use crate::{MAX_DEPTH, MAX_SOURCE_BYTES, gbnf, lark, vocabulary};

/// What an answer must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source<'a> {
    /// Any JSON object.
    JsonObject,
    /// JSON that fits a schema.
    JsonSchema(&'a str),
    /// A text that matches as a whole.
    Regex(&'a str),
    /// llama.cpp's grammars. The rule `root` is the answer.
    Gbnf(&'a str),
    /// Lark grammars as `llguidance` reads them. The rule `start` is the answer.
    Lark(&'a str),
}

impl<'a> Source<'a> {
    fn kind(self) -> &'static str {
        match self {
            Self::JsonObject => "JSON",
            Self::JsonSchema(_) => "JSON schema",
            Self::Regex(_) => "regular expression",
            Self::Gbnf(_) => "GBNF grammar",
            Self::Lark(_) => "Lark grammar",
        }
    }

    fn text(self) -> &'a str {
        match self {
            Self::JsonObject => "",
            Self::JsonSchema(text) | Self::Regex(text) | Self::Gbnf(text) | Self::Lark(text) => {
                text
            }
        }
    }
}

/// Makes constraints for one vocabulary. Made once per model; safe to use from many threads.
pub struct Compiler {
    factory: ParserFactory,
}

impl fmt::Debug for Compiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compiler").finish_non_exhaustive()
    }
}

impl Compiler {
    /// A compiler for `tokenizer`'s vocabulary.
    ///
    /// # Errors
    /// When it has no token that ends an answer.
    pub fn new(tokenizer: Arc<Tokenizer>) -> Result<Self, GrammarError> {
        let env = vocabulary::bridge(tokenizer)?;
        let factory = ParserFactory::new_simple(&env);
        let mut factory = factory.map_err(|error| GrammarError::Vocabulary(first_line(&error)))?;
        // What is said, is said by errors.
        factory.quiet();
        let limits = factory.limits_mut();
        limits.verbose_errors = false;
        limits.max_grammar_size = MAX_SOURCE_BYTES;
        limits.max_lexer_states = 50_000;
        Ok(Self { factory })
    }

    /// The constraint that `source` describes.
    ///
    /// # Errors
    /// When it cannot be read, or is too large.
    pub fn compile(&self, source: Source<'_>) -> Result<Constraint, GrammarError> {
        let kind = source.kind();
        let grammar = grammar(source)?;
        let parser = self.factory.create_parser(grammar);
        let mut matcher = Matcher::new(parser);
        let failed = matcher.get_error();
        // A grammar that allows nothing at all is found at the first step.
        let failed = failed.or_else(|| matcher.compute_mask_or_eos().err().map(|e| e.to_string()));
        match failed {
            Some(error) => {
                let message = first_line(&error);
                Err(GrammarError::Syntax { kind, line: None, message })
            }
            None => Ok(Constraint::new(kind, matcher)),
        }
    }
}

fn grammar(source: Source<'_>) -> Result<TopLevelGrammar, GrammarError> {
    let (kind, text) = (source.kind(), source.text());
    if text.len() > MAX_SOURCE_BYTES {
        return Err(GrammarError::TooLong { kind, got: text.len() });
    }
    if depth(text) > MAX_DEPTH {
        return Err(GrammarError::TooDeep { kind });
    }
    let syntax = |error: serde_json::Error| GrammarError::Syntax {
        kind,
        line: Some(error.line()),
        message: first_line(&error),
    };
    Ok(match source {
        Source::JsonObject => TopLevelGrammar::from_json_schema(json!({"type": "object"})),
        Source::JsonSchema(text) => {
            let schema: Value = serde_json::from_str(text).map_err(syntax)?;
            TopLevelGrammar::from_json_schema(schema)
        }
        Source::Regex(text) => TopLevelGrammar::from_regex(text),
        Source::Gbnf(text) => TopLevelGrammar::from_lark(lark::write(&gbnf::parse(text)?)),
        Source::Lark(text) => TopLevelGrammar::from_lark(text.to_owned()),
    })
}

/// At most how deep brackets nest: those in texts count as well.
fn depth(text: &str) -> usize {
    let (mut open, mut deepest) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => {
                open = open.saturating_add(1);
                deepest = deepest.max(open);
            }
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}
