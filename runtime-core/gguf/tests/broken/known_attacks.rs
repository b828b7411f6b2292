//! The published attacks on readers of this format, one file each: what broke there is an error
//! here. Names are those of the advisories.

use crate::raw::{ARRAY, F32, I32, Q4_0, Raw, TEXT, U8, U32};

/// More dimensions than the reader's fixed array held.
#[test]
fn cve_2024_21802_dimensions_past_a_fixed_array() {
    Raw::new(1, 0)
        .text(b"w")
        .u32(100)
        .and(&[1; 800])
        .u32(F32)
        .u64(0)
        .data(32)
        .is_refused("unsupported: tensor `w` at byte 33: expected at most 4 dimensions, got 100");
}

/// Count times element size wraps to a small allocation.
#[test]
fn cve_2024_21825_array_size_wraps() {
    Raw::new(0, 1).array("a", U32, 0x4000_0000_0000_0001).and(&[0; 64]).is_refused(
        "invalid: metadata key `a` at byte 41: \
         expected room for 4611686018427387905 array elements of at least 4 bytes each, \
         got 64 bytes",
    );
}

/// Number of tensors times entry size wraps.
#[test]
fn cve_2024_21836_tensor_count_wraps() {
    Raw::new(0x0555_5555_5555_5556, 0).data(256).is_refused(
        "invalid: file at byte 8: \
         expected room for 384307168202282326 tensors of at least 25 bytes each, got 264 bytes",
    );
}

/// Text length plus one wraps to zero.
#[test]
fn cve_2024_23496_text_length_wraps() {
    Raw::new(0, 1).key("general.name", TEXT).u64(u64::MAX).and(&[b'x'; 64]).is_refused(
        "invalid: metadata key `general.name` at byte 56: \
         expected 18446744073709551615 more bytes, got 64",
    );
}

/// Number of metadata entries times entry size wraps.
#[test]
fn cve_2024_23605_entry_count_wraps() {
    Raw::new(0, 0x0AAA_AAAA_AAAA_AAAB).data(256).is_refused(
        "invalid: file at byte 16: \
         expected room for 768614336404564651 metadata entries of at least 14 bytes each, \
         got 264 bytes",
    );
}

/// Cleaning up after a failure in the middle freed entries that were never read.
#[test]
fn cve_2024_32878_failure_between_entries() {
    let raw = Raw::new(0, 3).key("a", TEXT).text(b"read").key("b", TEXT).u64(1 << 40);
    raw.and(&[0; 64]).is_refused(
        "invalid: metadata key `b` at byte 70: expected 1099511627776 more bytes, got 64",
    );
}

/// Announced entries that were never there left null pointers behind.
#[test]
fn cve_2024_41130_announced_and_absent() {
    Raw::new(1, 1).is_refused(
        "invalid: file at byte 8: \
         expected room for 1 tensors of at least 25 bytes each, got 0 bytes",
    );
}

/// A token longer than a signed 32-bit length.
#[test]
fn cve_2025_49847_token_length_past_31_bits() {
    let raw = Raw::new(0, 1).array("tokenizer.ggml.tokens", TEXT, 1).u64(0x8000_0001);
    raw.and(&[b'x'; 64]).is_refused(
        "invalid: metadata key `tokenizer.ggml.tokens` at byte 77: \
         expected 2147483649 more bytes, got 64",
    );
}

/// A number of tokens past 31 bits.
#[test]
fn cve_2025_52566_token_count_past_31_bits() {
    let raw = Raw::new(0, 1).array("tokenizer.ggml.tokens", TEXT, 0x8000_0000);
    raw.and(&[0; 64]).is_refused(
        "invalid: metadata key `tokenizer.ggml.tokens` at byte 61: \
         expected room for 2147483648 array elements of at least 8 bytes each, got 64 bytes",
    );
}

/// Sizes sum up past 64 bits: the start of the data plus the offset wraps back into the file.
#[test]
fn cve_2025_53630_sum_of_offsets_wraps() {
    Raw::new(1, 0).tensor("w", &[8], F32, u64::MAX - 31).data(64).is_refused(
        "invalid: tensor `w` at byte 49: \
         expected 32 bytes of data from byte 18446744073709551615 on, got a file of 128 bytes",
    );
}

/// The same one step later: the end of the data wraps to zero.
#[test]
fn cve_2026_27940_end_of_data_wraps() {
    Raw::new(1, 0).tensor("w", &[16], F32, u64::MAX - 127).data(64).is_refused(
        "invalid: tensor `w` at byte 49: \
         expected 64 bytes of data from byte 18446744073709551552 on, got a file of 128 bytes",
    );
}

/// A size of which only the padding wraps.
#[test]
fn cve_2026_27940_padding_wraps() {
    Raw::new(1, 0).tensor("w", &[(1 << 62) - 1], F32, 0).data(64).is_refused(
        "invalid: tensor `w` at byte 37: \
         expected a size that can be addressed, got dimensions [4611686018427387903] of `f32`",
    );
}

