//! Rotary position embeddings: pairs of features turned by an angle that depends on the position.

use remuda_ir::OpError;

use super::array::Array;

/// How the features of a head are turned.
pub(crate) struct Rotary<'a> {
    /// Rows of half as many cosines as features turn.
    pub(crate) cos: &'a Array,
    pub(crate) sin: &'a Array,
    /// How many features turn; the rest stays.
    pub(crate) size: usize,
    /// Whether pairs are neighbours, or half the features apart.
    pub(crate) interleaved: bool,
}

impl Rotary<'_> {
    /// Turns `[batch, heads, length, features]`; `row` is the row of the cosines for a sequence and
    /// a place in it.
    pub(crate) fn turn(
        &self,
        x: &mut Array,
        row: impl Fn(usize, usize) -> Result<usize, OpError>,
    ) -> Result<(), OpError> {
        let [_, heads, length, features] = x.with_rank("x")?;
        let half = self.size / 2;
        let width = self.cos.dims.last().copied().unwrap_or(0);
        let fits = self.size <= features
            && self.size.is_multiple_of(2)
            && width == half
            && self.cos.dims == self.sin.dims;
        if !fits {
            return Err(OpError::Invalid(format!(
                "cosines {:?} and sines {:?} do not fit {} of {features} features",
                self.cos.dims, self.sin.dims, self.size
            )));
        }
        let rows = self.cos.values.len().checked_div(half).unwrap_or(0);
        for (at, line) in x.values.chunks_mut(features.max(1)).enumerate() {
            let row = row(at / (heads * length), at % length)?;
            if half > 0 && row >= rows {
                return Err(OpError::Invalid(format!(
                    "position {row} is outside {rows} rows of cosines"
                )));
            }
            let (cos, sin) = (&self.cos.values[row * half..], &self.sin.values[row * half..]);
            for i in 0..half {
                let (a, b) = if self.interleaved { (2 * i, 2 * i + 1) } else { (i, i + half) };
                let (x, y) = (line[a], line[b]);
                line[a] = x * cos[i] - y * sin[i];
                line[b] = x * sin[i] + y * cos[i];
            }
        }
        Ok(())
    }
}

/// A position that must not be negative.
pub(crate) fn row_at(value: i64) -> Result<usize, OpError> {
    usize::try_from(value).map_err(|_| OpError::Invalid(format!("position {value} is negative")))
}
