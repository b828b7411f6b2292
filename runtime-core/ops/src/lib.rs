//! The operator set: each operator once.
//!
//! An operator is one file under `defs/`: its definition (name, opset range, inputs, attributes),
//! shape rule, reference kernel, upgrades from older opsets, and cases in a text file beside it.
//! [`TABLE`] is the list of them. The reference kernels are slow and plainly right: they are the
//! oracle for every provider, and what a provider runs where it has nothing faster. [`interpret`]
//! runs a whole graph on them.
//!
//! To add an operator: one file, its cases, and two lines in `defs.rs`.
#![forbid(unsafe_code)]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "reference kernels convert between sizes, indices and elements everywhere; sizes are bounded by memory"
)]

pub mod cases;
mod defs;
mod generate;
mod interpret;
mod plain_state;
pub(crate) mod support;

pub use defs::{LEGACY, ResizeInputs, ResizeTaps, TABLE, resize_taps};
pub use generate::{Random, random_tensor};
pub use interpret::{evaluate, interpret, interpret_with};
pub use plain_state::PlainState;

use remuda_ir::{LegacyOp, OpDef, OpTable};

/// Every definition, found by domain and name.
#[derive(Debug, Clone, Copy)]
pub struct Ops;

impl OpTable for Ops {
    fn find(&self, domain: &str, name: &str) -> Option<&'static OpDef> {
        find(domain, name)
    }
}

/// The definition of this operator. `ai.onnx` is another name of the empty domain.
#[must_use]
pub fn find(domain: &str, name: &str) -> Option<&'static OpDef> {
    let domain = if domain == "ai.onnx" { "" } else { domain };
    let at = TABLE.binary_search_by(|def| (def.domain, def.name).cmp(&(domain, name))).ok()?;
    Some(TABLE[at])
}

/// What replaces an operator that newer opsets no longer have.
#[must_use]
pub fn find_legacy(domain: &str, name: &str) -> Option<&'static LegacyOp> {
    LEGACY.iter().find(|legacy| legacy.domain == domain && legacy.name == name).copied()
}

/// The newest opset of ONNX's own domain that the definitions describe.
pub const NEWEST_OPSET: u32 = 28;

#[cfg(test)]
mod tests {
    use super::{LEGACY, TABLE};

    #[test]
    fn the_table_is_sorted_and_without_doubles() {
        let keys: Vec<_> = TABLE.iter().map(|def| (def.domain, def.name)).collect();
        for pair in keys.windows(2) {
            assert!(
                pair[0] < pair[1],
                "`{}` must stand before `{}` in defs.rs",
                pair[1].1,
                pair[0].1
            );
        }
    }

    #[test]
    fn every_file_of_definitions_is_in_the_table() {
        let listed = include_str!("defs.rs");
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/defs");
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                let module = path.file_stem().unwrap().to_str().unwrap().to_owned();
                let declared = listed.contains(&format!("mod {module};"))
                    || listed.contains(&format!("mod r#{module};"));
                assert!(declared, "`{module}` is missing in defs.rs");
                assert!(listed.contains(&format!("{module}::")), "`{module}` is in no table");
            }
        }
    }

    #[test]
    fn upgrades_rise_and_legacy_names_are_not_current() {
        for def in TABLE {
            assert!(def.upgrades.is_sorted_by_key(|upgrade| upgrade.below), "{}", def.name);
        }
        for legacy in LEGACY {
            assert!(super::find(legacy.domain, legacy.name).is_none(), "{}", legacy.name);
        }
    }

    #[test]
    fn every_operator_passes_its_cases() {
        let mut failures = Vec::new();
        for def in TABLE {
            failures.extend(super::cases::check(def));
        }
        assert!(failures.is_empty(), "{} cases fail:\n{}", failures.len(), failures.join("\n"));
    }
}
