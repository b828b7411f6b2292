//! Operators that move elements.

use std::ffi::c_int;

use super::context::{Context, Kind, Refusal, T, refuse};

impl Context {
    /// A copy with all elements together.
    pub(crate) fn copied(&self, a: T) -> Result<T, Refusal> {
        // SAFETY: any tensor of a plain type.
        self.made(|context| unsafe { (self.library.raw.ggml_cont)(context, a.raw()) })
    }

    /// `a` with all elements together, copied if need be.
    pub(crate) fn together(&self, a: T) -> Result<T, Refusal> {
        if self.is_contiguous(a) { Ok(a) } else { self.copied(a) }
    }

    /// `a` with rows together, copied if need be.
    pub(crate) fn rows(&self, a: T) -> Result<T, Refusal> {
        if a.nb()[0] == 4 { Ok(a) } else { self.copied(a) }
    }

    /// The same elements with other sizes.
    pub(crate) fn reshape(&self, a: T, ne: [i64; 4]) -> Result<T, Refusal> {
        if a.ne() == ne {
            return Ok(a);
        }
        let count = ne.iter().try_fold(1i64, |count, &size| count.checked_mul(size));
        if ne.iter().any(|&size| size < 1) || count != Some(a.elements()) {
            let text = format!("{:?} elements cannot be shaped as {ne:?}", a.ne());
            return Err(refuse("shape", text));
        }
        let a = self.together(a)?;
        // SAFETY: contiguous, and as many elements.
        self.made(|context| unsafe {
            (self.library.raw.ggml_reshape_4d)(context, a.raw(), ne[0], ne[1], ne[2], ne[3])
        })
    }

    /// The elements from `start` on with other sizes, every `step`th of an axis.
    pub(crate) fn cut(
        &self,
        a: T,
        start: [i64; 4],
        ne: [i64; 4],
        step: [i64; 4],
    ) -> Result<T, Refusal> {
        let of = a.ne();
        let inside = |axis: usize| {
            let last =
                (ne[axis] - 1).checked_mul(step[axis]).and_then(|far| far.checked_add(start[axis]));
            ne[axis] >= 1
                && step[axis] >= 1
                && start[axis] >= 0
                && last.is_some_and(|last| last < of[axis])
        };
        if !(0..4).all(inside) || self.block(a.kind()).0 != 1 {
            let text = format!("{ne:?} elements from {start:?} by {step:?} do not lie in {of:?}");
            return Err(refuse("shape", text));
        }
        if step[0] != 1 {
            return self.cut_steps(a, start, ne, step);
        }
        let bytes = |axis: usize, count: i64| usize::try_from(count).unwrap_or(0) * a.nb()[axis];
        let offset = (0..4).map(|axis| bytes(axis, start[axis])).sum();
        let nb: [usize; 3] = [1, 2, 3].map(|axis| bytes(axis, step[axis]));
        // SAFETY: every element of the view lies in `a`.
        self.made(|context| unsafe {
            (self.library.raw.ggml_view_4d)(
                context,
                a.raw(),
                ne[0],
                ne[1],
                ne[2],
                ne[3],
                nb[0],
                nb[1],
                nb[2],
                offset,
            )
        })
    }

    /// As [`Context::cut`] where the fastest axis has steps: ggml's views have none there, so that axis
    /// is cut as the second of a tensor whose first has one element.
    fn cut_steps(&self, a: T, start: [i64; 4], ne: [i64; 4], step: [i64; 4]) -> Result<T, Refusal> {
        let of = a.ne();
        if ne[3] != 1 || of[3] != 1 {
            return Err(refuse("rank", "ggml takes no steps in the last of 4 dimensions"));
        }
        let wide = self.reshape(a, [1, of[0], of[1], of[2]])?;
        let back = |of: [i64; 4], first: i64| [first, of[0], of[1], of[2]];
        let cut = self.cut(wide, back(start, 0), back(ne, 1), back(step, 1))?;
        self.reshape(cut, ne)
    }

    /// The axes in another order: axis `i` of `a` becomes axis `places[i]`.
    pub(crate) fn permute(&self, a: T, places: [usize; 4]) -> Result<T, Refusal> {
        let mut seen = [false; 4];
        places.iter().for_each(|&place| seen[place.min(3)] = true);
        if seen != [true; 4] {
            return Err(refuse("shape", format!("{places:?} is no order of 4 axes")));
        }
        let place = |at: usize| c_int::try_from(places[at]).unwrap_or(0);
        // SAFETY: each axis goes to one place.
        self.made(|context| unsafe {
            (self.library.raw.ggml_permute)(
                context,
                a.raw(),
                place(0),
                place(1),
                place(2),
                place(3),
            )
        })
    }

