//! Keys and single values.

use remuda_gguf::Gguf;

use crate::raw::{BOOL, I32, Raw, TEXT, U8, U32, is_refused};

#[test]
fn an_empty_key() {
    Raw::new(0, 1).key("", U8).and(&[1; 32]).is_refused(
        "invalid: metadata entry 0 at byte 24: \
         expected a key of 1 to 65535 bytes, got 0",
    );
}

#[test]
fn a_key_longer_than_keys_may_be() {
    Raw::new(0, 1).key(&"k".repeat(65_536), U8).and(&[1]).is_refused(
        "invalid: metadata entry 0 at byte 24: expected a key of 1 to 65535 bytes, got 65536",
    );
}

#[test]
fn a_key_longer_than_the_file() {
    Raw::new(0, 1)
        .u64(60_000)
        .and(b"short key")
        .is_refused("invalid: metadata entry 0 at byte 32: expected 60000 more bytes, got 9");
}

#[test]
fn a_key_that_is_no_utf8() {
    Raw::new(0, 1)
        .text(b"general.\xFFname")
        .u32(U8)
        .and(&[1])
        .is_refused("invalid: metadata entry 0 at byte 40: expected UTF-8 text, got the byte 0xff");
}

#[test]
fn a_second_entry_that_is_no_utf8() {
    Raw::new(0, 2)
        .key("a", U8)
        .and(&[1])
        .text(b"\xC3")
        .u32(U8)
        .and(&[1])
        .is_refused("invalid: metadata entry 1 at byte 46: expected UTF-8 text, got the byte 0xc3");
}

#[test]
fn a_key_twice() {
    Raw::new(0, 2).key("a", U8).and(&[1]).key("a", U8).and(&[2]).is_refused(
        "invalid: metadata key `a` at byte 38: \
         expected one entry of this name, got a second one; the first is at byte 24",
    );
}

#[test]
fn a_key_with_control_characters_is_escaped() {
    Raw::new(0, 1).key("\u{1b}[2J\n", 13).and(&[0; 8]).is_refused(
        "invalid: metadata key `\\u{1b}[2J\\n` at byte 37: \
         expected a value type from 0 to 12, got 13",
    );
}

#[test]
fn a_long_key_is_shortened_in_the_message() {
    let shown = "k".repeat(100);
    Raw::new(0, 1).key(&"k".repeat(300), 13).is_refused(&format!(
        "invalid: metadata key `{shown}…` at byte 332: \
         expected a value type from 0 to 12, got 13"
    ));
}

#[test]
fn a_value_type_past_the_last() {
    Raw::new(0, 1).key("a", 13).and(&[0; 8]).is_refused(
        "invalid: metadata key `a` at byte 33: expected a value type from 0 to 12, got 13",
    );
}

#[test]
fn a_value_type_of_all_ones() {
    Raw::new(0, 1).key("a", u32::MAX).and(&[0; 8]).is_refused(
        "invalid: metadata key `a` at byte 33: expected a value type from 0 to 12, got 4294967295",
    );
}

#[test]
fn a_value_that_is_cut_short() {
    Raw::new(0, 1)
        .key("number", U32)
        .and(&[1, 2])
        .is_refused("invalid: metadata key `number` at byte 42: expected 4 more bytes, got 2");
}

#[test]
fn a_truth_value_of_2() {
    Raw::new(0, 1)
        .key("flag", BOOL)
        .and(&[2])
        .is_refused("invalid: metadata key `flag` at byte 40: expected 0 or 1 for a `bool`, got 2");
}

#[test]
fn a_text_longer_than_the_file() {
    Raw::new(0, 1)
        .key("name", TEXT)
        .u64(6)
        .and(b"short")
        .is_refused("invalid: metadata key `name` at byte 48: expected 6 more bytes, got 5");
}

#[test]
fn a_text_that_is_no_utf8() {
    Raw::new(0, 1).key("name", TEXT).text(b"caf\xE9!").is_refused(
        "invalid: metadata key `name` at byte 51: expected UTF-8 text, got the byte 0xe9",
    );
}

#[test]
fn a_text_with_half_a_surrogate_pair() {
    Raw::new(0, 1).key("name", TEXT).text(b"\xED\xA0\x80").is_refused(
        "invalid: metadata key `name` at byte 48: expected UTF-8 text, got the byte 0xed",
    );
}

#[test]
fn an_alignment_of_another_type() {
    Raw::new(0, 1).key("general.alignment", I32).u32(32).is_refused(
        "invalid: metadata key `general.alignment` at byte 53: expected a `u32`, got `i32`",
    );
}

#[test]
fn an_alignment_that_is_a_text() {
    Raw::new(0, 1).key("general.alignment", TEXT).text(b"32").is_refused(
        "invalid: metadata key `general.alignment` at byte 53: expected a `u32`, got `string`",
    );
}

#[test]
fn an_alignment_of_0() {
    Raw::new(0, 1).key("general.alignment", U32).u32(0).is_refused(
        "invalid: metadata key `general.alignment` at byte 53: \
         expected a power of two of at most 1048576, got 0",
    );
}

#[test]
fn an_alignment_that_is_no_power_of_two() {
    Raw::new(0, 1).key("general.alignment", U32).u32(48).is_refused(
        "invalid: metadata key `general.alignment` at byte 53: \
         expected a power of two of at most 1048576, got 48",
    );
}

#[test]
fn an_alignment_past_the_limit() {
    Raw::new(0, 1).key("general.alignment", U32).u32(1 << 21).is_refused(
        "invalid: metadata key `general.alignment` at byte 53: \
         expected a power of two of at most 1048576, got 2097152",
    );
}

#[test]
fn asking_for_a_key_that_is_not_there() {
    let raw = Raw::new(0, 1).key("llama.block_count", U32).u32(2);
    let gguf = Gguf::parse(&raw.0).unwrap();
    is_refused(
        gguf.metadata().required::<u32>("llama.block_cont").map(drop),
        "invalid: metadata key `llama.block_cont`: \
         expected it to be there, \
         got nothing; the nearest name there is is `llama.block_count`",
    );
    is_refused(
        gguf.metadata().required::<u32>("tokenizer.ggml.model").map(drop),
        "invalid: metadata key `tokenizer.ggml.model`: expected it to be there, got nothing",
    );
}

#[test]
fn asking_for_another_type() {
    let raw = Raw::new(0, 2).key("heads", I32).u32(u32::MAX).array("name", TEXT, 0);
    let gguf = Gguf::parse(&raw.0).unwrap();
    is_refused(
        gguf.metadata().required::<u32>("heads").map(drop),
        "invalid: metadata key `heads` at byte 41: \
         expected an integer from 0 to 4294967295, got -1 of type `i32`",
    );
    is_refused(
        gguf.metadata().optional::<&str>("name").map(drop),
        "invalid: metadata key `name` at byte 61: expected a `string`, got `array` of 0 `string`",
    );
    is_refused(
        gguf.metadata().optional::<f32>("heads").map(drop),
        "invalid: metadata key `heads` at byte 41: expected a float, got -1 of type `i32`",
    );
}
