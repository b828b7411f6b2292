//! Broken and hostile files: each is refused with one message that says where, what was expected
//! and what was got.
#![cfg(test)]

mod arrays;
mod header;
mod known_attacks;
mod metadata;
mod parts;
mod raw;
mod tensors;
