//! What `Q4_K` and `Q5_K` share: eight 6-bit scales and eight 6-bit minima in twelve bytes, and the
//! choice of them.

use super::codec::{nearest, put_half, through_half};
use super::search::{Ladder, with_minimum};

/// Bytes of the packed scales and minima.
pub(super) const PACKED: usize = 12;
/// Elements that share a scale and a minimum.
pub(super) const GROUP: usize = 32;
const GROUPS: usize = 8;

/// Scale and minimum of `group`. The first four lie plain in the low six bits of the first eight
/// bytes; the others have their low four bits in the last four bytes and their high two bits on top
/// of the first eight.
#[inline]
pub(super) fn scale_and_min(packed: &[u8], group: usize) -> (f32, f32) {
    let (scale, min) = if group < 4 {
        (packed[group] & 63, packed[group + 4] & 63)
    } else {
        let low = packed[group + 4];
        (low & 15 | packed[group - 4] >> 6 << 4, low >> 4 | packed[group] >> 6 << 4)
    };
    (f32::from(scale), f32::from(min))
}

fn put(packed: &mut [u8], group: usize, scale: u8, min: u8) {
    if group < 4 {
        packed[group] = scale;
        packed[group + 4] = min;
    } else {
        packed[group + 4] = scale & 15 | (min & 15) << 4;
        packed[group - 4] |= scale >> 4 << 6;
        packed[group] |= min >> 4 << 6;
    }
}

/// Chooses scales, minima and quanta, and stores all but the quanta in the first 16 bytes of
/// `block`: two half floats, then the packed scales.
pub(super) fn encode(
    values: &[f32; 256],
    ladder: Ladder,
    block: &mut [u8],
) -> [[u8; GROUP]; GROUPS] {
    let mut quants = [[0; GROUP]; GROUPS];
    let mut scales = [0.0; GROUPS];
    let mut mins = [0.0; GROUPS];
    let groups = values.as_chunks::<GROUP>().0;
    for (at, group) in groups.iter().enumerate() {
        let square = group.iter().fold(0.0, |sum, value| sum + value * value);
        let spread = (square / 32.0).sqrt();
        let weights = group.map(|value| spread + value.abs());
        (scales[at], mins[at]) = with_minimum(group, &weights, ladder, &mut quants[at]);
    }
    let (scale, min) = (largest(&scales), largest(&mins));
    put_half(block, 0, scale / 63.0);
    put_half(block, 2, min / 63.0);
    let packed = &mut block[4..4 + PACKED];
    for (group, (&of_group, &min_of_group)) in scales.iter().zip(&mins).enumerate() {
        put(packed, group, sixty_thirds(of_group, scale), sixty_thirds(min_of_group, min));
    }
    let (scale, min) = (through_half(scale / 63.0), through_half(min / 63.0));
    for (at, (group, quants)) in groups.iter().zip(&mut quants).enumerate() {
        let (of_group, min_of_group) = scale_and_min(packed, at);
        let (scale, min) = (scale * of_group, min * min_of_group);
        if scale != 0.0 {
            let top = i32::from(ladder.top);
            *quants = group.map(|value| nearest((value + min) / scale).clamp(0, top) as u8);
        }
    }
    quants
}

fn largest(numbers: &[f32]) -> f32 {
    numbers.iter().fold(0.0, |max, &number| if number > max { number } else { max })
}

fn sixty_thirds(number: f32, largest: f32) -> u8 {
    let inverse = if largest > 0.0 { 63.0 / largest } else { 0.0 };
    nearest(inverse * number).clamp(0, 63) as u8
}
