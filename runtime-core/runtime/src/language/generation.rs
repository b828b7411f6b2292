//! A generation: tokens as they come.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use remuda_engine::{Consumer, EngineError, Next, Request, Usage};

use super::{LanguageModel, run_error};
use crate::Error;

/// Chooses a token from logits; `None` ends the generation.
pub type Pick = Box<dyn FnMut(&[f32]) -> Option<u32> + Send>;

/// Picks the token with the largest logit, the first of several, until one of `ends`.
#[must_use]
pub fn greedy(ends: Vec<u32>) -> Pick {
    Box::new(move |logits| {
        let best = |best: usize, at: usize| if logits[at] > logits[best] { at } else { best };
        let token = u32::try_from((0..logits.len()).reduce(best)?).ok()?;
        (!ends.contains(&token)).then_some(token)
    })
}

enum Event {
    Token(u32),
    Ended(Result<Usage, EngineError>),
}

/// Tokens as they come. Dropping it ends the generation at its next step.
#[derive(Debug)]
pub struct Generation {
    /// Keeps the engine running.
    _model: LanguageModel,
    events: Receiver<Event>,
    cancelled: Arc<AtomicBool>,
    usage: Option<Usage>,
}

struct Picking {
    pick: Pick,
    events: Sender<Event>,
}

impl Consumer for Picking {
    fn next(&mut self, logits: &[f32]) -> Next {
        match (self.pick)(logits) {
            Some(token) if self.events.send(Event::Token(token)).is_ok() => Next::Token(token),
            _ => Next::End,
        }
    }

    fn ended(&mut self, result: Result<Usage, EngineError>) {
        // Nobody listens any more to a generation that was dropped.
        let _ = self.events.send(Event::Ended(result));
    }
}

pub(super) fn start(
    model: &LanguageModel,
    prompt: Vec<u32>,
    most: Option<usize>,
    pick: Pick,
) -> Result<Generation, EngineError> {
    let (sender, events) = channel();
    let cancelled = Arc::new(AtomicBool::new(false));
    let consumer = Box::new(Picking { pick, events: sender });
    let cancel = Arc::clone(&cancelled);
    let request = Request { most, cancel, ..Request::new(prompt, consumer) };
    model.0.engine.handle().submit(request)?;
    Ok(Generation { _model: model.clone(), events, cancelled, usage: None })
}

impl Generation {
    /// Ends it at its next step.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// What it came to, once it has ended.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.usage.clone()
    }
}

impl Iterator for Generation {
    type Item = Result<u32, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.events.recv() {
            Ok(Event::Token(token)) => Some(Ok(token)),
            Ok(Event::Ended(Ok(usage))) => {
                self.usage = Some(usage);
                None
            }
            Ok(Event::Ended(Err(error))) => Some(Err(run_error(error))),
            Err(_) => None,
        }
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        self.cancel();
    }
}
