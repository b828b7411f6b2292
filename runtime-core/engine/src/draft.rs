//! A draft model: a smaller one with the same vocabulary, which guesses the tokens that follow, one by
//! one, for the large one to look at all at once.

use remuda_exec::ExecError;

use crate::StepFailover;
use crate::runner::{Runner, Step};

/// Tokens that are guessed at first.
const FIRST: usize = 4;
/// The most that are guessed.
const MOST: usize = 16;
/// How many more are guessed after all were right.
const MORE: usize = 2;

/// A draft model, and how far its guesses carry.
#[derive(Debug)]
pub(crate) struct Draft {
    runner: Runner,
    sequences: Vec<Sequence>,
}

#[derive(Clone, Debug)]
struct Sequence {
    /// The tokens whose keys and values the draft model has cached.
    cached: Vec<u32>,
    /// How many tokens the next guess is.
    length: usize,
}

impl Draft {
    pub(crate) fn new(runner: Runner) -> Self {
        let sequence = Sequence { cached: Vec::new(), length: FIRST };
        let sequences = vec![sequence; runner.budget().sequences as usize];
        Self { runner, sequences }
    }

    pub(crate) fn compare_plans(&mut self) {
        self.runner.compare_plans();
    }

    /// Guesses at most `room` tokens that follow `tokens` in a sequence.
    pub(crate) fn guess(
        &mut self,
        at: usize,
        tokens: &[u32],
        room: usize,
    ) -> Result<Vec<u32>, ExecError> {
        let wanted = room.min(self.sequences[at].length);
        let Some(last) = tokens.len().checked_sub(1).filter(|_| wanted > 0) else {
            return Ok(Vec::new());
        };
        self.cut(at, &tokens[..last])?;
        let start = self.sequences[at].cached.len();
        let mut next = tokens[start..].to_vec();
        let mut guessed = Vec::with_capacity(wanted);
        while guessed.len() < wanted {
            let token = self.read(at, &next)?;
            guessed.push(token);
            next = vec![token];
        }
        Ok(guessed)
    }

    /// As for [`Runner::take_failovers`].
    pub(crate) fn take_failovers(&mut self, step: u64) -> Vec<StepFailover> {
        self.runner.take_failovers(step)
    }

    /// Takes notice of how many of some guessed tokens were right.
    pub(crate) fn judge(&mut self, at: usize, guessed: usize, right: usize) {
        let length = &mut self.sequences[at].length;
        let next = if right == guessed { *length + MORE } else { right + 1 };
        *length = next.clamp(1, MOST);
    }

    /// Leaves in the cache what it has in common with these tokens.
    fn cut(&mut self, at: usize, tokens: &[u32]) -> Result<(), ExecError> {
        let cached = &mut self.sequences[at].cached;
        let same = cached.iter().zip(tokens).take_while(|(a, b)| a == b).count();
        if same < cached.len() {
            let length = self.runner.cut(narrow(at), same)?;
            cached.truncate(length);
        }
        Ok(())
    }

    /// Reads tokens of a sequence; gives the likeliest that follows.
    fn read(&mut self, at: usize, tokens: &[u32]) -> Result<u32, ExecError> {
        let mut likeliest = 0;
        for piece in tokens.chunks(self.runner.budget().step_tokens) {
            let start = self.sequences[at].cached.len();
            let step = Step::of_sequence(narrow(at), start, piece);
            let logits = self.runner.run(&step, None).inspect_err(|error| {
                if matches!(error, ExecError::StatesLost { .. }) {
                    self.sequences.iter_mut().for_each(|sequence| sequence.cached.clear());
                }
            })?;
            self.sequences[at].cached.extend_from_slice(piece);
            let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
            likeliest = best.map_or(0, |(token, _)| narrow(token));
        }
        Ok(likeliest)
    }
}

/// A place among sequences or tokens as the runner counts.
fn narrow(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
