//! The best boxes by score, less those that overlap a better one too much.
//!
//! Boxes come off a heap, best first, so that a class whose limit is reached sorts no more of them
//! than it takes. Every comparison is made in the same f32 operations as in the definition of the
//! operator: a box on the very edge of the threshold is kept or dropped alike.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::{Mutex, PoisonError};

use crate::{Context, Schedule};

/// How many boxes there are.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Images.
    pub batches: usize,
    /// Classes, each with scores of its own.
    pub classes: usize,
    /// Boxes of an image.
    pub boxes: usize,
}

/// What is kept.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most boxes of a class in an image.
    pub most: usize,
    /// The greatest allowed intersection over union with a better box.
    pub overlap: f32,
    /// Boxes must score more than this.
    pub least: Option<f32>,
    /// Whether boxes are given as centre and size, `x y width height`, instead of two corners, `y x y
    /// x`.
    pub by_center: bool,
}

/// The boxes that are kept as `[batch, class, box]`: by batch, class and falling score.
///
/// `boxes` are `[batches, boxes, 4]`, `scores` `[batches, classes, boxes]`.
///
/// # Panics
/// When a slice is too short.
pub fn suppress(
    context: Context<'_>,
    boxes: &[f32],
    scores: &[f32],
    sizes: Sizes,
    limits: Limits,
) -> Vec<[usize; 3]> {
    let Sizes { batches, classes, boxes: count } = sizes;
    if limits.most == 0 || count == 0 {
        return Vec::new();
    }
    let boxes = boxes.as_chunks::<4>().0;
    let results: Vec<_> = (0..batches * classes).map(|_| Mutex::new(Vec::new())).collect();
    context.pool.parallel_for(results.len(), Schedule::Dynamic, |index| {
        let (batch, class) = (index / classes, index % classes);
        let kept =
            best(&boxes[batch * count..][..count], &scores[index * count..][..count], limits);
        let kept = kept.into_iter().map(|at| [batch, class, at]).collect();
        *results[index].lock().unwrap_or_else(PoisonError::into_inner) = kept;
    });
    let results = results.into_iter();
    results.flat_map(|kept| kept.into_inner().unwrap_or_else(PoisonError::into_inner)).collect()
}

/// The boxes of one class that are kept, best first.
fn best(boxes: &[[f32; 4]], scores: &[f32], limits: Limits) -> Vec<usize> {
    let candidates = scores.iter().enumerate().map(|(at, &score)| Candidate { score, at });
    let mut heap: BinaryHeap<_> = match limits.least {
        Some(least) => candidates.filter(|candidate| candidate.score > least).collect(),
        None => candidates.collect(),
    };
    let (mut kept, mut corners): (Vec<usize>, Vec<Corners>) = (Vec::new(), Vec::new());
    while kept.len() < limits.most
        && let Some(Candidate { at, .. }) = heap.pop()
    {
        let own = Corners::of(boxes[at], limits.by_center);
        if corners.iter().all(|better| own.overlap(better) <= limits.overlap) {
            corners.push(own);
            kept.push(at);
        }
    }
    kept
}

/// A box that has not been looked at: the greatest is the best, of equals the first.
#[derive(Clone, Copy)]
struct Candidate {
    score: f32,
    at: usize,
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(other.at.cmp(&self.at))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Candidate {}

/// A box by its corners, the lesser first.
#[derive(Clone, Copy)]
struct Corners {
    low: [f32; 2],
    high: [f32; 2],
    area: f32,
}

impl Corners {
    fn of([a, b, c, d]: [f32; 4], by_center: bool) -> Self {
        let (low, high) = if by_center {
            ([b - d / 2.0, a - c / 2.0], [b + d / 2.0, a + c / 2.0])
        } else {
            ([a.min(c), b.min(d)], [a.max(c), b.max(d)])
        };
        Self { low, high, area: (high[0] - low[0]) * (high[1] - low[1]) }
    }

    /// The area of the intersection over that of the union.
    fn overlap(&self, other: &Self) -> f32 {
        let height = self.high[0].min(other.high[0]) - self.low[0].max(other.low[0]);
        let width = self.high[1].min(other.high[1]) - self.low[1].max(other.low[1]);
        let shared = height.max(0.0) * width.max(0.0);
        let union = self.area + other.area - shared;
        if shared > 0.0 && union > 0.0 { shared / union } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::{Limits, Sizes, suppress};
    use crate::context::testing::{everywhere, noise};

    /// The definition: all boxes sorted, each compared with those kept.
    fn sorted(boxes: &[f32], scores: &[f32], sizes: Sizes, limits: Limits) -> Vec<[usize; 3]> {
        let mut chosen = Vec::new();
        for (index, scores) in scores.chunks_exact(sizes.boxes).enumerate() {
            let (batch, class) = (index / sizes.classes, index % sizes.classes);
            let area = |at: usize| {
                let b = &boxes[(batch * sizes.boxes + at) * 4..][..4];
                [b[0].min(b[2]), b[1].min(b[3]), b[0].max(b[2]), b[1].max(b[3])]
            };
            let mut order: Vec<_> = (0..sizes.boxes).collect();
            order.retain(|&at| limits.least.is_none_or(|least| scores[at] > least));
            order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
            let mut kept: Vec<usize> = Vec::new();
            for at in order {
                let apart = kept.iter().all(|&better| {
                    let (a, b) = (area(at), area(better));
                    let sides = [0, 1].map(|i| (a[i + 2].min(b[i + 2]) - a[i].max(b[i])).max(0.0));
                    let size = |c: [f32; 4]| (c[2] - c[0]) * (c[3] - c[1]);
                    let shared = sides[0] * sides[1];
                    shared == 0.0 || shared / (size(a) + size(b) - shared) <= limits.overlap
                });
                if apart && kept.len() < limits.most {
                    kept.push(at);
                    chosen.push([batch, class, at]);
                }
            }
        }
        chosen
    }

    #[test]
    fn the_same_boxes_are_kept_as_after_sorting() {
        let sizes = Sizes { batches: 2, classes: 3, boxes: 200 };
        let boxes = noise(2 * 200 * 4, 1);
        // Few different scores, so that many are equal.
        let scores: Vec<f32> =
            noise(2 * 3 * 200, 2).iter().map(|x| (x * 8.0).round() / 8.0).collect();
        everywhere(|cx| {
            for (most, least) in [(5, None), (1000, Some(0.25)), (7, Some(-0.5)), (0, None)] {
                let limits = Limits { most, overlap: 0.3, least, by_center: false };
                let got = suppress(cx, &boxes, &scores, sizes, limits);
                assert_eq!(got, sorted(&boxes, &scores, sizes, limits), "{limits:?}");
                assert_eq!(most == 0, got.is_empty());
            }
        });
    }

    #[test]
    fn boxes_may_be_given_by_their_centre() {
        let boxes = [0.5, 0.5, 1.0, 1.0, 0.6, 0.5, 1.0, 1.0, 5.0, 5.0, 1.0, 1.0];
        let sizes = Sizes { batches: 1, classes: 1, boxes: 3 };
        let limits = Limits { most: 3, overlap: 0.5, least: None, by_center: true };
        let pool = crate::ThreadPool::single();
        let cx = crate::Context::new(remuda_simd::Isa::best(), &pool);
        let got = suppress(cx, &boxes, &[0.8, 0.9, 0.7], sizes, limits);
        assert_eq!(got, [[0, 0, 1], [0, 0, 2]]);
    }
}
