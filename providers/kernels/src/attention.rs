//! Fused scaled-dot-product attention: scores, masks, softmax and values in one pass, without a
//! matrix of scores in memory.
//!
//! The softmax is kept up to date block by block of keys: when a greater score turns up, what was
//! summed so far is scaled down. Query heads that share a key head are treated as more query rows of
//! it. Many rows (`blocked`) work on panels of keys in the first-level cache; few rows
//! (`streamed`, decoding) read the cache once, in as many parts as keep the threads busy.

mod blocked;
mod mask;
pub mod paged;
mod rows;
mod streamed;
#[cfg(test)]
mod tests;

use remuda_simd::Element;

use crate::Context;

pub use mask::{Mask, MaskView, Window};

use rows::SharedRows;

/// Rows of heads in a slice; the elements of a row are contiguous.
#[derive(Debug, Clone, Copy)]
pub struct Heads<'a, T> {
    /// All elements.
    pub data: &'a [T],
    /// From one batch entry to the next, in elements.
    pub batch: usize,
    /// From one head to the next.
    pub head: usize,
    /// From one position to the next.
    pub position: usize,
}

impl<'a, T> Heads<'a, T> {
    fn row(&self, batch: usize, head: usize, position: usize, size: usize) -> &'a [T] {
        let start = batch * self.batch + head * self.head + position * self.position;
        &self.data[start..start + size]
    }
}

/// The sizes of an attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Batch entries.
    pub batches: usize,
    /// Query heads, a multiple of the key heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Query positions.
    pub queries: usize,
    /// Key and value positions.
    pub keys: usize,
    /// Elements of a query or key.
    pub size: usize,
    /// Elements of a value.
    pub value_size: usize,
}

impl Sizes {
    /// Query heads per key head.
    fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    /// Query rows per key head.
    fn rows(&self) -> usize {
        self.group() * self.queries
    }
}

/// How scores become weights.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// What a dot product is multiplied with.
    pub scale: f32,
    /// Scores are bent to within plus and minus this, before masks.
    pub softcap: Option<f32>,
    /// Which keys each query reaches, by position.
    pub window: Option<Window<'a>>,
    /// What is added to the scores, or which keys are allowed.
    pub mask: Mask<'a>,
    /// How many keys each batch entry has, if fewer than all.
    pub key_counts: Option<&'a [usize]>,
}

/// The order of the output's axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Batch, head, position, element.
    HeadsFirst,
    /// Batch, position, head, element.
    PositionsFirst,
}

/// The three inputs.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a, Q, K> {
    /// Queries.
    pub query: Heads<'a, Q>,
    /// Keys.
    pub key: Heads<'a, K>,
    /// Values.
    pub value: Heads<'a, K>,
}

/// Everything but the output.
#[derive(Debug, Clone, Copy)]
struct Problem<'a, Q, K> {
    sizes: Sizes,
    inputs: Inputs<'a, Q, K>,
    options: Options<'a>,
}

/// Fewer query rows than this per key head are streamed.
const FEW_ROWS: usize = 12;

/// Attention of every query to the keys that it may reach. A query that reaches none gets zeros.
///
/// # Panics
/// When the heads do not divide, or a slice does not fit the sizes.
pub fn attention<Q: Element, K: Element>(
    cx: Context<'_>,
    sizes: Sizes,
    inputs: Inputs<'_, Q, K>,
    options: Options<'_>,
    (out, order): (&mut [Q], Order),
) {
    assert!(sizes.kv_heads > 0 && sizes.heads.is_multiple_of(sizes.kv_heads), "{sizes:?}");
    assert_eq!(
        out.len(),
        sizes.batches * sizes.heads * sizes.queries * sizes.value_size,
        "outputs of {sizes:?}"
    );
    options.check(&sizes);
    if sizes.keys == 0 {
        return out.fill(Q::default());
    }
    let problem = Problem { sizes, inputs, options };
    let rows = SharedRows::new(out, sizes, order);
    if sizes.rows() < FEW_ROWS {
        streamed::attention(cx, &problem, &rows);
    } else {
        blocked::attention(cx, &problem, &rows);
    }
}
