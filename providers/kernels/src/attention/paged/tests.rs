//! Paged attention against the textbook formula in f64.

use half::f16;
use remuda_simd::Element;

use super::*;
use crate::context::testing::{assert_close, everywhere, noise};

const SIZES: PageSizes = PageSizes { positions: 48, kv_heads: 2, size: 20, value_size: 24 };

/// Keys and values of a sequence, `[position][kv head][element]`.
struct Content {
    keys: Vec<f32>,
    values: Vec<f32>,
    count: usize,
}

impl Content {
    fn new(count: usize, seed: u64) -> Self {
        let rows = count * SIZES.kv_heads;
        let keys = noise(rows * SIZES.size, seed);
        Self { keys, values: noise(rows * SIZES.value_size, seed + 1), count }
    }

    fn key(&self, position: usize, head: usize) -> &[f32] {
        &self.keys[(position * SIZES.kv_heads + head) * SIZES.size..][..SIZES.size]
    }

    fn value(&self, position: usize, head: usize) -> &[f32] {
        &self.values[(position * SIZES.kv_heads + head) * SIZES.value_size..][..SIZES.value_size]
    }

    /// Every head and position.
    fn places(&self) -> impl Iterator<Item = [usize; 2]> {
        (0..self.count).flat_map(|position| (0..SIZES.kv_heads).map(move |head| [head, position]))
    }

    /// Pages of floats; what no position uses is not a number.
    fn pages<T: Element>(&self) -> Vec<(Vec<T>, Vec<T>)> {
        let empty = |count| vec![T::from_f32(f32::NAN); count];
        let count = self.count.div_ceil(SIZES.positions);
        let mut pages = vec![(empty(SIZES.keys()), empty(SIZES.values())); count];
        for [head, position] in self.places() {
            let (keys, values) = &mut pages[position / SIZES.positions];
            let place = [head, position % SIZES.positions];
            put_key(&SIZES, keys, place, &narrowed(self.key(position, head)));
            put_value(&SIZES, values, place, &narrowed(self.value(position, head)));
        }
        pages
    }
}

fn narrowed<T: Element>(values: &[f32]) -> Vec<T> {
    values.iter().map(|&value| T::from_f32(value)).collect()
}

fn options() -> PagedOptions<'static> {
    PagedOptions {
        heads: 6,
        kv_heads: SIZES.kv_heads,
        size: SIZES.size,
        value_size: SIZES.value_size,
        scale: 0.7,
        softcap: None,
        causal: true,
        window: None,
        bias: None,
    }
}

/// Outputs of the queries of one sequence.
fn exact(options: &PagedOptions<'_>, content: &Content, first: usize, queries: &[f32]) -> Vec<f64> {
    let row = options.heads * options.size;
    let mut out = Vec::new();
    for (index, query) in queries.chunks_exact(options.size).enumerate() {
        let own = first + index * options.size / row;
        let query_head = index % options.heads;
        let head = query_head / options.group();
        let end = if options.causal { own + 1 } else { content.count };
        let start = options.window.map_or(0, |window| (own + 1).saturating_sub(window));
        let score = |position: usize| {
            let pairs = query.iter().zip(content.key(position, head));
            let dot: f64 = pairs.map(|(&q, &k)| f64::from(q) * f64::from(k)).sum();
            let score = dot * f64::from(options.scale);
            let score = options
                .softcap
                .map_or(score, |cap| f64::from(cap) * (score / f64::from(cap)).tanh());
            let bias = options.bias.map_or(0.0, |bias| {
                let distance = (own - position).min(bias.distances - 1);
                bias.values[query_head * bias.distances + distance]
            });
            score + f64::from(bias)
        };
        let weights: Vec<f64> = (start..end).map(|position| score(position).exp()).collect();
        let sum: f64 = weights.iter().sum();
        out.extend((0..options.value_size).map(|column| {
            let value = |position: usize| f64::from(content.value(position, head)[column]);
            (start..end).zip(&weights).map(|(at, weight)| weight * value(at)).sum::<f64>() / sum
        }));
    }
    out
}

fn borrowed<T>(pages: &[(Vec<T>, Vec<T>)]) -> Vec<(&[T], &[T])> {
    pages.iter().map(|(keys, values)| (&keys[..], &values[..])).collect()
}

