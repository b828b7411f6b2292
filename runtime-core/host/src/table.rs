//! A provider's table, checked before anything of it is called.

use remuda_abi::{self as abi, Provider};
use remuda_bridge::read_text;

/// Why a table cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// The library gave no table.
    #[error("the provider does not speak contract version {major}", major = abi::ABI_MAJOR)]
    Refused,
    /// Another major version.
    #[error("the provider was built for contract version {got}, this host speaks {expected}")]
    Major {
        /// The host's.
        expected: u32,
        /// The provider's.
        got: u32,
    },
    /// The same version, other structs: a damaged or altered build.
    #[error(
        "the provider's structs differ from those of contract version {major} (layout {got:016x}, expected {expected:016x})"
    )]
    Layout {
        /// The version.
        major: u32,
        /// The host's hash.
        expected: u64,
        /// The provider's hash.
        got: u64,
    },
    /// The table ends before a field that must be there.
    #[error("the provider's table has {got} bytes, expected at least {expected}")]
    Short {
        /// What the version needs.
        expected: usize,
        /// What there is.
        got: usize,
    },
    /// A function that must be there is null.
    #[error("the provider's table lacks the function `{0}`")]
    Missing(&'static str),
}

/// A table that may be called.
#[derive(Clone, Copy, Debug)]
pub struct Table(pub(crate) &'static Provider, Where);

/// Where the functions of a table do their work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    Here,
    Worker,
}

impl Table {
    /// Checks a table.
    ///
    /// # Safety
    /// `table` must be null, or point to a struct that starts with its size and version, is as large
    /// as it says, lives forever and whose functions do as the contract says.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub unsafe fn new(table: *const Provider) -> Result<Self, TableError> {
        if table.is_null() {
            return Err(TableError::Refused);
        }
        // SAFETY: the caller vouches for the head; these fields come first in every version.
        let (size, major) = unsafe { ((*table).struct_size, (*table).abi_major) };
        if major != abi::ABI_MAJOR {
            return Err(TableError::Major { expected: abi::ABI_MAJOR, got: major });
        }
        let expected = size_of::<Provider>();
        if size < expected {
            return Err(TableError::Short { expected, got: size });
        }
        // SAFETY: the table is at least as large as our struct.
        let table = unsafe { &*table };
        if table.layout_hash != abi::LAYOUT_HASH {
            let (expected, got) = (abi::LAYOUT_HASH, table.layout_hash);
            return Err(TableError::Layout { major, expected, got });
        }
        table.missing().map_or(Ok(Self(table, Where::Here)), |name| Err(TableError::Missing(name)))
    }

    /// Checks the table of a provider that is linked into this program.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn linked(table: &'static Provider) -> Result<Self, TableError> {
        // SAFETY: a reference to a whole table that lives forever.
        unsafe { Self::new(table) }
    }

    /// The same, where its functions have a process of their own do the work.
    pub(crate) fn in_worker(self) -> Self {
        Self(self.0, Where::Worker)
    }

    pub(crate) fn is_in_worker(&self) -> bool {
        self.1 == Where::Worker
    }

    /// The table itself, for those who call it as no host would.
    #[must_use]
    pub fn raw(&self) -> &'static Provider {
        self.0
    }

    /// The provider's name.
    #[must_use]
    pub fn name(&self) -> String {
        // SAFETY: the contract: texts of the table live forever.
        unsafe { read_text(self.0.name) }
    }

    /// The provider's version.
    #[must_use]
    pub fn version(&self) -> String {
        // SAFETY: as above.
        unsafe { read_text(self.0.version) }
    }

    /// How well this build fits this machine.
    #[must_use]
    pub fn score(&self) -> u32 {
        // SAFETY: the contract.
        self.0.score.map_or(0, |score| unsafe { score() })
    }
}

#[cfg(test)]
mod tests {
    use super::{Table, TableError};
    use remuda_abi::Provider;

    fn good() -> Provider {
        *remuda_cpu::table()
    }

    fn check(change: impl FnOnce(&mut Provider)) -> Result<(), TableError> {
        let mut table = good();
        change(&mut table);
        Table::linked(Box::leak(Box::new(table))).map(|_| ())
    }

    #[test]
    fn a_wrong_table_is_refused_with_its_fault() {
        assert_eq!(check(|_| ()), Ok(()));
        let messages = [
            check(|table| table.abi_major = 7),
            check(|table| table.struct_size = 8),
            check(|table| table.run = None),
        ]
        .map(|result| result.unwrap_err().to_string());
        assert_eq!(
            messages[0],
            "the provider was built for contract version 7, this host speaks 1"
        );
        let size = size_of::<Provider>();
        assert_eq!(
            messages[1],
            format!("the provider's table has 8 bytes, expected at least {size}")
        );
        assert_eq!(messages[2], "the provider's table lacks the function `run`");
        assert!(matches!(check(|table| table.layout_hash = 0), Err(TableError::Layout { .. })));
        // SAFETY: null is allowed.
        assert_eq!(unsafe { Table::new(std::ptr::null()) }.unwrap_err(), TableError::Refused);
    }
}
