//! Prompt lookup: what followed the last few tokens when they came before is likely to follow now.

/// How many tokens must have come before in the same order.
const PATTERN: usize = 3;
/// The most tokens that are run ahead.
const MOST: usize = 8;

/// The tokens that are likely to follow `tokens`: at most `room`.
pub(crate) fn likely(tokens: &[u32], room: usize) -> &[u32] {
    if tokens.len() <= PATTERN {
        return &[];
    }
    let (_, last) = tokens.split_at(tokens.len() - PATTERN);
    // The newest place is the best guide; the end itself is none.
    let found = tokens[..tokens.len() - 1].windows(PATTERN).rposition(|place| place == last);
    let Some(at) = found else { return &[] };
    let start = at + PATTERN;
    &tokens[start..tokens.len().min(start + room.min(MOST))]
}

#[cfg(test)]
mod tests {
    use super::likely;

    #[test]
    fn what_followed_the_newest_such_place_is_likely() {
        assert_eq!(likely(&[1, 2, 3, 7, 1, 2, 3, 8, 9, 1, 2, 3], 8), [8, 9, 1, 2, 3]);
        assert_eq!(likely(&[1, 2, 3, 8, 9, 1, 2, 3], 2), [8, 9]);
        assert_eq!(likely(&[5, 5, 5, 5], 8), [5]);
        assert!(likely(&[1, 2, 3, 4, 5, 6], 8).is_empty());
        assert!(likely(&[1, 2, 3], 8).is_empty());
        assert!(likely(&[], 8).is_empty());
    }
}
