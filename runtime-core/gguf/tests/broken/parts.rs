//! Models in several files whose parts do not belong together.

use remuda_gguf::{Gguf, Parts};

use crate::raw::{F32, I32, Raw, U32, is_refused};

/// A part with one tensor.
fn part(name: &str, number: u32, count: u32, total: u32) -> Raw {
    let raw = Raw::new(1, 3).key("split.no", U32).u32(number).key("split.count", U32).u32(count);
    raw.key("split.tensors.count", I32).u32(total).tensor(name, &[8], F32, 0).data(32)
}

fn join(parts: &[Raw]) -> Result<(), remuda_gguf::GgufError> {
    Parts::join(parts.iter().map(|raw| Gguf::parse(&raw.0).unwrap()).collect()).map(drop)
}

#[test]
fn parts_that_belong_together_are_joined() {
    join(&[part("a", 0, 2, 2), part("b", 1, 2, 2)]).unwrap();
}

#[test]
fn no_part() {
    is_refused(join(&[]), "invalid: part 1: expected at least one part, got none");
}

#[test]
fn a_part_is_missing() {
    is_refused(
        join(&[part("a", 0, 3, 3), part("b", 1, 3, 3)]),
        "invalid: part 1: expected 3 parts, got 2",
    );
}

#[test]
fn the_first_part_alone() {
    is_refused(join(&[part("a", 0, 2, 2)]), "invalid: part 1: expected 2 parts, got 1");
}

#[test]
fn parts_in_the_wrong_order() {
    is_refused(
        join(&[part("b", 1, 2, 2), part("a", 0, 2, 2)]),
        "invalid: part 1: expected number 1, got number 2",
    );
}

#[test]
fn a_part_of_another_model() {
    is_refused(
        join(&[part("a", 0, 2, 2), part("b", 1, 5, 2)]),
        "invalid: part 2: expected 5 parts, got 2",
    );
}

#[test]
fn a_whole_file_among_parts() {
    let whole = Raw::new(1, 0).tensor("b", &[8], F32, 0).data(32);
    is_refused(
        join(&[part("a", 0, 2, 2), whole]),
        "invalid: part 2: expected a part of 2, got a whole file",
    );
}

#[test]
fn fewer_tensors_than_announced() {
    is_refused(
        join(&[part("a", 0, 2, 9), part("b", 1, 2, 9)]),
        "invalid: part 1: expected 9 tensors in all parts, got 2",
    );
}

#[test]
fn a_tensor_in_two_parts() {
    is_refused(
        join(&[part("a", 0, 2, 2), part("a", 1, 2, 2)]),
        "invalid: tensor `a`: expected every tensor in one part, got it in parts 1 and 2",
    );
}

#[test]
fn a_number_of_parts_that_is_negative() {
    let raw = Raw::new(0, 1).key("split.count", I32).u32(u32::MAX);
    is_refused(
        join(&[raw]),
        "invalid: metadata key `split.count` at byte 47: \
         expected an integer of at least 0, got -1 of type `i32`",
    );
}
