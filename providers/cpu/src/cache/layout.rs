//! How a page keeps positions.
//!
//! Pages of floats are laid out as attention reads them, the keys of sixteen positions side by side.
//! Pages of block formats hold rows, which are decoded when they are read.

use remuda_ir::{OpError, StateType};
use remuda_kernels::attention::paged::{PageSizes, put_key, put_value};
use remuda_tensor::storage::{Scalar, cast, cast_mut};
use remuda_tensor::{DType, bf16, f16, rows};

use super::PAGE;

/// Where a page keeps what: for each head the keys of its positions, then for each head the values.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) ty: StateType,
    pub(super) key_bytes: usize,
    pub(super) value_bytes: usize,
}

fn misfit() -> OpError {
    OpError::Bug("a page does not hold what its layout says".to_owned())
}

impl Layout {
    pub(super) fn new(ty: &StateType) -> Result<Self, OpError> {
        ty.check()?;
        let row = |size: usize| {
            ty.dtype
                .bytes_for(size)
                .ok_or_else(|| OpError::Bug(format!("a row of {size} `{}` has no size", ty.dtype)))
        };
        Ok(Self { ty: ty.clone(), key_bytes: row(ty.key_dim)?, value_bytes: row(ty.value_dim)? })
    }

    pub(super) fn page_bytes(&self) -> usize {
        PAGE * self.ty.heads * (self.key_bytes + self.value_bytes)
    }

    /// How many pages a cache of these sizes needs: those of all positions, and one that is begun
    /// for each sequence.
    pub(super) fn page_count(sequences: u32, capacity: u64) -> Option<usize> {
        let whole = usize::try_from(capacity).ok()?.div_ceil(PAGE);
        whole.checked_add(usize::try_from(sequences).ok()?)
    }

    pub(super) fn sizes(&self) -> PageSizes {
        PageSizes {
            positions: PAGE,
            kv_heads: self.ty.heads,
            size: self.ty.key_dim,
            value_size: self.ty.value_dim,
        }
    }

    /// Keys and values of a page.
    pub(super) fn halves<'a>(&self, page: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        page.split_at(PAGE * self.ty.heads * self.key_bytes)
    }

    /// Writes the key and the value of every head at a position of a page. They are encoded.
    pub(super) fn write(
        &self,
        page: &mut [u8],
        position: usize,
        (keys, values): (&[u8], &[u8]),
    ) -> Result<(), OpError> {
        let (of_keys, of_values) = page.split_at_mut(PAGE * self.ty.heads * self.key_bytes);
        match self.ty.dtype {
            DType::F32 => self.write_floats::<f32>((of_keys, of_values), position, (keys, values)),
            DType::F16 => self.write_floats::<f16>((of_keys, of_values), position, (keys, values)),
            DType::BF16 => {
                self.write_floats::<bf16>((of_keys, of_values), position, (keys, values))
            }
            _ => {
                write_rows(of_keys, position, keys, self.key_bytes);
                write_rows(of_values, position, values, self.value_bytes);
                Ok(())
            }
        }
    }

    fn write_floats<T: Scalar>(
        &self,
        (of_keys, of_values): (&mut [u8], &mut [u8]),
        position: usize,
        (keys, values): (&[u8], &[u8]),
    ) -> Result<(), OpError> {
        let sizes = self.sizes();
        let (of_keys, keys) =
            (cast_mut::<T>(of_keys).ok_or_else(misfit)?, cast::<T>(keys).ok_or_else(misfit)?);
        for (head, key) in keys.chunks_exact(sizes.size).enumerate() {
            put_key(&sizes, of_keys, [head, position], key);
        }
        let (of_values, values) =
            (cast_mut::<T>(of_values).ok_or_else(misfit)?, cast::<T>(values).ok_or_else(misfit)?);
        for (head, value) in values.chunks_exact(sizes.value_size).enumerate() {
            put_value(&sizes, of_values, [head, position], value);
        }
        Ok(())
    }

    /// Reads the key and the value of every head at a position of a page.
    pub(super) fn read(
        &self,
        page: &[u8],
        position: usize,
        (keys, values): (&mut [f32], &mut [f32]),
    ) -> Result<(), OpError> {
        let StateType { dtype, key_dim, value_dim, .. } = self.ty;
        let (of_keys, of_values) = self.halves(page);
        let sizes = self.sizes();
        let width = dtype.bytes_for(1).filter(|_| !matches!(dtype, DType::Block(_)));
        for (head, out) in keys.chunks_exact_mut(key_dim).enumerate() {
            let row = head * PAGE + position;
            let Some(width) = width else {
                rows::decode(dtype, &of_keys[row * self.key_bytes..][..self.key_bytes], out)?;
                continue;
            };
            for (place, out) in sizes.key_places([head, position]).zip(out.chunks_exact_mut(1)) {
                rows::decode(dtype, &of_keys[place * width..][..width], out)?;
            }
        }
        for (head, out) in values.chunks_exact_mut(value_dim).enumerate() {
            let row = head * PAGE + position;
            rows::decode(dtype, &of_values[row * self.value_bytes..][..self.value_bytes], out)?;
        }
        Ok(())
    }
}

/// Writes the row of every head at a position.
fn write_rows(of_all: &mut [u8], position: usize, given: &[u8], row_bytes: usize) {
    for (head, row) in given.chunks_exact(row_bytes).enumerate() {
        of_all[(head * PAGE + position) * row_bytes..][..row_bytes].copy_from_slice(row);
    }
}
