//! Random numbers of operators: the 32-bit Mersenne twister of `NumPy`'s `RandomState`.
//!
//! The same seed gives the same numbers on every machine, and those that ONNX's own reference draws
//! for uniform and normal numbers. A node without a seed draws a fresh one for each run.

use std::hash::{BuildHasher, Hasher, RandomState};

use remuda_ir::{Attrs, InferCtx, Inferred, OpError, Val};
use remuda_tensor::{DType, Dim, Element, Tensor, dispatch_numeric_or_bool};

use super::dtypes::dtype_attr;
use super::unsupported_dtype;

const WORDS: usize = 624;
const SHIFT: usize = 397;

/// A stream of random numbers.
pub(crate) struct Twister {
    state: [u32; WORDS],
    next: usize,
    spare_normal: Option<f64>,
}

impl Twister {
    /// The stream of a seed.
    pub(crate) fn new(seed: u32) -> Self {
        let mut state = [seed; WORDS];
        for at in 1..WORDS {
            let before = state[at - 1];
            state[at] =
                (before ^ (before >> 30)).wrapping_mul(1_812_433_253).wrapping_add(at as u32);
        }
        Self { state, next: WORDS, spare_normal: None }
    }

    /// The stream that a node's `seed` asks for: a float whose fraction and upper bits do not count.
    pub(crate) fn of_float_seed(attrs: &Attrs) -> Result<Self, OpError> {
        let seed = attrs.float("seed")?.filter(|seed| !seed.is_nan());
        Ok(Self::new(seed.map_or_else(fresh_seed, |seed| seed as i64 as u32)))
    }

    /// The stream that a node's `seed` asks for: an integer whose upper bits do not count.
    pub(crate) fn of_int_seed(attrs: &Attrs) -> Result<Self, OpError> {
        Ok(Self::new(attrs.int("seed")?.map_or_else(fresh_seed, |seed| seed as u32)))
    }

    fn refill(&mut self) {
        for at in 0..WORDS {
            let joined =
                (self.state[at] & 0x8000_0000) | (self.state[(at + 1) % WORDS] & 0x7fff_ffff);
            let twist = if joined & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[at] = self.state[(at + SHIFT) % WORDS] ^ (joined >> 1) ^ twist;
        }
        self.next = 0;
    }

    fn bits(&mut self) -> u32 {
        if self.next == WORDS {
            self.refill();
        }
        let mut bits = self.state[self.next];
        self.next += 1;
        bits ^= bits >> 11;
        bits ^= (bits << 7) & 0x9d2c_5680;
        bits ^= (bits << 15) & 0xefc6_0000;
        bits ^ (bits >> 18)
    }

    /// A number from 0 on, below 1, of 53 random bits.
    pub(crate) fn uniform(&mut self) -> f64 {
        let (high, low) = (self.bits() >> 5, self.bits() >> 6);
        (f64::from(high) * 67_108_864.0 + f64::from(low)) / 9_007_199_254_740_992.0
    }

    /// A number of the normal distribution of mean 0 and deviation 1, by Marsaglia's polar method.
    pub(crate) fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare_normal.take() {
            return spare;
        }
        loop {
            let (x, y) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let square = x * x + y * y;
            if square < 1.0 && square > 0.0 {
                let factor = (-2.0 * square.ln() / square).sqrt();
                self.spare_normal = Some(factor * x);
                return factor * y;
            }
        }
    }
}

/// A tensor of numbers drawn one after the other.
pub(crate) fn draw(
    dtype: DType,
    dims: &[usize],
    mut number: impl FnMut() -> f64,
) -> Result<Vec<Val>, OpError> {
    let count = dims.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim));
    let mut values: Vec<f64> = Vec::new();
    if count.is_none_or(|count| values.try_reserve_exact(count).is_err()) {
        return Err(OpError::Resource(format!("dimensions {dims:?} do not fit in memory")));
    }
    values.extend((0..count.unwrap_or(0)).map(|_| number()));
    dispatch_numeric_or_bool!(dtype, T => {
        let values = values.into_iter().map(T::from_f64).collect();
        Ok(vec![Tensor::from_vec::<T>(dims, values)?.into()])
    }, else Err(unsupported_dtype(dtype)))
}

/// The dimensions that attribute `shape` asks for.
pub(crate) fn shape_attr(attrs: &Attrs) -> Result<Vec<usize>, OpError> {
    let shape =
        attrs.ints("shape")?.ok_or_else(|| OpError::invalid("attribute `shape` is missing"))?;
    let dims = shape.iter().map(|&dim| usize::try_from(dim)).collect::<Result<_, _>>();
    dims.map_err(|_| OpError::Invalid(format!("attribute `shape` expected sizes, got {shape:?}")))
}

/// A float dtype that attribute `dtype` asks for.
pub(crate) fn float_dtype(attrs: &Attrs, default: DType) -> Result<DType, OpError> {
    let dtype = dtype_attr(attrs, "dtype")?.unwrap_or(default);
    if matches!(dtype, DType::F32 | DType::F64 | DType::F16 | DType::BF16) {
        return Ok(dtype);
    }
    Err(OpError::Invalid(format!("attribute `dtype` expected a float type, got `{dtype}`")))
}

/// Shape rule: what attributes `shape` and `dtype` say.
pub(crate) fn asked_type(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dims = shape_attr(ctx.attrs())?;
    Ok(vec![Inferred::tensor(
        float_dtype(ctx.attrs(), DType::F32)?,
        dims.into_iter().map(Dim::from),
    )])
}

/// Shape rule: the dimensions of input 0, of its dtype or the float type that `dtype` asks for.
pub(crate) fn type_like_first(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = float_dtype(ctx.attrs(), ctx.dtype(0)?)?;
    Ok(vec![Inferred::maybe(dtype, ctx.dims(0)?.map(<[Dim]>::to_vec))])
}

/// A seed that nobody chose: the standard library's random hash keys.
fn fresh_seed() -> u32 {
    RandomState::new().build_hasher().finish() as u32
}

#[cfg(test)]
mod tests {
    use super::Twister;

    #[test]
    fn the_numbers_are_numpys() {
        let mut random = Twister::new(42);
        assert_eq!(random.uniform().to_bits(), 0.374_540_118_847_362_5f64.to_bits());
        assert_eq!(random.uniform().to_bits(), 0.950_714_306_409_916_2f64.to_bits());
        let mut random = Twister::new(42);
        let normals = [0.496_714_153_011_233_1, -0.138_264_301_171_184_66, 0.647_688_538_100_692_5];
        for want in normals {
            assert!((random.normal() - want).abs() < 1e-14);
        }
        // The state is refilled in between.
        let mut random = Twister::new(7);
        let last = (0..1000).map(|_| random.uniform()).last().unwrap();
        assert!((last - LAST_OF_SEVEN).abs() < 1e-15);
    }

    const LAST_OF_SEVEN: f64 = 0.016_448_753_231_374_513;
}
