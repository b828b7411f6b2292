//! What some positions contribute to a row, and how contributions are joined.

use remuda_simd::Simd;

/// The greatest score, the sum of the weights relative to it, and the weighted values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    pub(super) columns: usize,
}

impl Record {
    pub(super) const fn length(self) -> usize {
        self.columns + 2
    }

    /// Makes records those of no positions.
    pub(super) fn clear(self, records: &mut [f32]) {
        for record in records.chunks_exact_mut(self.length()) {
            record.fill(0.0);
            record[0] = f32::NEG_INFINITY;
        }
    }
}

/// Adds the contributions of later positions to those of earlier ones. Joining with no positions
/// changes nothing.
#[inline(always)]
pub(super) fn join<S: Simd>(s: S, record: Record, earlier: &mut [f32], later: &[f32]) {
    let length = record.length();
    let pairs = earlier.chunks_exact_mut(length).zip(later.chunks_exact(length));
    for (earlier, later) in pairs {
        if later[0] == f32::NEG_INFINITY && later[1] == 0.0 {
            continue;
        }
        if earlier[0] == f32::NEG_INFINITY && earlier[1] == 0.0 {
            earlier.copy_from_slice(later);
            continue;
        }
        let max = earlier[0].max(later[0]);
        let (of_earlier, of_later) = ((earlier[0] - max).exp(), (later[0] - max).exp());
        let scales = (s.splat(of_earlier), s.splat(of_later));
        let sums = earlier[1..].chunks_mut(S::LANES).zip(later[1..].chunks(S::LANES));
        for (earlier, later) in sums {
            let scaled = s.mul(s.load_partial(earlier, 0.0), scales.0);
            let sum = s.mul_add(s.load_partial(later, 0.0), scales.1, scaled);
            s.store_partial(sum, earlier);
        }
        earlier[0] = max;
    }
}
