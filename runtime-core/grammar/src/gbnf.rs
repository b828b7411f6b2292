//! Reading GBNF, the grammars of llama.cpp: rules over characters.
//!
//! Groups wait in a list, not on the stack, so that no nesting can overflow it.

mod scan;

use remuda_base::{Map, Set};

use self::scan::{Scanner, Token};
use crate::error::GrammarError;

pub(crate) const KIND: &str = "GBNF grammar";
/// The rule that is the answer.
pub(crate) const ROOT: &str = "root";
/// The largest count of a repetition.
const MAX_COUNT: u32 = 10_000;

/// Rules by name, each a choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grammar {
    pub(crate) rules: Map<String, Choice>,
}

/// Alternatives, each a sequence.
pub(crate) type Choice = Vec<Vec<Item>>;

/// A part of a sequence, so many times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) part: Part,
    pub(crate) least: u32,
    pub(crate) most: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Text(String),
    Class { negated: bool, ranges: Vec<(char, char)> },
    Any,
    Rule(String),
    Group(Choice),
}

/// Reads a grammar.
pub(crate) fn parse(source: &str) -> Result<Grammar, GrammarError> {
    let mut scanner = Scanner::new(source);
    let mut rules: Map<String, Choice> = Map::new();
    let mut used: Set<(String, usize)> = Set::new();
    while let Some(name) = scanner.rule_name()? {
        let choice = choice(&mut scanner, &mut used)?;
        if rules.insert(name.clone(), choice).is_some() {
            return Err(scanner.error(format!("rule `{name}` is defined twice")));
        }
    }
    if !rules.contains_key(ROOT) {
        return Err(syntax(None, format!("expected a rule `{ROOT}`, got none")));
    }
    for (name, line) in used {
        if !rules.contains_key(&name) {
            let nearest = remuda_base::nearest(&name, rules.keys().map(String::as_str));
            let hint = nearest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
            return Err(syntax(Some(line), format!("rule `{name}` is not defined{hint}")));
        }
    }
    Ok(Grammar { rules })
}

fn choice(
    scanner: &mut Scanner<'_>,
    used: &mut Set<(String, usize)>,
) -> Result<Choice, GrammarError> {
    let mut open: Vec<Choice> = Vec::new();
    let mut here: Choice = vec![Vec::new()];
    loop {
        let token = scanner.next(!open.is_empty())?;
        let part = match token {
            Token::Or => {
                here.push(Vec::new());
                continue;
            }
            Token::Open => {
                open.push(std::mem::replace(&mut here, vec![Vec::new()]));
                continue;
            }
            Token::Close => {
                let Some(outer) = open.pop() else {
                    return Err(scanner.error("`)` closes nothing".to_owned()));
                };
                Part::Group(std::mem::replace(&mut here, outer))
            }
            Token::End if open.is_empty() => return Ok(here),
            Token::End => return Err(scanner.error("expected `)`, got the end".to_owned())),
            Token::Repeat { least, most } => {
                repeat(scanner, &mut here, least, most)?;
                continue;
            }
            Token::Text(text) => Part::Text(text),
            Token::Class { negated, ranges } => Part::Class { negated, ranges },
            Token::Any => Part::Any,
            Token::Name(name) => {
                used.insert((name.clone(), scanner.line()));
                Part::Rule(name)
            }
        };
        if let Some(sequence) = here.last_mut() {
            sequence.push(Item { part, least: 1, most: Some(1) });
        }
    }
}

/// Applies a repetition to the item before it.
fn repeat(
    scanner: &Scanner<'_>,
    here: &mut Choice,
    least: u32,
    most: Option<u32>,
) -> Result<(), GrammarError> {
    let nothing = || scanner.error("a repetition needs something before it".to_owned());
    let item = here.last_mut().and_then(|sequence| sequence.last_mut()).ok_or_else(nothing)?;
    if most.is_some_and(|most| most < least) || least.max(most.unwrap_or(0)) > MAX_COUNT {
        let text =
            format!("expected counts in order and at most {MAX_COUNT}, got {least} and {most:?}");
        return Err(scanner.error(text));
    }
    if (item.least, item.most) == (1, Some(1)) {
        (item.least, item.most) = (least, most);
    } else {
        let inner = vec![vec![item.clone()]];
        *item = Item { part: Part::Group(inner), least, most };
    }
    Ok(())
}

fn syntax(line: Option<usize>, message: String) -> GrammarError {
    GrammarError::Syntax { kind: KIND, line, message }
}
