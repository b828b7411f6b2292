//! What every other crate may use and what depends on nothing: ordered maps, bit sets, nearest-name
//! suggestions, the families of errors, the table of knobs and the size of
//! memory.
//!
//! Maps and sets iterate in key order, always: plans, printed graphs and snapshots must not depend
//! on a hash seed.
#![forbid(unsafe_code)]

pub mod bits;
pub mod family;
pub mod knobs;
pub mod memory;
pub mod nearest;

pub use bits::BitSet;
pub use family::Family;
pub use nearest::nearest;

/// A map that iterates in key order.
pub type Map<K, V> = std::collections::BTreeMap<K, V>;
/// A set that iterates in key order.
pub type Set<K> = std::collections::BTreeSet<K>;
