//! Attention against the textbook formula in f64.

use half::{bf16, f16};
use remuda_simd::Element;

use super::*;
use crate::context::testing::{assert_close, everywhere, noise};

fn of<T: Element>(count: usize, seed: u64) -> Vec<T> {
    noise(count, seed).into_iter().map(|x| T::from_f32(2.0 * x)).collect()
}

fn heads<T>(data: &[T], heads: usize, positions: usize, size: usize) -> Heads<'_, T> {
    Heads { data, batch: heads * positions * size, head: positions * size, position: size }
}

/// The score of a query and a key after bending and masking, or nothing if it may not be seen.
fn score(problem: &Problem<'_, impl Element, impl Element>, at: [usize; 4]) -> Option<f64> {
    let Problem { sizes, inputs, options } = problem;
    let [batch, head, query, key] = at;
    let (low, high) = options.reach(sizes, batch, query);
    if !(low..high).contains(&key) {
        return None;
    }
    let q = inputs.query.row(batch, head, query, sizes.size);
    let k = inputs.key.row(batch, head / sizes.group(), key, sizes.size);
    let product =
        |(a, b): (&_, &_)| f64::from(Element::to_f32(*a)) * f64::from(Element::to_f32(*b));
    let mut score = q.iter().zip(k).map(product).sum::<f64>() * f64::from(options.scale);
    if let Some(cap) = options.softcap.map(f64::from) {
        score = cap * (score / cap).tanh();
    }
    let offset = |strides: [usize; 4]| -> usize {
        at.iter().zip(strides).map(|(at, stride)| at * stride).sum()
    };
    match options.mask {
        Mask::None => Some(score),
        Mask::Additive(mask) => Some(score + f64::from(mask.data[offset(mask.strides)])),
        Mask::Allowed(mask) => (mask.data[offset(mask.strides)] != 0).then_some(score),
    }
}

fn exact(problem: &Problem<'_, impl Element, impl Element>, order: Order) -> Vec<f64> {
    let Problem { sizes, inputs, .. } = problem;
    let mut out = vec![0.0; sizes.batches * sizes.heads * sizes.queries * sizes.value_size];
    for row in 0..sizes.batches * sizes.heads * sizes.queries {
        let (batch, head, query) = (
            row / (sizes.heads * sizes.queries),
            row / sizes.queries % sizes.heads,
            row % sizes.queries,
        );
        let scores: Vec<_> =
            (0..sizes.keys).map(|key| score(problem, [batch, head, query, key])).collect();
        let max = scores.iter().flatten().fold(f64::NEG_INFINITY, |max, &score| max.max(score));
        let weight = |score: &Option<f64>| score.map_or(0.0, |score| (score - max).exp());
        let sum: f64 = scores.iter().map(weight).sum();
        let place = match order {
            Order::HeadsFirst => row,
            Order::PositionsFirst => (batch * sizes.queries + query) * sizes.heads + head,
        };
        for (key, score) in scores.iter().enumerate().filter(|_| sum > 0.0) {
            let value = inputs.value.row(batch, head / sizes.group(), key, sizes.value_size);
            for (column, value) in value.iter().enumerate() {
                let value = f64::from(value.to_f32());
                out[place * sizes.value_size + column] += weight(score) / sum * value;
            }
        }
    }
    out
}

fn sizes(queries: usize, keys: usize, size: usize) -> Sizes {
    Sizes { batches: 2, heads: 4, kv_heads: 2, queries, keys, size, value_size: size }
}

fn plain(size: usize) -> Options<'static> {
    let scale = 1.0 / (size as f32).sqrt();
    Options { scale, softcap: None, window: None, mask: Mask::None, key_counts: None }
}

