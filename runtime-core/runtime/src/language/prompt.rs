//! What a model says of tokens that it is given: the logits behind each of them.

use std::sync::mpsc::{Sender, channel};

use remuda_engine::{Consumer, EngineError, Handle, Next, Request, Usage};

/// Keeps something of each row of logits.
struct Rows<K> {
    keep: K,
    done: Sender<Result<K, EngineError>>,
}

/// What is kept of the logits behind the token at a place.
trait Keep: Clone + Send {
    fn row(&mut self, place: usize, logits: &[f32]);
}

impl<K: Keep> Consumer for Rows<K> {
    fn wants_prompt(&self) -> bool {
        true
    }

    fn prompt(&mut self, place: usize, logits: &[f32]) {
        self.keep.row(place, logits);
    }

    fn next(&mut self, _logits: &[f32]) -> Next {
        Next::End
    }

    fn ended(&mut self, result: Result<Usage, EngineError>) {
        // Whoever asked waits for this.
        let _ = self.done.send(result.map(|_| self.keep.clone()));
    }
}

fn ask<K: Keep + 'static>(
    engine: &Handle,
    [prompt, answer]: [Vec<u32>; 2],
    keep: K,
) -> Result<K, EngineError> {
    let (done, result) = channel();
    let request = Request::new(prompt, Box::new(Rows { keep, done }));
    engine.submit(Request { most: Some(0), answer, ..request })?;
    result.recv().unwrap_or(Err(EngineError::Stopped))
}

/// The rows from a place on.
#[derive(Clone)]
struct From {
    first: usize,
    rows: Vec<f32>,
}

impl Keep for From {
    fn row(&mut self, place: usize, logits: &[f32]) {
        if place >= self.first {
            self.rows.extend_from_slice(logits);
        }
    }
}

pub(super) fn logits(engine: &Handle, prompt: Vec<u32>) -> Result<Vec<f32>, EngineError> {
    let keep = From { first: 0, rows: Vec::new() };
    Ok(ask(engine, [prompt, Vec::new()], keep)?.rows)
}

/// Behind all that comes before an answer, and behind each of its tokens.
pub(super) fn answer_logits(
    engine: &Handle,
    prompt: Vec<u32>,
    answer: Vec<u32>,
) -> Result<Vec<f32>, EngineError> {
    // Where an encoder reads the prompt, one token comes before.
    let before = if engine.info().start.is_some() { 1 } else { prompt.len() };
    let keep = From { first: before.saturating_sub(1), rows: Vec::new() };
    Ok(ask(engine, [prompt, answer], keep)?.rows)
}

#[derive(Clone)]
struct Probabilities {
    prompt: Vec<u32>,
    kept: Vec<f64>,
}

impl Keep for Probabilities {
    fn row(&mut self, place: usize, logits: &[f32]) {
        let next = place.checked_add(1).and_then(|next| self.prompt.get(next));
        let Some(logit) = next.and_then(|&token| logits.get(token as usize)) else { return };
        let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = logits.iter().map(|&logit| f64::from(logit - most).exp()).sum();
        self.kept.push(f64::from(logit - most) - sum.ln());
    }
}

pub(super) fn log_probabilities(
    engine: &Handle,
    prompt: Vec<u32>,
) -> Result<Vec<f64>, EngineError> {
    let keep = Probabilities { prompt: prompt.clone(), kept: Vec::new() };
    Ok(ask(engine, [prompt, Vec::new()], keep)?.kept)
}
