//! Normalisation of groups of channels, and of channels by given statistics.

use remuda_simd::{Element, Kernel, Simd};

use crate::Context;
use crate::context::Picoseconds;
use crate::elementwise::{Binary, Step, View, chain};
use crate::rows::{self, map_rows};

const COST: Picoseconds = Picoseconds(300);

/// What is multiplied with every element of a channel and added to it.
#[derive(Debug, Clone, Copy)]
pub struct ChannelAffine<'a> {
    /// One factor per channel.
    pub scale: &'a [f32],
    /// One summand per channel.
    pub bias: &'a [f32],
}

/// Normalises groups of channels of a batch of `channels` by `spatial` elements to mean zero and
/// variance one. One group is layer normalisation of an image, as many groups as channels is
/// instance normalisation.
///
/// # Panics
/// When the groups do not divide the channels, or a slice has another number of elements.
pub fn group_norm<T: Element>(
    cx: Context<'_>,
    (groups, epsilon): (usize, f32),
    affine: ChannelAffine<'_>,
    spatial: usize,
    src: &[T],
    out: &mut [T],
) {
    let channels = affine.scale.len();
    assert_eq!(channels, affine.bias.len(), "a bias per channel");
    assert!(
        groups > 0 && channels.is_multiple_of(groups),
        "{groups} groups of {channels} channels"
    );
    let per_group = channels / groups;
    map_rows(cx, src, out, per_group * spatial, COST, |first, src, out| {
        let length = per_group * spatial;
        for (row, (src, out)) in src.chunks(length).zip(out.chunks_mut(length)).enumerate() {
            let channel = (first + row) % groups * per_group;
            let scale = &affine.scale[channel..channel + per_group];
            let bias = &affine.bias[channel..channel + per_group];
            cx.run(Group { src, out, spatial, epsilon, affine: ChannelAffine { scale, bias } });
        }
    });
}

struct Group<'a> {
    src: &'a [f32],
    out: &'a mut [f32],
    spatial: usize,
    epsilon: f32,
    affine: ChannelAffine<'a>,
}

impl Kernel for Group<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let count = self.src.len() as f32;
        let mean = rows::sum(s, self.src) / count;
        let variance = rows::sum_of_squares(s, self.src, mean) / count;
        let factor = 1.0 / (variance + self.epsilon).sqrt();
        let mean = s.splat(mean);
        let channels = self.src.chunks(self.spatial).zip(self.out.chunks_mut(self.spatial));
        let affine = self.affine.scale.iter().zip(self.affine.bias);
        for ((src, out), (scale, bias)) in channels.zip(affine) {
            let (scale, bias) = (s.splat(factor * scale), s.splat(*bias));
            let value = rows::always(
                #[inline(always)]
                |x: S::F32| s.mul_add(s.sub(x, mean), scale, bias),
            );
            rows::map(s, src, out, value);
        }
    }
}

/// `(x - mean) / sqrt(variance + epsilon) scale + bias` with one of each per channel.
///
/// # Panics
/// When a slice has another number of elements than its channels.
pub fn batch_norm<T: Element>(
    cx: Context<'_>,
    (mean, variance, epsilon): (&[f32], &[f32], f32),
    affine: ChannelAffine<'_>,
    spatial: usize,
    src: &[T],
    out: &mut [T],
) {
    let channels = affine.scale.len();
    let images = src.len() / (channels * spatial).max(1);
    let factor = |(scale, variance): (&f32, &f32)| scale / (variance + epsilon).sqrt();
    let factors: Vec<f32> = affine.scale.iter().zip(variance).map(factor).collect();
    let offset = |((factor, mean), bias): ((&f32, &f32), &f32)| bias - mean * factor;
    let offsets = factors.iter().zip(mean).zip(affine.bias).map(offset).collect::<Vec<_>>();
    let shape = [images, channels, spatial];
    let per_channel = [channels, 1];
    let (factors, offsets) = (stored::<T>(&factors), stored::<T>(&offsets));
    let steps = [
        Step::Right(Binary::Mul, View::new(&factors, &per_channel)),
        Step::Right(Binary::Add, View::new(&offsets, &per_channel)),
    ];
    chain(cx, View::new(src, &shape), &steps, out, &shape);
}

fn stored<T: Element>(values: &[f32]) -> Vec<T> {
    values.iter().map(|&value| T::from_f32(value)).collect()
}
