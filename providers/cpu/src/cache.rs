//! Key/value caches in pages, shared by sequences that begin alike.
//!
//! All memory is taken when a cache is made. A page holds [`PAGE`] positions of every head, encoded as
//! the cache stores them; a sequence is a list of pages. Copying a sequence shares its pages, and a
//! shared page is copied before something is appended to it. With a window, pages that no later
//! position can reach are given back when the sequence grows.

mod pages;
mod sequence;

use std::any::Any;
use std::ops::Range;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use remuda_ir::{OpError, State, StateRef, StateType};
use remuda_tensor::rows;

use pages::Pages;
use sequence::Sequence;

/// Positions of a page.
pub const PAGE: usize = 32;

/// A key/value cache of the CPU.
#[derive(Debug)]
pub struct PagedCache {
    layout: Layout,
    inner: RwLock<Inner>,
}

/// A page, and which of its positions are meant.
pub(crate) type PageRows<'a> = (&'a [u8], Range<usize>);

#[derive(Debug)]
struct Inner {
    pages: Pages,
    sequences: Vec<Sequence>,
}

/// Where a page keeps what: for each head the keys of its positions, then for each head the values.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) ty: StateType,
    key_bytes: usize,
    value_bytes: usize,
}

impl Layout {
    fn new(ty: &StateType) -> Result<Self, OpError> {
        ty.check()?;
        let row = |size: usize| {
            ty.dtype
                .bytes_for(size)
                .ok_or_else(|| OpError::Bug(format!("a row of {size} `{}` has no size", ty.dtype)))
        };
        Ok(Self { ty: ty.clone(), key_bytes: row(ty.key_dim)?, value_bytes: row(ty.value_dim)? })
    }

    fn page_bytes(&self) -> usize {
        PAGE * self.ty.heads * (self.key_bytes + self.value_bytes)
    }

    /// The keys of a head in a page, one row per position.
    pub(crate) fn keys(&self, head: usize) -> Range<usize> {
        let size = PAGE * self.key_bytes;
        head * size..(head + 1) * size
    }

    /// The values of a head in a page, one row per position.
    pub(crate) fn values(&self, head: usize) -> Range<usize> {
        let (start, size) = (self.keys(self.ty.heads).start, PAGE * self.value_bytes);
        start + head * size..start + (head + 1) * size
    }

    /// How many pages a cache of these sizes needs: those of all positions, and one that is begun
    /// for each sequence.
    fn page_count(sequences: u32, capacity: u64) -> Option<usize> {
        let whole = usize::try_from(capacity).ok()?.div_ceil(PAGE);
        whole.checked_add(usize::try_from(sequences).ok()?)
    }
}

/// How many bytes a cache would hold.
///
/// # Errors
/// When there can be no cache of this type, or it cannot be addressed.
pub fn cache_bytes(ty: &StateType, sequences: u32, capacity: u64) -> Result<u64, OpError> {
    let layout = Layout::new(ty)?;
    let pages = Layout::page_count(sequences, capacity);
    let bytes = pages.and_then(|pages| pages.checked_mul(layout.page_bytes()));
    bytes.map(|bytes| bytes as u64).ok_or_else(|| {
        OpError::Resource(format!("a cache of {capacity} positions cannot be addressed"))
    })
}

impl PagedCache {
    /// A cache for sequences 0 to `sequences - 1` and `capacity` positions in all.
    ///
    /// # Errors
    /// When there can be no cache of this type, or memory does not suffice.
    pub fn new(ty: &StateType, sequences: u32, capacity: u64) -> Result<Self, OpError> {
        let layout = Layout::new(ty)?;
        let bytes = cache_bytes(ty, sequences, capacity)?;
        let pages = Layout::page_count(sequences, capacity)
            .and_then(|count| Pages::new(count, layout.page_bytes()))
            .ok_or_else(|| {
                OpError::Resource(format!(
                    "no memory for a cache of {capacity} positions: {bytes} bytes"
                ))
            })?;
        let sequences = vec![Sequence::default(); sequences as usize];
        Ok(Self { layout, inner: RwLock::new(Inner { pages, sequences }) })
    }

