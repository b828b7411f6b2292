//! Writing a GBNF grammar as a Lark grammar.
//!
//! Lark splits text into lexemes, the longest first, and a grammar over characters knows nothing of
//! lexemes. So each character is a lexeme of its own: then no choice of lexemes can be wrong.

use std::fmt::Write;

use remuda_base::Map;

use crate::gbnf::{Choice, Grammar, Item, Part, ROOT};

/// The grammar as text.
pub(crate) fn write(grammar: &Grammar) -> String {
    let names: Map<&str, String> = (grammar.rules.keys().enumerate())
        .map(|(index, name)| (name.as_str(), format!("rule_{index}")))
        .collect();
    let mut out = String::new();
    let name = |rule: &str| names.get(rule).cloned().unwrap_or_default();
    let _ = writeln!(out, "start: {}", name(ROOT));
    for (rule, choice) in &grammar.rules {
        let _ = write!(out, "{}: ", name(rule));
        write_choice(&mut out, choice, &names);
        out.push('\n');
    }
    out
}

/// Nesting is bounded before a grammar is read.
fn write_choice(out: &mut String, choice: &Choice, names: &Map<&str, String>) {
    for (index, sequence) in choice.iter().enumerate() {
        if index > 0 {
            out.push_str(" | ");
        }
        if sequence.is_empty() {
            out.push_str("\"\"");
        }
        for item in sequence {
            write_item(out, item, names);
            out.push(' ');
        }
    }
}

fn write_item(out: &mut String, item: &Item, names: &Map<&str, String>) {
    match &item.part {
        Part::Text(text) => write_text(out, text),
        Part::Class { negated, ranges } => write_class(out, *negated, ranges),
        Part::Any => out.push_str("/(?s:.)/"),
        Part::Rule(name) => out.push_str(names.get(name.as_str()).map_or("", String::as_str)),
        Part::Group(choice) => {
            out.push('(');
            write_choice(out, choice, names);
            out.push(')');
        }
    }
    match (item.least, item.most) {
        (1, Some(1)) => {}
        (0, None) => out.push('*'),
        (1, None) => out.push('+'),
        (0, Some(1)) => out.push('?'),
        (least, None) => {
            let _ = write!(out, "{{{least},}}");
        }
        (least, Some(most)) => {
            let _ = write!(out, "{{{least},{most}}}");
        }
    }
}

fn write_text(out: &mut String, text: &str) {
    if text.is_empty() {
        out.push_str("\"\"");
        return;
    }
    out.push('(');
    for (index, character) in text.chars().enumerate() {
        if index > 0 {
            out.push(' ');
        }
        out.push('/');
        write_character(out, character);
        out.push('/');
    }
    out.push(')');
}

fn write_class(out: &mut String, negated: bool, ranges: &[(char, char)]) {
    if ranges.is_empty() {
        out.push_str("/(?s:.)/");
        return;
    }
    out.push_str(if negated { "/[^" } else { "/[" });
    for &(first, last) in ranges {
        write_character(out, first);
        if last > first {
            out.push('-');
            write_character(out, last);
        }
    }
    out.push_str("]/");
}

/// A character as every regular expression reads it, in a class or out of one.
fn write_character(out: &mut String, character: char) {
    if character.is_ascii_alphanumeric() {
        out.push(character);
    } else {
        let _ = write!(out, "\\x{{{:X}}}", u32::from(character));
    }
}
