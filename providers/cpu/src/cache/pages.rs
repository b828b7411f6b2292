//! The memory of a cache: pages of one size, counted by how many sequences hold them.

use remuda_tensor::storage::AlignedBytes;

/// All pages, free ones and those in use.
pub(super) struct Pages {
    memory: AlignedBytes,
    page_bytes: usize,
    holders: Vec<u32>,
    free: Vec<usize>,
}

impl std::fmt::Debug for Pages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pages({} free of {})", self.free.len(), self.holders.len())
    }
}

impl Pages {
    /// `count` free pages, or `None` when no memory can be had.
    pub(super) fn new(count: usize, page_bytes: usize) -> Option<Self> {
        let memory = AlignedBytes::try_zeroed(count.checked_mul(page_bytes)?)?;
        let free = (0..count).rev().collect();
        Some(Self { memory, page_bytes, holders: vec![0; count], free })
    }

    pub(super) fn bytes(&self) -> usize {
        self.memory.len()
    }

    pub(super) fn free_count(&self) -> usize {
        self.free.len()
    }

    /// A page that the caller alone holds.
    pub(super) fn take(&mut self) -> Option<usize> {
        let page = self.free.pop()?;
        self.holders[page] = 1;
        Some(page)
    }

    /// Counts one more holder.
    pub(super) fn share(&mut self, page: usize) {
        self.holders[page] += 1;
    }

    /// Counts one holder less; a page that nobody holds is free.
    pub(super) fn give_back(&mut self, page: usize) {
        self.holders[page] -= 1;
        if self.holders[page] == 0 {
            self.free.push(page);
        }
    }

    pub(super) fn is_shared(&self, page: usize) -> bool {
        self.holders[page] > 1
    }

    pub(super) fn page(&self, page: usize) -> &[u8] {
        &self.memory.bytes()[page * self.page_bytes..][..self.page_bytes]
    }

    pub(super) fn page_mut(&mut self, page: usize) -> &mut [u8] {
        &mut self.memory.bytes_mut()[page * self.page_bytes..][..self.page_bytes]
    }

    /// Makes one page hold what another does.
    pub(super) fn copy(&mut self, from: usize, to: usize) {
        let from = from * self.page_bytes;
        let range = from..from + self.page_bytes;
        self.memory.bytes_mut().copy_within(range, to * self.page_bytes);
    }
}
