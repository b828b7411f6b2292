//! Random inputs from a seed, the same on every machine.

use remuda_tensor::{DType, Element, Tensor, dispatch_numeric_or_bool, packed};

/// A small deterministic generator (`SplitMix64`).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A generator that repeats itself for the same seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number from 0 on, below `bound` (0 when `bound` is 0).
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next_u64() % bound.max(1) as u64) as usize
    }

    /// A number from -1 to 1.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}

/// A tensor of random elements: floats in -2..2, integers small, texts of a few letters.
///
/// # Errors
/// When the dimensions cannot be addressed, or for block formats and complex numbers.
pub fn random_tensor(
    random: &mut Random,
    dtype: DType,
    dims: &[usize],
) -> Result<Tensor, remuda_tensor::TensorError> {
    let count = dims.iter().product::<usize>();
    if dtype == DType::String {
        let texts = (0..count).map(|_| format!("s{}", random.below(9))).collect();
        return Tensor::from_strings(dims, texts);
    }
    if dtype.is_packed() {
        let values: Vec<i8> = (0..count).map(|_| random.next_u64() as i8).collect();
        return Tensor::from_bytes(dtype, dims, &packed::pack(dtype, &values));
    }
    dispatch_numeric_or_bool!(dtype, T => {
        let mut element = || match dtype {
            DType::Bool => (random.next_u64() & 1) as f64,
            _ if dtype.is_float() => 2.0 * random.unit(),
            _ if dtype.is_unsigned_int() => random.below(8) as f64,
            _ => random.below(15) as f64 - 7.0,
        };
        Tensor::from_vec(dims, (0..count).map(|_| T::from_f64(element())).collect::<Vec<_>>())
    }, else {
        let bytes: Vec<u8> = (0..dtype.bytes_for(count).unwrap_or(0)).map(|_| random.next_u64() as u8 & 0x3f).collect();
        Tensor::from_bytes(dtype, dims, &bytes)
    })
}
