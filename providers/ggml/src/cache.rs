//! Key/value caches in memory of a device, a cell per position.
//!
//! A cell is a row of the table of keys and of that of values. Cells are in no order: which of them a token
//! sees is said by a mask.

use std::any::Any;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use remuda_sdk::ir::{OpError, State, StateType};
use remuda_sdk::tensor::rows;
use remuda_sdk::{CellBook, CellStep, Failure, StateRequest};

use crate::api::{Buffer, Context, Library};
use crate::device::GgmlDevice;
use crate::lower::cache_kind;

/// Keys and values.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) keys: Buffer,
    pub(crate) values: Buffer,
}

/// A cache.
#[derive(Debug)]
pub(crate) struct CellCache {
    ty: StateType,
    /// No other cache of the process has it.
    pub(crate) id: u64,
    pub(crate) tables: Arc<Tables>,
    book: CellBook,
}

/// What a step adds to a cache.
pub(crate) type Step<'c> = CellStep<'c>;

impl CellCache {
    /// Bytes that a cache takes.
    pub(crate) fn bytes_of(
        library: &'static Library,
        request: &StateRequest,
    ) -> Result<u64, Failure> {
        let refused =
            |why: crate::api::Refusal| Failure::Unsupported { node: None, text: why.text };
        let context = Context::new(library, 1, false).map_err(refused)?;
        let (elements, bytes) = context.block(cache_kind(&request.ty).map_err(refused)?);
        let width = (request.ty.heads as u64)
            .checked_mul((request.ty.key_dim + request.ty.value_dim) as u64);
        let total = width
            .and_then(|width| width.checked_mul(request.capacity))
            .and_then(|all| (all / elements.unsigned_abs()).checked_mul(bytes.unsigned_abs()));
        total.ok_or_else(|| {
            Failure::Invalid(format!(
                "a cache of {} positions cannot be addressed",
                request.capacity
            ))
        })
    }

    /// A cache on a device.
    pub(crate) fn new(
        library: &'static Library,
        device: &GgmlDevice,
        request: &StateRequest,
    ) -> Result<Self, Failure> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let StateRequest { ty, capacity, .. } = request.clone();
        ty.check()?;
        Self::bytes_of(library, request)?;
        let refused =
            |why: crate::api::Refusal| Failure::Unsupported { node: None, text: why.text };
        let kind = cache_kind(&ty).map_err(refused)?;
        let memory = device.raw.memory_kind();
        let memory = memory.ok_or_else(|| Failure::Internal("the device has no memory".into()))?;
        let too_large =
            || Failure::Invalid(format!("a cache of {capacity} positions is too large"));
        let count = i64::from(u32::try_from(capacity.max(1)).map_err(|_| too_large())?);
        let table = |width: usize| {
            let width = i64::try_from(width).map_err(|_| too_large())?;
            Buffer::new(memory, kind, [width, count, 1, 1], false)
        };
        let tables =
            Tables { keys: table(ty.heads * ty.key_dim)?, values: table(ty.heads * ty.value_dim)? };
        let book = CellBook::new(request)?;
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Ok(Self { ty, id, tables: Arc::new(tables), book })
    }

    /// Takes cells for the tokens of a step.
    pub(crate) fn begin(&self, sequences: &[i64], positions: &[i64]) -> Result<Step<'_>, OpError> {
        self.book.begin(self, sequences, positions)
    }

    /// Bytes of one row of keys and of values.
    fn row_bytes(&self) -> [usize; 2] {
        let width = [self.ty.heads * self.ty.key_dim, self.ty.heads * self.ty.value_dim];
        width.map(|width| self.ty.dtype.bytes_for(width).unwrap_or(0))
    }

    fn write_cell(&self, cell: u32, position: &[f32]) -> Result<(), OpError> {
        let halves = position.split_at(self.ty.heads * self.ty.key_dim);
        let tables = [&self.tables.keys, &self.tables.values];
        for ((table, bytes), values) in
            tables.into_iter().zip(self.row_bytes()).zip([halves.0, halves.1])
        {
            let mut row = vec![0; bytes];
            rows::encode(self.ty.dtype, values, &mut row)?;
            table.write(cell as usize * bytes, &row)?;
        }
        Ok(())
    }

    fn read_cell(&self, cell: u32, position: &mut [f32]) -> Result<(), OpError> {
        let halves = position.split_at_mut(self.ty.heads * self.ty.key_dim);
        let tables = [&self.tables.keys, &self.tables.values];
        for ((table, bytes), values) in
            tables.into_iter().zip(self.row_bytes()).zip([halves.0, halves.1])
        {
            let mut row = vec![0; bytes];
            table.read(cell as usize * bytes, &mut row)?;
            rows::decode(self.ty.dtype, &row, values)?;
        }
        Ok(())
    }
}

/// How many cells, from the first on, hold all that a step sees.
pub(crate) fn reach(step: &Step<'_>) -> usize {
    let last = step.lists().iter().flatten().copied().max();
    last.map_or(0, |cell| cell as usize + 1)
}

/// Where the tokens of a step go.
pub(crate) fn places(step: &Step<'_>) -> Vec<u8> {
    step.added().iter().flat_map(|&cell| i64::from(cell).to_le_bytes()).collect()
}

/// For each token of a step and each of so many cells whether it is seen, as ggml's attention adds it:
/// halves that are 0 or minus infinity.
pub(crate) fn mask(step: &Step<'_>, cells: usize) -> Vec<u8> {
    const UNSEEN: [u8; 2] = 0xFC00u16.to_le_bytes();
    let mut mask = UNSEEN.repeat(cells * step.seen().len());
    for (row, (run, seen)) in mask.chunks_exact_mut((2 * cells).max(1)).zip(step.seen()) {
        let list = step.lists().get(*run).and_then(|list| list.get(seen.clone()));
        for &cell in list.unwrap_or_default() {
            let at = cell as usize * 2;
            row.get_mut(at..at + 2).unwrap_or_default().fill(0);
        }
    }
    mask
}

impl State for CellCache {
    fn ty(&self) -> &StateType {
        &self.ty
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
        let wanted = self.book.cells_of(sequence, &positions)?;
        let mut neutral = vec![0.0; self.ty.position_len()];
        for cell in wanted {
            self.read_cell(cell, &mut neutral)?;
            read(&neutral);
        }
        Ok(())
    }

    fn append(&self, sequence: u32, positions: &[f32]) -> Result<(), OpError> {
        let size = self.ty.position_len();
        if !positions.len().is_multiple_of(size) {
            let text = format!("{} numbers are no positions of {size} numbers", positions.len());
            return Err(OpError::Invalid(text));
        }
        self.book.append(sequence, positions.len() / size, |cells| {
            let mut written = positions.chunks_exact(size).zip(cells);
            written.try_for_each(|(position, &cell)| self.write_cell(cell, position))
        })
    }

    fn bytes(&self) -> u64 {
        (self.tables.keys.own_bytes + self.tables.values.own_bytes) as u64
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
