//! Lists whose lengths a model chooses: padding, repeats, dilations. Each may ask for more memory
//! than there is, which is an error of the model and must not end the process.

/// Memory that is not to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no memory for a list of {0} elements")]
pub struct NoMemory(pub usize);

/// As many of `items` as `count` says.
pub(crate) fn collected<T>(
    count: usize,
    items: impl IntoIterator<Item = T>,
) -> Result<Vec<T>, NoMemory> {
    let mut list = Vec::new();
    list.try_reserve_exact(count).map_err(|_| NoMemory(count))?;
    list.extend(items.into_iter().take(count));
    Ok(list)
}

/// The same value over and over.
pub(crate) fn filled<T: Clone>(count: usize, value: T) -> Result<Vec<T>, NoMemory> {
    collected(count, std::iter::repeat_n(value, count))
}

#[cfg(test)]
mod tests {
    use super::{NoMemory, collected, filled};

    #[test]
    fn lists_are_made_or_refused() {
        assert_eq!(collected(2, 5..), Ok(vec![5, 6]));
        assert_eq!(filled(3, 7_u8), Ok(vec![7; 3]));
        assert_eq!(collected(1 << 60, 0_u64..), Err(NoMemory(1 << 60)));
        assert_eq!(filled(usize::MAX, 0.0_f32), Err(NoMemory(usize::MAX)));
    }
}
