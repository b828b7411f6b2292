//! Conversion of elements between any two dtypes, as Cast has it.
//!
//! Every source is read as exact whole numbers, as `f64` or as texts, and every target rounds once
//! from there. Where ONNX leaves the result open: a float that does not fit an integer saturates (it
//! wraps in integers of 2 and 4 bits), NaN becomes 0 there, and -0 in 4-bit floats.

mod texts;

use remuda_ir::OpError;
use remuda_tensor::float8::{E2M1, E2M3, E3M2, E4M3FN, E4M3FNUZ, E5M2, E5M2FNUZ, Overflow};
use remuda_tensor::{DType, Element, Tensor, bf16, dispatch_int, f16, packed};

use super::numbers::Wrapping;
use super::unsupported_dtype;

/// How numbers become powers of two (`f8e8m0`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PowerRounding {
    /// Away from zero.
    Up,
    /// Toward zero.
    Down,
    /// To the nearest, ties up.
    Nearest,
}

/// What Cast's attributes choose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rounding {
    /// What becomes of values outside an 8-bit float's range.
    pub(crate) overflow: Overflow,
    /// How numbers become powers of two.
    pub(crate) power: PowerRounding,
}

impl Rounding {
    /// What holds without attributes.
    pub(crate) const DEFAULT: Self =
        Self { overflow: Overflow::Saturate, power: PowerRounding::Up };
}

/// Elements read without loss.
enum Values {
    Ints(Vec<i128>),
    Floats(Vec<f64>),
}

/// The tensor with each element converted to `to`.
pub(crate) fn convert(tensor: &Tensor, to: DType, rounding: Rounding) -> Result<Tensor, OpError> {
    if tensor.dtype() == to {
        return Ok(tensor.clone());
    }
    let dims = tensor.dims();
    if to == DType::String {
        return Ok(Tensor::from_strings(dims, texts::print(tensor)?)?);
    }
    let values = match tensor.dtype() {
        DType::String => texts::read(&tensor.texts(), to)?,
        _ => read(tensor)?,
    };
    match values {
        Values::Ints(values) => from_ints(dims, &values, to, rounding),
        Values::Floats(values) => from_floats(dims, &values, to, rounding),
    }
}

fn read(tensor: &Tensor) -> Result<Values, OpError> {
    Ok(match tensor.dtype() {
        DType::U64 => Values::Ints(tensor.to_vec::<u64>()?.into_iter().map(i128::from).collect()),
        dtype if dtype.is_int() || dtype == DType::Bool => {
            Values::Ints(tensor.to_i64_vec()?.into_iter().map(i128::from).collect())
        }
        dtype if dtype.is_float() => Values::Floats(tensor.to_f64_vec()?),
        other => return Err(unsupported_dtype(other)),
    })
}

fn from_ints(
    dims: &[usize],
    values: &[i128],
    to: DType,
    rounding: Rounding,
) -> Result<Tensor, OpError> {
    if to == DType::Bool {
        return Ok(Tensor::from_vec::<bool>(dims, values.iter().map(|&x| x != 0).collect())?);
    }
    if to.is_packed() && to.is_int() {
        let low: Vec<i8> = values.iter().map(|&x| x as i8).collect();
        return Ok(Tensor::from_bytes(to, dims, &packed::pack(to, &low))?);
    }
    if to == DType::F32 {
        return Ok(Tensor::from_vec::<f32>(dims, values.iter().map(|&x| x as f32).collect())?);
    }
    if to.is_float() {
        let floats: Vec<f64> = values.iter().map(|&x| x as f64).collect();
        return from_floats(dims, &floats, to, rounding);
    }
    dispatch_int!(to, T => {
        Ok(Tensor::from_vec::<T>(dims, values.iter().map(|&x| T::wrap(x)).collect())?)
    }, else Err(unsupported_dtype(to)))
}

fn from_floats(
    dims: &[usize],
    values: &[f64],
    to: DType,
    rounding: Rounding,
) -> Result<Tensor, OpError> {
    fn all<T: Element>(
        dims: &[usize],
        values: &[f64],
        f: impl Fn(f64) -> T,
    ) -> Result<Tensor, OpError> {
        Ok(Tensor::from_vec::<T>(dims, values.iter().map(|&x| f(x)).collect())?)
    }
    let small = |encode: &dyn Fn(f32) -> u8| {
        let bytes: Vec<u8> = values.iter().map(|&x| encode(to_odd_f32(x))).collect();
        Ok(Tensor::from_bytes(to, dims, &bytes)?)
    };
    let overflow = rounding.overflow;
    match to {
        DType::F64 => all::<f64>(dims, values, |x| x),
        DType::F32 => all::<f32>(dims, values, |x| x as f32),
        DType::F16 => all::<f16>(dims, values, |x| f16::from_f32(to_odd_f32(x))),
        DType::BF16 => all::<bf16>(dims, values, |x| bf16::from_f32(to_odd_f32(x))),
        DType::F8E4M3FN => small(&|x| E4M3FN.encode(x, overflow)),
        DType::F8E4M3FNUZ => small(&|x| E4M3FNUZ.encode(x, overflow)),
        DType::F8E5M2 => small(&|x| E5M2.encode(x, overflow)),
        DType::F8E5M2FNUZ => small(&|x| E5M2FNUZ.encode(x, overflow)),
        DType::F8E8M0 => small(&|x| power_of_two(x, rounding)),
        DType::F6E2M3 => packed_floats(dims, values, to, |x| E2M3.encode(x, Overflow::Saturate)),
        DType::F6E3M2 => packed_floats(dims, values, to, |x| E3M2.encode(x, Overflow::Saturate)),
        DType::F4E2M1 => packed_floats(dims, values, to, four_bits),
        DType::Bool => all::<bool>(dims, values, |x| x != 0.0),
        _ if to.is_packed() => {
            let ints: Vec<i128> = values.iter().map(|&x| x as i128).collect();
            from_ints(dims, &ints, to, rounding)
        }
        _ => dispatch_int!(to, T => all::<T>(dims, values, T::from_f64),
            else Err(unsupported_dtype(to))),
    }
}

