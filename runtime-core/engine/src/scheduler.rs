//! The scheduler: which tokens of which sequences the next step takes.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use remuda_exec::ExecError;
use remuda_host::Failure;

use crate::draft::Draft;
use crate::gauge::Gauge;
use crate::journal::Journal;
use crate::lookup;
use crate::prefix::{BLOCK, Cached};
use crate::runner::{Runner, Step};
use crate::slot::{Slot, Work};
use crate::{EngineError, Request, StepFailover, Usage};

/// All sequences, and the requests that wait for one.
pub(crate) struct Scheduler {
    runner: Runner,
    slots: Vec<Slot>,
    /// What the sequences of the slots have cached.
    cached: Cached,
    waiting: VecDeque<Request>,
    steps: u64,
    /// Whether likely tokens may be run along. Windows would have to be computed again if these turn
    /// out wrong.
    runs_ahead: bool,
    draft: Option<Draft>,
    journal: Arc<Journal>,
    /// Devices that failed in the step under way.
    failed: Vec<StepFailover>,
}

/// What a step takes of one sequence.
struct Share {
    slot: usize,
    count: usize,
    /// Tokens that are likely to follow, and are run along.
    ahead: Vec<u32>,
    /// Places in the sequence whose logits are wanted.
    wanted: Vec<usize>,
    /// Whether its prompt is encoded before.
    reads: bool,
}

impl Scheduler {
    pub(crate) fn new(runner: Runner, draft: Option<Runner>, journal: Arc<Journal>) -> Self {
        let slots: Vec<_> = (0..runner.budget().sequences).map(|_| Slot::default()).collect();
        let cached = Cached::new(slots.len());
        let windowed = runner.info().states.iter().any(|state| state.window.is_some());
        let draft = draft.map(Draft::new);
        let runs_ahead = !windowed;
        let waiting = VecDeque::new();
        Self {
            runner,
            slots,
            cached,
            waiting,
            steps: 0,
            runs_ahead,
            draft,
            journal,
            failed: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, mut request: Request) {
        match self.check(&request) {
            Ok(()) => self.waiting.push_back(request),
            Err(error) => request.consumer.ended(Err(error)),
        }
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.slots.iter().all(|slot| slot.work.is_none())
    }

    /// Ends everything.
    pub(crate) fn stop(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.end(Some(EngineError::Stopped)));
        for mut request in self.waiting.drain(..) {
            request.consumer.ended(Err(EngineError::Stopped));
        }
    }

    fn check(&self, request: &Request) -> Result<(), EngineError> {
        let context = self.runner.budget().context;
        let vocabulary = self.runner.info().vocabulary;
        if request.prompt.is_empty() {
            return Err(EngineError::Empty);
        }
        let (read, given) = (request.prompt.len(), request.answer.len());
        let apart = self.runner.info().start.is_some();
        let prompt =
            if apart { read.max(given.saturating_add(1)) } else { read.saturating_add(given) };
        if prompt > context {
            return Err(EngineError::TooLong { prompt, context });
        }
        let stranger = request
            .prompt
            .iter()
            .chain(&request.answer)
            .find(|&&token| token as usize >= vocabulary);
        stranger.map_or(Ok(()), |&token| Err(EngineError::Token { token, vocabulary }))
    }

    /// Runs one step.
    pub(crate) fn step(&mut self) {
        if self.steps == 0 {
            self.runner.compare_plans();
            self.draft.iter_mut().for_each(Draft::compare_plans);
        }
        self.steps += 1;
        self.drop_cancelled();
        self.admit();
        // What drafting takes is part of what running ahead costs.
        let started = Instant::now();
        let shares = self.shares();
        if shares.is_empty() {
            return;
        }
        let step = self.gather(&shares);
        let cancel = self.only_cancel(&shares);
        let ran = self.runner.run(&step, cancel.as_deref());
        self.take_notes();
        match ran {
            Ok(logits) => self.spread(&shares, &logits, started.elapsed()),
            // Caches are as they were, and whoever ended it is dropped by the next step.
            Err(ExecError::Failed { failure: Failure::Cancelled, .. }) if cancel.is_some() => {}
            // The next steps feed every sequence again; what was told of them stays told.
            Err(ExecError::StatesLost { .. }) => self.forget_all(),
            Err(failure) => {
                // Caches are as they were: only the requests of this step end.
                for share in &shares {
                    self.slots[share.slot].end(Some(failure.clone().into()));
                }
            }
        }
    }

    /// Tells of devices that failed, now that nobody's request has ended yet.
    fn take_notes(&mut self) {
        self.runner.take_receipt().into_iter().for_each(|receipt| self.journal.ran(receipt));
        let mut failed = std::mem::take(&mut self.failed);
        failed.append(&mut self.runner.take_failovers(self.steps));
        if failed.is_empty() {
            return;
        }
        self.journal.failed(&failed);
        for work in self.slots.iter_mut().filter_map(|slot| slot.work.as_mut()) {
            work.usage.failovers.extend_from_slice(&failed);
        }
    }

