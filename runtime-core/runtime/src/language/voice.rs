//! The engine's side of an answer: picks tokens and turns them into text.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use remuda_engine::{Consumer, EngineError, Next, Usage};
use remuda_grammar::GrammarError;
use remuda_sample::{Breakers, Chain, Params, log_probabilities};
use remuda_text::{Detokenizer, Encode, StopStrings, Tokenizer};

use super::ask::{Ask, Finish, Outcome, Piece};
use super::run_error;
use crate::Error;

/// What the engine's thread tells whoever waits for the answer.
pub(super) enum Event {
    Piece(Piece),
    Ended(Result<Outcome, Error>),
}

/// Picks tokens and turns them into text.
pub(super) struct Voice {
    tokenizer: Arc<Tokenizer>,
    chain: Chain,
    constraint: Option<remuda_grammar::Constraint>,
    text: Detokenizer,
    stops: StopStrings,
    probabilities: Option<usize>,
    events: Sender<Event>,
    cancel: Arc<AtomicBool>,
    generated: usize,
    finish: Option<Finish>,
    failed: Option<Error>,
    started: Instant,
    first: Option<Instant>,
}

impl Voice {
    pub(super) fn new(
        tokenizer: &Arc<Tokenizer>,
        constraint: Option<remuda_grammar::Constraint>,
        ask: &Ask,
        (events, cancel): (Sender<Event>, &Arc<AtomicBool>),
    ) -> Result<Self, Error> {
        let input = |error: &dyn ToString| Error::Input(error.to_string());
        let params = complete(&ask.sampling, tokenizer);
        Ok(Self {
            tokenizer: Arc::clone(tokenizer),
            chain: Chain::new(params).map_err(|error| input(&error))?,
            constraint,
            text: Detokenizer::default(),
            stops: StopStrings::new(&ask.stops).map_err(|error| input(&error))?,
            probabilities: ask.probabilities,
            events,
            cancel: Arc::clone(cancel),
            generated: 0,
            finish: None,
            failed: None,
            started: Instant::now(),
            first: None,
        })
    }

    /// Takes the tokens of the prompt, which penalties look at.
    pub(super) fn hear(&mut self, prompt: &[u32]) {
        prompt.iter().for_each(|&token| self.chain.accept(token));
    }

    fn choose(&mut self, logits: &[f32]) -> Result<Option<u32>, GrammarError> {
        let choice = match &mut self.constraint {
            Some(constraint) => {
                let mask = constraint.mask()?;
                self.chain.sample_allowed(logits, |token| mask.allows(token))
            }
            None => self.chain.sample(logits),
        };
        let Some(token) = choice.map(|choice| choice.token) else { return Ok(None) };
        if self.tokenizer.vocabulary().is_end(token) {
            self.finish = Some(Finish::End);
            return Ok(None);
        }
        if let Some(constraint) = &mut self.constraint {
            constraint.accept(token)?;
        }
        self.chain.accept(token);
        self.generated += 1;
        Ok(self.say(token, logits).then_some(token))
    }

    /// Tells a token; whether the answer goes on.
    fn say(&mut self, token: u32, logits: &[f32]) -> bool {
        let stopped = self.stops.push(&self.text.push(&self.tokenizer, token));
        let probabilities = self.probabilities.map(|top| log_probabilities(logits, token, top));
        let piece = Piece { text: stopped.text, token: Some(token), probabilities };
        self.finish = stopped.by.map(Finish::Stop);
        let heard = self.events.send(Event::Piece(piece)).is_ok();
        heard && self.finish.is_none()
    }

    /// The text that was held back.
    fn rest(&mut self) -> String {
        if matches!(self.finish, Some(Finish::Stop(_))) {
            return String::new();
        }
        let rest = self.text.finish();
        let stopped = self.stops.push(&rest);
        match stopped.by {
            Some(by) => {
                self.finish = Some(Finish::Stop(by));
                stopped.text
            }
            None => stopped.text + &self.stops.finish(),
        }
    }

    fn outcome(&mut self, usage: Usage) -> Outcome {
        let cancelled = self.cancel.load(Ordering::Relaxed);
        let silent = if cancelled { Finish::Cancelled } else { Finish::Length };
        let first = self.first.unwrap_or_else(Instant::now);
        Outcome {
            usage: Usage { generated: self.generated, ..usage },
            finish: self.finish.unwrap_or(silent),
            prompt_time: first.duration_since(self.started),
            answer_time: self.first.map_or(Duration::ZERO, |first| first.elapsed()),
        }
    }
}

impl Consumer for Voice {
    fn next(&mut self, logits: &[f32]) -> Next {
        self.first.get_or_insert_with(Instant::now);
        match self.choose(logits) {
            Ok(Some(token)) => Next::Token(token),
            Ok(None) => Next::End,
            Err(error) => {
                self.failed = Some(Error::Input(error.to_string()));
                Next::End
            }
        }
    }

    fn ended(&mut self, result: Result<Usage, EngineError>) {
        let rest = self.rest();
        let result = match (self.failed.take(), result) {
            (Some(error), _) => Err(error),
            (None, result) => result.map(|usage| self.outcome(usage)).map_err(run_error),
        };
        // Nobody listens any more to an answer that was dropped.
        if !rest.is_empty() {
            let _ = self.events.send(Event::Piece(Piece { text: rest, ..Piece::default() }));
        }
        let _ = self.events.send(Event::Ended(result));
    }
}

/// The parameters with what the vocabulary adds: tokens that must not come, and breakers of runs.
fn complete(sampling: &Params, tokenizer: &Tokenizer) -> Params {
    let mut params = sampling.clone();
    let vocabulary = tokenizer.vocabulary();
    let never = vocabulary.suppressed().iter().map(|&token| (token, f32::NEG_INFINITY));
    params.logit_bias.extend(never);
    if params.dry_multiplier > 0.0 && params.dry_breakers == Breakers::default() {
        let pieces = vocabulary.ids().filter_map(|id| Some((id, vocabulary.piece(id)?)));
        let tokens = |text: &str| tokenizer.encode(text, Encode::TEXT).unwrap_or_default();
        params.dry_breakers = Breakers::from_texts(&Params::DRY_BREAKERS, pieces, tokens);
    }
    params
}
