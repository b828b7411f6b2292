//! Rotary positions: the frequencies by which pairs of elements are turned, and how they are
//! stretched for contexts longer than a model was trained on.

use std::f64::consts::TAU;

use crate::ModelError;
use crate::keys::Keys;

/// Which elements of a head are turned together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pairing {
    /// Element `i` of the first half and of the second half.
    Halves,
    /// Elements `2 i` and `2 i + 1`.
    Neighbours,
}

/// How positions turn queries and keys.
#[derive(Clone, Debug)]
pub(crate) struct Rope {
    /// Elements of a head that are turned; 0 for none at all.
    pub(crate) size: usize,
    pub(crate) base: f64,
    pub(crate) pairing: Pairing,
    pub(crate) scaling: Scaling,
    /// What turned elements are multiplied with.
    pub(crate) attention_factor: f64,
}

/// How frequencies are stretched.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scaling {
    None,
    /// All by one factor.
    Linear {
        factor: f64,
    },
    /// High ones not, low ones wholly, those between by a ramp.
    Yarn {
        factor: f64,
        original: f64,
        fast: f64,
        slow: f64,
    },
}

impl Rope {
    /// What the keys of every architecture say.
    pub(crate) fn read(keys: &Keys<'_>, head: usize, context: usize) -> Result<Self, ModelError> {
        let size = keys.optional_size("rope.dimension_count")?.unwrap_or(head);
        if size > head || !size.is_multiple_of(2) {
            let expected = format!("an even number up to {head}");
            return Err(keys.bad("rope.dimension_count", expected, size.to_string()));
        }
        let base = keys.float_or("rope.freq_base", 10_000.0)?;
        if base <= 0.0 {
            let expected = "a number above 0".to_owned();
            return Err(keys.bad("rope.freq_base", expected, base.to_string()));
        }
        let factor = match keys.float("rope.scaling.factor")? {
            Some(factor) => factor,
            // What the key was called at first.
            None => keys.float_or("rope.scale_linear", 1.0)?,
        };
        if factor <= 0.0 {
            let expected = "a number above 0".to_owned();
            return Err(keys.bad("rope.scaling.factor", expected, factor.to_string()));
        }
        let mut attention_factor = keys.float_or("rope.scaling.attn_factor", 1.0)?;
        let original = keys.optional_size("rope.scaling.original_context_length")?;
        let scaling = match keys.text("rope.scaling.type")? {
            None | Some("linear") if factor != 1.0 => Scaling::Linear { factor },
            None | Some("none" | "linear" | "longrope") => Scaling::None,
            Some("yarn") => {
                attention_factor *= 1.0 + 0.1 * factor.ln().max(0.0);
                Scaling::Yarn {
                    factor,
                    original: original.unwrap_or(context) as f64,
                    fast: keys.float_or("rope.scaling.yarn_beta_fast", 32.0)?,
                    slow: keys.float_or("rope.scaling.yarn_beta_slow", 1.0)?,
                }
            }
            Some(other) => {
                return Err(ModelError::Unsupported {
                    key: "rope.scaling.type".to_owned(),
                    expected: "`none`, `linear`, `yarn` or `longrope`".to_owned(),
                    got: other.chars().take(100).collect(),
                });
            }
        };
        Ok(Self { size, base, pairing: Pairing::Halves, scaling, attention_factor })
    }

    /// The angle by which each pair turns from one position to the next; `divisors` of the file, if
    /// there are any, come first.
    pub(crate) fn frequencies(&self, divisors: Option<&[f32]>) -> Vec<f32> {
        let pairs = self.size / 2;
        let frequency = |pair: usize| {
            let plain = self.base.powf(-2.0 * pair as f64 / self.size as f64);
            let divisor = divisors.and_then(|all| all.get(pair)).copied().unwrap_or(1.0);
            let plain = plain / f64::from(divisor);
            #[expect(clippy::cast_possible_truncation, reason = "angles are single precision")]
            let scaled = self.scaled(plain, pair) as f32;
            scaled
        };
        (0..pairs).map(frequency).collect()
    }

    fn scaled(&self, plain: f64, pair: usize) -> f64 {
        match self.scaling {
            Scaling::None => plain,
            Scaling::Linear { factor } => plain / factor,
            Scaling::Yarn { factor, original, fast, slow } => {
                let low = self.turning(original, fast).floor().max(0.0);
                let high = self.turning(original, slow).ceil().min(self.size as f64 - 1.0);
                let ramp = ((pair as f64 - low) / (high - low).max(0.001)).clamp(0.0, 1.0);
                plain / factor * ramp + plain * (1.0 - ramp)
            }
        }
    }

    /// The pair that makes so many turns over the original context.
    fn turning(&self, original: f64, turns: f64) -> f64 {
        self.size as f64 * (original / (turns * TAU)).ln() / (2.0 * self.base.ln())
    }
}

#[cfg(test)]
mod tests {
    use super::{Pairing, Rope, Scaling};

    fn rope(scaling: Scaling) -> Rope {
        Rope { size: 8, base: 10_000.0, pairing: Pairing::Halves, scaling, attention_factor: 1.0 }
    }

    #[test]
    fn frequencies_fall_from_one() {
        let plain = rope(Scaling::None).frequencies(None);
        assert_eq!(plain, [1.0, 0.1, 0.01, 0.001]);
        let halved = rope(Scaling::Linear { factor: 2.0 }).frequencies(None);
        assert_eq!(halved, [0.5, 0.05, 0.005, 0.0005]);
        let divided = rope(Scaling::None).frequencies(Some(&[1.0, 2.0, 4.0, 10.0]));
        assert_eq!(divided, [1.0, 0.05, 0.0025, 0.0001]);
    }

    #[test]
    fn yarn_leaves_high_frequencies_and_divides_low_ones() {
        let scaling = Scaling::Yarn { factor: 4.0, original: 1024.0, fast: 32.0, slow: 1.0 };
        let scaled = rope(scaling).frequencies(None);
        assert_eq!((scaled[0], scaled[3]), (1.0, 0.00025));
    }
}
