//! A matrix as it lies in a slice, with any strides.

use super::GemmError;

/// A borrowed matrix: element (row, column) is `data[row * row_stride + column * column_stride]`.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a, T = f32> {
    pub(crate) data: &'a [T],
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) row_stride: usize,
    pub(crate) column_stride: usize,
}

impl<'a, T> Matrix<'a, T> {
    /// A matrix whose rows lie one after the other.
    ///
    /// # Errors
    /// When `data` is too short.
    pub fn new(data: &'a [T], rows: usize, columns: usize) -> Result<Self, GemmError> {
        Self::strided(data, [rows, columns], [columns, 1])
    }

    /// A matrix with any strides, in elements.
    ///
    /// # Errors
    /// When an element would lie outside of `data`.
    pub fn strided(
        data: &'a [T],
        [rows, columns]: [usize; 2],
        [row_stride, column_stride]: [usize; 2],
    ) -> Result<Self, GemmError> {
        let needed = extent([rows, columns], [row_stride, column_stride]);
        if needed.is_none_or(|needed| needed > data.len()) {
            return Err(GemmError::TooShort { what: "matrix", needed, got: data.len() });
        }
        Ok(Self { data, rows, columns, row_stride, column_stride })
    }

    /// The same elements with rows and columns exchanged.
    #[must_use]
    pub fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// How many rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many columns.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// How many elements of the slice it spans.
    pub(crate) fn extent(&self) -> usize {
        extent([self.rows, self.columns], [self.row_stride, self.column_stride])
            .unwrap_or(usize::MAX)
    }
}

/// One past the index of the last element; nothing when that overflows.
pub(crate) fn extent(sizes: [usize; 2], strides: [usize; 2]) -> Option<usize> {
    if sizes.contains(&0) {
        return Some(0);
    }
    let last = |axis: usize| (sizes[axis] - 1).checked_mul(strides[axis]);
    last(0)?.checked_add(last(1)?)?.checked_add(1)
}
