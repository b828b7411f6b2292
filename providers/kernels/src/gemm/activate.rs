//! Activations that are more than bounds, over a row of a tile.

use remuda_simd::{Isa, Kernel, Simd, math};

use super::epilogue::Activation;

/// Replaces every value by the activation's result.
pub(crate) fn activate(isa: Isa, activation: Activation, values: &mut [f32]) {
    match activation {
        Activation::None => {}
        Activation::Relu => each(isa, values, Clip(0.0, f32::INFINITY)),
        Activation::Clip { low, high } => each(isa, values, Clip(low, high)),
        Activation::LeakyRelu { alpha } => each(isa, values, Leaky(alpha)),
        Activation::HardSigmoid { alpha, beta } => each(isa, values, HardSigmoid(alpha, beta)),
        Activation::HardSwish => each(isa, values, HardSwish),
        Activation::Sigmoid => each(isa, values, Sigmoid),
        Activation::Tanh => each(isa, values, Tanh),
        Activation::Swish { alpha } => each(isa, values, Swish(alpha)),
        Activation::Gelu => each(isa, values, Gelu),
        Activation::GeluTanh => each(isa, values, GeluTanh),
    }
}

/// A function of one vector.
trait Map: Copy {
    fn map<S: Simd>(self, simd: S, x: S::F32) -> S::F32;
}

struct Each<'a, M> {
    values: &'a mut [f32],
    map: M,
}

fn each<M: Map>(isa: Isa, values: &mut [f32], map: M) {
    isa.run(Each { values, map });
}

impl<M: Map> Kernel for Each<'_, M> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let mut chunks = self.values.chunks_exact_mut(S::LANES);
        for chunk in &mut chunks {
            let value = simd.load(chunk);
            simd.store(self.map.map(simd, value), chunk);
        }
        let tail = chunks.into_remainder();
        if !tail.is_empty() {
            let value = simd.load_partial(tail, 0.0);
            simd.store_partial(self.map.map(simd, value), tail);
        }
    }
}

#[derive(Clone, Copy)]
struct Clip(f32, f32);

impl Map for Clip {
    #[inline(always)]
    fn map<S: Simd>(self, simd: S, x: S::F32) -> S::F32 {
        simd.min(simd.splat(self.1), simd.max(simd.splat(self.0), x))
    }
}

#[derive(Clone, Copy)]
struct Leaky(f32);

impl Map for Leaky {
    #[inline(always)]
    fn map<S: Simd>(self, simd: S, x: S::F32) -> S::F32 {
        simd.select(simd.lt(x, simd.zero()), simd.mul(x, simd.splat(self.0)), x)
    }
}

#[derive(Clone, Copy)]
struct HardSigmoid(f32, f32);

impl Map for HardSigmoid {
    #[inline(always)]
    fn map<S: Simd>(self, simd: S, x: S::F32) -> S::F32 {
        math::hard_sigmoid(simd, x, self.0, self.1)
    }
}

#[derive(Clone, Copy)]
struct HardSwish;

impl Map for HardSwish {
    #[inline(always)]
    fn map<S: Simd>(self, simd: S, x: S::F32) -> S::F32 {
        math::hard_swish(simd, x)
    }
}

#[derive(Clone, Copy)]
struct Sigmoid;

impl Map for Sigmoid {
    #[inline(always)]
    fn map<S: Simd>(self, simd: S, x: S::F32) -> S::F32 {
        math::sigmoid(simd, x)
    }
}

#[derive(Clone, Copy)]
struct Tanh;

impl Map for Tanh {
    #[inline(always)]
    fn map<S: Simd>(self, simd: S, x: S::F32) -> S::F32 {
        math::tanh(simd, x)
    }
}

#[derive(Clone, Copy)]
struct Swish(f32);

impl Map for Swish {
    #[inline(always)]
    fn map<S: Simd>(self, simd: S, x: S::F32) -> S::F32 {
        simd.mul(x, math::sigmoid(simd, simd.mul(x, simd.splat(self.0))))
    }
}

#[derive(Clone, Copy)]
struct Gelu;

impl Map for Gelu {
    #[inline(always)]
    fn map<S: Simd>(self, simd: S, x: S::F32) -> S::F32 {
        math::gelu(simd, x)
    }
}

#[derive(Clone, Copy)]
struct GeluTanh;

impl Map for GeluTanh {
    #[inline(always)]
    fn map<S: Simd>(self, simd: S, x: S::F32) -> S::F32 {
        math::gelu_tanh(simd, x)
    }
}
