//! Every format against the product of decoded weights in f64.

use std::sync::OnceLock;

use proptest::prelude::*;
use remuda_simd::Isa;
use remuda_tensor::quant::{self, BlockFormat};

use super::{
    Activations, BlockError, Codec, Format, Grain, PACKED_LAYOUT, Weights, multiply, pack,
};
use crate::context::testing::noise;
use crate::{Context, ThreadPool};

/// Weights and the floats that they stand for.
struct Case {
    format: &'static BlockFormat,
    sizes: [usize; 2],
    bytes: Vec<u8>,
    values: Vec<f32>,
}

impl Case {
    /// Weights made by quantising noise, or by random bytes where a format can only be decoded.
    fn new(format: &'static BlockFormat, sizes: [usize; 2], seed: u64) -> Self {
        let count = sizes[0] * sizes[1];
        let mut bytes = vec![0; format.bytes_for(count).unwrap()];
        let wanted: Vec<_> = noise(count, seed).iter().map(|x| x * x * x).collect();
        if format.quantize_into(&wanted, &mut bytes).is_err() {
            fill_at_random(format, &mut bytes, seed);
        }
        let mut values = vec![0.0; count];
        format.dequantize_into(&bytes, &mut values).unwrap();
        Self { format, sizes, bytes, values }
    }

    fn codec(&self) -> Codec {
        let BlockFormat { elements, bytes, dequantize, .. } = *self.format;
        Codec { values: elements, bytes, decode: dequantize }
    }

    /// The product in f64 with what the kernels return beside it.
    fn expected(&self, tokens: &[f32]) -> Vec<f64> {
        let depth = self.sizes[1];
        let rows = || self.values.chunks_exact(depth);
        let dot = |row: &[f32], token: &[f32]| {
            row.iter().zip(token).map(|(&w, &a)| f64::from(w) * f64::from(a)).sum()
        };
        tokens
            .chunks_exact(depth)
            .flat_map(|token| rows().map(move |row| dot(row, token)))
            .collect()
    }
}

/// Bytes whose 16-bit floats are moderate: the high byte of every half is below that of 2.
fn fill_at_random(format: &BlockFormat, bytes: &mut [u8], seed: u64) {
    let noise = noise(bytes.len(), seed ^ 7);
    for (byte, noise) in bytes.iter_mut().zip(noise) {
        *byte = noise.to_bits().to_le_bytes()[1];
    }
    for block in bytes.chunks_exact_mut(format.bytes) {
        let last = block.len() - 1;
        block[1] &= 0x2f;
        // `IQ1_M` spreads its scale over the high nibbles of its last four words.
        block[last] &= 0x2f;
    }
}

/// Tokens as models have them: normal, a few eight times as great.
fn tokens(count: usize, seed: u64) -> Vec<f32> {
    let noise = noise(6 * count, seed);
    let mut values: Vec<f32> =
        noise.chunks_exact(6).map(|six| six.iter().sum::<f32>() * 0.42).collect();
    for value in values.iter_mut().step_by(97) {
        *value *= 8.0;
    }
    values
}

/// What is left of tokens when they have been quantised.
fn quantised_tokens(grain: Grain, depth: usize, rows: &[f32]) -> Vec<f32> {
    let length = match grain {
        Grain::Block => 32,
        Grain::Record => 256,
        Grain::Float => return rows.to_vec(),
    };
    let mut out = Vec::new();
    for part in rows.chunks(depth).flat_map(|row| row.chunks(length)) {
        let greatest = part.iter().fold(0.0_f32, |max, value| max.max(value.abs()));
        let quantised = part.iter().map(|x| (x * (127.0 / greatest)).round_ties_even());
        out.extend(quantised.map(|x| x * (greatest / 127.0)));
    }
    out
}

fn packed(cx: Context<'_>, format: Format, case: &Case) -> Vec<u8> {
    let mut packed = vec![1; format.packed_bytes(case.sizes[0], case.sizes[1]).unwrap()];
    pack(cx, format, case.sizes, &case.bytes, &mut packed).unwrap();
    packed
}