    /// What ends a step half-way: that its only request is no longer wanted.
    fn only_cancel(&self, shares: &[Share]) -> Option<Arc<AtomicBool>> {
        let [share] = shares else { return None };
        self.slots[share.slot].work.as_ref().map(|work| Arc::clone(&work.cancel))
    }

    fn drop_cancelled(&mut self) {
        for slot in &mut self.slots {
            if slot.work.as_ref().is_some_and(Work::is_cancelled) {
                slot.end(None);
            }
        }
        let mut gone = Vec::new();
        for at in (0..self.waiting.len()).rev() {
            if self.waiting.get(at).is_some_and(Request::is_cancelled) {
                gone.extend(self.waiting.remove(at));
            }
        }
        gone.into_iter().for_each(|mut request| request.consumer.ended(Ok(Usage::default())));
    }

    /// The waiting request that goes first: of those that matter most, the one that came first.
    fn first_waiting(&mut self) -> Option<Request> {
        let most = self.waiting.iter().map(|request| request.priority).max()?;
        let at = self.waiting.iter().position(|request| request.priority == most)?;
        self.waiting.remove(at)
    }

    /// Gives free sequences to waiting requests.
    fn admit(&mut self) {
        while !self.waiting.is_empty() {
            let free = (0..self.slots.len()).filter(|&at| self.slots[at].work.is_none());
            let Some(oldest) = free.min_by_key(|&at| self.slots[at].used) else { return };
            let Some(request) = self.first_waiting() else { return };
            self.start(oldest, request);
        }
    }

    /// Starts a request on a free sequence, with what any has of its prompt.
    fn start(&mut self, oldest: usize, mut request: Request) {
        let prompt = request.prompt.len() + request.answer.len();
        // What follows the start of an answer depends on the whole prompt that was encoded.
        let (reads, tokens) = match self.runner.info().start {
            Some(start) => (request.prompt, [&[start], &request.answer[..]].concat()),
            None => (Vec::new(), [request.prompt, request.answer].concat()),
        };
        // Who wants the logits behind every token needs all of them run.
        let whole = request.consumer.wants_prompt() || !reads.is_empty();
        let reusable = if whole { &[][..] } else { &tokens[..] };
        let (at, reused) = match self.take_over(oldest, reusable) {
            Ok(taken) => taken,
            Err(failure) => return request.consumer.ended(Err(failure.into())),
        };
        let (given, context) = (tokens.len(), self.runner.budget().context);
        let most = given.saturating_add(request.most.unwrap_or(context)).min(context);
        self.slots[at].work = Some(Work {
            consumer: request.consumer,
            reads,
            has_read: false,
            tokens,
            given,
            most,
            usage: Usage { prompt, reused, ..Usage::default() },
            priority: request.priority,
            cancel: request.cancel,
            gauge: Gauge::default(),
            told: 0,
        });
    }

    /// Makes as much of a prompt as any sequence has the content of a free one: `oldest`, which loses what
    /// it had, or one that has it and loses next to nothing. Gives which, and how much it has.
    fn take_over(&mut self, oldest: usize, prompt: &[u32]) -> Result<(usize, usize), ExecError> {
        let (mut own, mut refused) = (oldest, Vec::new());
        loop {
            let is_free = |at: usize| self.slots[at].work.is_none();
            let rank = |at: usize| {
                let rest = Reverse(self.cached.tokens(at).len());
                (!refused.contains(&at)).then(|| (is_free(at), rest))
            };
            let Some((from, length)) = self.cached.longest(prompt, rank) else {
                self.cached.truncate(own, 0);
                return Ok((own, self.runner.cut(sequence(own), 0)?));
            };
            let rest = self.cached.tokens(from).len() - length;
            let had = if is_free(from) && (from == own || rest < BLOCK) {
                own = from;
                self.cached.truncate(own, length);
                self.runner.cut(sequence(own), length)?
            } else {
                self.cached.truncate(own, 0);
                self.cached.extend(own, &prompt[..length]);
                self.runner.copy(sequence(from), sequence(own), length)?
            };
            self.cached.truncate(own, had);
            if had > 0 {
                return Ok((own, had));
            }
            // Its window has left behind what would be needed.
            refused.push(from);
        }
    }

    /// Tokens of a slot that are still to be run.
    fn pending(&self, at: usize) -> usize {
        self.slots[at].pending(self.cached.tokens(at).len())
    }

    /// What the next step takes: first of those that generate, then pieces of prompts.
    fn shares(&mut self) -> Vec<Share> {
        let mut room = self.runner.budget().step_tokens;
        let mut order: Vec<usize> = (0..self.slots.len()).collect();
        order.sort_by_key(|&at| {
            let slot = &self.slots[at];
            (self.pending(at) > 1, Reverse(slot.priority()), slot.used)
        });
        let mut shares: Vec<Share> = Vec::new();
        for at in order {
            let slot = &self.slots[at];
            let Some(work) = &slot.work else { continue };
            let count = self.pending(at).min(room);
            let reads = work.is_unread();
            // A step has room for one prompt that is encoded.
            if count == 0 || reads && shares.iter().any(|share| share.reads) {
                continue;
            }
            room -= count;
            let start = self.cached.tokens(at).len();
            let places = start..start + count;
            let all = work.consumer.wants_prompt();
            let wanted = places.filter(|&place| all || place + 1 == work.tokens.len());
            let wanted = wanted.collect();
            shares.push(Share { slot: at, count, ahead: Vec::new(), wanted, reads });
        }
        if let [share] = &mut shares[..] {
            self.run_ahead(share, room);
        }
        shares
    }

