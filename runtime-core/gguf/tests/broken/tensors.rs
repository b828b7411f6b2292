//! The table of tensors and the ranges of their data.

use remuda_gguf::Gguf;

use crate::raw::{F32, Q4_0, Q4_K, Raw, U32, is_refused};

#[test]
fn an_empty_name() {
    Raw::new(1, 0).tensor("", &[8], F32, 0).data(32).is_refused(
        "invalid: tensor entry 0 at byte 24: \
         expected a tensor name, got an empty one",
    );
}

#[test]
fn a_name_that_is_no_utf8() {
    Raw::new(1, 0)
        .text(b"blk\xFE")
        .u32(0)
        .u32(F32)
        .u64(0)
        .data(32)
        .is_refused("invalid: tensor entry 0 at byte 35: expected UTF-8 text, got the byte 0xfe");
}

#[test]
fn a_name_longer_than_the_file() {
    Raw::new(1, 0).u64(u64::MAX).and(&[0; 40]).is_refused(
        "invalid: tensor entry 0 at byte 32: expected 18446744073709551615 more bytes, got 40",
    );
}

#[test]
fn a_name_twice() {
    let raw = Raw::new(2, 0).tensor("w", &[8], F32, 0).tensor("w", &[8], F32, 32);
    raw.data(64).is_refused(
        "invalid: tensor `w` at byte 57: \
         expected one entry of this name, got a second one; the first is at byte 24",
    );
}

#[test]
fn five_dimensions() {
    Raw::new(1, 0)
        .tensor("w", &[1, 1, 1, 1, 1], F32, 0)
        .data(32)
        .is_refused("unsupported: tensor `w` at byte 33: expected at most 4 dimensions, got 5");
}

#[test]
fn a_table_that_is_cut_short() {
    Raw::new(1, 0)
        .text(b"w")
        .u32(4)
        .u64(2)
        .u64(2)
        .is_refused("invalid: tensor `w` at byte 53: expected 8 more bytes, got 0");
}

#[test]
fn a_row_that_ends_inside_a_block() {
    Raw::new(1, 0).tensor("w", &[33, 32], Q4_0, 0).data(1000).is_refused(
        "invalid: tensor `w` at byte 37: \
         expected rows of a multiple of 32 elements for `q4_0`, got 33",
    );
}

#[test]
fn a_row_shorter_than_a_block() {
    Raw::new(1, 0).tensor("w", &[128, 2], Q4_K, 0).data(1000).is_refused(
        "invalid: tensor `w` at byte 37: \
         expected rows of a multiple of 256 elements for `q4_k`, got 128",
    );
}

#[test]
fn an_unknown_type() {
    Raw::new(1, 0)
        .tensor("w", &[8], 1000, 0)
        .data(32)
        .is_refused("unsupported: tensor `w` at byte 45: expected a known tensor type, got 1000");
}

#[test]
fn a_type_that_was_dropped() {
    Raw::new(1, 0).tensor("w", &[32], 31, 0).data(32).is_refused(
        "unsupported: tensor `w` at byte 45: \
         expected a current tensor type, got `q4_0_4_4` (31), which the format has dropped",
    );
}

#[test]
fn an_offset_that_is_not_aligned() {
    Raw::new(1, 0).tensor("w", &[8], F32, 8).data(64).is_refused(
        "invalid: tensor `w` at byte 49: expected a data offset that is a multiple of 32, got 8",
    );
}

#[test]
fn an_offset_that_is_not_aligned_to_the_files_own_alignment() {
    let raw = Raw::new(1, 1).key("general.alignment", U32).u32(128);
    raw.tensor("w", &[8], F32, 32).data(256).is_refused(
        "invalid: tensor `w` at byte 82: expected a data offset that is a multiple of 128, got 32",
    );
}

#[test]
fn data_that_is_cut_short_by_one_byte() {
    Raw::new(1, 0).tensor("w", &[8], F32, 0).data(31).is_refused(
        "invalid: tensor `w` at byte 49: \
         expected 32 bytes of data from byte 64 on, got a file of 95 bytes",
    );
}

#[test]
fn no_data_at_all() {
    Raw::new(1, 0).tensor("w", &[8], F32, 0).is_refused(
        "invalid: tensor `w` at byte 49: \
         expected 32 bytes of data from byte 64 on, got a file of 57 bytes",
    );
}

#[test]
fn data_past_the_end() {
    Raw::new(1, 0).tensor("w", &[8], F32, 1 << 40).data(32).is_refused(
        "invalid: tensor `w` at byte 49: \
         expected 32 bytes of data from byte 1099511627840 on, got a file of 96 bytes",
    );
}

#[test]
fn two_tensors_on_the_same_bytes() {
    let raw = Raw::new(2, 0).tensor("a", &[16], F32, 0).tensor("b", &[16], F32, 0);
    raw.data(128).is_refused(
        "invalid: tensor `b` at byte 57: \
         expected data of its own, got bytes 96 to 160, which overlap tensor `a`",
    );
}

#[test]
fn a_tensor_that_begins_inside_another() {
    let raw = Raw::new(3, 0).tensor("last", &[8], F32, 64).tensor("mid", &[8], F32, 32);
    raw.tensor("long", &[12], F32, 0).data(128).is_refused(
        "invalid: tensor `mid` at byte 60: \
         expected data of its own, got bytes 192 to 224, which overlap tensor `long`",
    );
}

#[test]
fn asking_for_a_tensor_that_is_not_there() {
    let raw = Raw::new(1, 0).tensor("blk.0.attn_q.weight", &[8], F32, 0).data(32);
    let gguf = Gguf::parse(&raw.0).unwrap();
    is_refused(
        gguf.tensor("blk.0.attn_k.weight").map(drop),
        "invalid: tensor `blk.0.attn_k.weight`: \
         expected it to be there, \
         got nothing; the nearest name there is is `blk.0.attn_q.weight`",
    );
    is_refused(
        gguf.tensor("output_norm").map(drop),
        "invalid: tensor `output_norm`: expected it to be there, got nothing",
    );
}
