//! Unknown keys of `plugins.toml`.
//!
//! The names that a table may have are those of the struct that it becomes: serde hands them to
//! whoever deserialises the struct, so they are asked for here and written nowhere twice.

use std::fmt;
use std::ops::Range;

use remuda_base::nearest;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use toml::de::{DeTable, DeValue};

/// The names that the top table and the tables in it may have.
pub(super) struct Fields<'a> {
    pub(super) top: &'static [&'static str],
    pub(super) tables: &'a [(&'a str, &'static [&'static str])],
}

/// What is wrong, and where in the text.
type Fault = (Option<Range<usize>>, String);

/// Looks for keys that are not known.
pub(super) fn check(text: &str, fields: &Fields<'_>) -> Result<(), Fault> {
    let table = DeTable::parse(text).map_err(|error| (error.span(), error.message().to_owned()))?;
    let top = table.into_inner();
    known(&top, fields.top, "")?;
    for (name, inner) in fields.tables {
        let found = top.iter().find(|(key, _)| key.get_ref() == name);
        for table in found.into_iter().flat_map(|(_, value)| tables(value.get_ref())) {
            known(table, inner, name)?;
        }
    }
    Ok(())
}

/// The table, or the tables of an array.
fn tables<'a, 'i>(value: &'a DeValue<'i>) -> Vec<&'a DeTable<'i>> {
    match value {
        DeValue::Table(table) => vec![table],
        DeValue::Array(items) => {
            items.iter().filter_map(|item| item.get_ref().as_table()).collect()
        }
        _ => Vec::new(),
    }
}

fn known(table: &DeTable<'_>, fields: &[&'static str], place: &str) -> Result<(), Fault> {
    for key in table.keys() {
        let name: &str = key.get_ref();
        if fields.contains(&name) {
            continue;
        }
        let place = if place.is_empty() { String::new() } else { format!(" in `{place}`") };
        let help = match nearest(name, fields.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("expected one of: `{}`", fields.join("`, `")),
        };
        return Err((Some(key.span()), format!("unknown key `{name}`{place}, {help}")));
    }
    Ok(())
}

/// The names of the fields of a struct.
pub(super) fn fields_of<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut fields: &'static [&'static str] = &[];
    // It always fails: it only listens to what is asked for.
    let _ = T::deserialize(Listener(&mut fields));
    fields
}

struct Listener<'a>(&'a mut &'static [&'static str]);

#[derive(Debug)]
struct Heard;

impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("only the names of fields were wanted")
    }
}

impl std::error::Error for Heard {}

impl de::Error for Heard {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl<'de> Deserializer<'de> for Listener<'_> {
    type Error = Heard;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Heard> {
        Err(Heard)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Heard> {
        *self.0 = fields;
        Err(Heard)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
