//! The first 24 bytes.

use crate::raw::Raw;

#[test]
fn an_empty_file() {
    Raw::bytes(b"").is_refused(
        "invalid: file at byte 0: \
         expected the magic `GGUF`, got an empty file",
    );
}

#[test]
fn a_file_of_one_byte() {
    Raw::bytes(b"G").is_refused("invalid: file at byte 0: expected the magic `GGUF`, got `G`");
}

#[test]
fn another_magic() {
    Raw::bytes(b"\x08\x00\xFFx")
        .u64(0)
        .u64(0)
        .u64(0)
        .is_refused("invalid: file at byte 0: expected the magic `GGUF`, got `\\x08\\x00\\xffx`");
}

#[test]
fn a_ggjt_file() {
    Raw::bytes(b"tjgg").u32(3).u64(0).u64(0).is_refused(
        "invalid: file at byte 0: expected the magic `GGUF`, got a `ggjt` file from before GGUF",
    );
}

#[test]
fn a_zip_archive() {
    Raw::bytes(b"PK\x03\x04").u64(0).is_refused(
        "invalid: file at byte 0: \
         expected the magic `GGUF`, got a zip archive (perhaps a PyTorch checkpoint)",
    );
}

#[test]
fn a_git_lfs_pointer() {
    Raw::bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00").is_refused(
        "invalid: file at byte 0: \
         expected the magic `GGUF`, got a Git LFS pointer instead of the file",
    );
}

#[test]
fn a_web_page() {
    Raw::bytes(b"<!doctype html><title>404</title>")
        .is_refused("invalid: file at byte 0: expected the magic `GGUF`, got a web page");
}

#[test]
fn a_magic_in_the_other_byte_order() {
    Raw::bytes(b"FUGG").u32(3).is_refused(
        "invalid: file at byte 0: expected the magic `GGUF`, got the magic of a big-endian writer",
    );
}

#[test]
fn a_big_endian_version() {
    Raw::bytes(b"GGUF").and(&3_u32.to_be_bytes()).and(&[0; 16]).is_refused(
        "unsupported: file at byte 4: expected a little-endian file, got a big-endian one",
    );
}

#[test]
fn version_0() {
    Raw::bytes(b"GGUF")
        .u32(0)
        .u64(0)
        .u64(0)
        .is_refused("unsupported: file at byte 4: expected version 2 or 3, got 0");
}

#[test]
fn version_1() {
    Raw::bytes(b"GGUF")
        .u32(1)
        .u32(0)
        .u32(0)
        .is_refused("unsupported: file at byte 4: expected version 2 or 3, got 1");
}

#[test]
fn a_version_of_the_future() {
    Raw::bytes(b"GGUF")
        .u32(4)
        .u64(0)
        .u64(0)
        .is_refused("unsupported: file at byte 4: expected version 2 or 3, got 4");
}

#[test]
fn the_file_ends_in_the_version() {
    Raw::bytes(b"GGUF\x03\x00").is_refused("invalid: file at byte 4: expected 4 more bytes, got 2");
}

#[test]
fn the_file_ends_in_the_counts() {
    Raw::bytes(b"GGUF")
        .u32(3)
        .u64(0)
        .and(&[0; 3])
        .is_refused("invalid: file at byte 16: expected 8 more bytes, got 3");
}

#[test]
fn entries_are_announced_and_the_file_ends() {
    Raw::new(0, 1).is_refused(
        "invalid: file at byte 16: \
         expected room for 1 metadata entries of at least 14 bytes each, got 0 bytes",
    );
}

#[test]
fn one_more_entry_than_there_is() {
    Raw::new(0, 2).key("a", super::raw::U8).and(&[1]).data(32).is_refused(
        "invalid: metadata entry 1 at byte 38: expected a key of 1 to 65535 bytes, got 0",
    );
}

#[test]
fn one_more_tensor_than_there_is() {
    Raw::new(2, 0)
        .tensor("a", &[8], super::raw::F32, 0)
        .data(32)
        .is_refused("invalid: tensor entry 1 at byte 57: expected a tensor name, got an empty one");
}
