//! Products of matrices, rotations and attention.

use std::ffi::c_int;

use super::context::{Context, Kind, Refusal, T, refuse};

/// How pairs of features are turned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rope {
    /// Features that are turned, from the first on.
    pub(crate) size: i64,
    /// Whether neighbours are a pair, or features half of `size` apart.
    pub(crate) neighbours: bool,
    /// What the results are multiplied by.
    pub(crate) factor: f32,
}

impl Context {
    /// Rows of `b` times rows of `a`: `[n, m]` of `[k, n]` and `[k, m]`. `a` is repeated over the
    /// outer axes of `b`.
    pub(crate) fn mul_mat(&self, a: T, b: T) -> Result<T, Refusal> {
        self.expect_rows(b)?;
        let (of, by) = (a.ne(), b.ne());
        let fits = of[0] == by[0] && by[2] % of[2] == 0 && by[3] % of[3] == 0;
        let (elements, bytes) = self.block(a.kind());
        let rows = elements > 1 || i64::try_from(a.nb()[0]) == Ok(bytes);
        if !fits || !rows || a.nb()[0] > a.nb()[1] {
            return Err(refuse("shape", format!("ggml has no product of {of:?} and {by:?}")));
        }
        self.expect_size([of[1], by[1], by[2], by[3]])?;
        // SAFETY: rows of one length, and outer sizes that are multiples.
        let y = self.made(|context| unsafe {
            (self.library.raw.ggml_mul_mat)(context, a.raw(), b.raw())
        })?;
        self.add_work(y.elements().saturating_mul(of[0]));
        Ok(y)
    }

    /// Turns pairs of features of `[features, heads, tokens]` by the tokens' positions divided by
    /// `divisors`, one for each pair.
    pub(crate) fn rope(&self, a: T, positions: T, divisors: T, rope: Rope) -> Result<T, Refusal> {
        self.expect_rows(a)?;
        self.expect_f32(divisors)?;
        let (of, at) = (a.ne(), positions.ne());
        let fits = positions.kind() == Kind::I32
            && at == [of[2], 1, 1, 1]
            && of[3] == 1
            && rope.size >= 2
            && rope.size % 2 == 0
            && rope.size <= of[0]
            && divisors.ne()[0] >= rope.size / 2;
        if !fits {
            return Err(refuse("shape", format!("{at:?} positions do not fit {of:?}")));
        }
        const NEOX: c_int = 2;
        let mode = if rope.neighbours { 0 } else { NEOX };
        let size = c_int::try_from(rope.size).unwrap_or(0);
        // SAFETY: f32 rows, an i32 position per token, a divisor per pair.
        self.made(|context| unsafe {
            (self.library.raw.ggml_rope_ext)(
                context,
                a.raw(),
                positions.raw(),
                divisors.raw(),
                size,
                mode,
                0,
                1.0,
                1.0,
                0.0,
                rope.factor,
                0.0,
                0.0,
            )
        })
    }

    /// Attention of `[size, tokens, heads]` to `[size, cells, key heads]`; gives
    /// `[size, heads, tokens]`. The mask is `[cells, tokens]`.
    pub(crate) fn attention(
        &self,
        [query, keys, values]: [T; 3],
        mask: T,
        (scale, cap): (f32, f32),
    ) -> Result<T, Refusal> {
        let (q, k, v, m) = (query.ne(), keys.ne(), values.ne(), mask.ne());
        self.expect_rows(query)?;
        let fits = q[0] == k[0]
            && k[1] == v[1]
            && k[2] == v[2]
            && q[2] % k[2] == 0
            && [q[3], k[3], v[3], m[2], m[3]] == [1; 5]
            && m[0] == k[1]
            && m[1] >= q[1]
            && mask.kind() == Kind::F16
            && self.is_contiguous(mask);
        if !fits {
            return Err(refuse("shape", format!("ggml has no attention of {q:?} to {k:?}, {v:?}")));
        }
        self.add_work(query.elements().saturating_mul(k[1]).saturating_mul(2));
        // SAFETY: sizes that fit each other, and a contiguous f16 mask.
        self.made(|context| unsafe {
            (self.library.raw.ggml_flash_attn_ext)(
                context,
                query.raw(),
                keys.raw(),
                values.raw(),
                mask.raw(),
                scale,
                0.0,
                cap,
            )
        })
    }
}
