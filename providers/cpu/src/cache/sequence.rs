//! A sequence: which pages hold its positions.

use std::collections::VecDeque;
use std::ops::Range;

use remuda_ir::{OpError, StateType};

use super::PAGE;
use super::pages::Pages;

/// A sequence of positions. Those in front of `first` pages were given up.
#[derive(Clone, Debug, Default)]
pub(super) struct Sequence {
    pub(super) length: usize,
    first: usize,
    pages: VecDeque<usize>,
}

impl Sequence {
    /// The page of a position that is kept.
    pub(super) fn page_of(&self, position: usize) -> usize {
        self.pages[position / PAGE - self.first]
    }

    /// The pages of all positions. One that is kept stands in for those that were given up.
    pub(super) fn pages(&self) -> impl Iterator<Item = usize> {
        let given_up = self.pages.front().into_iter().cycle().take(self.first);
        given_up.chain(&self.pages).copied()
    }

    /// The first position that is kept.
    fn kept_from(&self) -> usize {
        self.first * PAGE
    }

    /// Whether these positions are there.
    pub(super) fn expect_kept(&self, positions: &Range<usize>) -> Result<(), OpError> {
        if positions.start <= positions.end
            && positions.end <= self.length
            && (positions.start >= self.kept_from() || positions.is_empty())
        {
            return Ok(());
        }
        Err(OpError::Invalid(format!(
            "positions {positions:?} of a sequence that keeps {:?}",
            self.kept_from().min(self.length)..self.length
        )))
    }

    /// Whether the sequence can go on from its first `length` positions.
    pub(super) fn expect_cut(&self, length: usize, ty: &StateType) -> Result<(), OpError> {
        if length > 0 {
            return self.expect_kept(&(ty.reach(length).min(length)..length));
        }
        Ok(())
    }

    /// Gives back the pages in front of `position`.
    pub(super) fn forget(&mut self, position: usize, pages: &mut Pages) {
        while self.first < position / PAGE {
            let Some(page) = self.pages.pop_front() else { break };
            pages.give_back(page);
            self.first += 1;
        }
    }

    /// Makes room for `count` more positions that this sequence alone holds.
    pub(super) fn reserve(&mut self, count: usize, pages: &mut Pages) -> Result<(), OpError> {
        if count == 0 {
            return Ok(());
        }
        let begun = !self.length.is_multiple_of(PAGE);
        let shared = self.pages.back().copied().filter(|&last| begun && pages.is_shared(last));
        let fresh = (self.length + count).div_ceil(PAGE) - self.length.div_ceil(PAGE);
        let needed = fresh + usize::from(shared.is_some());
        let left = pages.free_count();
        if needed > left {
            return Err(OpError::Resource(format!(
                "the cache is full: {count} more positions need {needed} pages of {PAGE}, {left} \
                 are left"
            )));
        }
        if let Some(last) = shared
            && let Some(own) = pages.take()
        {
            pages.copy(last, own);
            pages.give_back(last);
            self.pages.pop_back();
            self.pages.push_back(own);
        }
        self.pages.extend((0..fresh).filter_map(|_| pages.take()));
        Ok(())
    }

    /// Cuts to so many positions, of those that are kept.
    pub(super) fn cut(&mut self, length: usize, pages: &mut Pages) {
        let keep = length.div_ceil(PAGE).saturating_sub(self.first);
        while self.pages.len() > keep {
            if let Some(page) = self.pages.pop_back() {
                pages.give_back(page);
            }
        }
        self.length = length;
        if length == 0 {
            self.first = 0;
        }
    }

    /// A sequence of the first `length` positions in the same pages.
    pub(super) fn share(&self, length: usize, pages: &mut Pages) -> Self {
        let keep = length.div_ceil(PAGE).saturating_sub(self.first);
        let held: VecDeque<usize> = self.pages.iter().take(keep).copied().collect();
        held.iter().for_each(|&page| pages.share(page));
        let first = if length == 0 { 0 } else { self.first };
        Self { length, first, pages: held }
    }
}
