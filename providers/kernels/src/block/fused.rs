//! What comes right before a product in a language model, done while its activations are taken in,
//! so that the values in between never go to memory.

use remuda_simd::{Kernel, Simd, math};

use super::{Activations, Grain};
use crate::Context;
use crate::norm::{Affine, RowNorm, norm};

impl Activations {
    /// Takes in the tokens of `rows`, each brought to a mean square of one and multiplied with
    /// `weight`; `epsilon` is added to the mean square.
    ///
    /// # Panics
    /// When `rows` is no whole number of tokens as long as `weight`.
    pub fn fill_rms_norm(
        &mut self,
        cx: Context<'_>,
        grain: Grain,
        (weight, epsilon): (&[f32], f32),
        rows: &[f32],
    ) {
        let depth = weight.len();
        assert!(depth > 0 && rows.len().is_multiple_of(depth), "whole rows of {depth}");
        let affine = Affine { scale: weight, bias: None };
        self.fill_with(cx, grain, [rows.len() / depth, depth], |token, out| {
            let row = &rows[token * depth..][..depth];
            norm(cx, RowNorm::Rms(epsilon), affine, row, out);
        });
    }

    /// Takes in `silu(gate) * up` of every token.
    ///
    /// # Panics
    /// When `gate` and `up` are not the same whole number of tokens.
    pub fn fill_swiglu(
        &mut self,
        cx: Context<'_>,
        grain: Grain,
        depth: usize,
        (gate, up): (&[f32], &[f32]),
    ) {
        assert!(depth > 0 && gate.len().is_multiple_of(depth), "whole rows of {depth}");
        assert_eq!(gate.len(), up.len(), "as many values as gates");
        self.fill_with(cx, grain, [gate.len() / depth, depth], |token, out| {
            let at = token * depth..(token + 1) * depth;
            cx.run(SwiGlu { gate: &gate[at.clone()], up: &up[at], out });
        });
    }
}

struct SwiGlu<'a> {
    gate: &'a [f32],
    up: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for SwiGlu<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let inputs = self.gate.chunks(S::LANES).zip(self.up.chunks(S::LANES));
        for ((gate, up), out) in inputs.zip(self.out.chunks_mut(S::LANES)) {
            let (gate, up) = (s.load_partial(gate, 0.0), s.load_partial(up, 0.0));
            s.store_partial(s.mul(math::silu(s, gate), up), out);
        }
    }
}
