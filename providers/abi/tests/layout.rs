//! The layout of the contract is a promise: a change shows as a difference of the kept snapshot.

#[test]
#[cfg(all(target_pointer_width = "64", target_endian = "little"))]
fn the_layout_is_the_one_that_was_promised() {
    let mut now = String::new();
    remuda_abi::layout_text(&mut now).expect("a string can be written");
    let kept = include_str!("layout.txt");
    assert_eq!(
        now, kept,
        "the layout changed: that is a new major version, or fields were not appended"
    );
}
