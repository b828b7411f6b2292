//! The toy language model that the command line and the wheel carry under the name `demo`.
//!
//! A Llama of 4.2 million parameters that was trained for this purpose alone: it proves an installation without a
//! network, and gets most of what it says wrong. `tests/demo` holds its recipe, and the licences of its texts.

/// The bytes of its GGUF file, aligned as a mapped file is.
#[must_use]
pub fn gguf() -> &'static [u8] {
    &FILE.0
}

#[repr(C, align(64))]
struct Aligned<T: ?Sized>(T);

static FILE: &Aligned<[u8]> = &Aligned(*include_bytes!("../assets/demo.gguf"));
