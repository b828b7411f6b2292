//! Operators that work element by element or row by row.

use std::ffi::c_int;

use super::context::{Context, Refusal, T, refuse};

/// An operator with two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binary {
    Add,
    Sub,
    Mul,
    Div,
}

/// An operator with one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unary {
    Abs,
    Sign,
    Neg,
    Tanh,
    Relu,
    Sigmoid,
    Silu,
    HardSwish,
    Exp,
    Softplus,
    GeluErf,
    Floor,
    Ceil,
    Square,
    Sqrt,
    Log,
    Sin,
    Cos,
}

impl Unary {
    /// Its number among ggml's unary operators, if it is one of them.
    fn number(self) -> Option<c_int> {
        Some(match self {
            Self::Abs => 0,
            Self::Sign => 1,
            Self::Neg => 2,
            Self::Tanh => 4,
            Self::Relu => 6,
            Self::Sigmoid => 7,
            Self::Silu => 10,
            Self::HardSwish => 11,
            Self::Exp => 13,
            Self::Softplus => 15,
            Self::GeluErf => 16,
            Self::Floor => 18,
            Self::Ceil => 19,
            Self::Square | Self::Sqrt | Self::Log | Self::Sin | Self::Cos => return None,
        })
    }
}

impl Context {
    /// `a` and `b` combined; `b` is repeated where that gives the sizes of `a`.
    pub(crate) fn binary(&self, op: Binary, a: T, b: T) -> Result<T, Refusal> {
        self.expect_rows(a)?;
        self.expect_rows(b)?;
        if a.ne().iter().zip(b.ne()).any(|(&a, b)| a % b.max(1) != 0) {
            let (a, b) = (a.ne(), b.ne());
            return Err(refuse("shape", format!("{b:?} elements do not repeat to {a:?}")));
        }
        let raw = &self.library.raw;
        let function = match op {
            Binary::Add => raw.ggml_add,
            Binary::Sub => raw.ggml_sub,
            Binary::Mul => raw.ggml_mul,
            Binary::Div => raw.ggml_div,
        };
        // SAFETY: f32 operands, the second repeats to the first.
        self.made(|context| unsafe { function(context, a.raw(), b.raw()) })
    }

    pub(crate) fn unary(&self, op: Unary, a: T) -> Result<T, Refusal> {
        self.expect_f32(a)?;
        let a = self.together(a)?;
        let raw = &self.library.raw;
        if let Some(number) = op.number() {
            // SAFETY: f32, contiguous, and an operator that ggml has.
            return self.made(|context| unsafe { (raw.ggml_unary)(context, a.raw(), number) });
        }
        let function = match op {
            Unary::Square => raw.ggml_sqr,
            Unary::Sqrt => raw.ggml_sqrt,
            Unary::Log => raw.ggml_log,
            Unary::Sin => raw.ggml_sin,
            _ => raw.ggml_cos,
        };
        // SAFETY: f32 and contiguous.
        self.made(|context| unsafe { function(context, a.raw()) })
    }

    pub(crate) fn leaky_relu(&self, a: T, slope: f32) -> Result<T, Refusal> {
        self.expect_f32(a)?;
        let a = self.together(a)?;
        // SAFETY: f32 and contiguous.
        self.made(|context| unsafe {
            (self.library.raw.ggml_leaky_relu)(context, a.raw(), slope, false)
        })
    }

    /// `a * sigmoid(a) * b`.
    pub(crate) fn swiglu(&self, a: T, b: T) -> Result<T, Refusal> {
        self.expect_f32(a)?;
        self.expect_f32(b)?;
        if a.ne() != b.ne() {
            return Err(refuse("shape", format!("a gate of {:?} for {:?}", a.ne(), b.ne())));
        }
        let (a, b) = (self.together(a)?, self.together(b)?);
        // SAFETY: both f32, contiguous, of one size.
        self.made(|context| unsafe {
            (self.library.raw.ggml_swiglu_split)(context, a.raw(), b.raw())
        })
    }

    /// `a * scale + bias`.
    pub(crate) fn scale(&self, a: T, scale: f32, bias: f32) -> Result<T, Refusal> {
        self.expect_f32(a)?;
        let a = self.together(a)?;
        // SAFETY: f32 and contiguous.
        self.made(|context| unsafe {
            (self.library.raw.ggml_scale_bias)(context, a.raw(), scale, bias)
        })
    }

    pub(crate) fn clamp(&self, a: T, low: f32, high: f32) -> Result<T, Refusal> {
        self.expect_f32(a)?;
        let a = self.rows(a)?;
        // SAFETY: f32 rows.
        self.made(|context| unsafe { (self.library.raw.ggml_clamp)(context, a.raw(), low, high) })
    }

    /// The sum of each row.
    pub(crate) fn sum_rows(&self, a: T) -> Result<T, Refusal> {
        self.expect_rows(a)?;
        // SAFETY: f32 rows.
        self.made(|context| unsafe { (self.library.raw.ggml_sum_rows)(context, a.raw()) })
    }

    /// The mean of each row.
    pub(crate) fn mean_rows(&self, a: T) -> Result<T, Refusal> {
        self.expect_rows(a)?;
        // SAFETY: f32 rows.
        self.made(|context| unsafe { (self.library.raw.ggml_mean)(context, a.raw()) })
    }

    /// Each row brought to mean 0 and variance 1.
    pub(crate) fn norm(&self, a: T, epsilon: f32) -> Result<T, Refusal> {
        self.expect_rows(a)?;
        expect_epsilon(epsilon)?;
        // SAFETY: f32 rows.
        self.made(|context| unsafe { (self.library.raw.ggml_norm)(context, a.raw(), epsilon) })
    }

    /// Each row divided by its root mean square.
    pub(crate) fn rms_norm(&self, a: T, epsilon: f32) -> Result<T, Refusal> {
        self.expect_rows(a)?;
        expect_epsilon(epsilon)?;
        // SAFETY: f32 rows.
        self.made(|context| unsafe { (self.library.raw.ggml_rms_norm)(context, a.raw(), epsilon) })
    }

    /// The softmax of each row times `scale`, plus a mask.
    pub(crate) fn soft_max(&self, a: T, mask: Option<T>, scale: f32) -> Result<T, Refusal> {
        self.expect_f32(a)?;
        let a = self.together(a)?;
        if let Some(mask) = mask {
            let (of, ne) = (a.ne(), mask.ne());
            self.expect_f32(mask)?;
            let fits = ne[0] == of[0] && ne[1] >= of[1] && of[2] % ne[2] == 0 && of[3] % ne[3] == 0;
            if !fits || !self.is_contiguous(mask) {
                return Err(refuse("shape", format!("a mask of {ne:?} does not fit {of:?}")));
            }
        }
        let mask = mask.map_or(std::ptr::null_mut(), T::raw);
        // SAFETY: contiguous f32, and a mask that was checked.
        self.made(|context| unsafe {
            (self.library.raw.ggml_soft_max_ext)(context, a.raw(), mask, scale, 0.0)
        })
    }
}

/// ggml ends the process on a negative number here.
fn expect_epsilon(epsilon: f32) -> Result<(), Refusal> {
    if epsilon >= 0.0 {
        return Ok(());
    }
    Err(refuse("attribute", format!("`epsilon` is {epsilon}, expected 0 or more")))
}
