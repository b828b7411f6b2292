//! A key/value cache as plain as can be: what the reference kernels run on.

use std::any::Any;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use remuda_base::Map;
use remuda_ir::{OpError, State, StateRef, StateType};
use remuda_tensor::{DType, rows};

/// Every position of every sequence in the neutral form, rounded to the dtype of the cache.
pub struct PlainState {
    ty: StateType,
    sequences: Mutex<Map<u32, Vec<f32>>>,
}

impl PlainState {
    /// An empty state.
    ///
    /// # Errors
    /// When there can be no state of this type.
    pub fn shared(ty: &StateType) -> Result<StateRef, OpError> {
        ty.check()?;
        Ok(StateRef(std::sync::Arc::new(Self { ty: ty.clone(), sequences: Mutex::default() })))
    }

    fn sequences(&self) -> MutexGuard<'_, Map<u32, Vec<f32>>> {
        self.sequences.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn expect(&self, sequence: u32, length: usize) -> Result<(), OpError> {
        let got = self.length(sequence)?;
        if length <= got {
            return Ok(());
        }
        Err(OpError::Invalid(format!(
            "sequence {sequence} has {got} positions, expected at least {length}"
        )))
    }
}

impl State for PlainState {
    fn ty(&self) -> &StateType {
        &self.ty
    }

    fn length(&self, sequence: u32) -> Result<usize, OpError> {
        let length = self.sequences().get(&sequence).map_or(0, Vec::len);
        Ok(length / self.ty.position_len())
    }

    fn truncate(&self, sequence: u32, length: usize) -> Result<(), OpError> {
        self.expect(sequence, length)?;
        let keep = length * self.ty.position_len();
        if let Some(values) = self.sequences().get_mut(&sequence) {
            values.truncate(keep);
        }
        Ok(())
    }

    fn copy(&self, from: u32, to: u32, length: usize) -> Result<(), OpError> {
        self.expect(from, length)?;
        let mut sequences = self.sequences();
        let values = sequences.get(&from).map_or(&[][..], Vec::as_slice);
        let values = values[..length * self.ty.position_len()].to_vec();
        sequences.insert(to, values);
        Ok(())
    }

    fn export(
        &self,
        sequence: u32,
        positions: Range<usize>,
        read: &mut dyn FnMut(&[f32]),
    ) -> Result<(), OpError> {
        self.expect(sequence, positions.end)?;
        let size = self.ty.position_len();
        let sequences = self.sequences();
        let values = sequences.get(&sequence).map_or(&[][..], Vec::as_slice);
        positions.for_each(|at| read(&values[at * size..][..size]));
        Ok(())
    }

    fn append(&self, sequence: u32, positions: &[f32]) -> Result<(), OpError> {
        let size = self.ty.position_len();
        if !positions.len().is_multiple_of(size) {
            let text = format!("{} numbers are no positions of {size} numbers", positions.len());
            return Err(OpError::Invalid(text));
        }
        let StateType { dtype, heads, key_dim, .. } = self.ty;
        let mut rounded = Vec::with_capacity(positions.len());
        for position in positions.chunks(size) {
            let (keys, values) = position.split_at(heads * key_dim);
            rounded.extend(round(dtype, keys)?);
            rounded.extend(round(dtype, values)?);
        }
        self.sequences().entry(sequence).or_default().extend(rounded);
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.sequences().values().map(|values| size_of_val(&values[..]) as u64).sum()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Rows whose length is a whole number of blocks, so that a head never shares a block with another.
fn round(dtype: DType, values: &[f32]) -> Result<Vec<f32>, OpError> {
    let too_large = || OpError::Bug(format!("a row of `{dtype}` has no size"));
    let mut bytes = remuda_tensor::storage::AlignedBytes::zeroed(
        dtype.bytes_for(values.len()).ok_or_else(too_large)?,
    );
    let mut back = vec![0.0; values.len()];
    rows::encode(dtype, values, bytes.bytes_mut())?;
    rows::decode(dtype, bytes.bytes(), &mut back)?;
    Ok(back)
}

impl std::fmt::Debug for PlainState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PlainState({} sequences)", self.sequences().len())
    }
}