fn product(cx: Context<'_>, weights: &Weights<'_>, rows: &[f32]) -> Vec<f32> {
    let mut activations = Activations::default();
    activations.fill(cx, weights.grain(), weights.depth(), rows);
    let mut out = vec![f32::NAN; activations.count() * weights.rows()];
    multiply(cx, weights, &activations, &mut out, weights.rows()).unwrap();
    out
}

/// The root of the mean square of the errors, relative to that of the values.
fn relative_error(got: &[f32], expected: &[f64]) -> f64 {
    let square = |x: f64| x * x;
    let error: f64 = got.iter().zip(expected).map(|(&g, e)| square(f64::from(g) - e)).sum();
    let size: f64 = expected.iter().map(|&e| square(e)).sum();
    (error / size).sqrt()
}

/// The error that sums in f32 have beside sums in f64.
const EXACT: f64 = 2e-6;

fn pool() -> &'static ThreadPool {
    static POOL: OnceLock<ThreadPool> = OnceLock::new();
    POOL.get_or_init(|| ThreadPool::new(3).unwrap())
}

fn contexts() -> impl Iterator<Item = Context<'static>> {
    Isa::available().into_iter().map(|isa| Context::new(isa, pool()))
}

/// Formats of `quant` with a kernel of their own.
fn quantised() -> impl Iterator<Item = (Format, &'static BlockFormat)> {
    Format::all().filter_map(|format| Some((format, quant::by_ggml_type(format.ggml_type())?)))
}

#[test]
fn every_packed_format_is_the_product_of_its_values_with_the_quantised_activations() {
    for (format, block) in quantised() {
        let depth = 2 * 256 + if block.elements == 32 { 96 } else { 0 };
        let case = Case::new(block, [83, depth], 1);
        for count in [1, 2, 3, 4, 5, 6, 7, 64] {
            let rows = tokens(count * depth, 2);
            let exact = case.expected(&quantised_tokens(format.grain(), depth, &rows));
            for cx in contexts() {
                let bytes = packed(cx, format, &case);
                let weights = Weights::packed(format, case.sizes, &bytes).unwrap();
                let got = product(cx, &weights, &rows);
                let error = relative_error(&got, &exact);
                assert!(error < EXACT, "{format:?} {count} {}: {error}", cx.isa);
            }
        }
    }
}

#[test]
fn quantising_activations_costs_what_it_costs_ggml() {
    let rows = tokens(64 * 2048, 13);
    for (weights, format, of_tokens) in [
        ("q8_0", Format::Q80, "q8_0"),
        ("q4_0", Format::Q40, "q8_0"),
        ("q4_k", Format::Q4K, "q8_k"),
    ] {
        let case = Case::new(quant::by_name(weights).unwrap(), [64, 2048], 14);
        let expected = case.expected(&rows);
        let ggml = quant::by_name(of_tokens).unwrap();
        let mut bytes = vec![0; ggml.bytes_for(rows.len()).unwrap()];
        ggml.quantize_into(&rows, &mut bytes).unwrap();
        let mut of_ggml = vec![0.0; rows.len()];
        ggml.dequantize_into(&bytes, &mut of_ggml).unwrap();
        let of_ggml: Vec<f32> = case.expected(&of_ggml).iter().map(|&x| x as f32).collect();
        let limit = 1.02 * relative_error(&of_ggml, &expected);
        for cx in contexts() {
            let bytes = packed(cx, format, &case);
            let weights = Weights::packed(format, case.sizes, &bytes).unwrap();
            let error = relative_error(&product(cx, &weights, &rows), &expected);
            assert!(error < limit, "{format:?} {}: {error}, ggml {limit}", cx.isa);
        }
    }
}