/// Dimensions whose product wraps to a small number.
#[test]
fn cve_2026_33298_product_of_dimensions_wraps() {
    Raw::new(1, 0).tensor("w", &[1 << 32, 1 << 32, 1 << 10, 1], F32, 0).data(64).is_refused(
        "invalid: tensor `w` at byte 37: \
         expected a size that can be addressed, \
         got dimensions [4294967296, 4294967296, 1024, 1] of `f32`",
    );
}

/// The product fits the element count, not the bytes.
#[test]
fn cve_2026_33298_bytes_wrap_where_elements_do_not() {
    Raw::new(1, 0).tensor("w", &[1 << 31, 1 << 31], F32, 0).data(64).is_refused(
        "invalid: tensor `w` at byte 37: \
         expected a size that can be addressed, \
         got dimensions [2147483648, 2147483648] of `f32`",
    );
}

/// A tensor larger than the file: reading it leaks what lies behind in memory.
#[test]
fn cve_2026_7482_tensor_larger_than_the_file() {
    Raw::new(1, 0).tensor("w", &[32, 1 << 20], Q4_0, 0).data(18).is_refused(
        "invalid: tensor `w` at byte 57: \
         expected 18874368 bytes of data from byte 96 on, got a file of 114 bytes",
    );
}

/// A count that is allocated before anything is read.
#[test]
fn cve_2025_0315_allocation_by_count() {
    Raw::new(u64::MAX, 0).data(64).is_refused(
        "invalid: file at byte 8: \
         expected room for 18446744073709551615 tensors of at least 25 bytes each, \
         got 72 bytes",
    );
}

/// Reading past the end of a value.
#[test]
fn go_2025_3558_value_past_the_end() {
    Raw::new(0, 1).key("llama.rope.dimension_count", U32).and(&[1]).is_refused(
        "invalid: metadata key `llama.rope.dimension_count` at byte 62: \
         expected 4 more bytes, got 1",
    );
}

/// Division by an alignment of zero.
#[test]
fn go_2025_3559_division_by_alignment_zero() {
    let raw = Raw::new(1, 1).key("general.alignment", U32).u32(0);
    raw.tensor("w", &[8], F32, 0).data(32).is_refused(
        "invalid: metadata key `general.alignment` at byte 53: \
         expected a power of two of at most 1048576, got 0",
    );
}

/// Division by a dimension of zero.
#[test]
fn go_2025_3689_division_by_a_dimension_of_zero() {
    Raw::new(1, 0).tensor("w", &[0, 1, 0], F32, 0).data(32).is_refused(
        "invalid: tensor `w` at byte 37: expected every dimension to be at least 1, got [0, 1, 0]",
    );
}

/// A null where a value of another type was expected.
#[test]
fn go_2025_3582_key_of_another_type() {
    let raw = Raw::new(0, 1).key("general.architecture", U8).and(&[1]);
    let gguf = remuda_gguf::Gguf::parse(&raw.0).unwrap();
    let asked = gguf.metadata().required::<&str>("general.architecture").map(drop);
    crate::raw::is_refused(
        asked,
        "invalid: metadata key `general.architecture` at byte 56: \
         expected a `string`, got 1 of type `u8`",
    );
}

/// Scores of one byte that were read as floats of four.
#[test]
fn llama_cpp_26690_array_of_narrower_elements() {
    let raw = Raw::new(0, 1).array("tokenizer.ggml.scores", U8, 4).and(&[1; 4]);
    let gguf = remuda_gguf::Gguf::parse(&raw.0).unwrap();
    let scores = gguf.metadata().required::<remuda_gguf::Array<'_>>("tokenizer.ggml.scores");
    assert!(scores.unwrap().iter().all(|value| value.as_float().is_none()));
}

/// Padding of a gigabyte from a file of a hundred bytes.
#[test]
fn ggml_1516_alignment_of_a_gigabyte() {
    Raw::new(0, 1).key("general.alignment", U32).u32(1 << 30).data(8).is_refused(
        "invalid: metadata key `general.alignment` at byte 53: \
         expected a power of two of at most 1048576, got 1073741824",
    );
}

/// An alignment of another type failed an assertion.
#[test]
fn llama_cpp_26318_alignment_of_another_type() {
    Raw::new(0, 1).key("general.alignment", I32).u32(u32::MAX).is_refused(
        "invalid: metadata key `general.alignment` at byte 53: expected a `u32`, got `i32`",
    );
}

/// An array count that was iterated without looking at the file's end.
#[test]
fn gguf_py_27188_array_of_2_to_the_63() {
    Raw::new(0, 1).array("a", U8, 1 << 63).is_refused(
        "invalid: metadata key `a` at byte 41: \
         expected room for 9223372036854775808 array elements of at least 1 bytes each, \
         got 0 bytes",
    );
}

/// The same one level down.
#[test]
fn gguf_py_27188_nested_array_of_2_to_the_62() {
    Raw::new(0, 1).array("a", ARRAY, 1).u32(ARRAY).u64(1 << 62).is_refused(
        "invalid: metadata key `a` at byte 53: \
         expected room for 4611686018427387904 array elements of at least 12 bytes each, \
         got 0 bytes",
    );
}
