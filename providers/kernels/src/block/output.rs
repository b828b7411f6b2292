//! The result of a product: a row per token, whose parts several threads write.

use super::lanes::{Lanes, ROWS};
use crate::pool::Shared;

/// Where sums go. Every group of rows is written by one thread only.
#[derive(Debug)]
pub(super) struct Output<'a> {
    pointer: Shared<f32>,
    /// Rows of the weights.
    pub(super) rows: usize,
    /// Tokens.
    pub(super) count: usize,
    /// From one token to the next.
    stride: usize,
    borrowed: std::marker::PhantomData<&'a mut [f32]>,
}

const LINE: usize = 16;

impl<'a> Output<'a> {
    /// The values of `out`, whose tokens are `stride` apart.
    ///
    /// # Panics
    /// When they are too few.
    pub(super) fn new(out: &'a mut [f32], [rows, count]: [usize; 2], stride: usize) -> Self {
        let needed = if count == 0 { 0 } else { (count - 1) * stride + rows };
        assert!(stride >= rows && out.len() >= needed, "{count} tokens of {rows} rows");
        let pointer = Shared::new(out.as_mut_ptr());
        Self { pointer, rows, count, stride, borrowed: std::marker::PhantomData }
    }

    /// Whether all rows of so many groups exist.
    #[inline(always)]
    pub(super) fn holds(&self, first_group: usize, groups: usize) -> bool {
        (first_group + groups) * ROWS <= self.rows
    }

    fn place(&self, group: usize, token: usize) -> *mut f32 {
        self.pointer.pointer().wrapping_add(token * self.stride + group * ROWS)
    }

    /// Writes the rows of a group that exist, for one token.
    pub(super) fn put(&self, group: usize, token: usize, sums: &[f32; ROWS]) {
        let count = ROWS.min(self.rows.saturating_sub(group * ROWS));
        if token < self.count && count > 0 {
            // SAFETY: token and rows exist, and no other thread writes this group.
            let out = unsafe { std::slice::from_raw_parts_mut(self.place(group, token), count) };
            out.copy_from_slice(&sums[..count]);
        }
    }

    /// As [`Self::put`] from a register, for a group that is whole.
    #[inline(always)]
    pub(super) fn put_whole<L: Lanes>(&self, l: L, group: usize, token: usize, sums: L::Floats) {
        assert!(
            token < self.count && self.holds(group, 1),
            "a whole group of a token that is there"
        );
        // SAFETY: token and rows exist, and no other thread writes this group.
        l.put(sums, unsafe { &mut *self.place(group, token).cast::<[f32; ROWS]>() });
    }

    /// Asks for where a panel of rows goes, for three tokens that need not exist.
    #[inline(always)]
    pub(super) fn ask_for<L: Lanes>(&self, l: L, group: usize, token: usize) {
        for token in token..token + 3 {
            for line in 0..4 {
                l.prefetch(self.place(group, token).wrapping_add(line * LINE).cast());
            }
        }
    }
}