#[test]
fn every_format_works_without_packing() {
    for &block in quant::ALL {
        let case = Case::new(block, [70, 512], 3);
        for count in [1, 4, 9] {
            let rows = tokens(count * 512, 4);
            let expected = case.expected(&rows);
            for cx in contexts() {
                let weights = Weights::plain(case.codec(), case.sizes, &case.bytes).unwrap();
                let error = relative_error(&product(cx, &weights, &rows), &expected);
                assert!(error < EXACT, "{} {count} {}: {error}", block.name, cx.isa);
            }
        }
    }
}

/// Formats whose values are floats, from f32.
fn float_bytes(format: Format, values: &[f32]) -> (Vec<u8>, Vec<f32>) {
    let mut bytes = Vec::new();
    let mut exact = Vec::new();
    for &value in values {
        match format {
            Format::F16 => {
                let half = half::f16::from_f32(value);
                bytes.extend(half.to_le_bytes());
                exact.push(half.to_f32());
            }
            Format::Bf16 => {
                let half = half::bf16::from_f32(value);
                bytes.extend(half.to_le_bytes());
                exact.push(half.to_f32());
            }
            _ => {
                bytes.extend(value.to_le_bytes());
                exact.push(value);
            }
        }
    }
    (bytes, exact)
}

#[test]
fn floats_are_multiplied_as_f32() {
    for format in [Format::F32, Format::F16, Format::Bf16] {
        for [rows, depth] in [[83, 200], [16, 1], [129, 64]] {
            let (bytes, values) = float_bytes(format, &noise(rows * depth, 5));
            let block = quant::ALL[0];
            let case = Case { format: block, sizes: [rows, depth], bytes, values };
            for count in [1, 2, 3, 4, 5, 7, 8, 23] {
                let inputs = tokens(count * depth, 6);
                let expected = case.expected(&inputs);
                for cx in contexts() {
                    let bytes = packed(cx, format, &case);
                    let weights = Weights::packed(format, case.sizes, &bytes).unwrap();
                    let error = relative_error(&product(cx, &weights, &inputs), &expected);
                    assert!(error < EXACT, "{format:?} {count} {}: {error}", cx.isa);
                }
            }
        }
    }
}

#[test]
fn the_result_of_a_token_is_the_same_in_every_batch_and_on_every_wide_instruction_set() {
    for (format, block) in quantised() {
        let case = Case::new(block, [100, 768], 7);
        let rows = tokens(70 * 768, 8);
        let mut of_fma = Vec::new();
        for cx in contexts() {
            let bytes = packed(cx, format, &case);
            let weights = Weights::packed(format, case.sizes, &bytes).unwrap();
            let all = product(cx, &weights, &rows);
            for count in [1, 2, 3, 4, 5, 8, 69] {
                let some = product(cx, &weights, &rows[..count * 768]);
                assert!(some == all[..count * 100], "{format:?} {count} {}", cx.isa);
            }
            if cx.isa.avx2().is_some() || cx.isa.avx512().is_some() {
                of_fma.push(all);
            }
        }
        assert!(of_fma.windows(2).all(|pair| pair[0] == pair[1]), "{format:?}");
    }
}

#[test]
fn tokens_may_lie_apart_and_what_is_between_them_stays() {
    let case = Case::new(quant::by_name("q4_0").unwrap(), [37, 64], 9);
    for cx in contexts() {
        let bytes = packed(cx, Format::Q40, &case);
        let weights = Weights::packed(Format::Q40, case.sizes, &bytes).unwrap();
        for count in [2, 7] {
            let rows = tokens(count * 64, 10);
            let close = product(cx, &weights, &rows);
            let mut activations = Activations::default();
            activations.fill_with(cx, Grain::Block, [count, 64], |token, out| {
                out.copy_from_slice(&rows[token * 64..][..64]);
            });
            let mut apart = vec![-1.0; count * 40];
            multiply(cx, &weights, &activations, &mut apart, 40).unwrap();
            for (apart, close) in apart.chunks_exact(40).zip(close.chunks_exact(37)) {
                assert_eq!(apart[..37], *close);
                assert_eq!(apart[37..], [-1.0; 3]);
            }
        }
    }
}

