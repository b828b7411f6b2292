//! Regular expressions of RE2 in the syntax of the `regex` crate, whose matching is linear as well.
//!
//! The two differ in details: RE2's Perl classes and word boundaries know ASCII alone, it has
//! `\Q…\E`, and inside brackets it takes literally what the crate reads as set operations.

use remuda_ir::OpError;

/// The same pattern in the crate's syntax.
pub(crate) fn translate(pattern: &str) -> Result<String, OpError> {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\\' => rest = escape(rest, &mut out, false)?,
            '[' => rest = class(rest, &mut out)?,
            _ => out.push(c),
        }
    }
    Ok(out)
}

/// Translates what follows a backslash; returns what is behind it.
fn escape<'a>(rest: &'a str, out: &mut String, in_class: bool) -> Result<&'a str, OpError> {
    let Some(c) = rest.chars().next() else {
        out.push('\\');
        return Ok(rest);
    };
    let behind = &rest[c.len_utf8()..];
    let ascii = match (c, in_class) {
        ('d', false) => "[0-9]",
        ('d', true) => "0-9",
        ('D', _) => "[^0-9]",
        ('s', false) => r"[\t\n\f\r ]",
        ('s', true) => r"\t\n\f\r ",
        ('S', _) => r"[^\t\n\f\r ]",
        ('w', false) => "[0-9A-Za-z_]",
        ('w', true) => "0-9A-Za-z_",
        ('W', _) => "[^0-9A-Za-z_]",
        ('b', false) => r"(?-u:\b)",
        ('B', false) => r"(?-u:\B)",
        ('C', _) => {
            return Err(OpError::unsupported(r"attribute `pattern`: `\C` matches single bytes"));
        }
        ('Q', false) => {
            let (literal, behind) = behind.split_once(r"\E").unwrap_or((behind, ""));
            out.push_str(&regex::escape(literal));
            return Ok(behind);
        }
        _ => {
            out.push('\\');
            out.push(c);
            return Ok(behind);
        }
    };
    out.push_str(ascii);
    Ok(behind)
}

/// Translates what follows an opening bracket up to the closing one; returns what is behind it.
fn class<'a>(mut rest: &'a str, out: &mut String) -> Result<&'a str, OpError> {
    out.push('[');
    if let Some(behind) = rest.strip_prefix('^') {
        out.push('^');
        rest = behind;
    }
    let mut first = true;
    while let Some(c) = rest.chars().next() {
        let behind = &rest[c.len_utf8()..];
        match c {
            ']' if !first => {
                out.push(']');
                return Ok(behind);
            }
            '[' if rest.starts_with("[:") && rest.contains(":]") => {
                let end = rest.find(":]").map_or(rest.len(), |at| at + 2);
                out.push_str(&rest[..end]);
                rest = &rest[end..];
                first = false;
                continue;
            }
            '\\' => {
                rest = escape(behind, out, true)?;
                first = false;
                continue;
            }
            '[' | ']' | '&' | '~' => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
        rest = behind;
        first = false;
    }
    // The crate names the missing bracket.
    Ok(rest)
}
