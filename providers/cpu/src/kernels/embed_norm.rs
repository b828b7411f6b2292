//! `EmbedLayerNormalization`: sums the rows that words, positions and segments name, and normalises. The
//! tables stay where they lie; only the rows that are named are read.

use remuda_ir::{OpError, Val};
use remuda_kernels::norm::{Affine, RowNorm, norm};
use remuda_tensor::{DType, Tensor, bf16, f16};

use super::cast::of_floats;
use super::elementwise::is_fast;
use super::norm::per_element;
use crate::kernel::{Kernel, Preparation, Run, optional, tensor, writable};

struct EmbedNorm {
    epsilon: f32,
    /// Whether the sum is a result too.
    sums: bool,
}

/// Places of the tables.
const TABLES: [usize; 3] = [2, 3, 4];

pub(super) fn prepare(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let node = preparation.node;
    let dtype = preparation.dtype(2).filter(|&dtype| is_fast(dtype))?;
    let typed = [3, 4, 5, 6]
        .iter()
        .all(|&at| node.input(at).is_none() || preparation.dtype(at) == Some(dtype));
    let epsilon = node.attrs.float_or("epsilon", 1e-12).ok()?;
    let kernel = EmbedNorm { epsilon, sums: node.output(2).is_some() };
    (typed && node.input(3).is_some()).then(|| Box::new(kernel) as Box<dyn Kernel>)
}

impl Kernel for EmbedNorm {
    fn reads_unaligned(&self, at: usize) -> bool {
        TABLES.contains(&at)
    }

    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let ids = tensor(inputs, 0)?;
        let &[batch, length] = ids.dims() else {
            let text = format!("`input_ids` expected 2 dimensions, got {:?}", ids.dims());
            return Err(OpError::Invalid(text));
        };
        let word = tensor(inputs, 2)?;
        let &[_, hidden] = word.dims() else {
            let text = format!("`word_embedding` expected 2 dimensions, got {:?}", word.dims());
            return Err(OpError::Invalid(text));
        };
        let positions = positions(optional(inputs, 8)?, [batch, length])?;
        let segments = optional(inputs, 1)?.map(Tensor::to_i64_vec).transpose()?;
        let mut sum = run.arena.tensor(DType::F32, &[batch, length, hidden])?;
        writable::<f32>(&mut sum)?.fill(0.0);
        let rows = writable(&mut sum)?;
        add_rows(rows, word, &ids.to_i64_vec()?, "word_embedding")?;
        add_rows(rows, tensor(inputs, 3)?, &positions, "position_embedding")?;
        if let (Some(segments), Some(table)) = (segments, optional(inputs, 4)?) {
            add_rows(rows, table, &segments, "segment_embedding")?;
        }
        let scale = per_element(tensor(inputs, 5)?, &[hidden])?;
        let shift = per_element(tensor(inputs, 6)?, &[hidden])?;
        let mut out = run.arena.tensor(DType::F32, sum.dims())?;
        if out.len() > 0 {
            let affine = Affine { scale: &scale, bias: Some(&shift) };
            let kind = RowNorm::Layer(self.epsilon);
            norm::<f32>(run.context(), kind, affine, sum.as_slice()?, writable(&mut out)?);
        }
        let counts = counts(optional(inputs, 7)?, [batch, length])?;
        let counts = Tensor::from_vec([batch], counts)?;
        let mut results = vec![of_floats(out, word.dtype())?.into(), counts.into()];
        if self.sums {
            results.push(of_floats(sum, word.dtype())?.into());
        }
        Ok(results)
    }
}

/// The position of every word.
fn positions(ids: Option<&Tensor>, [batch, length]: [usize; 2]) -> Result<Vec<i64>, OpError> {
    let counted = || (0i64..).take(length).collect();
    let ids = ids.map_or_else(|| Ok(counted()), Tensor::to_i64_vec)?;
    match ids.len() {
        count if count == batch * length => Ok(ids),
        count if count == length => Ok(ids.repeat(batch)),
        count => Err(OpError::Invalid(format!(
            "`position_ids` expected {length} or {} elements, got {count}",
            batch * length
        ))),
    }
}

/// Adds the rows that `ids` name to the rows of a sum.
fn add_rows(sum: &mut [f32], table: &Tensor, ids: &[i64], name: &str) -> Result<(), OpError> {
    let table = table.together();
    let (&[rows, width], Some(bytes)) = (table.dims(), table.bytes()) else {
        let text = format!("`{name}` expected 2 dimensions, got {:?}", table.dims());
        return Err(OpError::Invalid(text));
    };
    if sum.len() != ids.len() * width {
        let text =
            format!("{} rows of `{name}` {:?} do not fit the words", ids.len(), table.dims());
        return Err(OpError::Invalid(text));
    }
    let row_bytes = width * table.dtype().element_bytes().unwrap_or(1);
    for (&id, sum) in ids.iter().zip(sum.chunks_mut(width.max(1))) {
        let row = usize::try_from(id).ok().filter(|&row| row < rows).ok_or_else(|| {
            OpError::Invalid(format!("row {id} is not in `{name}` {:?}", table.dims()))
        })?;
        add_row(sum, table.dtype(), &bytes[row * row_bytes..][..row_bytes]);
    }
    Ok(())
}

/// Adds floats that may lie at any address.
fn add_row(sum: &mut [f32], dtype: DType, row: &[u8]) {
    let halves = row.as_chunks::<2>().0.iter().copied();
    match dtype {
        DType::F16 => add(sum, halves.map(|bytes| f16::from_le_bytes(bytes).to_f32())),
        DType::BF16 => add(sum, halves.map(|bytes| bf16::from_le_bytes(bytes).to_f32())),
        _ => add(sum, row.as_chunks::<4>().0.iter().copied().map(f32::from_le_bytes)),
    }
}

fn add(sum: &mut [f32], row: impl Iterator<Item = f32>) {
    sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
}

/// How many words of each sequence the mask lets through.
fn counts(mask: Option<&Tensor>, [batch, length]: [usize; 2]) -> Result<Vec<i32>, OpError> {
    let Some(mask) = mask else { return Ok(vec![0; batch]) };
    let mask = mask.to_i64_vec()?;
    if mask.len() != batch * length {
        let text = format!("`mask` expected {} elements, got {}", batch * length, mask.len());
        return Err(OpError::Invalid(text));
    }
    let count = |row: &[i64]| row.iter().map(|&seen| i32::from(seen != 0)).sum();
    Ok(mask.chunks(length.max(1)).map(count).collect())
}
