//! Floats with few tokens: several groups of rows are read side by side.

use std::marker::PhantomData;
use std::ops::Range;

use super::FloatRecipe;
use crate::block::lanes::{Lanes, ROWS, Work};

/// How far ahead memory is asked for.
const AHEAD: usize = 4096;

/// The products of a range of groups with `T` tokens, handed over group by group.
pub(in crate::block) struct FewFloats<'a, R, F, const T: usize> {
    pub(in crate::block) recipe: PhantomData<R>,
    pub(in crate::block) weights: &'a [u8],
    pub(in crate::block) group_bytes: usize,
    pub(in crate::block) groups: Range<usize>,
    /// The tokens of every step of the depth.
    pub(in crate::block) tokens: &'a [f32],
    /// Given a group, a token and the sums of its rows.
    pub(in crate::block) finish: F,
}

impl<R: FloatRecipe, F: Fn(usize, usize, &[f32; ROWS]), const T: usize> Work
    for FewFloats<'_, R, F, T>
{
    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        match (L::GROUPS, T) {
            (1, _) => self.streams::<L, 1>(l),
            (_, ..=4) => self.streams::<L, 4>(l),
            // The sums of more tokens leave registers for two.
            _ => self.streams::<L, 2>(l),
        }
    }
}

impl<R: FloatRecipe, F: Fn(usize, usize, &[f32; ROWS]), const T: usize> FewFloats<'_, R, F, T> {
    /// Reads `S` ranges of groups side by side.
    #[inline(always)]
    fn streams<L: Lanes, const S: usize>(self, l: L) {
        let share = self.groups.len().div_ceil(S);
        let tokens = self.tokens.as_chunks::<T>().0;
        for step in 0..share {
            let mut groups = [0; S];
            let mut vectors: [&[R::Vector]; S] = [&[]; S];
            for s in 0..S {
                // A range that has ended reads the last group again and drops the result.
                groups[s] = self.groups.start + s * share + step;
                let group = groups[s].min(self.groups.end - 1);
                let bytes = &self.weights[group * self.group_bytes..][..self.group_bytes];
                vectors[s] = &R::vectors(bytes)[..tokens.len()];
            }
            let mut sums = [[l.float(0.0); T]; S];
            for (at, tokens) in tokens.iter().enumerate() {
                for s in 0..S {
                    let vector = &vectors[s][at];
                    l.prefetch(std::ptr::from_ref(vector).cast::<u8>().wrapping_add(AHEAD));
                    let weights = R::load(l, vector);
                    for t in 0..T {
                        sums[s][t] = l.mul_add(weights, l.float(tokens[t]), sums[s][t]);
                    }
                }
            }
            for s in 0..S {
                if groups[s] < self.groups.end {
                    for t in 0..T {
                        let mut out = [0.0; ROWS];
                        l.put(sums[s][t], &mut out);
                        (self.finish)(groups[s], t, &out);
                    }
                }
            }
        }
    }
}