fn agrees<Q: Element, K: Element>(sizes: Sizes, options: Options<'_>, tolerance: f64, what: &str) {
    let Sizes { batches, heads: n, kv_heads, queries, keys, size, value_size } = sizes;
    let query = of::<Q>(batches * n * queries * size, 1);
    let key = of::<K>(batches * kv_heads * keys * size, 2);
    let value = of::<K>(batches * kv_heads * keys * value_size, 3);
    let inputs = Inputs {
        query: heads(&query, n, queries, size),
        key: heads(&key, kv_heads, keys, size),
        value: heads(&value, kv_heads, keys, value_size),
    };
    for order in [Order::HeadsFirst, Order::PositionsFirst] {
        let expected = exact(&Problem { sizes, inputs, options }, order);
        everywhere(|cx| {
            let mut out = vec![Q::from_f32(9.0); expected.len()];
            attention(cx, sizes, inputs, options, (&mut out, order));
            let out: Vec<f32> = out.into_iter().map(Q::to_f32).collect();
            assert_close(&out, &expected, tolerance, 1.0, &format!("{what} {sizes:?} {}", cx.isa));
        });
    }
}

const SHAPES: [(usize, usize, usize); 7] = [
    (1, 1, 8),
    (1, 300, 64),
    (3, 129, 20),
    (5, 64, 128),
    (40, 40, 64),
    (33, 200, 24),
    (70, 65, 80),
];

#[test]
fn few_and_many_queries_agree_with_the_formula() {
    for (queries, keys, size) in SHAPES {
        agrees::<f32, f32>(sizes(queries, keys, size), plain(size), 4e-6, "plain");
    }
}

#[test]
fn heads_may_be_shared_by_any_number_of_queries_and_values_have_their_own_size() {
    for kv_heads in [1, 2, 4] {
        for (queries, keys, size) in SHAPES {
            let sizes = Sizes { kv_heads, value_size: size / 2 + 3, ..sizes(queries, keys, size) };
            agrees::<f32, f32>(sizes, plain(size), 4e-6, "grouped");
        }
    }
}

#[test]
fn causal_and_windowed_queries_see_what_they_may() {
    for (queries, keys, size) in SHAPES {
        let sizes = sizes(queries, keys, size);
        let past = [keys.cast_signed() - queries.cast_signed()];
        for (offsets, left, right) in [
            (&past[..], None, Some(0)),
            (&[0, 5], None, Some(0)),
            (&[3, -2], Some(17), Some(2)),
            (&[-30], Some(4), None),
        ] {
            let window = Some(Window { offsets, left, right });
            agrees::<f32, f32>(sizes, Options { window, ..plain(size) }, 4e-6, "window");
        }
        let counts = [keys, keys / 3];
        let key_counts = Some(&counts[..]);
        agrees::<f32, f32>(sizes, Options { key_counts, ..plain(size) }, 4e-6, "counts");
    }
}

#[test]
fn masks_add_to_scores_or_forbid_keys_and_caps_bend_scores() {
    for (queries, keys, size) in SHAPES {
        let sizes = sizes(queries, keys, size);
        let mut summands = noise(4 * queries * keys, 4);
        summands.iter_mut().step_by(3).for_each(|x| *x = f32::NEG_INFINITY);
        let allowed: Vec<u8> = (0..2 * keys).map(|at| u8::from(at % 5 > 1)).collect();
        let per_head = [0, queries * keys, keys, 1];
        let masks = [
            Mask::Additive(MaskView { data: &summands, strides: per_head }),
            Mask::Additive(MaskView { data: &summands, strides: [0, 0, 1, 0] }),
            Mask::Additive(MaskView { data: &summands, strides: [0, 0, 1, queries] }),
            Mask::Allowed(MaskView { data: &allowed, strides: [keys, 0, 0, 1] }),
        ];
        for mask in masks {
            for softcap in [None, Some(1.5)] {
                let options = Options { mask, softcap, ..plain(size) };
                agrees::<f32, f32>(sizes, options, 4e-6, "mask");
            }
        }
    }
}

#[test]
fn narrow_caches_are_read_exactly() {
    for (queries, keys, size) in SHAPES {
        let sizes = sizes(queries, keys, size);
        agrees::<f32, f16>(sizes, plain(size), 4e-6, "f16 cache");
        agrees::<f32, bf16>(sizes, plain(size), 4e-6, "bf16 cache");
        agrees::<f16, f16>(sizes, plain(size), 1.0 / 2048.0, "f16");
    }
}

#[test]
fn without_keys_the_result_is_zero() {
    agrees::<f32, f32>(sizes(3, 0, 8), plain(8), 0.0, "no keys");
}
