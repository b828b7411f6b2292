//! Finding an entry by its name, and noticing names that occur twice.
//!
//! A sorted list instead of a map: a file may hold millions of tiny entries, and this takes the least
//! memory for each.

/// The names of a table in order, each with its place in the table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names<'a> {
    sorted: Vec<(&'a str, usize)>,
}

/// Two entries of one name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Twice {
    pub(crate) first: usize,
    pub(crate) second: usize,
}

impl<'a> Names<'a> {
    /// The names in the order of the table. Of several that occur twice, the one whose second entry
    /// comes first is told.
    pub(crate) fn new(names: impl Iterator<Item = &'a str>) -> Result<Self, Twice> {
        let mut sorted: Vec<_> = names.enumerate().map(|(at, name)| (name, at)).collect();
        sorted.sort_unstable();
        let pairs = sorted.iter().zip(sorted.iter().skip(1));
        let twice = pairs.filter(|((one, _), (other, _))| one == other);
        match twice.min_by_key(|&(_, &(_, second))| second) {
            Some((&(_, first), &(_, second))) => Err(Twice { first, second }),
            None => Ok(Self { sorted }),
        }
    }

    /// The place of a name in the table.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        let found = self.sorted.binary_search_by_key(&name, |&(known, _)| known).ok()?;
        self.sorted.get(found).map(|&(_, at)| at)
    }

    /// The name that is closest to one that is not there.
    pub(crate) fn nearest(&self, name: &str) -> Option<String> {
        let known = self.sorted.iter().map(|&(known, _)| known);
        remuda_base::nearest(name, known).map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::{Names, Twice};

    #[test]
    fn names_are_found_and_the_earliest_repetition_is_told() {
        let names = Names::new(["b", "a", "c"].into_iter()).unwrap();
        assert_eq!((names.find("a"), names.find("c"), names.find("d")), (Some(1), Some(2), None));
        let twice = Names::new(["a", "z", "z", "a", "a"].into_iter()).unwrap_err();
        assert_eq!(twice, Twice { first: 1, second: 2 });
    }
}
