//! What happens to a product before it is written: scaling, bias, residual and activation.
//!
//! The result is `activation(alpha * A*B + beta * C + biases + residual)`, or the residual is added
//! last. It is applied to a tile that has just been computed, so it costs no pass over memory.

use super::GemmError;

/// The function applied to every element.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Activation {
    /// The value itself.
    #[default]
    None,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, low), high)`.
    Clip {
        /// The least result.
        low: f32,
        /// The greatest result.
        high: f32,
    },
    /// `x` where not negative, `alpha * x` elsewhere.
    LeakyRelu {
        /// The slope of the negative part.
        alpha: f32,
    },
    /// `max(0, min(1, alpha * x + beta))`.
    HardSigmoid {
        /// The slope.
        alpha: f32,
        /// The value at zero.
        beta: f32,
    },
    /// `x * max(0, min(1, x / 6 + 0.5))`.
    HardSwish,
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// `x / (1 + e^(-alpha * x))`; with 1 this is `SiLU`.
    Swish {
        /// The steepness.
        alpha: f32,
    },
    /// `x * (1 + erf(x / sqrt 2)) / 2`.
    Gelu,
    /// Its approximation by a hyperbolic tangent.
    GeluTanh,
}

impl Activation {
    /// The bounds that are the whole of this activation, if it is no more than bounds.
    pub(crate) fn bounds(self) -> Option<[f32; 2]> {
        match self {
            Self::None => Some([f32::NEG_INFINITY, f32::INFINITY]),
            Self::Relu => Some([0.0, f32::INFINITY]),
            Self::Clip { low, high } => Some([low, high]),
            Self::LeakyRelu { .. }
            | Self::HardSigmoid { .. }
            | Self::HardSwish
            | Self::Sigmoid
            | Self::Tanh
            | Self::Swish { .. }
            | Self::Gelu
            | Self::GeluTanh => None,
        }
    }
}

/// What is added to the product of a tile.
#[derive(Debug, Clone, Copy)]
pub struct Epilogue<'a> {
    /// Factor of the product.
    pub alpha: f32,
    /// Factor of what the output held; at zero the output is not read.
    pub beta: f32,
    /// One value per column.
    pub column_bias: Option<&'a [f32]>,
    /// One value per row.
    pub row_bias: Option<&'a [f32]>,
    /// A value per element, laid out as the output is.
    pub residual: Option<Residual<'a>>,
    /// The function applied at the end.
    pub activation: Activation,
}

/// A tensor of the output's layout that is added to it.
#[derive(Debug, Clone, Copy)]
pub struct Residual<'a> {
    /// The values.
    pub data: &'a [f32],
    /// Whether they are added to the activation's result instead of to its argument.
    pub after_activation: bool,
}

impl Default for Epilogue<'_> {
    fn default() -> Self {
        Self {
            alpha: 1.0,
            beta: 0.0,
            column_bias: None,
            row_bias: None,
            residual: None,
            activation: Activation::None,
        }
    }
}

impl Epilogue<'_> {
    pub(crate) fn check(
        &self,
        rows: usize,
        columns: usize,
        extent: usize,
    ) -> Result<(), GemmError> {
        let parts = [
            ("column bias", self.column_bias, columns),
            ("row bias", self.row_bias, rows),
            ("residual", self.residual.map(|residual| residual.data), extent),
        ];
        for (what, data, needed) in parts {
            if let Some(data) = data.filter(|data| data.len() < needed) {
                return Err(GemmError::TooShort { what, needed: Some(needed), got: data.len() });
            }
        }
        Ok(())
    }
}
