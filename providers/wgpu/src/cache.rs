//! Key/value caches in memory of the device, a cell per position.
//!
//! A cell is a row of the table of keys and of that of values. Cells are in no order: a list says which of
//! them a token sees.

use std::any::Any;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use remuda_sdk::ir::{OpError, State, StateType};
use remuda_sdk::tensor::rows;
use remuda_sdk::tensor::storage::AlignedBytes;
use remuda_sdk::{CellBook, CellStep, Failure, StateRequest};

use crate::gpu::{Gpu, Limits, Memory};
use crate::lower::cache_elem;

/// Keys and values.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) keys: Memory,
    pub(crate) values: Memory,
}

/// A cache.
#[derive(Debug)]
pub(crate) struct GpuCache {
    /// No other cache of the process has it.
    pub(crate) id: u64,
    pub(crate) tables: Arc<Tables>,
    gpu: Arc<Gpu>,
    book: CellBook,
}

/// Bytes of the tables of keys and of values.
fn table_bytes(limits: &Limits, request: &StateRequest) -> Result<[u64; 2], Failure> {
    let ty = &request.ty;
    cache_elem(ty).map_err(|why| Failure::Unsupported { node: None, text: why.text })?;
    let mut bytes = [0; 2];
    for (place, dim) in bytes.iter_mut().zip([ty.key_dim, ty.value_dim]) {
        let row = ty.dtype.bytes_for(ty.heads * dim).unwrap_or(usize::MAX);
        let all = (row as u64).saturating_mul(request.capacity.max(1));
        if all > limits.binding_bytes {
            let text = format!(
                "a cache of {} positions takes {all} bytes in one table, a kernel sees {} at most",
                request.capacity, limits.binding_bytes
            );
            return Err(Failure::Unsupported { node: None, text });
        }
        *place = all;
    }
    Ok(bytes)
}

/// Neighbouring cells together: where they begin, and how many there are.
fn runs(cells: &[u32]) -> Vec<(u32, usize)> {
    let mut runs: Vec<(u32, usize)> = Vec::new();
    for &cell in cells {
        match runs.last_mut() {
            Some((first, count)) if *first as usize + *count == cell as usize => *count += 1,
            _ => runs.push((cell, 1)),
        }
    }
    runs
}

/// A table, with the numbers and the bytes of one of its rows.
struct Table<'c> {
    memory: &'c Memory,
    width: usize,
    row_bytes: usize,
}

impl GpuCache {
    /// Bytes that a cache takes.
    pub(crate) fn bytes_of(limits: &Limits, request: &StateRequest) -> Result<u64, Failure> {
        table_bytes(limits, request).map(|[keys, values]| keys + values)
    }

    pub(crate) fn new(gpu: &Arc<Gpu>, request: &StateRequest) -> Result<Self, Failure> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let book = CellBook::new(request)?;
        let [keys, values] = table_bytes(&gpu.limits, request)?;
        let tables = Tables { keys: gpu.allocate(keys)?, values: gpu.allocate(values)? };
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Ok(Self { id, tables: Arc::new(tables), gpu: Arc::clone(gpu), book })
    }

    /// Takes cells for the tokens of a step.
    pub(crate) fn begin(
        &self,
        sequences: &[i64],
        positions: &[i64],
    ) -> Result<CellStep<'_>, OpError> {
        self.book.begin(self, sequences, positions)
    }

    fn tables(&self) -> [Table<'_>; 2] {
        let StateType { dtype, heads, key_dim, value_dim, .. } = *self.book.ty();
        let table = |memory, dim: usize| {
            let width = heads * dim;
            Table { memory, width, row_bytes: dtype.bytes_for(width).unwrap_or(0) }
        };
        [table(&self.tables.keys, key_dim), table(&self.tables.values, value_dim)]
    }

    /// The rows of some cells.
    fn read(&self, table: &Table<'_>, cells: &[u32]) -> Result<Vec<f32>, OpError> {
        let mut values = vec![0.0; cells.len() * table.width];
        let mut at = 0;
        for (first, count) in runs(cells) {
            let mut bytes = AlignedBytes::zeroed(count * table.row_bytes);
            let offset = u64::from(first) * table.row_bytes as u64;
            self.gpu.download(table.memory, offset, bytes.bytes_mut())?;
            let place = &mut values[at..][..count * table.width];
            rows::decode(self.book.ty().dtype, bytes.bytes(), place)?;
            at += place.len();
        }
        Ok(values)
    }

    /// Writes the rows of some cells.
    fn write(&self, table: &Table<'_>, cells: &[u32], values: &[f32]) -> Result<(), OpError> {
        let mut at = 0;
        for (first, count) in runs(cells) {
            let mut bytes = AlignedBytes::zeroed(count * table.row_bytes);
            let rows = &values[at..][..count * table.width];
            rows::encode(self.book.ty().dtype, rows, bytes.bytes_mut())?;
            let offset = u64::from(first) * table.row_bytes as u64;
            self.gpu.upload(table.memory, offset, bytes.bytes())?;
            at += rows.len();
        }
        Ok(())
    }
}

impl State for GpuCache {
    fn ty(&self) -> &StateType {
        self.book.ty()
    }

    fn length(&self, sequence: u32) -> Result<usize, OpError> {
        self.book.length(sequence)
    }

    fn truncate(&self, sequence: u32, length: usize) -> Result<(), OpError> {
        self.book.truncate(sequence, length)
    }

    fn copy(&self, from: u32, to: u32, length: usize) -> Result<(), OpError> {
        self.book.copy(from, to, length)
    }

    fn export(
        &self,
        sequence: u32,
        positions: Range<usize>,
        read: &mut dyn FnMut(&[f32]),
    ) -> Result<(), OpError> {
        let cells = self.book.cells_of(sequence, &positions)?;
        let [key_table, value_table] = self.tables();
        let keys = self.read(&key_table, &cells)?;
        let values = self.read(&value_table, &cells)?;
        let both = keys.chunks_exact(key_table.width).zip(values.chunks_exact(value_table.width));
        for (key, value) in both {
            read(&[key, value].concat());
        }
        Ok(())
    }

    fn append(&self, sequence: u32, positions: &[f32]) -> Result<(), OpError> {
        let size = self.ty().position_len();
        if !positions.len().is_multiple_of(size) {
            let text = format!("{} numbers are no positions of {size} numbers", positions.len());
            return Err(OpError::Invalid(text));
        }
        let [key_table, value_table] = self.tables();
        let halves =
            positions.chunks_exact(size).map(|position| position.split_at(key_table.width));
        let (keys, values): (Vec<&[f32]>, Vec<&[f32]>) = halves.unzip();
        self.book.append(sequence, positions.len() / size, |cells| {
            self.write(&key_table, cells, &keys.concat())?;
            self.write(&value_table, cells, &values.concat())
        })
    }

    fn bytes(&self) -> u64 {
        self.tables.keys.bytes() + self.tables.values.bytes()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
