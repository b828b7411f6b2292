//! The searches that choose scales for the K formats and for IQ4.
//!
//! Plain rounding to the range of a group leaves error on the table. Each search tries a few
//! scales near that one, solves for the scale (and minimum) that fits the rounded quanta best by
//! weighted least squares, and keeps the best. The order of the floating-point operations is the
//! reference's, so that the same bits come out.

use super::codec::{bounds, nearest, peak};

/// Groups whose largest magnitude is below this are zero.
pub(super) const NEARLY_ZERO: f32 = 1e-15;

/// Running sums of a least-squares fit of `scale * quant` to the values.
#[derive(Clone, Copy, Default)]
struct Fit {
    /// Sum of weight x value x quant.
    cross: f32,
    /// Sum of weight x quant x quant.
    square: f32,
}

impl Fit {
    fn add(&mut self, weight: f32, value: f32, quant: f32) {
        self.cross += weight * value * quant;
        self.square += weight * quant * quant;
    }

    fn without(self, weight: f32, value: f32, quant: f32) -> Self {
        Self {
            cross: self.cross - weight * value * quant,
            square: self.square - weight * quant * quant,
        }
    }

    fn scale(self) -> f32 {
        if self.square > 0.0 { self.cross / self.square } else { 0.0 }
    }
}

fn signed(value: f32, inverse: f32, limit: i32) -> i32 {
    nearest(inverse * value).clamp(-limit, limit - 1)
}

/// Finds the scale of a group of quanta in `-limit..limit`, trying scales around the plain one.
/// The quanta come out shifted by `limit`.
pub(super) fn symmetric<const N: usize>(
    values: &[f32; N],
    limit: i32,
    quants: &mut [u8; N],
) -> f32 {
    let peak = peak(values);
    if peak.abs() < NEARLY_ZERO {
        quants.fill(0);
        return 0.0;
    }
    let range = limit as f32;
    let fit_at = |inverse: f32| {
        let mut fit = Fit::default();
        for &value in values {
            fit.add(value * value, value, signed(value, inverse, limit) as f32);
        }
        fit
    };
    let mut chosen = -range / peak;
    let mut scale = fit_at(chosen).scale();
    let mut best = scale * fit_at(chosen).cross;
    for step in (-9_i8..=9).filter(|&step| step != 0) {
        let inverse = -(range + 0.1 * f32::from(step)) / peak;
        let fit = fit_at(inverse);
        if fit.square > 0.0 && fit.cross * fit.cross > best * fit.square {
            scale = fit.scale();
            best = scale * fit.cross;
            chosen = inverse;
        }
    }
    for (quant, &value) in quants.iter_mut().zip(values) {
        *quant = (signed(value, chosen, limit) + limit) as u8;
    }
    scale
}

/// Finds the scale of a group of quanta in `-limit..limit` by moving one quantum at a time, up to
/// five rounds. The quanta come out shifted by `limit`.
pub(super) fn symmetric_by_descent<const N: usize>(
    values: &[f32; N],
    limit: i32,
    quants: &mut [u8; N],
) -> f32 {
    let peak = peak(values);
    if peak.abs() < NEARLY_ZERO {
        quants.fill(0);
        return 0.0;
    }
    let inverse = -(limit as f32) / peak;
    let mut levels = values.map(|value| signed(value, inverse, limit));
    let mut fit = Fit::default();
    for (&value, &level) in values.iter().zip(&levels) {
        fit.add(value * value, value, level as f32);
    }
    for _ in 0..5 {
        if !descend(values, limit, &mut levels, &mut fit) {
            break;
        }
    }
    for (quant, level) in quants.iter_mut().zip(levels) {
        *quant = (level + limit) as u8;
    }
    fit.scale()
}

/// One round of [`symmetric_by_descent`]; whether any quantum moved.
fn descend(values: &[f32], limit: i32, levels: &mut [i32], fit: &mut Fit) -> bool {
    let mut moved = false;
    for (&value, level) in values.iter().zip(levels) {
        let weight = value * value;
        let rest = fit.without(weight, value, *level as f32);
        if rest.cross <= 0.0 || rest.cross.is_nan() {
            continue;
        }
        let wanted = nearest(value * rest.square / rest.cross).clamp(-limit, limit - 1);
        if wanted == *level {
            continue;
        }
        let mut moved_fit = rest;
        moved_fit.add(weight, value, wanted as f32);
        let better = moved_fit.cross * moved_fit.cross * fit.square
            > fit.cross * fit.cross * moved_fit.square;
        if moved_fit.square > 0.0 && better {
            (*level, *fit, moved) = (wanted, moved_fit, true);
        }
    }
    moved
}

/// What [`with_minimum`] tries and how it judges.
#[derive(Clone, Copy)]
pub(super) struct Ladder {
    /// The largest quantum.
    pub(super) top: u8,
    /// The first trial divides the range by this much more than `top`.
    pub(super) first: f32,
    /// Trials after the first, 0.1 apart.
    pub(super) steps: u8,
    /// Judge by absolute rather than squared error.
    pub(super) absolute: bool,
}