fn agrees<T: Element>(options: PagedOptions<'_>, tolerance: f64) {
    let contents = [Content::new(130, 1), Content::new(1, 3), Content::new(1100, 5)];
    let spans = [(0, 130), (0, 1), (1097, 3)];
    let row = options.heads * options.size;
    let tokens: usize = spans.iter().map(|span| span.1).sum();
    let queries = noise(tokens * row, 7);
    let mut start = 0;
    let mut expected = Vec::new();
    for (content, (first, count)) in contents.iter().zip(spans) {
        expected.extend(exact(&options, content, first, &queries[start..start + count * row]));
        start += count * row;
    }
    let pages = contents.each_ref().map(Content::pages::<T>);
    let pages = pages.each_ref().map(|pages| borrowed(pages));
    let caches = pages.each_ref().map(|pages| Pages { sizes: SIZES, pages });
    let sequences: Vec<_> = (caches.iter().zip(&contents).zip(spans))
        .map(|((cache, content), (first, queries))| Sequence {
            cache,
            keys: content.count,
            queries,
            first,
        })
        .collect();
    everywhere(|cx| {
        let mut out = vec![f32::NAN; tokens * options.heads * options.value_size];
        paged_attention(cx, &options, &sequences, &queries, &mut out);
        assert_close(&out, &expected, tolerance, 1.0, &format!("{options:?}"));
    });
}

#[test]
fn sequences_of_any_length_attend_to_their_pages() {
    agrees::<f32>(options(), 3e-6);
    agrees::<f16>(options(), 2e-3);
    agrees::<f32>(PagedOptions { window: Some(70), ..options() }, 3e-6);
    agrees::<f32>(PagedOptions { softcap: Some(1.5), ..options() }, 3e-6);
    agrees::<f32>(PagedOptions { causal: false, ..options() }, 3e-6);
    for distances in [1, 5, 129] {
        let values = noise(options().heads * distances, 21);
        let bias = Some(Bias { values: &values, distances });
        agrees::<f32>(PagedOptions { bias, ..options() }, 3e-6);
        agrees::<f32>(PagedOptions { bias, softcap: Some(1.5), ..options() }, 3e-6);
    }
}

#[test]
fn a_query_has_one_result_however_it_is_batched() {
    let options = options();
    let content = Content::new(2100, 11);
    let pages = content.pages::<f16>();
    let pages = borrowed(&pages);
    let cache = Pages { sizes: SIZES, pages: &pages };
    let (row, out_row) = (options.heads * options.size, options.heads * options.value_size);
    let queries = noise(60 * row, 12);
    for isa in Isa::available() {
        let mut all = vec![0.0; 60 * out_row];
        let single = crate::ThreadPool::single();
        let whole = Sequence { cache: &cache, keys: 2100, queries: 60, first: 2040 };
        paged_attention(Context::new(isa, &single), &options, &[whole], &queries, &mut all);
        let pool = crate::ThreadPool::new(3).unwrap();
        for query in [0, 17, 59] {
            let one =
                Sequence { cache: &cache, keys: 2041 + query, queries: 1, first: 2040 + query };
            let mut out = vec![0.0; out_row];
            let cx = Context::new(isa, &pool);
            paged_attention(cx, &options, &[one], &queries[query * row..][..row], &mut out);
            assert_eq!(out, all[query * out_row..][..out_row], "{isa} {query}");
        }
    }
}

#[test]
fn bytes_are_within_their_rounding() {
    let options = options();
    let content = Content::new(150, 21);
    let pages: Vec<_> = (0..4)
        .map(|_| {
            let scales = || vec![0.0; SIZES.positions * SIZES.kv_heads];
            ((vec![0; SIZES.keys()], scales()), (vec![0; SIZES.values()], scales()))
        })
        .collect();
    let mut pages = pages;
    for [head, position] in content.places() {
        let (keys, values) = &mut pages[position / SIZES.positions];
        let place = [head, position % SIZES.positions];
        let key = content.key(position, head);
        put_byte_key(&SIZES, (&mut keys.0, &mut keys.1), place, key);
        let value = content.value(position, head);
        put_byte_value(&SIZES, (&mut values.0, &mut values.1), place, value);
    }
    let view = |(bytes, scales)| Bytes { bytes, scales };
    let pages: Vec<_> = pages
        .iter()
        .map(|(keys, values)| (view((&keys.0, &keys.1)), view((&values.0, &values.1))))
        .collect();
    let cache = BytePages { sizes: SIZES, pages: &pages };
    let queries = noise(2 * options.heads * options.size, 22);
    let expected = exact(&options, &content, 148, &queries);
    everywhere(|cx| {
        let sequence = Sequence { cache: &cache, keys: 150, queries: 2, first: 148 };
        let mut out = vec![f32::NAN; 2 * options.heads * options.value_size];
        paged_attention(cx, &options, &[sequence], &queries, &mut out);
        assert_close(&out, &expected, 6e-3, 1.0, "bytes");
    });
}
