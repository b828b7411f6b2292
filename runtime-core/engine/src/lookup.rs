//! Prompt lookup: what followed the last few tokens when they came before is likely to follow now.
//!
//! Likely tokens are run along with the one that is sure, and kept as far as they are what would have
//! been picked anyway: answers stay as they are. Texts that copy little make it lose, so that it is
//! measured, and pauses while plain steps are faster.

use std::time::Duration;

/// How many tokens must have come before in the same order.
const PATTERN: usize = 3;
/// The most tokens that are run ahead.
const MOST: usize = 8;
/// Steps without trying again after it lost.
const PAUSE: usize = 64;
/// Steps that are measured before it may pause.
const TRIAL: usize = 4;
/// The share of the newest step in an average.
const NEWEST: f64 = 0.2;

/// Whether running ahead pays, for one sequence.
#[derive(Debug, Default)]
pub(crate) struct Lookup {
    /// Seconds per token of steps without and with tokens run ahead, on average.
    plain: Option<f64>,
    ahead: Option<f64>,
    tried: usize,
    pause: usize,
}

impl Lookup {
    /// The tokens that are likely to follow `tokens`: at most `room`.
    pub(crate) fn draft<'a>(&self, tokens: &'a [u32], room: usize) -> &'a [u32] {
        if self.pause > 0 || tokens.len() <= PATTERN {
            return &[];
        }
        let (_, last) = tokens.split_at(tokens.len() - PATTERN);
        // The newest place is the best guide; the end itself is none.
        let found = tokens[..tokens.len() - 1].windows(PATTERN).rposition(|place| place == last);
        let Some(at) = found else { return &[] };
        let start = at + PATTERN;
        &tokens[start..tokens.len().min(start + room.min(MOST))]
    }

    /// Takes notice of a step that gave so many tokens.
    pub(crate) fn measured(&mut self, ahead: bool, gave: usize, time: Duration) {
        self.pause = self.pause.saturating_sub(1);
        #[expect(clippy::cast_precision_loss, reason = "a step gives few tokens")]
        let each = time.as_secs_f64() / gave.max(1) as f64;
        let average = if ahead { &mut self.ahead } else { &mut self.plain };
        *average = Some(average.map_or(each, |old| old + NEWEST * (each - old)));
        if !ahead {
            return;
        }
        self.tried += 1;
        if let (Some(plain), Some(ahead)) = (self.plain, self.ahead)
            && self.tried >= TRIAL
            && ahead > plain
        {
            (self.pause, self.tried, self.ahead) = (PAUSE, 0, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Lookup, PAUSE, TRIAL};

    #[test]
    fn what_followed_the_newest_such_place_is_drafted() {
        let lookup = Lookup::default();
        assert_eq!(lookup.draft(&[1, 2, 3, 7, 1, 2, 3, 8, 9, 1, 2, 3], 8), [8, 9, 1, 2, 3]);
        assert_eq!(lookup.draft(&[1, 2, 3, 8, 9, 1, 2, 3], 2), [8, 9]);
        assert_eq!(lookup.draft(&[5, 5, 5, 5], 8), [5]);
        assert!(lookup.draft(&[1, 2, 3, 4, 5, 6], 8).is_empty());
        assert!(lookup.draft(&[1, 2, 3], 8).is_empty());
        assert!(lookup.draft(&[], 8).is_empty());
    }

    #[test]
    fn it_pauses_while_it_loses_and_tries_again() {
        let (mut lookup, tokens) = (Lookup::default(), [1, 2, 3, 1, 2, 3]);
        let step = Duration::from_millis(10);
        lookup.measured(false, 1, step);
        for _ in 0..TRIAL {
            assert!(!lookup.draft(&tokens, 8).is_empty());
            lookup.measured(true, 1, 2 * step);
        }
        assert!(lookup.draft(&tokens, 8).is_empty());
        (0..PAUSE).for_each(|_| lookup.measured(false, 1, step));
        assert!(!lookup.draft(&tokens, 8).is_empty());
        for _ in 0..4 * TRIAL {
            lookup.measured(true, 5, 2 * step);
            assert!(!lookup.draft(&tokens, 8).is_empty());
        }
    }
}
