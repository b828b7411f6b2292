//! Which keys a query reaches, and what is added to its scores.

use remuda_simd::Simd;

use super::{Options, Sizes};

/// A mask over batch, head, query and key, with a stride per axis; zero where it is broadcast.
#[derive(Debug, Clone, Copy)]
pub struct MaskView<'a, M> {
    /// All elements.
    pub data: &'a [M],
    /// From one batch entry, head, query and key to the next, in elements.
    pub strides: [usize; 4],
}

/// What is known about pairs of queries and keys.
#[derive(Debug, Clone, Copy)]
pub enum Mask<'a> {
    /// Nothing.
    None,
    /// Summands of the scores.
    Additive(MaskView<'a, f32>),
    /// Zero where a key must not be seen.
    Allowed(MaskView<'a, u8>),
}

/// Which keys a query reaches by position: from `left` before to `right` after its own.
#[derive(Debug, Clone, Copy)]
pub struct Window<'a> {
    /// The key position of the first query, one for all batch entries or one for each.
    pub offsets: &'a [isize],
    /// How many keys before its own it reaches, if not all.
    pub left: Option<usize>,
    /// How many keys after its own it reaches, if not all; zero is causal.
    pub right: Option<usize>,
}

impl<'a, M: Copy> MaskView<'a, M> {
    fn check(&self, sizes: &Sizes) {
        let axes = [sizes.batches, sizes.heads, sizes.queries, sizes.keys];
        let last: usize = axes.iter().zip(self.strides).map(|(&n, s)| (n.max(1) - 1) * s).sum();
        assert!(last < self.data.len(), "expected a mask of more than {last} elements");
    }

    pub(super) fn start(&self, batch: usize, head: usize, query: usize, key: usize) -> usize {
        let [b, h, q, k] = self.strides;
        batch * b + head * h + query * q + key * k
    }
}

impl Options<'_> {
    pub(super) fn check(&self, sizes: &Sizes) {
        match self.mask {
            Mask::None => {}
            Mask::Additive(mask) => mask.check(sizes),
            Mask::Allowed(mask) => mask.check(sizes),
        }
        if let Some(window) = self.window {
            let count = window.offsets.len();
            assert!(count == 1 || count == sizes.batches, "an offset, or one per batch entry");
        }
        if let Some(counts) = self.key_counts {
            assert_eq!(counts.len(), sizes.batches, "a key count per batch entry");
        }
    }

    /// The keys that a query reaches.
    pub(super) fn reach(&self, sizes: &Sizes, batch: usize, query: usize) -> (usize, usize) {
        let count = self.key_counts.map_or(sizes.keys, |counts| counts[batch].min(sizes.keys));
        let Some(window) = self.window else { return (0, count) };
        let offset = window.offsets.get(batch).or(window.offsets.first()).copied().unwrap_or(0);
        let own = query.cast_signed() + offset;
        let left = window.left.map_or(0, |left| own.saturating_sub_unsigned(left).max(0));
        let right = window.right.map_or(isize::MAX, |right| {
            own.saturating_add_unsigned(right).saturating_add(1).max(0)
        });
        let end = right.unsigned_abs().min(count);
        (left.unsigned_abs().min(end), end)
    }

    /// Scales, bends and masks the scores of one query for the keys from `first` on.
    #[inline(always)]
    pub(super) fn finish_scores<S: Simd>(
        &self,
        s: S,
        (batch, head, query): (usize, usize, usize),
        first: usize,
        (low, high): (usize, usize),
        scores: &mut [f32],
    ) {
        if let Some(cap) = self.softcap {
            let (inverse, cap) = (s.splat(1.0 / cap), s.splat(cap));
            crate::rows::update(
                s,
                scores,
                #[inline(always)]
                |x| s.mul(cap, remuda_simd::math::tanh(s, s.mul(x, inverse))),
            );
        }
        let low = low.saturating_sub(first).min(scores.len());
        let high = high.saturating_sub(first).min(scores.len()).max(low);
        match self.mask {
            Mask::None => {}
            Mask::Additive(mask) => {
                let start = mask.start(batch, head, query, first + low);
                add(&mut scores[low..high], &mask.data[start..], mask.strides[3]);
            }
            Mask::Allowed(mask) => {
                let start = mask.start(batch, head, query, first + low);
                forbid(&mut scores[low..high], &mask.data[start..], mask.strides[3]);
            }
        }
        scores[..low].fill(f32::NEG_INFINITY);
        scores[high..].fill(f32::NEG_INFINITY);
    }
}

#[inline(always)]
fn add(scores: &mut [f32], mask: &[f32], stride: usize) {
    match stride {
        0 => scores.iter_mut().for_each(|score| *score += mask[0]),
        1 => scores.iter_mut().zip(mask).for_each(|(score, mask)| *score += mask),
        _ => {
            let mask = mask.iter().step_by(stride);
            scores.iter_mut().zip(mask).for_each(|(score, mask)| *score += mask);
        }
    }
}

#[inline(always)]
fn forbid(scores: &mut [f32], allowed: &[u8], stride: usize) {
    for (index, score) in scores.iter_mut().enumerate() {
        if allowed[index * stride] == 0 {
            *score = f32::NEG_INFINITY;
        }
    }
}
