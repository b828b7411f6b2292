//! The table of fast kernels, sorted by domain and name. An operator may stand in it more than once:
//! the first entry that takes the node wins.

use crate::kernel::{Kernel, Preparation, Prepare};

mod matmul;

/// Every fast kernel.
#[rustfmt::skip]
static TABLE: &[(&str, &str, Prepare)] = &[
    ("", "MatMul", matmul::prepare),
];

/// The fast kernel of a node, if there is one.
pub(crate) fn prepare(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let op = &preparation.node.op;
    let start =
        TABLE.partition_point(|(domain, name, _)| (*domain, *name) < (&*op.domain, &*op.name));
    TABLE[start..]
        .iter()
        .take_while(|(domain, name, _)| (*domain, *name) == (&*op.domain, &*op.name))
        .find_map(|(_, _, prepare)| prepare(preparation))
}

/// The operators that have a fast kernel for some types: domain and name.
pub fn fast_operators() -> impl Iterator<Item = (&'static str, &'static str)> {
    TABLE.iter().map(|&(domain, name, _)| (domain, name))
}

#[cfg(test)]
mod tests {
    use super::TABLE;

    #[test]
    fn the_table_is_sorted_and_names_known_operators() {
        assert!(TABLE.is_sorted_by_key(|(domain, name, _)| (*domain, *name)));
        for (domain, name, _) in TABLE {
            assert!(remuda_ops::find(domain, name).is_some(), "`{name}` is no operator");
        }
    }
}
