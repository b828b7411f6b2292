//! How work along lines of elements is shared out: a workgroup per line, or an invocation per line.

use super::source::Filling;

/// Who computes a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sharing {
    /// All invocations of a workgroup.
    Together,
    /// One invocation.
    Alone,
}

/// Invocations of a workgroup.
pub(super) const THREADS: u32 = 64;

impl Sharing {
    /// For lines of so many elements, whose neighbours lie so far apart.
    pub(super) fn of(size: usize, stride: usize) -> Self {
        const SHORT: usize = 32;
        const APART: usize = 32;
        if size <= SHORT || (stride >= APART && size <= 1024) {
            Self::Alone
        } else {
            Self::Together
        }
    }

    /// Workgroups for so many lines.
    pub(super) fn groups(self, lines: usize) -> usize {
        match self {
            Self::Together => lines,
            Self::Alone => lines.div_ceil(THREADS as usize),
        }
    }

    /// Fills in `{{line}}`, the number of the line, `{{first}}` and `{{step}}` of a loop over it, and what
    /// sums and the greatest of all are.
    pub(super) fn fill(self, filling: &mut Filling) {
        let group = "(group.y * groups.x + group.x)";
        match self {
            Self::Together => {
                filling.text("line", group);
                filling.text("first", "lane");
                filling.text("step", "{{threads}}");
                filling.text("all_sum", "sum_together(lane, sum)");
                filling.text("all_greatest", "greatest_together(lane, most)");
                filling.text("shared", "var<workgroup> shared_sums: array<f32, 64>;\n");
            }
            Self::Alone => {
                filling.text("line", format!("{group} * {{{{threads}}}} + lane"));
                filling.text("first", "0u");
                filling.text("step", "1u");
                filling.text("all_sum", "sum");
                filling.text("all_greatest", "most");
                filling.text("shared", "");
            }
        }
    }
}
