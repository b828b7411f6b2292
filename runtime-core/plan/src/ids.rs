//! The indices that name the pieces of a problem.
//!
//! Each is a position in the list of the same name in [`crate::Problem`]; the newtypes keep a node
//! from being taken for a tensor.

use std::fmt;

macro_rules! id {
    ($name:ident, $doc:literal) => {
        #[doc = $doc]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub u32);

        impl $name {
            /// The position as an index.
            #[must_use]
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl From<usize> for $name {
            fn from(index: usize) -> Self {
                Self(index as u32)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(NodeId, "A node of the problem.");
id!(TensorId, "A tensor that passes between nodes.");
id!(WeightId, "Bytes that stay resident wherever a node that needs them runs.");
id!(ProviderId, "A provider.");
