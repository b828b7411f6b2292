//! Key/value caches in pages, shared by sequences that begin alike.
//!
//! All memory is taken when a cache is made. A page holds [`PAGE`] positions of every head, encoded as
//! the cache stores them; a sequence is a list of pages. Copying a sequence shares its pages, and a
//! shared page is copied before something is appended to it. With a window, pages that no later
//! position can reach are given back when the sequence grows.

mod layout;
mod pages;
mod reading;
mod sequence;

use std::any::Any;
use std::ops::Range;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use remuda_ir::{OpError, State, StateRef, StateType};
use remuda_kernels::attention::paged::Cache;
use remuda_tensor::storage::AlignedBytes;
use remuda_tensor::{DType, rows};

use layout::Layout;
use pages::Pages;
use reading::reading;
use sequence::Sequence;

/// Positions of a page.
pub const PAGE: usize = 32;

/// A key/value cache of the CPU.
#[derive(Debug)]
pub struct PagedCache {
    layout: Layout,
    inner: RwLock<Inner>,
}

#[derive(Debug)]
struct Inner {
    pages: Pages,
    sequences: Vec<Sequence>,
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

    /// Appends tokens to a sequence: rows of keys and of values, heads side by side.
    pub(crate) fn append_rows(
        &self,
        sequence: u32,
        keys: &[f32],
        values: &[f32],
    ) -> Result<(), OpError> {
        let ty = &self.layout.ty;
        let count = keys.len() / (ty.heads * ty.key_dim);
        let mut guard = self.write();
        let Inner { pages, sequences } = &mut *guard;
        let slot = slot_mut(sequences, sequence)?;
        slot.forget(ty.reach(slot.length), pages);
        slot.reserve(count, pages)?;
        let (key_bytes, value_bytes) =
            (ty.heads * self.layout.key_bytes, ty.heads * self.layout.value_bytes);
        // A page's worth at a time: what is encoded at once is memory beside the cache.
        let pieces = keys.chunks(PAGE * ty.heads * ty.key_dim);
        let pieces = pieces.zip(values.chunks(PAGE * ty.heads * ty.value_dim));
        for (first, (keys, values)) in (slot.length..).step_by(PAGE).zip(pieces) {
            let (keys, values) = (encoded(ty.dtype, keys)?, encoded(ty.dtype, values)?);
            let rows = keys.bytes().chunks_exact(key_bytes);
            let rows = rows.zip(values.bytes().chunks_exact(value_bytes));
            for (position, row) in (first..).zip(rows) {
                let page = pages.page_mut(slot.page_of(position));
                self.layout.write(page, position % PAGE, row)?;
            }
        }
        slot.length += count;
        Ok(())
    }

    /// Hands over what these sequences hold, as attention reads it.
    pub(crate) fn with_caches<R>(
        &self,
        sequences: impl Iterator<Item = u32>,
        read: impl FnOnce(&[Box<dyn Cache + '_>]) -> R,
    ) -> Result<R, OpError> {
        let inner = self.read();
        let cache = |sequence| {
            let slot = slot(&inner.sequences, sequence)?;
            let pages = slot.pages().map(|page| inner.pages.page(page)).collect();
            reading(&self.layout, pages)
        };
        Ok(read(&sequences.map(cache).collect::<Result<Vec<_>, _>>()?))
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

/// Rows of floats as a cache stores them.
fn encoded(dtype: DType, values: &[f32]) -> Result<AlignedBytes, OpError> {
    let no_memory = || OpError::Resource(format!("no memory for {} numbers", values.len()));
    let bytes = dtype.bytes_for(values.len()).and_then(AlignedBytes::try_zeroed);
    let mut bytes = bytes.ok_or_else(no_memory)?;
    rows::encode(dtype, values, bytes.bytes_mut())?;
    Ok(bytes)
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
        let ty = &self.layout.ty;
        let mut neutral = vec![0.0; ty.position_len()];
        let inner = self.read();
        let slot = slot(&inner.sequences, sequence)?;
        slot.expect_kept(&positions)?;
        for position in positions {
            let page = inner.pages.page(slot.page_of(position));
            let row = neutral.split_at_mut(ty.heads * ty.key_dim);
            self.layout.read(page, position % PAGE, row)?;
            read(&neutral);
        }
        Ok(())
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
