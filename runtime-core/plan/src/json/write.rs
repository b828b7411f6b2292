//! The writer.

use super::Sink;

/// JSON text without spaces; each object of a list is on a line of its own.
#[derive(Debug, Default)]
pub(crate) struct Text(pub(crate) String);

impl Text {
    /// A comma, unless this is the first of its list or object.
    fn next(&mut self) {
        if !self.0.ends_with(['[', '{']) {
            self.0.push(',');
        }
    }
}

impl Sink for Text {
    fn key(&mut self, key: &str) {
        self.next();
        self.text(key);
        self.0.push(':');
    }

    fn null(&mut self) {
        self.0.push_str("null");
    }

    fn number(&mut self, value: i128) {
        self.0.push_str(&value.to_string());
    }

    fn text(&mut self, text: &str) {
        self.0.push('"');
        for letter in text.chars() {
            match letter {
                '"' => self.0.push_str("\\\""),
                '\\' => self.0.push_str("\\\\"),
                '\n' => self.0.push_str("\\n"),
                '\t' => self.0.push_str("\\t"),
                control if u32::from(control) < 0x20 => {
                    self.0.push_str(&format!("\\u{:04x}", u32::from(control)));
                }
                other => self.0.push(other),
            }
        }
        self.0.push('"');
    }

    fn list<T>(&mut self, items: &[T], tell: impl Fn(&T, &mut Self)) {
        self.0.push('[');
        for item in items {
            self.next();
            tell(item, self);
        }
        self.0.push(']');
    }

    fn object(&mut self, tell: impl FnOnce(&mut Self)) {
        if self.0.ends_with(['[', ',']) {
            self.0.push('\n');
        }
        self.0.push('{');
        tell(self);
        self.0.push('}');
    }
}
