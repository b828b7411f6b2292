//! The table of tensors: names, shapes, types, and where their data lies.

use std::ops::Range;

use remuda_tensor::DType;

use crate::cursor::{Cursor, Fault};
use crate::error::{GgufError, Place, Problem};
use crate::names::{Names, Twice};
use crate::{MAX_DIMENSIONS, dtypes};

/// A tensor of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its dimensions, outermost first (the file lists them the other way round).
    pub shape: Vec<usize>,
    /// The type of its elements.
    pub dtype: DType,
    /// Where its data lies in the file.
    pub range: Range<usize>,
}

/// The fewest bytes that an entry takes: a name of one byte and no dimensions.
pub(crate) const LEAST_ENTRY_BYTES: usize = 8 + 1 + 4 + 4 + 8;

/// A tensor whose place in the file is not known yet.
pub(crate) struct Unplaced<'a> {
    name: &'a str,
    shape: Vec<usize>,
    dtype: DType,
    bytes: usize,
    /// Where its data starts in the data section.
    offset: u64,
    /// Where the entry starts, and where its offset is written.
    entry_at: usize,
    offset_at: usize,
}

/// Reads the table, and the names in it.
pub(crate) fn read<'a>(
    cursor: &mut Cursor<'a>,
    count: usize,
) -> Result<(Vec<Unplaced<'a>>, Names<'a>), GgufError> {
    let read = (0..count).map(|at| {
        let entry_at = cursor.offset();
        let name = read_name(cursor).map_err(|fault| fault.at(Place::TensorEntry(at)))?;
        let entry = read_entry(cursor, name, entry_at);
        entry.map_err(|fault| fault.at(Place::Tensor(name.to_owned())))
    });
    let tensors = read.collect::<Result<Vec<_>, _>>()?;
    let names = Names::new(tensors.iter().map(|tensor| tensor.name));
    let names = names.map_err(|Twice { first, second }| {
        let start_of = |at: usize| tensors.get(at).map(|tensor| tensor.entry_at);
        let name = tensors.get(second).map_or("", |tensor| tensor.name);
        let problem = Problem::Duplicate { first: start_of(first) };
        GgufError::new(Place::Tensor(name.to_owned()), start_of(second), problem)
    })?;
    Ok((tensors, names))
}

fn read_name<'a>(cursor: &mut Cursor<'a>) -> Result<&'a str, Fault> {
    let start = cursor.offset();
    let name = cursor.text()?;
    if name.is_empty() { Err(Fault::new(start, Problem::NoName)) } else { Ok(name) }
}

fn read_entry<'a>(
    cursor: &mut Cursor<'a>,
    name: &'a str,
    entry_at: usize,
) -> Result<Unplaced<'a>, Fault> {
    let start = cursor.offset();
    let rank = cursor.u32()? as usize;
    if rank > MAX_DIMENSIONS {
        return Err(Fault::new(start, Problem::Dimensions { got: rank }));
    }
    let dims_at = cursor.offset();
    let dims = (0..rank).map(|_| cursor.u64()).collect::<Result<Vec<_>, _>>()?;
    let type_at = cursor.offset();
    let dtype =
        dtypes::from_number(cursor.u32()?).map_err(|problem| Fault::new(type_at, problem))?;
    let (shape, bytes) = measure(&dims, dtype).map_err(|problem| Fault::new(dims_at, problem))?;
    let offset_at = cursor.offset();
    let offset = cursor.u64()?;
    Ok(Unplaced { name, shape, dtype, bytes, offset, entry_at, offset_at })
}

/// The shape, outermost first, and the bytes of a tensor whose dimensions are listed innermost first.
pub(crate) fn measure(dims: &[u64], dtype: DType) -> Result<(Vec<usize>, usize), Problem> {
    let too_large = || Problem::TooLarge { dtype: dtype.name(), dims: dims.to_vec() };
    if dims.contains(&0) {
        return Err(Problem::EmptyDimension { dims: dims.to_vec() });
    }
    let block = dtypes::row_unit(dtype);
    let row = dims.first().copied().unwrap_or(1);
    if row.checked_rem(block as u64) != Some(0) {
        return Err(Problem::Row { dtype: dtype.name(), block, row });
    }
    let shape = dims.iter().rev().map(|&dim| usize::try_from(dim)).collect::<Result<Vec<_>, _>>();
    let shape = shape.map_err(|_| too_large())?;
    let elements = shape.iter().try_fold(1_usize, |product, &dim| product.checked_mul(dim));
    let bytes = elements.and_then(|elements| dtype.bytes_for(elements)).ok_or_else(too_large)?;
    Ok((shape, bytes))
}

/// Gives every tensor its place in a file of `file` bytes whose data section starts at `data`.
pub(crate) fn place<'a>(
    tensors: Vec<Unplaced<'a>>,
    data: usize,
    alignment: usize,
    file: usize,
) -> Result<Vec<TensorInfo<'a>>, GgufError> {
    let mut placed = Vec::with_capacity(tensors.len());
    for tensor in tensors {
        let range = range_of(&tensor, data, alignment, file).map_err(|problem| {
            GgufError::new(Place::Tensor(tensor.name.into()), Some(tensor.offset_at), problem)
        })?;
        let info =
            TensorInfo { name: tensor.name, shape: tensor.shape, dtype: tensor.dtype, range };
        placed.push((info, tensor.entry_at));
    }
    refuse_overlap(&placed)?;
    Ok(placed.into_iter().map(|(info, _)| info).collect())
}

fn range_of(
    tensor: &Unplaced<'_>,
    data: usize,
    alignment: usize,
    file: usize,
) -> Result<Range<usize>, Problem> {
    let (bytes, offset) = (tensor.bytes, tensor.offset);
    if offset.checked_rem(alignment as u64) != Some(0) {
        return Err(Problem::Misaligned { alignment, offset });
    }
    let start = usize::try_from(offset).ok().and_then(|offset| data.checked_add(offset));
    let range = start.and_then(|start| Some(start..start.checked_add(bytes)?));
    range.filter(|range| range.end <= file).ok_or_else(|| {
        let start = (data as u64).saturating_add(offset);
        Problem::OutOfRange { bytes, start, file }
    })
}

fn refuse_overlap(placed: &[(TensorInfo<'_>, usize)]) -> Result<(), GgufError> {
    let mut by_start: Vec<_> = placed.iter().collect();
    by_start.sort_by_key(|(info, _)| (info.range.start, info.range.end));
    for ((before, _), (after, entry_at)) in by_start.iter().zip(by_start.iter().skip(1)) {
        if after.range.start < before.range.end {
            let problem = Problem::Overlap {
                start: after.range.start,
                end: after.range.end,
                other: before.name.to_owned(),
            };
            return Err(GgufError::new(Place::Tensor(after.name.into()), Some(*entry_at), problem));
        }
    }
    Ok(())
}