    /// Adds likely tokens to the share of a sequence that has the step for itself.
    fn run_ahead(&mut self, share: &mut Share, room: usize) {
        let Some(work) = self.slots[share.slot].work.as_ref().filter(|_| self.runs_ahead) else {
            return;
        };
        let sure = work.tokens.len();
        let generates = share.count == 1 && sure > work.given && !work.consumer.wants_prompt();
        if !generates || !work.gauge.allows() {
            return;
        }
        let room = room.min(work.most.saturating_sub(sure + 1));
        if self.runner.budget().lookup {
            share.ahead = lookup::likely(&work.tokens, room).to_vec();
        }
        if let (true, Some(draft)) = (share.ahead.is_empty(), &mut self.draft) {
            let guessed = draft.guess(share.slot, &work.tokens, room);
            self.failed.append(&mut draft.take_failovers(self.steps));
            match guessed {
                Ok(guessed) => share.ahead = guessed,
                // It reads its sequences again for the next guess.
                Err(ExecError::StatesLost { .. }) => {}
                // Answers do not need it.
                Err(error) => {
                    self.journal.lost_draft(error.to_string());
                    self.draft = None;
                }
            }
        }
        share.wanted.extend(sure..sure + share.ahead.len());
    }

    fn gather(&self, shares: &[Share]) -> Step {
        let mut step = Step::default();
        for share in shares {
            let Some(work) = &self.slots[share.slot].work else { continue };
            let start = self.cached.tokens(share.slot).len();
            let first = step.tokens.len();
            let sure = work.tokens.iter().skip(start).take(share.count);
            for (place, &token) in sure.chain(&share.ahead).enumerate() {
                step.tokens.push(i64::from(token));
                step.positions.push(signed(start + place));
                step.sequences.push(signed(share.slot));
            }
            if share.reads {
                step.encoded = work.reads.iter().copied().map(i64::from).collect();
                step.encoded_sequence = signed(share.slot);
            }
            step.outputs.extend(share.wanted.iter().map(|&place| signed(first + place - start)));
        }
        step
    }

    /// Hands the logits of a step to those who wanted them.
    fn spread(&mut self, shares: &[Share], logits: &[f32], time: Duration) {
        let vocabulary = self.runner.info().vocabulary;
        let mut rest = logits;
        for share in shares {
            let slot = &mut self.slots[share.slot];
            slot.used = self.steps;
            let Some(work) = &mut slot.work else { continue };
            work.has_read |= share.reads;
            let start = self.cached.tokens(share.slot).len();
            let run = start + share.count;
            self.cached.extend(share.slot, &work.tokens[start..run]);
            let (own, others) = rest.split_at(share.wanted.len() * vocabulary);
            rest = others;
            let (gave, kept) = slot.take_logits((&share.wanted, &share.ahead), own, vocabulary);
            if let (Some(draft), true) = (&mut self.draft, gave > 0 && !share.ahead.is_empty()) {
                draft.judge(share.slot, share.ahead.len(), gave - 1);
            }
            // Pieces of prompts, an encoder and company take longer than a token alone.
            let alone = shares.len() == 1 && share.count == 1 && !share.reads && gave > 0;
            if let Some(work) = slot.work.as_mut().filter(|_| alone) {
                work.gauge.measured(!share.ahead.is_empty(), gave, time);
            }
            // What was run ahead is cached, whatever came of it.
            let right = kept.saturating_sub(run).min(share.ahead.len());
            self.cached.extend(share.slot, &share.ahead[..right]);
            if right < share.ahead.len() {
                self.forget(share.slot);
            }
        }
    }

    /// Takes note that the caches hold nothing any more.
    fn forget_all(&mut self) {
        self.cached.clear();
        self.slots.iter_mut().filter_map(|slot| slot.work.as_mut()).for_each(|work| {
            work.has_read = false;
        });
    }

    /// Cuts the caches to what the sequence is said to have.
    fn forget(&mut self, at: usize) {
        match self.runner.cut(sequence(at), self.cached.tokens(at).len()) {
            Ok(length) => {
                self.cached.truncate(at, length);
                // With the sequence, what was encoded for it has ended.
                if let Some(work) = self.slots[at].work.as_mut().filter(|_| length == 0) {
                    work.has_read = false;
                }
            }
            Err(failure) => {
                self.cached.truncate(at, 0);
                self.slots[at].end(Some(failure.into()));
            }
        }
    }
}

fn sequence(slot: usize) -> u32 {
    u32::try_from(slot).unwrap_or(u32::MAX)
}

fn signed(place: usize) -> i64 {
    i64::try_from(place).unwrap_or(i64::MAX)
}
