//! The block formats against golden vectors from gguf-py and ggml (`tests/python/quant/golden.py`
//! writes them), and what must hold for any input.
#![cfg(test)]
#![expect(clippy::cast_possible_truncation, reason = "pseudo-random bytes")]

use std::path::PathBuf;

use proptest::prelude::*;
use remuda_tensor::quant::{self, BlockFormat, QuantError};

const RUN: usize = 256;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Reads a golden file front to back.
struct Golden(Vec<u8>, usize);

impl Golden {
    fn open(format: &BlockFormat) -> Self {
        let path = root().join(format!("tests/data/quant/{}.bin", format.name));
        Self(std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())), 0)
    }

    fn take(&mut self, count: usize) -> &[u8] {
        self.1 += count;
        &self.0[self.1 - count..self.1]
    }

    fn word(&mut self) -> u32 {
        u32::from_le_bytes(self.take(4).try_into().unwrap())
    }

    fn floats(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| f32::from_bits(self.word())).collect()
    }

    fn shorts(&mut self, count: usize) -> Vec<i16> {
        self.take(2 * count).as_chunks().0.iter().map(|&bytes| i16::from_le_bytes(bytes)).collect()
    }
}

fn same(left: f32, right: f32) -> bool {
    left.to_bits() == right.to_bits() || left.is_nan() && right.is_nan()
}

#[test]
fn decoding_gives_the_bits_of_the_oracles() {
    for format in quant::ALL {
        let mut golden = Golden::open(format);
        let blocks = golden.word();
        assert!(blocks >= 5, "{}", format.name);
        for block in 0..blocks {
            let bytes = golden.take(format.bytes).to_vec();
            let want = golden.floats(format.elements);
            let mut got = vec![0.0; format.elements];
            format.dequantize_into(&bytes, &mut got).unwrap();
            for (at, (got, want)) in got.into_iter().zip(want).enumerate() {
                let name = format.name;
                assert!(same(got, want), "{name} block {block} value {at}: {got} is not {want}");
            }
        }
    }
}

#[test]
fn encoding_gives_the_bytes_of_the_oracles() {
    for format in quant::ALL {
        let mut golden = Golden::open(format);
        for _ in 0..golden.word() {
            golden.take(format.bytes + 4 * format.elements);
        }
        let runs = golden.word();
        assert_eq!(runs > 0, format.quantize.is_some(), "{}", format.name);
        for run in 0..runs {
            let steps = golden.shorts(RUN);
            let step = f32::from_bits(golden.word());
            let values: Vec<f32> = steps.iter().map(|&whole| f32::from(whole) * step).collect();
            let want = golden.take(format.bytes_for(RUN).unwrap()).to_vec();
            let mut got = vec![0xAA; want.len()];
            format.quantize_into(&values, &mut got).unwrap();
            assert_eq!(got, want, "{} run {run}", format.name);
        }
        assert_eq!(golden.1, golden.0.len(), "{} has bytes left", format.name);
    }
}

#[test]
fn the_table_lists_every_file_once_and_in_order() {
    let helpers = ["codec", "grids", "scale6", "search"];
    let mut files: Vec<String> = std::fs::read_dir(root().join("runtime-core/tensor/src/quant"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .filter(|name| !helpers.contains(&name.as_str()))
        .collect();
    files.sort();
    let table: Vec<_> = quant::ALL.iter().map(|format| format.name.to_owned()).collect();
    assert_eq!(table, files);
    for format in quant::ALL {
        assert_eq!(quant::by_name(&format.name.to_uppercase()).unwrap().name, format.name);
        assert_eq!(quant::by_ggml_type(format.ggml_type).unwrap().name, format.name);
    }
    assert!(quant::by_name("q9_0").is_none() && quant::by_ggml_type(4).is_none());
}

#[test]
fn wrong_lengths_are_refused_with_both_numbers() {
    let format = quant::by_name("q4_0").unwrap();
    let ragged = format.dequantize_into(&[0; 18], &mut [0.0; 33]).unwrap_err();
    assert_eq!(
        ragged.to_string(),
        "`q4_0` packs 32 elements to a block, expected a multiple of that, got 33"
    );
    let short = format.quantize_into(&[0.0; 64], &mut [0; 35]).unwrap_err();
    assert_eq!(short.to_string(), "64 elements of `q4_0` take 36 bytes, got 35");
    assert_eq!(format.bytes_for(usize::MAX), None);
    let decode_only = quant::by_name("iq2_xxs").unwrap();
    let refused = decode_only.quantize_into(&[0.0; 256], &mut [0; 66]).unwrap_err();
    assert_eq!(refused, QuantError::DecodeOnly { format: "iq2_xxs" });
}

/// The error that a format may leave, as a part of the largest magnitude in the block.
fn tolerance(format: &BlockFormat) -> f32 {
    match format.name {
        "q8_0" | "q8_1" | "q8_k" => 0.006,
        "q6_k" => 0.05,
        "q5_0" | "q5_1" | "q5_k" => 0.09,
        "q4_0" | "q4_1" | "q4_k" | "iq4_nl" | "iq4_xs" => 0.2,
        "mxfp4" | "nvfp4" => 0.35,
        "q3_k" => 0.4,
        "tq1_0" | "tq2_0" | "q2_0" => 0.51,
        _ => 1.01,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn encoding_and_decoding_stays_near(values in prop::collection::vec(-1.0_f32..1.0, RUN)) {
        for format in quant::ALL.iter().filter(|format| format.quantize.is_some()) {
            let mut blocks = vec![0; format.bytes_for(RUN).unwrap()];
            let mut back = vec![0.0; RUN];
            format.quantize_into(&values, &mut blocks).unwrap();
            format.dequantize_into(&blocks, &mut back).unwrap();
            let peak = values.iter().fold(0.0_f32, |peak, value| peak.max(value.abs()));
            for (value, back) in values.iter().zip(&back) {
                let error = (value - back).abs() / peak;
                prop_assert!(error <= tolerance(format), "{}: {value} -> {back}", format.name);
            }
        }
    }

    #[test]
    fn any_floats_can_be_encoded(bits in prop::collection::vec(any::<u32>(), RUN)) {
        let values: Vec<f32> = bits.into_iter().map(f32::from_bits).collect();
        for format in quant::ALL.iter().filter(|format| format.quantize.is_some()) {
            let mut blocks = vec![0; format.bytes_for(RUN).unwrap()];
            format.quantize_into(&values, &mut blocks).unwrap();
        }
    }

    #[test]
    fn any_bytes_can_be_decoded_block_by_block(seed in any::<u64>()) {
        for format in quant::ALL {
            let bytes: Vec<u8> = (0..2 * format.bytes as u64)
                .map(|at| (seed.rotate_left(at as u32 % 64).wrapping_mul(at * 2 + 1) >> 32) as u8)
                .collect();
            let mut both = vec![0.0; 2 * format.elements];
            format.dequantize_into(&bytes, &mut both).unwrap();
            let mut last = vec![0.0; format.elements];
            format.dequantize_into(&bytes[format.bytes..], &mut last).unwrap();
            for (one, other) in both[format.elements..].iter().zip(&last) {
                prop_assert!(same(*one, *other), "{}", format.name);
            }
        }
    }
}