    /// The same behind a shared handle.
    ///
    /// # Errors
    /// As for [`PagedCache::new`].
    pub fn shared(ty: &StateType, sequences: u32, capacity: u64) -> Result<StateRef, OpError> {
        Ok(StateRef(std::sync::Arc::new(Self::new(ty, sequences, capacity)?)))
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Appends tokens to a sequence: rows of keys and of values, heads side by side.
    pub(crate) fn append_rows(
        &self,
        sequence: u32,
        keys: &[f32],
        values: &[f32],
    ) -> Result<(), OpError> {
        let ty = &self.layout.ty;
        let (key_row, value_row) = (ty.heads * ty.key_dim, ty.heads * ty.value_dim);
        let count = keys.len() / key_row;
        let mut guard = self.write();
        let Inner { pages, sequences } = &mut *guard;
        let slot = slot_mut(sequences, sequence)?;
        slot.forget(ty.reach(slot.length), pages);
        slot.reserve(count, pages)?;
        let rows = keys.chunks_exact(key_row).zip(values.chunks_exact(value_row));
        for (at, (keys, values)) in rows.enumerate() {
            let position = slot.length + at;
            let page = pages.page_mut(slot.page_of(position));
            self.layout.encode(page, position % PAGE, keys, values)?;
        }
        slot.length += count;
        Ok(())
    }

    /// Hands the pages that hold these positions to `read`, in order.
    pub(crate) fn with_pages<R>(
        &self,
        sequence: u32,
        positions: Range<usize>,
        read: impl FnOnce(&Layout, &[PageRows<'_>]) -> Result<R, OpError>,
    ) -> Result<R, OpError> {
        let inner = self.read();
        let slot = slot(&inner.sequences, sequence)?;
        slot.expect_kept(&positions)?;
        let mut pages = Vec::new();
        let mut position = positions.start;
        while position < positions.end {
            let first = position % PAGE;
            let last = PAGE.min(first + positions.end - position);
            pages.push((inner.pages.page(slot.page_of(position)), first..last));
            position += last - first;
        }
        read(&self.layout, &pages)
    }

    /// How many positions every sequence has: what [`PagedCache::restore`] takes.
    pub(crate) fn lengths(&self) -> Vec<usize> {
        self.read().sequences.iter().map(|sequence| sequence.length).collect()
    }

    /// Cuts every sequence that has grown since to what it had.
    pub(crate) fn restore(&self, lengths: &[usize]) {
        let mut guard = self.write();
        let Inner { pages, sequences } = &mut *guard;
        for (sequence, &length) in sequences.iter_mut().zip(lengths) {
            if sequence.length > length {
                sequence.cut(length, pages);
            }
        }
    }
}

impl Layout {
    fn encode(
        &self,
        page: &mut [u8],
        position: usize,
        keys: &[f32],
        values: &[f32],
    ) -> Result<(), OpError> {
        let StateType { dtype, key_dim, value_dim, .. } = self.ty;
        for (head, key) in keys.chunks_exact(key_dim).enumerate() {
            let start = self.keys(head).start + position * self.key_bytes;
            rows::encode(dtype, key, &mut page[start..start + self.key_bytes])?;
        }
        for (head, value) in values.chunks_exact(value_dim).enumerate() {
            let start = self.values(head).start + position * self.value_bytes;
            rows::encode(dtype, value, &mut page[start..start + self.value_bytes])?;
        }
        Ok(())
    }

    /// Where the keys of some positions of a head lie in a page.
    pub(crate) fn key_range(&self, head: usize, rows: &Range<usize>) -> Range<usize> {
        let start = self.keys(head).start;
        start + rows.start * self.key_bytes..start + rows.end * self.key_bytes
    }

    /// Where the values of some positions of a head lie in a page.
    pub(crate) fn value_range(&self, head: usize, rows: &Range<usize>) -> Range<usize> {
        let start = self.values(head).start;
        start + rows.start * self.value_bytes..start + rows.end * self.value_bytes
    }
}

fn no_sequence(sequence: u32, count: usize) -> OpError {
    OpError::Invalid(format!("there is no sequence {sequence}: the cache has room for {count}"))
}

fn slot(sequences: &[Sequence], sequence: u32) -> Result<&Sequence, OpError> {
    sequences.get(sequence as usize).ok_or_else(|| no_sequence(sequence, sequences.len()))
}

fn slot_mut(sequences: &mut [Sequence], sequence: u32) -> Result<&mut Sequence, OpError> {
    let count = sequences.len();
    sequences.get_mut(sequence as usize).ok_or_else(|| no_sequence(sequence, count))
}

impl State for PagedCache {
    fn ty(&self) -> &StateType {
        &self.layout.ty
    }

    fn length(&self, sequence: u32) -> Result<usize, OpError> {
        Ok(slot(&self.read().sequences, sequence)?.length)
    }

    fn truncate(&self, sequence: u32, length: usize) -> Result<(), OpError> {
        let mut guard = self.write();
        let Inner { pages, sequences } = &mut *guard;
        let slot = slot_mut(sequences, sequence)?;
        slot.expect_cut(length, &self.layout.ty)?;
        slot.cut(length, pages);
        Ok(())
    }

    fn copy(&self, from: u32, to: u32, length: usize) -> Result<(), OpError> {
        let mut guard = self.write();
        let Inner { pages, sequences } = &mut *guard;
        let source = slot(sequences, from)?;
        source.expect_cut(length, &self.layout.ty)?;
        if from == to {
            slot_mut(sequences, to)?.cut(length, pages);
            return Ok(());
        }
        let copy = source.share(length, pages);
        let target = slot_mut(sequences, to);
        let Ok(target) = target else {
            let mut copy = copy;
            copy.cut(0, pages);
            return Err(no_sequence(to, sequences.len()));
        };
        target.cut(0, pages);
        *target = copy;
        Ok(())
    }

    fn export(
        &self,
        sequence: u32,
        positions: Range<usize>,
        read: &mut dyn FnMut(&[f32]),
    ) -> Result<(), OpError> {
        let StateType { dtype, heads, key_dim, value_dim, .. } = self.layout.ty;
        let mut neutral = vec![0.0; self.layout.ty.position_len()];
        self.with_pages(sequence, positions, |layout, pages| {
            for (page, row) in pages
                .iter()
                .flat_map(|(page, rows)| rows.clone().map(move |row| (page, row..row + 1)))
            {
                let (keys, values) = neutral.split_at_mut(heads * key_dim);
                for (head, key) in keys.chunks_exact_mut(key_dim).enumerate() {
                    rows::decode(dtype, &page[layout.key_range(head, &row)], key)?;
                }
                for (head, value) in values.chunks_exact_mut(value_dim).enumerate() {
                    rows::decode(dtype, &page[layout.value_range(head, &row)], value)?;
                }
                read(&neutral);
            }
            Ok(())
        })
    }

    fn append(&self, sequence: u32, positions: &[f32]) -> Result<(), OpError> {
        let ty = &self.layout.ty;
        let size = ty.position_len();
        if !positions.len().is_multiple_of(size) {
            let text = format!("{} numbers are no positions of {size} numbers", positions.len());
            return Err(OpError::Invalid(text));
        }
        let halves = positions.chunks_exact(size).map(|row| row.split_at(ty.heads * ty.key_dim));
        let (keys, values): (Vec<&[f32]>, Vec<&[f32]>) = halves.unzip();
        self.append_rows(sequence, &keys.concat(), &values.concat())
    }

    fn bytes(&self) -> u64 {
        self.read().pages.bytes() as u64
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests;
