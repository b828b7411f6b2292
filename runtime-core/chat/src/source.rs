//! Reading a template's source: what must be said differently, and what is refused before it runs.

use minijinja::machinery::{Token, tokenize};
use minijinja::syntax::SyntaxConfig;

use crate::Limits;
use crate::error::ChatError;

/// Constants are worked out when a template is read, before any budget: no product in a template
/// needs larger numbers, or more of them.
const MAX_FACTOR: u64 = 100_000;
const MAX_PRODUCTS: usize = 8;

/// The source as the engine reads it.
pub(crate) fn prepare(source: &str, syntax: &SyntaxConfig) -> Result<String, ChatError> {
    if source.len() > Limits::TEMPLATE_BYTES {
        return Err(ChatError::TooLong { limit: Limits::TEMPLATE_BYTES, got: source.len() });
    }
    let source = without_generation(source);
    check_constants(&source, syntax)?;
    Ok(source)
}

/// `{% generation %}` marks what a model learns to say when it is trained. Here it is a block that
/// is always shown.
fn without_generation(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let (before, tag) = rest.split_at(start);
        out.push_str(before);
        let end = tag.find("%}").map_or(tag.len(), |end| end.saturating_add(2));
        let (tag, after) = tag.split_at(end);
        let inner = tag.trim_start_matches("{%").trim_end_matches("%}");
        match inner.trim_matches(['-', '+', ' ', '\t', '\n', '\r']) {
            "generation" => out.push_str(&tag.replace("generation", "if true")),
            "endgeneration" => out.push_str(&tag.replace("endgeneration", "endif")),
            _ => out.push_str(tag),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

fn check_constants(source: &str, syntax: &SyntaxConfig) -> Result<(), ChatError> {
    let mut products = 0_usize;
    let mut largest = 0_u64;
    for token in tokenize(source, false, syntax.clone()) {
        match token.map_err(|error| ChatError::syntax(&error))? {
            (Token::Pow, span) => {
                let line = Some(usize::from(span.start_line));
                return Err(ChatError::Syntax { line, message: "powers are not supported".into() });
            }
            (Token::Mul, _) => products = products.saturating_add(1),
            (Token::Int(number), _) => largest = largest.max(number),
            (Token::Int128(_), _) => largest = u64::MAX,
            _ => {}
        }
    }
    if products > MAX_PRODUCTS || (products > 0 && largest > MAX_FACTOR) {
        let what = format!(
            "expected at most {MAX_PRODUCTS} products, of numbers up to {MAX_FACTOR}, \
             got {products} and {largest}"
        );
        return Err(ChatError::Syntax { line: None, message: what });
    }
    Ok(())
}
