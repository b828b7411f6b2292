//! Where windows lie along an axis.

use std::iter::StepBy;
use std::ops::Range;

use super::Pooling;

/// One spatial axis of a pooling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolAxis {
    /// Input elements.
    pub input: usize,
    /// Output elements, at most as many as there are windows that begin inside the padded input.
    pub output: usize,
    /// Elements of a window.
    pub kernel: usize,
    /// From one window to the next.
    pub stride: usize,
    /// From one element of a window to the next.
    pub dilation: usize,
    /// Padding before the first element.
    pub pad_before: usize,
    /// Padding after the last.
    pub pad_after: usize,
}

/// An axis that is not there.
const NONE: PoolAxis = PoolAxis {
    input: 1,
    output: 1,
    kernel: 1,
    stride: 1,
    dilation: 1,
    pad_before: 0,
    pad_after: 0,
};

/// Axes in front that are not there make it three.
pub(super) fn three(axes: &[PoolAxis]) -> [PoolAxis; 3] {
    assert!(axes.len() <= 3, "expected at most 3 axes, got {}", axes.len());
    let mut three = [NONE; 3];
    three[3 - axes.len()..].copy_from_slice(axes);
    three
}

impl PoolAxis {
    /// All of the axis as one window.
    #[must_use]
    pub const fn global(input: usize) -> Self {
        Self { input, kernel: input, ..NONE }
    }

    /// The elements of the image and of all windows together, with the padding before them.
    pub(super) fn padded(&self) -> usize {
        let reach = (self.kernel - 1) * self.dilation + 1;
        let windows = self.output.saturating_sub(1) * self.stride + reach;
        windows.max(self.pad_before + self.input)
    }

    /// The input elements of a window.
    pub(super) fn inside(&self, at: usize) -> StepBy<Range<usize>> {
        let start = at * self.stride;
        let skipped = self.pad_before.saturating_sub(start).div_ceil(self.dilation);
        let first =
            start + skipped * self.dilation - self.pad_before.min(start + skipped * self.dilation);
        let end = (start + (self.kernel - 1) * self.dilation + 1).saturating_sub(self.pad_before);
        (first..end.min(self.input).max(first)).step_by(self.dilation)
    }

    /// How many elements of a window count for its mean.
    pub(super) fn counted(&self, at: usize, kind: Pooling) -> f32 {
        let count = match kind {
            Pooling::Max | Pooling::Average => self.inside(at).count(),
            Pooling::AverageWithPadding => {
                let padded = self.pad_before + self.input + self.pad_after;
                let reached = padded.saturating_sub(at * self.stride).div_ceil(self.dilation);
                reached.min(self.kernel)
            }
        };
        count as f32
    }
}
