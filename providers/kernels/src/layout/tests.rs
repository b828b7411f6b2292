//! Moved elements against the definitions, one element at a time.

#![expect(clippy::cast_possible_truncation, reason = "test data")]

use proptest::prelude::*;
use remuda_simd::Isa;

use super::*;
use crate::context::testing::everywhere;
use crate::{Context, ThreadPool};

fn indices(shape: &[usize], mut linear: usize) -> Vec<usize> {
    let mut indices = vec![0; shape.len()];
    for (index, &size) in indices.iter_mut().zip(shape).rev() {
        *index = linear % size;
        linear /= size;
    }
    indices
}

fn linear(shape: &[usize], indices: &[usize]) -> usize {
    shape.iter().zip(indices).fold(0, |at, (size, index)| at * size + index)
}

fn count(shape: &[usize]) -> usize {
    shape.iter().product()
}

fn transposes<T: Movable + PartialEq + std::fmt::Debug>(
    cx: Context<'_>,
    src: &[T],
    shape: &[usize],
    permutation: &[usize],
) {
    let out_shape: Vec<usize> = permutation.iter().map(|&axis| shape[axis]).collect();
    let mut out = src.to_vec();
    transpose(cx, src, &mut out, shape, permutation);
    for (at, &got) in out.iter().enumerate() {
        let mut from = vec![0; shape.len()];
        for (&axis, index) in permutation.iter().zip(indices(&out_shape, at)) {
            from[axis] = index;
        }
        assert_eq!(got, src[linear(shape, &from)], "{shape:?} {permutation:?} at {at}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    #[test]
    fn any_permutation_of_any_element_size_follows_its_definition(
        (shape, permutation) in proptest::collection::vec(prop_oneof![1_usize..6, 15_usize..36], 0..5)
            .prop_flat_map(|shape| {
                let axes: Vec<usize> = (0..shape.len()).collect();
                (Just(shape), Just(axes).prop_shuffle())
            })
            .prop_filter("small", |(shape, _)| count(shape) < 120_000),
        threads in 1_usize..=4,
    ) {
        let pool = ThreadPool::new(threads).unwrap();
        let cx = Context::new(Isa::best(), &pool);
        let wide: Vec<u64> = (0..count(&shape) as u64).collect();
        transposes(cx, &wide, &shape, &permutation);
        for isa in Isa::available() {
            let floats: Vec<f32> = wide.iter().map(|&x| f32::from_bits(x as u32)).collect();
            transposes(Context::new(isa, &pool), &floats, &shape, &permutation);
        }
        transposes(cx, &wide.iter().map(|&x| x as u32).collect::<Vec<_>>(), &shape, &permutation);
        transposes(cx, &wide.iter().map(|&x| x as u16).collect::<Vec<_>>(), &shape, &permutation);
        transposes(cx, &wide.iter().map(|&x| x as u8).collect::<Vec<_>>(), &shape, &permutation);
    }
}

#[test]
fn maps_name_the_source_of_every_element() {
    let modes = [PadMode::Constant, PadMode::Edge, PadMode::Reflect, PadMode::Wrap];
    let mut choices = vec![
        AxisMap::identity(7).unwrap(),
        AxisMap::slice(7, 6, -2, 4).unwrap(),
        AxisMap::slice(7, 1, 3, 2).unwrap(),
        AxisMap::tile(7, 3).unwrap(),
        AxisMap::pad(7, -2, 1, PadMode::Constant).unwrap(),
    ];
    choices.extend(modes.map(|mode| AxisMap::pad(7, 3, 5, mode).unwrap()));
    let src: Vec<u16> = (0..343).collect();
    everywhere(|cx| {
        for first in &choices {
            for (second, third) in choices.iter().zip(choices.iter().rev()) {
                let maps = [first.clone(), second.clone(), third.clone()];
                let shape = maps.each_ref().map(|map| map.indices.len());
                let mut out = vec![9999; count(&shape)];
                remap(cx, &src, &maps, Fill(777), &mut out).unwrap();
                for (at, &got) in out.iter().enumerate() {
                    let from: Vec<usize> = indices(&shape, at)
                        .into_iter()
                        .zip(&maps)
                        .map(|(index, map)| map.indices[index])
                        .collect();
                    let filled = from.contains(&AxisMap::NONE);
                    let expected = if filled { 777 } else { src[linear(&[7, 7, 7], &from)] };
                    assert_eq!(got, expected, "{maps:?} at {at}");
                }
            }
        }
    });
}

#[test]
fn padding_modes_agree_with_numpy() {
    let of = |mode| AxisMap::pad(4, 5, 6, mode).unwrap().indices;
    let none = AxisMap::NONE;
    assert_eq!(of(PadMode::Edge), [0, 0, 0, 0, 0, 0, 1, 2, 3, 3, 3, 3, 3, 3, 3]);
    assert_eq!(of(PadMode::Reflect), [1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1, 2, 3]);
    assert_eq!(of(PadMode::Wrap), [3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1]);
    assert_eq!(of(PadMode::Constant)[..6], [none, none, none, none, none, 0]);
    assert_eq!(AxisMap::pad(1, 2, 1, PadMode::Reflect).unwrap().indices, [0, 0, 0, 0]);
}

#[test]
fn what_is_joined_can_be_taken_apart() {
    everywhere(|cx| {
        let (outer, lengths) = (301, [3, 64, 1]);
        let parts = lengths.map(|length| -> Vec<u32> {
            (0..outer * length).map(|at| (at * 10 + length) as u32).collect()
        });
        let inputs: Vec<(&[u32], usize)> =
            parts.iter().zip(lengths).map(|(part, length)| (&part[..], length)).collect();
        let mut joined = vec![0; outer * 68];
        concat(cx, &inputs, &mut joined);
        assert_eq!(joined[68 * 7 + 3..][..64], parts[1][64 * 7..][..64]);
        let mut apart = parts.each_ref().map(|part| vec![0; part.len()]);
        let mut outputs: Vec<(&mut [u32], usize)> =
            apart.iter_mut().zip(lengths).map(|(part, length)| (&mut part[..], length)).collect();
        split(cx, &joined, &mut outputs);
        assert_eq!(apart, parts);
    });
}

#[test]
fn indices_count_from_either_end_and_those_outside_are_named() {
    everywhere(|cx| {
        let src: Vec<u8> = (0..60).collect();
        let picked = [0, -1, 3, 3];
        let mut out = vec![0; 3 * 4 * 5];
        gather(cx, &src, (4, 5), &picked, &mut out).unwrap();
        for (at, &got) in out.iter().enumerate() {
            let (slab, index, inner) = (at / 20, at / 5 % 4, at % 5);
            let row = [0, 3, 3, 3][index];
            assert_eq!(usize::from(got), slab * 20 + row * 5 + inner);
        }
        let error = gather(cx, &src, (4, 5), &[0, -5], &mut out).unwrap_err();
        assert_eq!(error.to_string(), "expected an index in `-4..4`, got -5");
    });
}

#[test]
fn axes_beyond_memory_are_refused() {
    let far = 1_isize << 60;
    assert!(AxisMap::identity(1 << 60).is_err());
    assert!(AxisMap::slice(1, 0, 0, 1 << 60).is_err());
    assert!(AxisMap::tile(1, 1 << 60).is_err());
    assert!(AxisMap::tile(1 << 40, 1 << 40).is_err());
    assert!(AxisMap::pad(1, far, far, PadMode::Edge).is_err());
    assert!(AxisMap::pad(1, isize::MAX, isize::MAX, PadMode::Edge).is_err());
    assert_eq!(AxisMap::tile(0, 5).unwrap().indices, [0; 0]);
    assert_eq!(AxisMap::pad(3, -2, -2, PadMode::Constant).unwrap().indices, [0; 0]);
}
