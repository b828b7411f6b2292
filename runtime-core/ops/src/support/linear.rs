//! Linear models: weighted sums of the features of a row.

use remuda_ir::{Attrs, OpError};

use super::array::vec_of;

/// Weights and intercepts.
pub(crate) struct Linear {
    /// How many sums there are.
    pub(crate) outputs: usize,
    width: usize,
    weights: Vec<f64>,
    intercepts: Vec<f64>,
}

impl Linear {
    /// The model of attributes `coefficients` and `intercepts`.
    pub(crate) fn read(attrs: &Attrs, outputs: usize, width: usize) -> Result<Self, OpError> {
        let list = |name| -> Result<Vec<f64>, OpError> {
            Ok(attrs.floats(name)?.unwrap_or(&[]).iter().copied().map(f64::from).collect())
        };
        let (weights, intercepts) = (list("coefficients")?, list("intercepts")?);
        let expect = |name: &str, got: usize, expected: Option<usize>| {
            if expected == Some(got) {
                return Ok(());
            }
            let expected = expected.map_or("more".to_owned(), |expected| expected.to_string());
            Err(OpError::Invalid(format!(
                "attribute `{name}` expected {expected} values, got {got}"
            )))
        };
        expect("coefficients", weights.len(), outputs.checked_mul(width))?;
        if !intercepts.is_empty() {
            expect("intercepts", intercepts.len(), Some(outputs))?;
        }
        Ok(Self { outputs, width, weights, intercepts })
    }

    /// The sums of a row.
    pub(crate) fn scores(&self, row: &[f64]) -> Result<Vec<f64>, OpError> {
        let sum = |at: usize| {
            let weights = &self.weights[at * self.width..(at + 1) * self.width];
            let products = weights.iter().zip(row).map(|(weight, x)| weight * x);
            products.sum::<f64>() + self.intercepts.get(at).copied().unwrap_or(0.0)
        };
        let mut sums = vec_of(&[self.outputs], 0.0)?;
        sums.iter_mut().enumerate().for_each(|(at, slot)| *slot = sum(at));
        Ok(sums)
    }
}
