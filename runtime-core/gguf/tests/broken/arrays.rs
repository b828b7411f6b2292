//! Arrays, and arrays of arrays.

use crate::raw::{ARRAY, BOOL, Raw, TEXT, U8, U32};

#[test]
fn more_elements_than_bytes() {
    Raw::new(0, 1).array("a", U8, 9).and(&[0; 8]).is_refused(
        "invalid: metadata key `a` at byte 41: \
         expected room for 9 array elements of at least 1 bytes each, got 8 bytes",
    );
}

#[test]
fn more_wide_elements_than_bytes() {
    Raw::new(0, 1).array("a", U32, 3).and(&[0; 11]).is_refused(
        "invalid: metadata key `a` at byte 41: \
         expected room for 3 array elements of at least 4 bytes each, got 11 bytes",
    );
}

#[test]
fn more_texts_than_their_lengths_fit() {
    Raw::new(0, 1).array("tokens", TEXT, 4).and(&[0; 24]).is_refused(
        "invalid: metadata key `tokens` at byte 46: \
         expected room for 4 array elements of at least 8 bytes each, got 24 bytes",
    );
}

#[test]
fn a_text_in_an_array_that_is_longer_than_the_file() {
    Raw::new(0, 1)
        .array("tokens", TEXT, 2)
        .text(b"a")
        .u64(100)
        .and(&[b'x'; 20])
        .is_refused("invalid: metadata key `tokens` at byte 71: expected 100 more bytes, got 20");
}

#[test]
fn a_text_in_an_array_that_is_no_utf8() {
    Raw::new(0, 1).array("tokens", TEXT, 2).text(b"ok").text(b"not \xC0ok").is_refused(
        "invalid: metadata key `tokens` at byte 76: expected UTF-8 text, got the byte 0xc0",
    );
}

#[test]
fn a_truth_value_in_an_array_that_is_none() {
    Raw::new(0, 1).array("flags", BOOL, 3).and(&[0, 1, 255]).is_refused(
        "invalid: metadata key `flags` at byte 55: expected 0 or 1 for a `bool`, got 255",
    );
}

#[test]
fn elements_of_an_unknown_type() {
    Raw::new(0, 1).array("a", 99, 1).and(&[0; 8]).is_refused(
        "invalid: metadata key `a` at byte 37: expected a value type from 0 to 12, got 99",
    );
}

#[test]
fn an_array_without_its_count() {
    Raw::new(0, 1)
        .key("a", ARRAY)
        .u32(U8)
        .and(&[0; 3])
        .is_refused("invalid: metadata key `a` at byte 41: expected 8 more bytes, got 3");
}

#[test]
fn an_inner_array_with_more_elements_than_bytes() {
    let outer = Raw::new(0, 1).array("a", ARRAY, 2).u32(U8).u64(1).and(&[7]);
    outer.u32(U32).u64(5).and(&[0; 12]).is_refused(
        "invalid: metadata key `a` at byte 66: \
         expected room for 5 array elements of at least 4 bytes each, got 12 bytes",
    );
}

#[test]
fn more_inner_arrays_than_bytes() {
    Raw::new(0, 1).array("a", ARRAY, 3).and(&[0; 35]).is_refused(
        "invalid: metadata key `a` at byte 41: \
         expected room for 3 array elements of at least 12 bytes each, got 35 bytes",
    );
}

#[test]
fn arrays_nested_without_end() {
    let mut raw = Raw::new(0, 1).key("a", ARRAY);
    for _ in 0..100_000 {
        raw = raw.u32(ARRAY).u64(1);
    }
    raw.u32(U8).u64(0).is_refused(
        "unsupported: metadata key `a` at byte 133: \
         expected at most 8 levels of nested arrays, got more",
    );
}

#[test]
fn eight_levels_are_the_most() {
    let nested = |levels: usize| {
        let open = Raw::new(0, 1).key("a", ARRAY);
        (1..levels).fold(open, |raw, _| raw.u32(ARRAY).u64(1)).u32(U8).u64(1).and(&[5])
    };
    assert!(remuda_gguf::Gguf::parse(&nested(8).0).is_ok());
    nested(9).is_refused(
        "unsupported: metadata key `a` at byte 133: \
         expected at most 8 levels of nested arrays, got more",
    );
}