#[test]
fn nothing_beside_the_outputs_is_written() {
    const GUARD: usize = 80;
    for (format, block) in quantised() {
        for [rows, depth] in [[1, 256], [17, 512], [67, 256]] {
            let case = Case::new(block, [rows, depth], 19);
            for cx in contexts() {
                let bytes = packed(cx, format, &case);
                let weights = Weights::packed(format, case.sizes, &bytes).unwrap();
                for (count, stride) in
                    [(1, rows), (2, rows + 3), (4, rows), (5, rows), (8, rows + 1)]
                {
                    let mut activations = Activations::default();
                    activations.fill(cx, weights.grain(), depth, &tokens(count * depth, 20));
                    let length = (count - 1) * stride + rows;
                    let mut memory = vec![f32::MAX; length + 2 * GUARD];
                    let out = &mut memory[GUARD..GUARD + length];
                    multiply(cx, &weights, &activations, out, stride).unwrap();
                    for (at, &value) in memory.iter().enumerate() {
                        let place = at.checked_sub(GUARD).filter(|&place| place < length);
                        let is_output = place.is_some_and(|place| place % stride < rows);
                        assert_eq!(value != f32::MAX, is_output, "{format:?} {rows} {count} {at}");
                    }
                }
            }
        }
    }
}

#[test]
fn fused_inputs_are_those_of_separate_steps() {
    let case = Case::new(quant::by_name("q8_0").unwrap(), [32, 96], 15);
    for cx in contexts() {
        let bytes = packed(cx, Format::Q80, &case);
        let weights = Weights::packed(Format::Q80, case.sizes, &bytes).unwrap();
        let (rows, up, scale) = (tokens(5 * 96, 16), tokens(5 * 96, 17), tokens(96, 18));
        let mut fused = Activations::default();
        let check = |fused: &Activations, separate: &[f32]| {
            let mut out = vec![0.0; 5 * 32];
            multiply(cx, &weights, fused, &mut out, 32).unwrap();
            let expected = product(cx, &weights, separate);
            let expected: Vec<f64> = expected.into_iter().map(f64::from).collect();
            // A rounding may fall the other way.
            assert!(relative_error(&out, &expected) < 2e-3, "{}", cx.isa);
        };
        fused.fill_rms_norm(cx, Grain::Block, (&scale, 1e-5), &rows);
        let normal = rows.chunks_exact(96).flat_map(|row| {
            let mean = row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / 96.0;
            let factor = (mean + 1e-5).sqrt().recip() as f32;
            row.iter().zip(&scale).map(move |(x, scale)| x * factor * scale)
        });
        check(&fused, &normal.collect::<Vec<_>>());
        fused.fill_swiglu(cx, Grain::Block, 96, (&rows, &up));
        let gated = rows.iter().zip(&up).map(|(gate, up)| gate / (1.0 + (-gate).exp()) * up);
        check(&fused, &gated.collect::<Vec<_>>());
    }
}

#[test]
fn a_nan_or_an_infinity_shows_in_its_own_token_only() {
    let case = Case::new(quant::by_name("q8_0").unwrap(), [32, 256], 11);
    for cx in contexts() {
        let bytes = packed(cx, Format::Q80, &case);
        let weights = Weights::packed(Format::Q80, case.sizes, &bytes).unwrap();
        for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut rows = tokens(3 * 256, 12);
            rows[256 + 77] = odd;
            let got = product(cx, &weights, &rows);
            assert!(got[..32].iter().chain(&got[64..]).all(|x| x.is_finite()), "{}", cx.isa);
            assert!(got[32..64].iter().all(|x| !x.is_finite()), "{}", cx.isa);
        }
    }
}