/// The `f32` next to the value toward zero, its last bit set if that is not exact: rounding this to a
/// narrower float gives what rounding the value itself would.
fn to_odd_f32(value: f64) -> f32 {
    let near = value as f32;
    if f64::from(near) == value || !near.is_finite() || value.is_nan() {
        return near;
    }
    let below =
        if f64::from(near).abs() > value.abs() { near.to_bits() - 1 } else { near.to_bits() };
    f32::from_bits(below | 1)
}

fn packed_floats(
    dims: &[usize],
    values: &[f64],
    to: DType,
    encode: impl Fn(f32) -> u8,
) -> Result<Tensor, OpError> {
    let codes: Vec<i8> = values.iter().map(|&x| encode(to_odd_f32(x)).cast_signed()).collect();
    Ok(Tensor::from_bytes(to, dims, &packed::pack(to, &codes))?)
}

fn four_bits(value: f32) -> u8 {
    if value.is_nan() { 0x8 } else { E2M1.encode(value, Overflow::Saturate) }
}

/// The bits of a power of two: the exponent of the number's magnitude, rounded.
fn power_of_two(value: f32, rounding: Rounding) -> u8 {
    const NAN: u8 = 0xff;
    const LARGEST: u32 = 0xfe;
    let saturate = rounding.overflow == Overflow::Saturate;
    if value.is_nan() {
        return NAN;
    }
    if value.is_infinite() {
        return if saturate { LARGEST as u8 } else { NAN };
    }
    let bits = value.abs().to_bits();
    let (exponent, fraction) = (bits >> 23, bits & 0x7f_ffff);
    // Below the smallest power, 2^-127, whose bits are those of half the smallest normal number.
    if exponent == 0 && fraction < 0x40_0000 {
        return if saturate { 0 } else { NAN };
    }
    let up = match rounding.power {
        PowerRounding::Up => {
            if exponent == 0 {
                fraction > 0x40_0000
            } else {
                fraction > 0
            }
        }
        PowerRounding::Down => false,
        PowerRounding::Nearest => {
            if exponent == 0 {
                fraction >= 0x60_0000
            } else {
                fraction >= 0x40_0000
            }
        }
    };
    match exponent + u32::from(up) {
        code if code <= LARGEST => code as u8,
        _ if saturate => LARGEST as u8,
        _ => NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::{Overflow, PowerRounding, Rounding, power_of_two, to_odd_f32};
    use remuda_tensor::f16;

    #[test]
    fn rounding_to_odd_rounds_once() {
        // Just above the middle of 1 and the next f16: an f32 in between would land on the middle.
        let value = 1.0 + 2f64.powi(-11) + 2f64.powi(-40);
        assert_eq!(f16::from_f32(to_odd_f32(value)).to_bits(), f16::from_f32(1.0).to_bits() + 1);
        assert_eq!(to_odd_f32(-0.1).to_bits() & 1, 1);
        assert_eq!(to_odd_f32(1e300).to_bits(), f32::INFINITY.to_bits());
    }

    #[test]
    fn powers_of_two_round_as_asked() {
        let code = |value: f32, power| power_of_two(value, Rounding { power, ..Rounding::DEFAULT });
        assert_eq!(code(0.124, PowerRounding::Up), 124);
        assert_eq!(code(0.124, PowerRounding::Down), 123);
        assert_eq!(code(1.5, PowerRounding::Nearest), 128);
        assert_eq!(code(1.4, PowerRounding::Nearest), 127);
        assert_eq!(code(0.0, PowerRounding::Up), 0);
        assert_eq!(code(f32::MAX, PowerRounding::Up), 254);
        let strict = Rounding { overflow: Overflow::Special, power: PowerRounding::Nearest };
        for value in [0.0, f32::INFINITY, f32::MAX, f32::NAN] {
            assert_eq!(power_of_two(value, strict), 255, "{value}");
        }
    }
}
