//! Caches as the attention kernels want them, over the pages of sequences.

use remuda_ir::OpError;
use remuda_kernels::attention::paged::{Cache, POSITIONS, Pages, SIDE_BY_SIDE};
use remuda_simd::{Element, Isa};
use remuda_tensor::storage::{Scalar, cast};
use remuda_tensor::{DType, bf16, f16, rows};

use super::PAGE;
use super::layout::Layout;

/// The pages of a sequence from its first position on. Those that were given up are represented by
/// one that is kept: no query reaches what it holds in their place.
pub(super) fn reading<'a>(
    layout: &'a Layout,
    pages: Vec<&'a [u8]>,
) -> Result<Box<dyn Cache + 'a>, OpError> {
    Ok(match layout.ty.dtype {
        DType::F32 => Box::new(Floats::<f32>::new(layout, &pages)?),
        DType::F16 => Box::new(Floats::<f16>::new(layout, &pages)?),
        DType::BF16 => Box::new(Floats::<bf16>::new(layout, &pages)?),
        _ => Box::new(Rows { layout, pages }),
    })
}

/// Pages of floats, which the kernels read as they are.
struct Floats<'a, T> {
    layout: &'a Layout,
    pages: Vec<(&'a [T], &'a [T])>,
}

impl<'a, T: Scalar> Floats<'a, T> {
    fn new(layout: &'a Layout, pages: &[&'a [u8]]) -> Result<Self, OpError> {
        let halves = |page: &&'a [u8]| {
            let (keys, values) = layout.halves(page);
            Some((cast(keys)?, cast(values)?))
        };
        let pages = pages.iter().map(halves).collect::<Option<Vec<_>>>();
        let pages = pages.ok_or_else(|| OpError::Bug("a page is misaligned".to_owned()))?;
        Ok(Self { layout, pages })
    }
}

impl<T: Element> Floats<'_, T> {
    fn pages(&self) -> Pages<'_, T> {
        Pages { sizes: self.layout.sizes(), pages: &self.pages }
    }
}

impl<T: Element> Cache for Floats<'_, T> {
    fn keys(&self, isa: Isa, head: usize, first: usize, out: &mut [f32]) {
        self.pages().keys(isa, head, first, out);
    }

    fn values(&self, isa: Isa, head: usize, first: usize, count: usize, out: &mut [f32]) {
        self.pages().values(isa, head, first, count, out);
    }
}

/// Pages of rows in a block format.
struct Rows<'a> {
    layout: &'a Layout,
    pages: Vec<&'a [u8]>,
}

impl Rows<'_> {
    /// Decodes rows, which are whole blocks.
    fn decode(&self, bytes: &[u8], out: &mut [f32]) {
        if rows::decode(self.layout.ty.dtype, bytes, out).is_err() {
            out.fill(f32::NAN);
        }
    }
}

impl Cache for Rows<'_> {
    fn keys(&self, _: Isa, head: usize, first: usize, out: &mut [f32]) {
        let (size, row_bytes) = (self.layout.ty.key_dim, self.layout.key_bytes);
        let mut decoded = vec![0.0; SIDE_BY_SIDE * size];
        let blocks = out.chunks_exact_mut(SIDE_BY_SIDE * size).take(POSITIONS / SIDE_BY_SIDE);
        for (block, out) in blocks.enumerate() {
            let position = first + block * SIDE_BY_SIDE;
            let Some(page) = self.pages.get(position / PAGE) else { break };
            let row = head * PAGE + position % PAGE;
            let keys = &self.layout.halves(page).0[row * row_bytes..][..SIDE_BY_SIDE * row_bytes];
            self.decode(keys, &mut decoded);
            for (place, key) in decoded.chunks_exact(size).enumerate() {
                for (out, value) in out[place..].iter_mut().step_by(SIDE_BY_SIDE).zip(key) {
                    *out = *value;
                }
            }
        }
    }

    fn values(&self, _: Isa, head: usize, first: usize, count: usize, out: &mut [f32]) {
        let (size, row_bytes) = (self.layout.ty.value_dim, self.layout.value_bytes);
        let mut position = first;
        let mut rest = &mut out[..count * size];
        while !rest.is_empty() {
            let Some(page) = self.pages.get(position / PAGE) else { break };
            let row = head * PAGE + position % PAGE;
            let rows = (PAGE - position % PAGE).min(rest.len() / size);
            let values = &self.layout.halves(page).1[row * row_bytes..][..rows * row_bytes];
            let (part, after) = rest.split_at_mut(rows * size);
            self.decode(values, part);
            (position, rest) = (position + rows, after);
        }
    }
}