    /// `a` repeated to these sizes.
    pub(crate) fn repeat(&self, a: T, ne: [i64; 4]) -> Result<T, Refusal> {
        if a.ne() == ne {
            return Ok(a);
        }
        self.expect_f32(a)?;
        let a = self.rows(a)?;
        if ne.iter().zip(a.ne()).any(|(&to, from)| to < 1 || to % from != 0) {
            let text = format!("{:?} elements do not repeat to {ne:?}", a.ne());
            return Err(refuse("shape", text));
        }
        self.expect_size(ne)?;
        // SAFETY: the sizes are multiples.
        self.made(|context| unsafe {
            (self.library.raw.ggml_repeat_4d)(context, a.raw(), ne[0], ne[1], ne[2], ne[3])
        })
    }

    /// `b` behind `a` along an axis.
    pub(crate) fn concat(&self, a: T, b: T, axis: usize) -> Result<T, Refusal> {
        self.expect_f32(a)?;
        self.expect_f32(b)?;
        let differs = |at: &usize| *at != axis && a.ne()[*at] != b.ne()[*at];
        if axis > 3 || (0..4).any(|at| differs(&at)) {
            let text = format!("{:?} and {:?} cannot be joined along {axis}", a.ne(), b.ne());
            return Err(refuse("shape", text));
        }
        let axis = c_int::try_from(axis).unwrap_or(0);
        // SAFETY: both f32, and equal but for the axis.
        self.made(|context| unsafe {
            (self.library.raw.ggml_concat)(context, a.raw(), b.raw(), axis)
        })
    }

    /// Zeros in front of and behind each axis.
    pub(crate) fn pad(&self, a: T, pads: [(i64, i64); 4]) -> Result<T, Refusal> {
        if pads == [(0, 0); 4] {
            return Ok(a);
        }
        self.expect_f32(a)?;
        let a = self.together(a)?;
        /// More is no padding.
        const MOST: i64 = 1 << 24;
        let fits = |pad: i64| (0..MOST).contains(&pad);
        if !pads.iter().all(|&(front, back)| fits(front) && fits(back)) {
            return Err(refuse("attribute", format!("ggml does not pad by {pads:?}")));
        }
        let pad =
            pads.map(|(front, back)| [front, back].map(|pad| c_int::try_from(pad).unwrap_or(0)));
        let of = a.ne();
        self.expect_size([0, 1, 2, 3].map(|axis| of[axis] + pads[axis].0 + pads[axis].1))?;
        // SAFETY: contiguous f32, and pads that are not negative.
        self.made(|context| unsafe {
            (self.library.raw.ggml_pad_ext)(
                context,
                a.raw(),
                pad[0][0],
                pad[0][1],
                pad[1][0],
                pad[1][1],
                pad[2][0],
                pad[2][1],
                pad[3][0],
                pad[3][1],
            )
        })
    }

    /// The rows of a table that `indices` name. Whoever runs this checks that they are there.
    pub(crate) fn get_rows(&self, table: T, indices: T) -> Result<T, Refusal> {
        let (of, ne) = (table.ne(), indices.ne());
        let flat = of[2] == 1 && of[3] == 1 && ne[1] == 1 && ne[2] == 1 && ne[3] == 1;
        if indices.kind() != Kind::I32 || !flat || !self.is_contiguous(table) {
            return Err(refuse("shape", format!("{ne:?} indices do not pick rows of {of:?}")));
        }
        self.expect_size([of[0], ne[0], 1, 1])?;
        // SAFETY: one table, and i32 indices of its rows.
        self.made(|context| unsafe {
            (self.library.raw.ggml_get_rows)(context, table.raw(), indices.raw())
        })
    }

    /// Writes rows into a table, at the places that `places` names, and gives the table.
    pub(crate) fn set_rows(&self, table: T, rows: T, places: T) -> Result<T, Refusal> {
        let (of, ne, at) = (table.ne(), rows.ne(), places.ne());
        self.expect_rows(rows)?;
        let flat = [of, ne].iter().all(|ne| ne[2] == 1 && ne[3] == 1) && at[1..] == [1, 1, 1];
        let fits = of[0] == ne[0] && ne[1] == at[0] && places.kind() == Kind::I64;
        if !flat || !fits || !self.is_contiguous(table) {
            return Err(refuse("shape", format!("{ne:?} elements are no rows of {of:?}")));
        }
        // SAFETY: f32 rows as long as those of the table, and a place for each.
        self.made(|context| unsafe {
            (self.library.raw.ggml_set_rows)(context, table.raw(), rows.raw(), places.raw())
        })
    }
}

impl Context {
    /// The first `cells` rows of a table, seen head by head: `[size, cells, heads]`.
    pub(crate) fn heads(
        &self,
        table: T,
        [size, cells, heads]: [i64; 3],
        head_bytes: usize,
    ) -> Result<T, Refusal> {
        let row = table.nb()[1];
        let count = usize::try_from(heads).unwrap_or(usize::MAX);
        if cells > table.ne()[1] || head_bytes.checked_mul(count) != Some(row) {
            return Err(refuse("shape", format!("rows of {row} bytes hold no {heads} heads")));
        }
        // SAFETY: whole heads of rows that the table has.
        self.made(|context| unsafe {
            (self.library.raw.ggml_view_4d)(
                context,
                table.raw(),
                size,
                cells,
                heads,
                1,
                row,
                head_bytes,
                row,
                0,
            )
        })
    }
}
