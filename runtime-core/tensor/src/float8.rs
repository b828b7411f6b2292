//! The 8-bit, 6-bit and 4-bit floating-point types: bit-exact conversion from and to 32-bit floats.
//!
//! Narrowing rounds to nearest, ties to even. What happens beyond the largest finite value is the
//! caller's choice ([`Overflow`]): saturate, as ONNX's Cast does by default, or become NaN/infinity.

/// What a value beyond the largest finite one becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// The largest finite value of the same sign.
    Saturate,
    /// Infinity where the type has it, else NaN.
    Special,
}

/// The layout of a small float.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    mantissa_bits: u32,
    bias: i32,
    /// The bits (without sign) of the largest finite value.
    largest: u8,
    /// The bits (without sign) of infinity, if there is one.
    infinity: Option<u8>,
    nan: u8,
    has_negative_zero: bool,
    sign_bit: u8,
}

/// 4 exponent bits, 3 mantissa bits, no infinity.
pub const E4M3FN: Layout = Layout {
    mantissa_bits: 3,
    bias: 7,
    largest: 0x7e,
    infinity: None,
    nan: 0x7f,
    has_negative_zero: true,
    sign_bit: 0x80,
};
/// As [`E4M3FN`] with another bias; the pattern of negative zero is NaN.
pub const E4M3FNUZ: Layout = Layout {
    mantissa_bits: 3,
    bias: 8,
    largest: 0x7f,
    infinity: None,
    nan: 0x80,
    has_negative_zero: false,
    sign_bit: 0x80,
};
/// 5 exponent bits, 2 mantissa bits, infinity and NaN as IEEE has them.
pub const E5M2: Layout = Layout {
    mantissa_bits: 2,
    bias: 15,
    largest: 0x7b,
    infinity: Some(0x7c),
    nan: 0x7f,
    has_negative_zero: true,
    sign_bit: 0x80,
};
/// As [`E5M2`] with another bias; the pattern of negative zero is NaN.
pub const E5M2FNUZ: Layout = Layout {
    mantissa_bits: 2,
    bias: 16,
    largest: 0x7f,
    infinity: None,
    nan: 0x80,
    has_negative_zero: false,
    sign_bit: 0x80,
};
/// 2 exponent bits, 3 mantissa bits, finite only: up to 7.5. What is no number becomes a zero of the other sign.
pub const E2M3: Layout = Layout {
    mantissa_bits: 3,
    bias: 1,
    largest: 0x1f,
    infinity: None,
    nan: 0x20,
    has_negative_zero: true,
    sign_bit: 0x20,
};
/// 3 exponent bits, 2 mantissa bits, finite only: up to 28. What is no number becomes a zero of the other sign.
pub const E3M2: Layout = Layout { mantissa_bits: 2, bias: 3, ..E2M3 };
/// 2 exponent bits, 1 mantissa bit, finite only: 0, 0.5, 1, 1.5, 2, 3, 4, 6.
pub const E2M1: Layout = Layout {
    mantissa_bits: 1,
    bias: 1,
    largest: 0x7,
    infinity: None,
    nan: 0x7,
    has_negative_zero: true,
    sign_bit: 0x8,
};

impl Layout {
    fn nan_bits(self, sign: u8) -> u8 {
        if self.has_negative_zero { sign ^ self.nan } else { self.nan }
    }

    /// The value of these bits.
    #[must_use]
    pub fn decode(self, bits: u8) -> f32 {
        let magnitude = bits & (self.sign_bit - 1);
        let negative = bits & self.sign_bit != 0;
        let is_nan = if self.has_negative_zero {
            magnitude > self.largest && Some(magnitude) != self.infinity
        } else {
            bits == self.nan
        };
        if is_nan {
            return f32::NAN.copysign(if negative { -1.0 } else { 1.0 });
        }
        if Some(magnitude) == self.infinity {
            return if negative { f32::NEG_INFINITY } else { f32::INFINITY };
        }
        let value = self.decode_finite(magnitude);
        if negative { -value } else { value }
    }

    fn decode_finite(self, magnitude: u8) -> f32 {
        let exponent = i32::from(magnitude >> self.mantissa_bits);
        let mantissa = f32::from(magnitude & ((1 << self.mantissa_bits) - 1));
        let step = self.step(exponent);
        let hidden = if exponent == 0 { 0.0 } else { f32::from(1u8 << self.mantissa_bits) };
        (hidden + mantissa) * step
    }

    /// The distance between neighbours at this exponent.
    fn step(self, exponent: i32) -> f32 {
        let bits = i32::try_from(self.mantissa_bits).unwrap_or(0);
        f32::powi(2.0, exponent.max(1) - self.bias - bits)
    }

    /// The bits of the nearest value.
    #[must_use]
    pub fn encode(self, value: f32, overflow: Overflow) -> u8 {
        let sign = if value.is_sign_negative() { self.sign_bit } else { 0 };
        if value.is_nan() {
            return self.nan_bits(sign);
        }
        let magnitude = self.encode_magnitude(value.abs());
        let bits = match magnitude {
            Some(bits) => bits,
            None if value.is_infinite() && overflow == Overflow::Special => {
                return self.infinity.map_or(self.nan_bits(sign), |infinity| sign | infinity);
            }
            None if overflow == Overflow::Saturate => self.largest,
            None => return self.infinity.map_or(self.nan_bits(sign), |infinity| sign | infinity),
        };
        if bits == 0 && !self.has_negative_zero { 0 } else { sign | bits }
    }

