//! Which kernel multiplies what, and how rows are dealt to threads.

use std::marker::PhantomData;
use std::ops::Range;

use super::activations::{Activations, Chunk, FEW_FLOATS, TILE};
use super::few::Few;
use super::float::{FewFloats, FloatPanels, FloatRecipe, ManyFloats, Panels};
use super::format::with_recipe;
use super::lanes::{FEW, ROWS, Work, dispatch, dispatch_wide};
use super::many::{GROUPS, MAX_TILES, Many, TOTALS, with_panel};
use super::output::Output;
use super::plain::PlainPanels;
use super::recipe::Recipe;
use super::{Layout, Weights};
use crate::scratch::with_scratch;
use crate::{Context, Schedule};

/// Groups of a piece of work with few tokens, at least.
const LEAST_GROUPS: usize = 8;
/// Pieces per thread, so that a thread that is held up loses little.
const PIECES: usize = 4;

/// A product whose operands fit each other.
pub(super) struct Job<'a> {
    pub(super) cx: Context<'a>,
    pub(super) weights: &'a Weights<'a>,
    pub(super) tokens: &'a Activations,
    pub(super) output: Output<'a>,
}

impl Job<'_> {
    pub(super) fn run(&self) {
        match self.weights.layout {
            Layout::Packed(format) => {
                with_recipe!(format, R => self.quantised::<R>(), F => self.floats::<F>());
            }
            Layout::Plain(codec) => self.float_panels(&PlainPanels {
                codec,
                weights: self.weights.bytes,
                rows: self.weights.rows,
                depth: self.weights.depth,
            }),
        }
    }

    fn groups(&self) -> usize {
        self.weights.rows.div_ceil(ROWS)
    }

    fn group_bytes(&self) -> usize {
        self.weights.bytes.len() / self.groups().max(1)
    }

    /// Calls `body` for ranges of groups, in parallel.
    fn for_ranges(&self, body: impl Fn(Range<usize>) + Sync) {
        let groups = self.groups();
        let pieces = (groups / LEAST_GROUPS).clamp(1, self.cx.pool.size() * PIECES);
        self.cx.pool.parallel_for(pieces, Schedule::Static, |piece| {
            body(piece * groups / pieces..(piece + 1) * groups / pieces);
        });
    }

    /// Calls `body` for the first groups of panels, in parallel.
    fn for_panels(&self, body: impl Fn(usize) + Sync) {
        let panels = self.groups().div_ceil(GROUPS);
        self.cx.pool.parallel_for(panels, Schedule::Static, |panel| body(panel * GROUPS));
    }

    fn quantised<R: Recipe>(&self) {
        match self.tokens.count() {
            0 => {}
            1..=FEW => match self.tokens.few() {
                1 => self.few::<R, 1>(self.tokens.ones(), |work| dispatch(self.cx.isa, work)),
                2 => self.few::<R, 2>(self.tokens.twos(), |work| self.wide(work)),
                _ => self.few::<R, FEW>(self.tokens.fours(), |work| self.wide(work)),
            },
            _ => self.many::<R>(self.tokens.tiles()),
        }
    }

    /// Runs work on several tokens, which are together only where there are registers for them.
    fn wide<W: Work>(&self, work: W) {
        let done = dispatch_wide(self.cx.isa, work).is_ok();
        assert!(done, "tokens were taken in for another instruction set");
    }

    fn few<R: Recipe, const T: usize>(
        &self,
        tokens: &[Chunk<T>],
        run: impl Fn(Few<'_, R, T>) + Sync,
    ) {
        let tiles = self.tokens.count().div_ceil(T);
        self.for_ranges(|groups| {
            for tile in 0..tiles {
                run(Few {
                    recipe: PhantomData,
                    weights: self.weights.bytes,
                    group_bytes: self.group_bytes(),
                    groups: groups.clone(),
                    depth: self.weights.depth,
                    tokens,
                    tiles,
                    tile,
                    output: &self.output,
                });
            }
        });
    }

    fn many<R: Recipe>(&self, tokens: &[Chunk<TILE>]) {
        let tiles = self.tokens.count().div_ceil(TILE);
        for first in (0..tiles).step_by(MAX_TILES) {
            let range = first..tiles.min(first + MAX_TILES);
            self.for_panels(|first_group| {
                with_scratch(range.len() * TOTALS, |totals| {
                    with_panel(|panel| {
                        let work = Many::<R> {
                            recipe: PhantomData,
                            weights: self.weights.bytes,
                            group_bytes: self.group_bytes(),
                            first_group,
                            depth: self.weights.depth,
                            tokens,
                            tiles,
                            range: range.clone(),
                            panel,
                            totals,
                            output: &self.output,
                        };
                        dispatch(self.cx.isa, work);
                    });
                });
            });
        }
    }

    fn floats<R: FloatRecipe>(&self) {
        match self.tokens.count() {
            0 => {}
            1 => self.few_floats::<R, 1>(),
            2 => self.few_floats::<R, 2>(),
            3 => self.few_floats::<R, 3>(),
            4 => self.few_floats::<R, 4>(),
            5 | 6 => self.few_floats::<R, 6>(),
            7 | FEW_FLOATS => self.few_floats::<R, FEW_FLOATS>(),
            _ => self.float_panels(&FloatPanels::<R> {
                recipe: PhantomData,
                weights: self.weights.bytes,
                group_bytes: self.group_bytes(),
            }),
        }
    }

    fn few_floats<R: FloatRecipe, const T: usize>(&self) {
        self.for_ranges(|groups| {
            let work = FewFloats::<R, _, T> {
                recipe: PhantomData,
                weights: self.weights.bytes,
                group_bytes: self.group_bytes(),
                groups,
                tokens: self.tokens.floats(),
                finish: |group, token, sums: &_| self.output.put(group, token, sums),
            };
            dispatch(self.cx.isa, work);
        });
    }

    fn float_panels(&self, weights: &dyn Panels) {
        if self.tokens.count() == 0 {
            return;
        }
        self.for_panels(|first_group| {
            let work = ManyFloats {
                weights,
                first_group,
                depth: self.weights.depth,
                tokens: self.tokens.floats(),
                output: &self.output,
            };
            work.run(self.cx.isa);
        });
    }
}
