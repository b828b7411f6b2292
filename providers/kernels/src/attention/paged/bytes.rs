//! A cache of pages of signed bytes, with a scale for every key and value.

use remuda_simd::{Isa, Kernel, MAX_LANES, Simd};

use super::{Cache, POSITIONS, PageSizes, SIDE_BY_SIDE};

/// Keys or values of a page: bytes where pages of floats have floats, and the scale of every head
/// and position.
#[derive(Debug, Clone, Copy)]
pub struct Bytes<'a> {
    /// The bytes.
    pub bytes: &'a [i8],
    /// `[head][position]`.
    pub scales: &'a [f32],
}

/// The pages of a sequence, in order: keys and values of each.
#[derive(Debug, Clone, Copy)]
pub struct BytePages<'a> {
    /// Sizes of every page.
    pub sizes: PageSizes,
    /// Keys and values.
    pub pages: &'a [(Bytes<'a>, Bytes<'a>)],
}

/// The scale of a row, and what its elements are multiplied with.
fn scale_of(row: &[f32]) -> (f32, f32) {
    let greatest = row.iter().fold(0.0_f32, |max, x| max.max(x.abs()));
    let inverse = 127.0 / greatest;
    if inverse.is_finite() { (greatest / 127.0, inverse) } else { (0.0, 0.0) }
}

#[expect(clippy::cast_possible_truncation, reason = "a scaled element is within a byte")]
fn quantise(value: f32, inverse: f32) -> i8 {
    (value * inverse).round_ties_even() as i8
}

/// Writes the key of a head at a position of a page.
///
/// # Panics
/// When the page is too short.
pub fn put_byte_key(
    sizes: &PageSizes,
    (bytes, scales): (&mut [i8], &mut [f32]),
    [head, position]: [usize; 2],
    key: &[f32],
) {
    let (scale, inverse) = scale_of(key);
    scales[head * sizes.positions + position] = scale;
    let places = bytes[sizes.key_place(head, position)..].iter_mut();
    for (place, &value) in places.step_by(SIDE_BY_SIDE).zip(&key[..sizes.size]) {
        *place = quantise(value, inverse);
    }
}

/// Writes the value of a head at a position of a page.
///
/// # Panics
/// When the page is too short.
pub fn put_byte_value(
    sizes: &PageSizes,
    (bytes, scales): (&mut [i8], &mut [f32]),
    [head, position]: [usize; 2],
    value: &[f32],
) {
    let (scale, inverse) = scale_of(value);
    let row = head * sizes.positions + position;
    scales[row] = scale;
    let places = &mut bytes[row * sizes.value_size..][..sizes.value_size];
    for (place, &value) in places.iter_mut().zip(value) {
        *place = quantise(value, inverse);
    }
}

impl Cache for BytePages<'_> {
    fn keys(&self, isa: Isa, head: usize, first: usize, out: &mut [f32]) {
        let PageSizes { positions, size, .. } = self.sizes;
        let length = SIDE_BY_SIDE * size;
        let blocks = out.chunks_exact_mut(length).take(POSITIONS / SIDE_BY_SIDE);
        for (block, dst) in blocks.enumerate() {
            let position = first + block * SIDE_BY_SIDE;
            let Some((keys, _)) = self.pages.get(position / positions) else { break };
            let row = head * positions + position % positions;
            let src = &keys.bytes[row / SIDE_BY_SIDE * length..][..length];
            let scales = Scales::Repeated(&keys.scales[row..row + SIDE_BY_SIDE]);
            isa.run(Widen { src, scales, dst });
        }
    }

    fn values(&self, isa: Isa, head: usize, first: usize, count: usize, out: &mut [f32]) {
        let PageSizes { positions, value_size, .. } = self.sizes;
        let rows = out.chunks_exact_mut(value_size).take(count);
        for (position, dst) in (first..).zip(rows) {
            let Some((_, values)) = self.pages.get(position / positions) else { break };
            let row = head * positions + position % positions;
            let src = &values.bytes[row * value_size..][..value_size];
            isa.run(Widen { src, scales: Scales::One(values.scales[row]), dst });
        }
    }
}

#[derive(Clone, Copy)]
enum Scales<'a> {
    /// The same sixteen for every sixteen elements.
    Repeated(&'a [f32]),
    /// One for all.
    One(f32),
}

struct Widen<'a> {
    src: &'a [i8],
    scales: Scales<'a>,
    dst: &'a mut [f32],
}

impl Kernel for Widen<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let pieces = self.src.chunks(S::LANES).zip(self.dst.chunks_mut(S::LANES));
        for (index, (src, dst)) in pieces.enumerate() {
            let mut bytes = [0; MAX_LANES];
            bytes[..src.len()].copy_from_slice(src);
            let scale = match self.scales {
                Scales::One(scale) => s.splat(scale),
                Scales::Repeated(scales) => s.load(&scales[index * S::LANES % SIDE_BY_SIDE..]),
            };
            s.store_partial(s.mul(s.to_f32(s.load_i8(&bytes)), scale), dst);
        }
    }
}
