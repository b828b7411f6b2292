//! The output, written row by row from several threads.
#![expect(unsafe_code, reason = "rows of one task do not lie together in the output")]

use std::marker::PhantomData;

use super::{Order, Sizes};
use crate::pool::Shared;

/// Exclusive use of an output whose rows are handed to tasks.
pub(super) struct SharedRows<'a, T> {
    pointer: Shared<T>,
    length: usize,
    sizes: Sizes,
    order: Order,
    borrow: PhantomData<&'a mut [T]>,
}

impl<'a, T> SharedRows<'a, T> {
    pub(super) fn new(out: &'a mut [T], sizes: Sizes, order: Order) -> Self {
        let (length, pointer) = (out.len(), Shared::new(out.as_mut_ptr()));
        Self { pointer, length, sizes, order, borrow: PhantomData }
    }

    /// The row of a query.
    ///
    /// # Safety
    /// No other row of the same query may be alive.
    #[expect(clippy::mut_from_ref, reason = "rows of different queries do not overlap")]
    pub(super) unsafe fn row(&self, batch: usize, head: usize, query: usize) -> &mut [T] {
        let Sizes { heads, queries, value_size, .. } = self.sizes;
        let row = match self.order {
            Order::HeadsFirst => (batch * heads + head) * queries + query,
            Order::PositionsFirst => (batch * queries + query) * heads + head,
        };
        let start = row * value_size;
        assert!(head < heads && query < queries && start + value_size <= self.length, "a row");
        // SAFETY: the row lies within the slice that `self` borrows exclusively, rows of different
        // queries do not overlap, and the caller holds no other row of this one.
        unsafe { std::slice::from_raw_parts_mut(self.pointer.pointer().add(start), value_size) }
    }
}
