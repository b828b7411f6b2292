//! Whether running ahead pays: texts that copy little and drafts that are wrong make it lose, so that it
//! is measured against plain steps, and pauses while these are faster.

use std::time::Duration;

/// Steps without trying again after it lost.
const PAUSE: usize = 64;
/// Steps of a kind that are measured before they are compared.
const TRIAL: usize = 4;
/// The share of the newest step in an average.
const NEWEST: f64 = 0.2;

/// Seconds per token of one kind of steps, on average.
#[derive(Debug, Default)]
struct Average {
    seconds: f64,
    steps: usize,
}

impl Average {
    fn add(&mut self, seconds: f64) {
        let share = if self.steps == 0 { 1.0 } else { NEWEST };
        self.seconds += share * (seconds - self.seconds);
        self.steps += 1;
    }

    fn is_known(&self) -> bool {
        self.steps >= TRIAL
    }
}

/// Whether running ahead pays, for one sequence.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    plain: Average,
    ahead: Average,
    pause: usize,
}

impl Gauge {
    /// Whether the next step may run ahead.
    pub(crate) fn allows(&self) -> bool {
        self.plain.is_known() && self.pause == 0
    }

    /// Takes notice of a step that generated so many tokens.
    pub(crate) fn measured(&mut self, ahead: bool, gave: usize, time: Duration) {
        self.pause = self.pause.saturating_sub(1);
        #[expect(clippy::cast_precision_loss, reason = "a step gives few tokens")]
        let each = time.as_secs_f64() / gave.max(1) as f64;
        if !ahead {
            return self.plain.add(each);
        }
        self.ahead.add(each);
        if self.ahead.is_known() && self.ahead.seconds > self.plain.seconds {
            (self.pause, self.ahead) = (PAUSE, Average::default());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Gauge, PAUSE, TRIAL};

    #[test]
    fn it_pauses_while_it_loses_and_tries_again() {
        let mut gauge = Gauge::default();
        let step = Duration::from_millis(10);
        for _ in 0..TRIAL {
            assert!(!gauge.allows(), "plain steps are not known yet");
            gauge.measured(false, 1, step);
        }
        for _ in 0..TRIAL {
            assert!(gauge.allows());
            gauge.measured(true, 1, 2 * step);
        }
        assert!(!gauge.allows());
        (0..PAUSE).for_each(|_| gauge.measured(false, 1, step));
        for _ in 0..4 * TRIAL {
            assert!(gauge.allows());
            gauge.measured(true, 5, 2 * step);
        }
        assert!(gauge.allows());
    }
}
