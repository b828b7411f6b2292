//! A small JSON writer and reader, enough for plans: entries have one order, numbers are whole.
//!
//! What has a JSON form tells it to a [`Sink`], of which there are two: the text, and the hash that
//! identifies the content, so that both always speak of the same things. Plan files come from anywhere
//! and are read in one pass without a tree between: the reader is total, with an offset in every error.

mod read;
mod write;

pub(crate) use read::{JsonError, Reader};
pub(crate) use write::Text;

/// Takes the pieces of a JSON value in order.
pub(crate) trait Sink: Sized {
    /// The key of an entry of an object.
    fn key(&mut self, key: &str);
    /// Nothing.
    fn null(&mut self);
    /// A whole number.
    fn number(&mut self, value: i128);
    /// A text.
    fn text(&mut self, text: &str);
    /// A list, with what tells one item.
    fn list<T>(&mut self, items: &[T], tell: impl Fn(&T, &mut Self));
    /// An object, with what tells its entries.
    fn object(&mut self, tell: impl FnOnce(&mut Self));

    /// An entry of an object.
    fn entry(&mut self, key: &str, value: impl Tell) {
        self.key(key);
        value.tell(self);
    }

    /// An entry that is a list.
    fn entries<T>(&mut self, key: &str, items: &[T], tell: impl Fn(&T, &mut Self)) {
        self.key(key);
        self.list(items, tell);
    }
}

/// A simple value with a JSON form.
pub(crate) trait Tell {
    /// Tells it.
    fn tell(&self, to: &mut impl Sink);
}

macro_rules! tell_ints {
    ($($int:ty),*) => {
        $(impl Tell for $int {
            fn tell(&self, to: &mut impl Sink) {
                to.number((*self).into());
            }
        })*
    };
}
tell_ints!(u32, u64, i64);

impl Tell for &str {
    fn tell(&self, to: &mut impl Sink) {
        to.text(self);
    }
}

impl<T: Tell> Tell for Option<T> {
    fn tell(&self, to: &mut impl Sink) {
        match self {
            Some(value) => value.tell(to),
            None => to.null(),
        }
    }
}