    /// The bits of the nearest finite value, or `None` beyond the largest.
    fn encode_magnitude(self, value: f32) -> Option<u8> {
        if value.is_infinite() {
            return None;
        }
        let mut exponent = 1;
        let significand = f32::from(1u8 << self.mantissa_bits);
        while exponent < 64 && value >= 2.0 * significand * self.step(exponent) {
            exponent += 1;
        }
        // Exact: a division by a power of two, of a value with few significant bits to keep.
        let steps = (f64::from(value) / f64::from(self.step(exponent))).round_ties_even();
        let code = f64::from((exponent - 1) << self.mantissa_bits) + steps;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "bounded just before"
        )]
        (code <= f64::from(self.largest)).then_some(code as u8)
    }
}

macro_rules! float8 {
    ($($(#[$doc:meta])* $name:ident = $layout:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Default)]
        #[repr(transparent)]
        pub struct $name(pub u8);
        impl $name {
            /// The nearest value, saturating.
            #[must_use]
            pub fn from_f32(value: f32) -> Self {
                Self($layout.encode(value, Overflow::Saturate))
            }
            /// The value.
            #[must_use]
            pub fn to_f32(self) -> f32 {
                $layout.decode(self.0)
            }
        }
    )*};
}

float8! {
    /// An 8-bit float: [`E4M3FN`].
    F8E4M3FN = E4M3FN;
    /// An 8-bit float: [`E4M3FNUZ`].
    F8E4M3FNUZ = E4M3FNUZ;
    /// An 8-bit float: [`E5M2`].
    F8E5M2 = E5M2;
    /// An 8-bit float: [`E5M2FNUZ`].
    F8E5M2FNUZ = E5M2FNUZ;
}

/// An 8-bit power of two, 2^(bits - 127); 255 is NaN.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
#[repr(transparent)]
pub struct F8E8M0(pub u8);

impl F8E8M0 {
    /// The value.
    #[must_use]
    pub fn to_f32(self) -> f32 {
        match self.0 {
            255 => f32::NAN,
            0 => f32::from_bits(1 << 22),
            bits => f32::from_bits(u32::from(bits) << 23),
        }
    }

    /// The nearest power of two of the magnitude (ties up), saturating; NaN and infinities are NaN.
    #[must_use]
    pub fn from_f32(value: f32) -> Self {
        if !value.is_finite() {
            return Self(255);
        }
        let bits = value.abs().to_bits();
        let exponent = (bits >> 23) & 0xff;
        let round_up = (bits >> 22) & 1 == 1 && exponent > 0;
        let code = exponent + u32::from(round_up);
        Self(u8::try_from(code.min(254)).unwrap_or(254))
    }
}

#[cfg(test)]
mod tests {
    use super::{E2M1, E2M3, E3M2, E4M3FN, E4M3FNUZ, E5M2, E5M2FNUZ, Layout, Overflow};

    fn all(layout: Layout) -> impl Iterator<Item = u8> {
        (0..=255u8).filter(move |&bits| bits <= 2 * (layout.sign_bit - 1) + 1)
    }

    #[test]
    fn every_value_survives_the_round_trip() {
        for layout in [E4M3FN, E4M3FNUZ, E5M2, E5M2FNUZ, E2M3, E3M2, E2M1] {
            for bits in all(layout) {
                let value = layout.decode(bits);
                if !value.is_nan() {
                    assert_eq!(layout.encode(value, Overflow::Special), bits, "{layout:?} {value}");
                }
            }
        }
    }

    #[test]
    fn known_values() {
        assert_eq!(E4M3FN.decode(0x7e).to_bits(), 448f32.to_bits());
        assert_eq!(E4M3FNUZ.decode(0x7f).to_bits(), 240f32.to_bits());
        assert_eq!(E5M2.decode(0x7b).to_bits(), 57344f32.to_bits());
        assert_eq!(E5M2FNUZ.decode(0x01).to_bits(), 2f32.powi(-17).to_bits());
        assert_eq!(E2M1.decode(0xf).to_bits(), (-6f32).to_bits());
        assert_eq!(E2M3.decode(0x3f).to_bits(), (-7.5f32).to_bits());
        assert_eq!(E3M2.decode(0x1f).to_bits(), 28f32.to_bits());
        assert_eq!(E3M2.decode(0x01).to_bits(), 0.0625f32.to_bits());
        assert_eq!(E2M3.encode(f32::NAN, Overflow::Saturate), 0x20);
        assert_eq!(E2M3.encode(-f32::NAN, Overflow::Saturate), 0);
        assert!(E4M3FNUZ.decode(0x80).is_nan());
    }

    #[test]
    fn rounding_is_to_nearest_even_and_overflow_is_chosen() {
        assert_eq!(
            E4M3FN.encode(1.0625, Overflow::Saturate),
            E4M3FN.encode(1.0, Overflow::Saturate)
        );
        assert_eq!(E4M3FN.encode(1e9, Overflow::Saturate), 0x7e);
        assert_eq!(E4M3FN.encode(1e9, Overflow::Special), 0x7f);
        assert_eq!(E5M2.encode(-1e9, Overflow::Special), 0xfc);
        assert_eq!(E4M3FNUZ.encode(-0.0, Overflow::Saturate), 0);
    }
}