#[test]
fn operands_that_do_not_fit_are_refused() {
    let cx = contexts().next().unwrap();
    let length = |needed, got| BlockError::Length { what: "packed bytes", needed, got };
    let short = Weights::packed(Format::Q40, [16, 32], &[0; 10]).unwrap_err();
    assert_eq!(short, length(Some(256 + 256), 10));
    assert_eq!(short.to_string(), "expected 512 packed bytes, got 10");
    let odd = Weights::packed(Format::Q4K, [16, 128], &[]).unwrap_err();
    assert_eq!(odd, length(None, 0));
    let bytes = [0; 512];
    let weights = Weights::packed(Format::Q40, [16, 32], &bytes).unwrap();
    let mut activations = Activations::default();
    activations.fill(cx, Grain::Record, 32, &[0.0; 32]);
    let grain = BlockError::Grain { expected: Grain::Block, got: Grain::Record };
    assert_eq!(multiply(cx, &weights, &activations, &mut [0.0; 16], 16), Err(grain));
    activations.fill(cx, Grain::Block, 64, &[0.0; 64]);
    let depth = BlockError::Depth { expected: 32, got: 64 };
    assert_eq!(multiply(cx, &weights, &activations, &mut [0.0; 16], 16), Err(depth));
    activations.fill(cx, Grain::Block, 32, &[0.0; 64]);
    assert!(multiply(cx, &weights, &activations, &mut [0.0; 31], 16).is_err());
    assert!(multiply(cx, &weights, &activations, &mut [0.0; 32], 15).is_err());
    assert!(multiply(cx, &weights, &activations, &mut [0.0; 32], 16).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_sizes_of_any_format_are_close(
        which in 0_usize..13,
        rows in 1_usize..150,
        blocks in 1_usize..20,
        count in 1_usize..=70,
        seed in any::<u64>(),
    ) {
        let (format, block) = quantised().nth(which).unwrap();
        let blocks = if block.elements == 256 { blocks.div_ceil(8) } else { blocks };
        let case = Case::new(block, [rows, blocks * block.elements], seed);
        let inputs = tokens(count * case.sizes[1], !seed);
        let expected = case.expected(&quantised_tokens(format.grain(), case.sizes[1], &inputs));
        for cx in contexts() {
            let bytes = packed(cx, format, &case);
            let weights = Weights::packed(format, case.sizes, &bytes).unwrap();
            let error = relative_error(&product(cx, &weights, &inputs), &expected);
            // Few outputs may be small by chance, beside what they are the sum of.
            let chance = if rows * count < 64 { 50.0 } else { 2.0 };
            prop_assert!(error < chance * EXACT, "{format:?} {}: {error}", cx.isa);
        }
    }

    #[test]
    fn any_bytes_are_weights(
        which in 0_usize..13,
        bytes in proptest::collection::vec(any::<u8>(), 256 * 4),
        count in 1_usize..6,
    ) {
        let (format, block) = quantised().nth(which).unwrap();
        let bytes = &bytes[..block.bytes * 3];
        let case =
            Case { format: block, sizes: [3, block.elements], bytes: bytes.to_vec(), values: vec![] };
        let inputs = tokens(count * block.elements, 1);
        for cx in contexts() {
            let bytes = packed(cx, format, &case);
            let weights = Weights::packed(format, case.sizes, &bytes).unwrap();
            product(cx, &weights, &inputs);
        }
    }
}

/// Kept files hold packed bytes: whoever changes what they look like raises [`PACKED_LAYOUT`], then this.
#[test]
fn packed_bytes_are_those_of_their_layout() {
    let sizes @ [rows, depth] = [20, 512];
    let pool = ThreadPool::single();
    let cx = Context::new(Isa::best(), &pool);
    let blocks = (0..64).filter_map(Format::of_ggml_type);
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for format in [Format::F32, Format::F16, Format::Bf16].into_iter().chain(blocks) {
        let count = format.source_bytes(rows, depth).unwrap();
        let source: Vec<u8> = (0..count).map(|at| (at * 31 % 61) as u8).collect();
        let mut packed = vec![0; format.packed_bytes(rows, depth).unwrap()];
        pack(cx, format, sizes, &source, &mut packed).unwrap();
        for byte in packed {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
    assert_eq!((PACKED_LAYOUT, hash), (1, 17_713_726_810_006_791_358));
}
