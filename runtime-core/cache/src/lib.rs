//! A folder of things that are dear to work out again: plans, refusals, speeds of devices, engines,
//! packed weights.
//!
//! An entry is found by a [`Key`], the hash of everything that it depends on, so that it can never be
//! stale: what has changed has another key. The folder stays below a limit; what was used longest ago
//! goes first. It is only a help: an entry that is damaged is as good as none, and a folder that cannot
//! be written to costs nothing but time.
//!
//! Entries are trusted (an engine is code), so a folder that others may write to is not used.
#![forbid(unsafe_code)]

mod key;
mod large;
mod store;

pub use key::{Key, KeyMaker};
pub use large::Mapped;
pub use store::{Cache, CacheError, Cleared, Entry, Kind};
