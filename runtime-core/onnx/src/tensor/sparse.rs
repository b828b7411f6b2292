//! Sparse tensors, made dense.

use std::sync::Arc;

use remuda_tensor::Tensor;

use super::{Bytes, Extent, Loader};
use crate::error::{ImportError, Result};
use crate::proto::SparseProto;

/// The dense tensor: zeros, and the values at their indices.
pub(super) fn expand(loader: &Loader<'_>, proto: &SparseProto<'_>) -> Result<Tensor> {
    let values = loader.load_unnamed(&proto.values)?;
    let indices = loader.load_unnamed(&proto.indices)?;
    let extent = Extent::new(values.dtype(), &proto.dims)?;
    let Some(width) = values.dtype().element_bytes() else {
        return Err(ImportError::unsupported(format!(
            "sparse elements of type `{}`",
            values.dtype()
        )));
    };
    let places = places(&indices, values.len(), &extent)?;
    let mut dense = loader.buffer(extent.bytes())?;
    let bytes = values.to_le_bytes();
    for (place, value) in places.into_iter().zip(bytes.chunks_exact(width)) {
        let start = place.saturating_mul(width);
        if let Some(target) = dense.get_mut(start..start.saturating_add(width)) {
            target.copy_from_slice(value);
        }
    }
    Ok(Tensor::from_memory(values.dtype(), extent.dims, Arc::new(Bytes(dense)))?)
}

/// The place of each value among the dense elements: indices are places already, or coordinates.
fn places(indices: &Tensor, count: usize, extent: &Extent) -> Result<Vec<usize>> {
    let numbers = indices.to_i64_vec()?;
    let rank = extent.dims.len();
    let coordinates = match *indices.dims() {
        [found] if found == count => 1,
        [found, width] if found == count && width == rank => rank,
        _ => {
            return Err(ImportError::invalid(format!(
                "indices expected dimensions [{count}] or [{count}, {rank}], got {:?}",
                indices.dims()
            )));
        }
    };
    let sizes: &[usize] = if indices.rank() == 1 { &[extent.elements] } else { &extent.dims };
    let outside =
        || ImportError::invalid(format!("an index is outside of dimensions {:?}", extent.dims));
    numbers
        .chunks(coordinates.max(1))
        .map(|index| {
            index.iter().zip(sizes).try_fold(0usize, |place, (&at, &size)| {
                let at = usize::try_from(at).ok().filter(|&at| at < size).ok_or_else(outside)?;
                place.checked_mul(size).and_then(|place| place.checked_add(at)).ok_or_else(outside)
            })
        })
        .collect()
}
