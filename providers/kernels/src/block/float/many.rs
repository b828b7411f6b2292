//! Floats with many tokens, and weights of any format that are decoded panel by panel.

use std::marker::PhantomData;

use remuda_simd::Isa;

use super::FloatRecipe;
use crate::block::activations::{FLOAT_DEPTH, float_tile};
use crate::block::lanes::{Lanes, ROWS, Work, dispatch};
use crate::block::many::{GROUPS, PANEL_ROWS};
use crate::block::output::Output;
use crate::scratch::with_scratch;

/// Values of a row that are decoded together: whole blocks of every format.
pub(in crate::block) const DECODED: usize = 256;

/// Weights that can be widened panel by panel.
pub(in crate::block) trait Panels: Sync {
    /// Writes a part of the depth of 64 rows, step by step; parts are asked for in order, and
    /// `decoded` keeps [`DECODED`] values of every row between them.
    fn expand(&self, isa: Isa, first_group: usize, part: usize, buffers: Buffers<'_>);
}

/// What [`Panels::expand`] writes to.
pub(in crate::block) struct Buffers<'a> {
    /// `[step][row]`.
    pub(in crate::block) panel: &'a mut [f32],
    /// `[row][DECODED]`.
    pub(in crate::block) decoded: &'a mut [f32],
}

/// Packed floats.
pub(in crate::block) struct FloatPanels<'a, R> {
    pub(in crate::block) recipe: PhantomData<R>,
    pub(in crate::block) weights: &'a [u8],
    pub(in crate::block) group_bytes: usize,
}

impl<R: FloatRecipe> Panels for FloatPanels<'_, R> {
    fn expand(&self, isa: Isa, first_group: usize, part: usize, buffers: Buffers<'_>) {
        let steps = buffers.panel.as_chunks_mut::<ROWS>().0;
        for place in 0..GROUPS {
            let start = (first_group + place) * self.group_bytes;
            let group = self.weights.get(start..start + self.group_bytes).unwrap_or_default();
            dispatch(isa, Widen::<R> { recipe: PhantomData, group, part, place, steps });
        }
    }
}

struct Widen<'a, R> {
    recipe: PhantomData<R>,
    group: &'a [u8],
    part: usize,
    place: usize,
    steps: &'a mut [[f32; ROWS]],
}

impl<R: FloatRecipe> Work for Widen<'_, R> {
    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let vectors = R::vectors(self.group).iter().skip(self.part * FLOAT_DEPTH);
        for (vector, out) in vectors.zip(self.steps.iter_mut().skip(self.place).step_by(GROUPS)) {
            l.put(R::load(l, vector), out);
        }
    }
}

/// The products of 64 rows with all tokens.
pub(in crate::block) struct ManyFloats<'a> {
    pub(in crate::block) weights: &'a dyn Panels,
    pub(in crate::block) first_group: usize,
    pub(in crate::block) depth: usize,
    pub(in crate::block) tokens: &'a [f32],
    pub(in crate::block) output: &'a Output<'a>,
}

impl ManyFloats<'_> {
    pub(in crate::block) fn run(&self, isa: Isa) {
        let width = float_tile(self.output.count);
        let tiles = self.output.count.div_ceil(width);
        with_scratch(many_floats_length(self.output.count), |scratch| {
            let (panel, rest) = scratch.split_at_mut(FLOAT_DEPTH * PANEL_ROWS);
            let (decoded, totals) = rest.split_at_mut(DECODED * PANEL_ROWS);
            for part in 0..self.depth.div_ceil(FLOAT_DEPTH) {
                let buffers = Buffers { panel, decoded };
                self.weights.expand(isa, self.first_group, part, buffers);
                let steps = FLOAT_DEPTH.min(self.depth - part * FLOAT_DEPTH);
                let start = part * FLOAT_DEPTH * tiles * width;
                let tokens = &self.tokens[start..][..steps * tiles * width];
                let tile = |totals, tile| FloatTile {
                    panel: panel[..steps * PANEL_ROWS].as_chunks().0,
                    tokens: &tokens[tile * steps * width..][..steps * width],
                    totals,
                    first: part == 0,
                };
                for (index, totals) in totals.chunks_exact_mut(width * PANEL_ROWS).enumerate() {
                    let work = tile(totals.as_chunks_mut().0, index);
                    work.dispatch(isa, width);
                }
            }
            self.write(totals);
        });
    }

    fn write(&self, totals: &[f32]) {
        for (place, sums) in totals.as_chunks::<ROWS>().0.iter().enumerate() {
            self.output.put(self.first_group + place % GROUPS, place / GROUPS, sums);
        }
    }
}

/// Floats that a thread takes to multiply so many tokens.
pub(in crate::block) fn many_floats_length(count: usize) -> usize {
    let totals = count.next_multiple_of(float_tile(count).max(1));
    (FLOAT_DEPTH + DECODED + totals) * PANEL_ROWS
}

/// A panel by the tokens of a tile.
struct FloatTile<'a> {
    /// Groups of a step follow each other.
    panel: &'a [[f32; ROWS]],
    tokens: &'a [f32],
    totals: &'a mut [[f32; ROWS]],
    first: bool,
}

impl FloatTile<'_> {
    fn dispatch(self, isa: Isa, width: usize) {
        match width {
            1 => dispatch(isa, Wide::<1>(self)),
            2 => dispatch(isa, Wide::<2>(self)),
            3 => dispatch(isa, Wide::<3>(self)),
            4 => dispatch(isa, Wide::<4>(self)),
            6 => dispatch(isa, Wide::<6>(self)),
            _ => dispatch(isa, Wide::<8>(self)),
        }
    }
}

/// A tile of `C` tokens.
struct Wide<'a, const C: usize>(FloatTile<'a>);

impl<const C: usize> Work for Wide<'_, C> {
    #[inline(always)]
    fn run<L: Lanes>(mut self, l: L) {
        if L::GROUPS == GROUPS {
            self.multiply::<L, GROUPS>(l, 0);
        } else {
            for group in 0..GROUPS {
                self.multiply::<L, 1>(l, group);
            }
        }
    }
}

impl<const C: usize> Wide<'_, C> {
    #[inline(always)]
    fn multiply<L: Lanes, const R: usize>(&mut self, l: L, group: usize) {
        let FloatTile { panel, tokens, totals, first } = &mut self.0;
        let mut sums = [[l.float(0.0); C]; R];
        if !*first {
            for c in 0..C {
                for r in 0..R {
                    sums[r][c] = l.floats(&totals[c * GROUPS + group + r]);
                }
            }
        }
        let tokens = tokens.as_chunks::<C>().0;
        for (vectors, tokens) in panel.as_chunks::<GROUPS>().0.iter().zip(tokens) {
            let mut weights = [l.floats(&vectors[group]); R];
            for r in 1..R {
                weights[r] = l.floats(&vectors[group + r]);
            }
            for c in 0..C {
                let token = l.float(tokens[c]);
                for r in 0..R {
                    sums[r][c] = l.mul_add(weights[r], token, sums[r][c]);
                }
            }
        }
        for c in 0..C {
            for r in 0..R {
                l.put(sums[r][c], &mut totals[c * GROUPS + group + r]);
            }
        }
    }
}
