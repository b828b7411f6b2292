//! A cache of pages of floats.

use remuda_simd::{Element, Isa};

use super::{Cache, POSITIONS, SIDE_BY_SIDE};
use crate::convert::Widen;

/// The sizes of a page: a multiple of sixteen positions of every head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSizes {
    /// Positions, a multiple of [`SIDE_BY_SIDE`].
    pub positions: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Elements of a key.
    pub size: usize,
    /// Elements of a value.
    pub value_size: usize,
}

impl PageSizes {
    /// Elements of the keys of a page: `[head][block of sixteen positions][element][position]`.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.positions * self.kv_heads * self.size
    }

    /// Where the first element of a key lies; the others follow every [`SIDE_BY_SIDE`].
    pub(super) fn key_place(&self, head: usize, position: usize) -> usize {
        let block = (head * self.positions + position) / SIDE_BY_SIDE * self.size;
        block * SIDE_BY_SIDE + position % SIDE_BY_SIDE
    }

    /// Where the elements of a key lie.
    pub fn key_places(&self, [head, position]: [usize; 2]) -> impl Iterator<Item = usize> {
        (self.key_place(head, position)..).step_by(SIDE_BY_SIDE).take(self.size)
    }

    /// Elements of the values of a page: `[head][position][element]`.
    #[must_use]
    pub fn values(&self) -> usize {
        self.positions * self.kv_heads * self.value_size
    }
}

/// Writes the key of a head at a position of a page.
///
/// # Panics
/// When the page is too short.
pub fn put_key<T: Copy>(
    sizes: &PageSizes,
    page: &mut [T],
    [head, position]: [usize; 2],
    key: &[T],
) {
    let places = page[sizes.key_place(head, position)..].iter_mut();
    for (place, &value) in places.step_by(SIDE_BY_SIDE).zip(&key[..sizes.size]) {
        *place = value;
    }
}

/// Writes the value of a head at a position of a page.
///
/// # Panics
/// When the page is too short.
pub fn put_value<T: Copy>(
    sizes: &PageSizes,
    page: &mut [T],
    [head, position]: [usize; 2],
    value: &[T],
) {
    let start = (head * sizes.positions + position) * sizes.value_size;
    page[start..][..sizes.value_size].copy_from_slice(value);
}

/// The pages of a sequence, in order: keys and values of each.
#[derive(Debug, Clone, Copy)]
pub struct Pages<'a, T> {
    /// Sizes of every page.
    pub sizes: PageSizes,
    /// Keys and values.
    pub pages: &'a [(&'a [T], &'a [T])],
}

impl<T: Element> Cache for Pages<'_, T> {
    fn keys(&self, isa: Isa, head: usize, first: usize, out: &mut [f32]) {
        let PageSizes { positions, size, .. } = self.sizes;
        let length = SIDE_BY_SIDE * size;
        let blocks = out.chunks_exact_mut(length).take(POSITIONS / SIDE_BY_SIDE);
        for (block, dst) in blocks.enumerate() {
            let position = first + block * SIDE_BY_SIDE;
            let Some((keys, _)) = self.pages.get(position / positions) else { break };
            let place = (head * positions + position % positions) / SIDE_BY_SIDE;
            isa.run(Widen { src: &keys[place * length..][..length], dst });
        }
    }

    fn values(&self, isa: Isa, head: usize, first: usize, count: usize, out: &mut [f32]) {
        let PageSizes { positions, value_size, .. } = self.sizes;
        for position in (first..first + count).step_by(SIDE_BY_SIDE) {
            let count = SIDE_BY_SIDE.min(first + count - position);
            let Some((_, values)) = self.pages.get(position / positions) else { break };
            let place = head * positions + position % positions;
            let src = &values[place * value_size..][..count * value_size];
            let dst = &mut out[(position - first) * value_size..][..count * value_size];
            isa.run(Widen { src, dst });
        }
    }
}
