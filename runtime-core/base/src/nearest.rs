//! "Did you mean": the known name that is closest to one a person wrote.

/// The candidate with the smallest edit distance to `name`, if it is close enough to be worth
/// suggesting (at most a third of the letters differ). Case does not count.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted: Vec<char> = name.to_lowercase().chars().take(MAX_CHARS).collect();
    let limit = wanted.len().div_ceil(3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(&wanted, candidate), candidate))
        .filter(|&(distance, _)| distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Longer names are cut before they are compared: the cost is quadratic.
const MAX_CHARS: usize = 64;

fn distance(wanted: &[char], candidate: &str) -> usize {
    let candidate: Vec<char> = candidate.to_lowercase().chars().take(MAX_CHARS).collect();
    let mut row: Vec<usize> = (0..=candidate.len()).collect();
    for (i, a) in wanted.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in candidate.iter().enumerate() {
            let substitute = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[candidate.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_typo_finds_its_name_and_nonsense_finds_nothing() {
        let names = ["threads", "backend", "ctx-size"];
        assert_eq!(nearest("thread", names), Some("threads"));
        assert_eq!(nearest("Backends", names), Some("backend"));
        assert_eq!(nearest("zzzzzz", names), None);
    }
}