/// Finds scale and minimum of a group of quanta in `0..=top` so that `scale * quant - minimum`
/// fits. The minimum is never negative: a group above zero is taken from zero. Each trial starts
/// from the best minimum so far.
pub(super) fn with_minimum<const N: usize>(
    values: &[f32; N],
    weights: &[f32; N],
    ladder: Ladder,
    quants: &mut [u8; N],
) -> (f32, f32) {
    let (low, high) = bounds(values);
    let low = if low > 0.0 { 0.0 } else { low };
    if high == low {
        quants.fill(0);
        return (0.0, -low);
    }
    let top = f32::from(ladder.top);
    let mut sums = Moments { weight: 0.0, value: 0.0 };
    for (value, weight) in values.iter().zip(weights) {
        sums.weight += weight;
        sums.value += weight * value;
    }
    let inverse = top / (high - low);
    let mut best = Line { scale: 1.0 / inverse, offset: low };
    *quants = rounded(values, low, inverse, ladder.top);
    let mut best_error = best.error(values, weights, quants, ladder.absolute);
    for step in 0..=ladder.steps {
        let inverse = (ladder.first + 0.1 * f32::from(step) + top) / (high - best.offset);
        let trial = rounded(values, best.offset, inverse, ladder.top);
        let Some(line) = sums.fit(values, weights, &trial) else { continue };
        let error = line.error(values, weights, &trial, ladder.absolute);
        if error < best_error {
            (best, best_error, *quants) = (line, error, trial);
        }
    }
    (best.scale, -best.offset)
}

fn rounded<const N: usize>(values: &[f32; N], low: f32, inverse: f32, top: u8) -> [u8; N] {
    values.map(|value| nearest(inverse * (value - low)).clamp(0, i32::from(top)) as u8)
}

/// A candidate: `scale * quant + offset`.
struct Line {
    scale: f32,
    offset: f32,
}

impl Line {
    fn error(&self, values: &[f32], weights: &[f32], quants: &[u8], absolute: bool) -> f32 {
        let mut error = 0.0;
        for ((value, weight), &quant) in values.iter().zip(weights).zip(quants) {
            let miss = self.scale * f32::from(quant) + self.offset - value;
            error += weight * if absolute { miss.abs() } else { miss * miss };
        }
        error
    }
}

/// The weighted sums that do not depend on the quanta.
struct Moments {
    weight: f32,
    value: f32,
}

impl Moments {
    /// The line through the quanta that fits best, with an offset of at most zero; none if the
    /// quanta are all the same.
    fn fit(&self, values: &[f32], weights: &[f32], quants: &[u8]) -> Option<Line> {
        let (mut sum, mut fit) = (0.0, Fit::default());
        for ((value, weight), &quant) in values.iter().zip(weights).zip(quants) {
            let quant = f32::from(quant);
            sum += weight * quant;
            fit.square += weight * quant * quant;
            fit.cross += weight * quant * value;
        }
        let determinant = self.weight * fit.square - sum * sum;
        if determinant <= 0.0 || determinant.is_nan() {
            return None;
        }
        let scale = (self.weight * fit.cross - self.value * sum) / determinant;
        let offset = (fit.square * self.value - sum * fit.cross) / determinant;
        if offset > 0.0 {
            return Some(Line { scale: fit.cross / fit.square, offset: 0.0 });
        }
        Some(Line { scale, offset })
    }
}

/// The place in the rising `codebook` whose value is nearest to `value`; the higher wins a tie.
pub(super) fn nearest_in(codebook: &[i8; 16], value: f32) -> u8 {
    let above = codebook.partition_point(|&entry| f32::from(entry) <= value);
    if above == 0 || value.is_nan() {
        return 0;
    }
    let Some(&high) = codebook.get(above) else { return 15 };
    let low = codebook[above - 1];
    let index = if value - f32::from(low) < f32::from(high) - value { above - 1 } else { above };
    index as u8
}

/// Finds the scale of 32 values in a codebook. The plain scale puts the peak on the lowest entry, as
/// it is or, with `tries`, negated; then that many scales on each side of the other choice are tried.
/// Also gives the places in the codebook under the plain scale.
pub(super) fn in_codebook(
    values: &[f32; 32],
    codebook: &[i8; 16],
    tries: Option<i8>,
) -> (f32, [u8; 32]) {
    let peak = peak(values);
    if peak.abs() < NEARLY_ZERO {
        return (0.0, [0; 32]);
    }
    let lowest = f32::from(codebook[0]);
    let fit_at = |inverse: f32| {
        let mut fit = Fit::default();
        for &value in values {
            let level = codebook[usize::from(nearest_in(codebook, inverse * value))];
            let level = f32::from(level);
            fit.cross += value * value * level * value;
            fit.square += value * value * level * level;
        }
        fit
    };
    let plain = if tries.is_some() { -peak / lowest } else { peak / lowest };
    let places = values.map(|value| nearest_in(codebook, 1.0 / plain * value));
    let first = fit_at(1.0 / plain);
    let mut scale = first.scale();
    let mut best = scale * first.cross;
    for step in tries.into_iter().flat_map(|tries| -tries..=tries) {
        let fit = fit_at((f32::from(step) + lowest) / peak);
        if fit.square > 0.0 && fit.cross * fit.cross > best * fit.square {
            scale = fit.scale();
            best = scale * fit.cross;
        }
    }
    (scale, places)
}
