//! Rotary position embedding: pairs of elements of each head are turned by angles of their position.

use remuda_simd::{Element, Kernel, Simd};

use crate::Context;
use crate::context::Picoseconds;
use crate::rows::map_rows;

/// Which elements of a head are a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pairing {
    /// Element `i` of the first half and of the second half.
    Halves,
    /// Elements `2 i` and `2 i + 1`.
    Neighbours,
}

/// The order of the axes between batch and head size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowOrder {
    /// Batch, head, position.
    HeadsFirst,
    /// Batch, position, head.
    PositionsFirst,
}

/// The sizes of the rotated array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RotarySizes {
    /// Heads.
    pub heads: usize,
    /// Positions per batch entry.
    pub positions: usize,
    /// Elements of a head.
    pub size: usize,
    /// How many of them are turned; the others stay.
    pub turned: usize,
}

/// The cosine and sine of every angle.
#[derive(Debug, Clone, Copy)]
pub struct Angles<'a> {
    /// Half of [`RotarySizes::turned`] per row.
    pub cosines: &'a [f32],
    /// The same of sines.
    pub sines: &'a [f32],
    /// The row for each position of each batch entry; without it they are the rows in order.
    pub rows: Option<&'a [usize]>,
}

const COST: Picoseconds = Picoseconds(250);

/// Turns the pairs of every head of `src`.
///
/// # Panics
/// When a slice does not fit the sizes, or there is no row of angles for a position.
pub fn rotary<T: Element>(
    cx: Context<'_>,
    sizes: RotarySizes,
    (pairing, order): (Pairing, RowOrder),
    angles: Angles<'_>,
    src: &[T],
    out: &mut [T],
) {
    let RotarySizes { heads, positions, size, turned } = sizes;
    assert!(turned <= size && turned.is_multiple_of(2), "{sizes:?}");
    let half = turned / 2;
    map_rows(cx, src, out, size, COST, |first, src, out| {
        for (row, (src, out)) in src.chunks_exact(size).zip(out.chunks_exact_mut(size)).enumerate()
        {
            let row = first + row;
            let batch = row / (heads * positions);
            let position = match order {
                RowOrder::HeadsFirst => row % positions,
                RowOrder::PositionsFirst => row / heads % positions,
            };
            let place = batch * positions + position;
            let at = angles.rows.map_or(place, |rows| rows[place]) * half;
            let (cosines, sines) = (&angles.cosines[at..at + half], &angles.sines[at..at + half]);
            out[turned..].copy_from_slice(&src[turned..]);
            let (src, out) = (&src[..turned], &mut out[..turned]);
            cx.run(Turn { pairing, cosines, sines, src, out });
        }
    });
}

struct Turn<'a> {
    pairing: Pairing,
    cosines: &'a [f32],
    sines: &'a [f32],
    src: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for Turn<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let angles = self.cosines.chunks(S::LANES).zip(self.sines.chunks(S::LANES));
        let half = self.cosines.len();
        match self.pairing {
            Pairing::Halves => {
                let (first, second) = self.src.split_at(half);
                let (to_first, to_second) = self.out.split_at_mut(half);
                let from = first.chunks(S::LANES).zip(second.chunks(S::LANES));
                let to = to_first.chunks_mut(S::LANES).zip(to_second.chunks_mut(S::LANES));
                for (((cosine, sine), (a, b)), (to_a, to_b)) in angles.zip(from).zip(to) {
                    let (cosine, sine) = (s.load_partial(cosine, 0.0), s.load_partial(sine, 0.0));
                    let (a, b) = (s.load_partial(a, 0.0), s.load_partial(b, 0.0));
                    s.store_partial(s.sub(s.mul(a, cosine), s.mul(b, sine)), to_a);
                    s.store_partial(s.add(s.mul(a, sine), s.mul(b, cosine)), to_b);
                }
            }
            Pairing::Neighbours => {
                let pairs = self.src.chunks_exact(2).zip(self.out.chunks_exact_mut(2));
                for ((from, to), (cosine, sine)) in pairs.zip(self.cosines.iter().zip(self.sines)) {
                    to[0] = from[0] * cosine - from[1] * sine;
                    to[1] = from[0] * sine + from[1] * cosine;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use half::f16;
    use remuda_simd::Element;

    use super::*;
    use crate::context::testing::{assert_close, everywhere, noise};

    fn agrees<T: Element>(sizes: RotarySizes, tolerance: f64) {
        let RotarySizes { heads, positions, size, turned } = sizes;
        let (batches, half) = (2, turned / 2);
        let src: Vec<T> =
            noise(batches * heads * positions * size, 1).into_iter().map(T::from_f32).collect();
        let (cosines, sines) = (noise(50 * half, 2), noise(50 * half, 3));
        let rows: Vec<usize> = (0..batches * positions).map(|at| (at * 7 + 3) % 50).collect();
        for pairing in [Pairing::Halves, Pairing::Neighbours] {
            for order in [RowOrder::HeadsFirst, RowOrder::PositionsFirst] {
                let expected: Vec<f64> = (0..src.len())
                    .map(|at| {
                        let (row, column) = (at / size, at % size);
                        let get = |column: usize| f64::from(src[row * size + column].to_f32());
                        if column >= turned {
                            return get(column);
                        }
                        let (batch, row) = (row / (heads * positions), row % (heads * positions));
                        let position = match order {
                            RowOrder::HeadsFirst => row % positions,
                            RowOrder::PositionsFirst => row / heads,
                        };
                        let (pair, second, mate) = match pairing {
                            Pairing::Halves => {
                                (column % half, column >= half, (column + half) % turned)
                            }
                            Pairing::Neighbours => (column / 2, column % 2 == 1, column ^ 1),
                        };
                        let at = rows[batch * positions + position] * half + pair;
                        let (cosine, sine) = (f64::from(cosines[at]), f64::from(sines[at]));
                        let sign = if second { 1.0 } else { -1.0 };
                        get(column) * cosine + sign * get(mate) * sine
                    })
                    .collect();
                everywhere(|cx| {
                    let angles = Angles { cosines: &cosines, sines: &sines, rows: Some(&rows) };
                    let mut out = vec![T::default(); src.len()];
                    rotary(cx, sizes, (pairing, order), angles, &src, &mut out);
                    let out: Vec<f32> = out.into_iter().map(T::to_f32).collect();
                    assert_close(
                        &out,
                        &expected,
                        tolerance,
                        1.0,
                        &format!("{pairing:?} {order:?}"),
                    );
                });
            }
        }
    }

    #[test]
    fn pairs_are_turned_by_the_angles_of_their_position() {
        for (size, turned) in [(64, 64), (80, 20), (6, 2), (34, 34)] {
            let sizes = RotarySizes { heads: 5, positions: 9, size, turned };
            agrees::<f32>(sizes, 1e-6);
            agrees::<f16>(sizes, 1.0 / 2048.0);
        }
    }
}
