//! Other ways to look at the same elements: no copy unless they have to lie together.

use std::sync::Arc;

use super::{Tensor, byte_count, element_count};
use crate::index::{broadcast, contiguous_strides};
use crate::storage::{AlignedBytes, Storage};
use crate::{DType, TensorError};

impl Tensor {
    /// The same elements, lying together in row-major order at addresses that their type allows; no
    /// copy if they already do.
    #[must_use]
    pub fn contiguous(&self) -> Self {
        if self.is_contiguous() && !self.is_aligned() {
            let mut memory = AlignedBytes::zeroed(self.byte_len());
            memory.bytes_mut().copy_from_slice(self.bytes().unwrap_or(&[]));
            return Self::contiguous_view(
                self.dtype,
                self.dims.clone(),
                Storage::Owned(Arc::new(memory)),
            );
        }
        self.together()
    }

    /// As [`Tensor::contiguous`]; memory that nobody else held stays so.
    #[must_use]
    pub fn into_contiguous(self) -> Self {
        if self.is_contiguous() && self.is_aligned() { self } else { self.contiguous() }
    }

    /// The same elements, lying together in row-major order wherever they lie; no copy if they
    /// already do.
    #[must_use]
    pub fn together(&self) -> Self {
        let Some(size) = self.dtype.element_bytes().filter(|_| !self.is_contiguous()) else {
            return if self.dtype == DType::String && !self.is_contiguous() {
                let texts: Arc<[String]> = self.texts().into_iter().map(str::to_owned).collect();
                Self::contiguous_view(self.dtype, self.dims.clone(), Storage::Strings(texts))
            } else {
                self.clone()
            };
        };
        let source = self.storage.bytes();
        let mut memory = AlignedBytes::zeroed(self.len() * size);
        for (to, at) in memory.bytes_mut().chunks_exact_mut(size).zip(self.offsets()) {
            to.copy_from_slice(&source[at * size..(at + 1) * size]);
        }
        Self::contiguous_view(self.dtype, self.dims.clone(), Storage::Owned(Arc::new(memory)))
    }

    /// The same elements under other dimensions; copies only if they do not lie together.
    ///
    /// # Errors
    /// When the number of elements differs.
    pub fn reshape(&self, dims: impl Into<Vec<usize>>) -> Result<Self, TensorError> {
        let dims = dims.into();
        if element_count(self.dtype, &dims)? != self.len() {
            let text =
                format!("cannot reshape {:?} ({} elements) to {dims:?}", self.dims, self.len());
            return Err(TensorError::Shape(text));
        }
        if matches!(self.dtype, DType::Block(_)) {
            byte_count(self.dtype, &dims)?;
        }
        let mut view = self.together();
        view.strides = contiguous_strides(&dims);
        view.dims = dims;
        Ok(view)
    }

    /// A view that can stride: elements of whole bytes, or texts.
    fn strided(&self) -> Result<Self, TensorError> {
        if self.dtype.element_bytes().is_some() || self.dtype == DType::String {
            return Ok(self.clone());
        }
        Err(TensorError::Shape(format!(
            "elements of `{}` share bytes and cannot be viewed by strides",
            self.dtype
        )))
    }

    /// The axes in another order, without a copy.
    ///
    /// # Errors
    /// When `axes` is no permutation or the dtype is packed.
    pub fn permute(&self, axes: &[usize]) -> Result<Self, TensorError> {
        let mut sorted = axes.to_vec();
        sorted.sort_unstable();
        if sorted != (0..self.rank()).collect::<Vec<_>>() {
            return Err(TensorError::Shape(format!(
                "{axes:?} is no permutation of {} axes",
                self.rank()
            )));
        }
        let mut view = self.strided()?;
        view.dims = axes.iter().map(|&axis| self.dims[axis]).collect();
        view.strides = axes.iter().map(|&axis| self.strides[axis]).collect();
        Ok(view)
    }

    /// `count` elements of one axis from `start` on, `step` apart (which may be negative), no copy.
    ///
    /// # Errors
    /// When that leaves the axis or the dtype is packed.
    pub fn slice(
        &self,
        axis: usize,
        start: usize,
        count: usize,
        step: isize,
    ) -> Result<Self, TensorError> {
        let mut view = self.strided()?;
        let dim = *self.dims.get(axis).ok_or_else(|| {
            TensorError::Shape(format!("axis {axis} of a tensor of {} dimensions", self.rank()))
        })?;
        let last = step
            .checked_mul(count.saturating_sub(1).cast_signed())
            .and_then(|reach| start.checked_add_signed(reach));
        let inside = count == 0 || (start < dim && last.is_some_and(|last| last < dim));
        if !inside {
            let text = format!(
                "{count} elements from {start} by {step} leave axis {axis} of {:?}",
                self.dims
            );
            return Err(TensorError::Shape(text));
        }
        view.dims[axis] = count;
        // A view of nothing stays where it is: what is there may be nothing, too.
        if view.len() > 0 {
            let shift = self.strides[axis] * start.cast_signed();
            view.offset = view.offset.saturating_add_signed(shift);
            view.strides[axis] = self.strides[axis] * step;
        }
        Ok(view)
    }

    /// The tensor repeated along new and unit axes to `dims`, without a copy.
    ///
    /// # Errors
    /// When it does not broadcast to `dims`.
    pub fn broadcast_to(&self, dims: &[usize]) -> Result<Self, TensorError> {
        if broadcast(&self.dims, dims).as_deref() != Some(dims) {
            return Err(TensorError::Shape(format!(
                "{:?} does not broadcast to {dims:?}",
                self.dims
            )));
        }
        if self.dims == dims {
            return Ok(self.clone());
        }
        let mut view = self.strided()?;
        let fresh = dims.len() - self.rank();
        view.strides = vec![0; dims.len()];
        for (axis, (&dim, &stride)) in self.dims.iter().zip(&self.strides).enumerate() {
            view.strides[fresh + axis] = if dim == 1 { 0 } else { stride };
        }
        view.dims = dims.to_vec();
        Ok(view)
    }
}
