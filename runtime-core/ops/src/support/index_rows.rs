//! Rows of indices that name slices of a tensor: what `GatherND` and `ScatterND` share.

use remuda_ir::OpError;
use remuda_tensor::Tensor;

use super::axes::resolve_index;

/// Rows of indices into a tensor.
pub(crate) struct IndexRows<'a> {
    data: &'a [usize],
    rows: Vec<i64>,
    width: usize,
    batch: usize,
    /// The dimensions of the rows.
    pub(crate) lead: &'a [usize],
    /// The dimensions of a slice.
    pub(crate) rest: &'a [usize],
    /// Elements of a slice.
    pub(crate) length: usize,
}

impl<'a> IndexRows<'a> {
    /// Rows along the last axis of `indices`; the first `batch` axes of both run together.
    pub(crate) fn new(
        data: &'a [usize],
        indices: &'a Tensor,
        batch: usize,
    ) -> Result<Self, OpError> {
        let Some((&width, lead)) = indices.dims().split_last() else {
            return Err(OpError::invalid("`indices` has no dimensions"));
        };
        let rest = batch.checked_add(width).and_then(|start| data.get(start..)).ok_or_else(|| {
            let rank = data.len();
            OpError::Invalid(format!(
                "rows of {width} indices behind {batch} batch dimensions do not fit {rank} dimensions"
            ))
        })?;
        if lead.get(..batch) != data.get(..batch) {
            let text = format!("batch dimensions of {data:?} and {:?} differ", indices.dims());
            return Err(OpError::Invalid(text));
        }
        let length = rest.iter().product();
        Ok(Self { data, rows: indices.to_i64_vec()?, width, batch, lead, rest, length })
    }

    /// Where each row's slice starts.
    pub(crate) fn starts(&self) -> Result<Vec<usize>, OpError> {
        let count: usize = self.lead.iter().product();
        let per_batch = self.lead[self.batch..].iter().product::<usize>().max(1);
        let batch_size: usize = self.data[self.batch..].iter().product();
        (0..count)
            .map(|row| {
                let indices = &self.rows[row * self.width..(row + 1) * self.width];
                let sizes = &self.data[self.batch..self.batch + self.width];
                let place = indices.iter().zip(sizes).try_fold(0, |flat, (&index, &size)| {
                    Ok::<_, OpError>(flat * size + resolve_index(index, size)?)
                })?;
                Ok(row / per_batch * batch_size + place * self.length)
            })
            .collect()
    }
}
