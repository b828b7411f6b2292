//! A compiled language model with its caches: runs steps, and keeps sequences in all caches alike.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use remuda_exec::{
    ExecError, Failover, Options, Receipt, RunRequest, Selection, Session, ShapeClass,
    StateOptions, States,
};
use remuda_host::Failure;
use remuda_ir::{OpError, Val};
use remuda_models::{LanguageModel, ModelInfo};
use remuda_tensor::Tensor;

use crate::journal::{StepFailover, targets};
use crate::{Budget, EngineError};

/// A compiled language model with its caches.
#[derive(Debug)]
pub struct Runner {
    session: Arc<Session>,
    states: States,
    info: ModelInfo,
    budget: Budget,
    /// What the last step left, until somebody takes it.
    receipt: Option<Receipt>,
    /// Who failed, until somebody takes note.
    failed: Vec<Failover>,
}

/// The tokens of one step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Step {
    pub(crate) tokens: Vec<i64>,
    pub(crate) positions: Vec<i64>,
    pub(crate) sequences: Vec<i64>,
    /// The tokens, by place, whose logits are wanted.
    pub(crate) outputs: Vec<i64>,
    /// The tokens of a prompt that an encoder reads, and the sequence whose prompt it is.
    pub(crate) encoded: Vec<i64>,
    pub(crate) encoded_sequence: i64,
}

impl Step {
    /// Tokens of one sequence from a position on; the logits behind the last are wanted.
    pub(crate) fn of_sequence(sequence: u32, start: usize, tokens: &[u32]) -> Self {
        let place = |at: usize| i64::try_from(at).unwrap_or(i64::MAX);
        Self {
            tokens: tokens.iter().copied().map(i64::from).collect(),
            positions: (start..start + tokens.len()).map(place).collect(),
            sequences: vec![i64::from(sequence); tokens.len()],
            outputs: vec![place(tokens.len().saturating_sub(1))],
            ..Self::default()
        }
    }

    /// What the graph is given; `encodes` if it has an encoder for prompts.
    fn inputs(&self, encodes: bool) -> Vec<Val> {
        let value = |list: &Vec<i64>| Val::from(Tensor::vector(list.clone()));
        let lists = [&self.tokens, &self.positions, &self.sequences, &self.outputs];
        let mut inputs: Vec<Val> = lists.map(value).into();
        if encodes {
            let positions = (0..).take(self.encoded.len()).collect();
            let sequences = vec![self.encoded_sequence; self.encoded.len()];
            inputs.extend([&self.encoded, &positions, &sequences].map(value));
        }
        inputs
    }
}

/// The longest prompt that plans are compared with, and how many steps behind it.
const TRIED_PROMPT: usize = 64;
const TRIED_STEPS: usize = 3;

/// A prompt, and steps of one token of every sequence, the first of which goes on from the prompt; or from
/// one token where an encoder reads the prompt.
fn tried(budget: &Budget, vocabulary: usize, encodes: bool) -> Vec<Step> {
    let steps = TRIED_STEPS.min(budget.context.saturating_sub(1));
    let prompt = TRIED_PROMPT.min(budget.step_tokens).min(budget.context - steps);
    // Which tokens they are matters to experts that are chosen by them: these differ.
    let token = |at: usize| at.wrapping_mul(7919) % vocabulary.max(1);
    let tokens: Vec<u32> = (0..prompt).map(|at| u32::try_from(token(at)).unwrap_or(0)).collect();
    let signed = |place: usize| i64::try_from(place).unwrap_or(i64::MAX);
    let first = if encodes {
        let encoded = tokens.iter().copied().map(i64::from).collect();
        Step { encoded, ..Step::of_sequence(0, 0, &[0]) }
    } else {
        Step::of_sequence(0, 0, &tokens)
    };
    let cached = first.tokens.len();
    let step = |at: usize| {
        let sequences = 0..budget.sequences as usize;
        let start = |sequence| if sequence == 0 { cached } else { 0 };
        Step {
            tokens: sequences
                .clone()
                .map(|sequence| signed(token(prompt + at + sequence)))
                .collect(),
            positions: sequences.clone().map(|sequence| signed(start(sequence) + at)).collect(),
            sequences: sequences.clone().map(signed).collect(),
            outputs: sequences.map(signed).collect(),
            ..Step::default()
        }
    };
    std::iter::once(first).chain((0..steps).map(step)).collect()
}

impl Runner {
    /// Plans and compiles a model for these targets, and makes its caches.
    ///
    /// # Errors
    /// When a part of the model has nowhere to go, or memory does not suffice.
    pub fn new(
        model: LanguageModel,
        budget: Budget,
        (selection, options): (&Selection, &Options),
    ) -> Result<Self, EngineError> {
        budget.check()?;
        let LanguageModel { graph, info } = model;
        let mut options = options.clone();
        options.states = StateOptions {
            sequences: budget.sequences,
            capacities: info.states.iter().map(|ty| budget.capacity(ty)).collect(),
            mirror: budget.mirror,
        };
        options.classes = classes(&budget, &options, info.start.is_some());
        let session = Session::new(graph, selection, &options)?;
        let states = session.states()?;
        let session = Arc::new(session);
        Ok(Self { session, states, info, budget, receipt: None, failed: Vec::new() })
    }

    /// What the model is.
    #[must_use]
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// Whether an encoder reads prompts.
    fn encodes(&self) -> bool {
        self.info.start.is_some()
    }

    /// What it may take.
    #[must_use]
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// What it runs on, to be asked from elsewhere.
    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// Bytes of weights in forms of the devices' own, which are made by the first run.
    #[must_use]
    pub fn packed_bytes(&self) -> u64 {
        self.session.resident_bytes().values().fold(0, |sum, &bytes| sum.saturating_add(bytes))
    }

    /// Compares the plan with others over a short prompt and a few steps behind it, unless that has been
    /// done or is not wanted. Before the first step: the caches must be empty.
    pub(crate) fn compare_plans(&mut self) {
        let (budget, vocabulary, encodes) = (self.budget, self.info.vocabulary, self.encodes());
        let steps = || {
            let steps = tried(&budget, vocabulary, encodes).into_iter();
            steps.map(|step| step.inputs(encodes)).collect()
        };
        self.session.canary_once(Some(&mut self.states), steps, &RunRequest::default());
    }

    /// Runs a step: the logits of the wanted tokens, one row each.
    pub(crate) fn run(
        &mut self,
        step: &Step,
        cancel: Option<&AtomicBool>,
    ) -> Result<Vec<f32>, ExecError> {
        let inputs = step.inputs(self.encodes());
        let request = RunRequest { cancel, profile: None };
        let ran = self.session.step(&mut self.states, &inputs, &request);
        self.failed.append(&mut self.states.take_failovers());
        let (outputs, receipt) = ran?;
        self.failed.extend_from_slice(&receipt.failovers);
        self.receipt = Some(receipt);
        let logits = outputs.first().ok_or_else(|| bug("it gave no logits".to_owned()))?;
        let logits = logits.tensor().map_err(|error| bug(error.to_string()))?;
        if logits.dims() != [step.outputs.len(), self.info.vocabulary] {
            return Err(bug(format!("it gave logits of {:?}", logits.dims())));
        }
        logits.to_f32_vec().map_err(|error| bug(OpError::from(error).to_string()))
    }

    /// What the last step left.
    pub(crate) fn take_receipt(&mut self) -> Option<Receipt> {
        self.receipt.take()
    }

    /// Who failed since this was asked last, for a step of this number.
    pub(crate) fn take_failovers(&mut self, step: u64) -> Vec<StepFailover> {
        if self.failed.is_empty() {
            return Vec::new();
        }
        let onto = targets(&self.session.plan());
        let failed = std::mem::take(&mut self.failed).into_iter();
        failed.map(|failover| StepFailover { step, failover, onto: onto.clone() }).collect()
    }

    /// Cuts a sequence; one that cannot be cut there ends. Gives the length that it has then.
    pub(crate) fn cut(&mut self, sequence: u32, length: usize) -> Result<usize, ExecError> {
        self.states.cut(sequence, length as u64).map(narrow)
    }

    /// Makes `to` a copy of the start of `from`; where that cannot be, `to` ends. Gives the length
    /// that it has then.
    pub(crate) fn copy(&mut self, from: u32, to: u32, length: usize) -> Result<usize, ExecError> {
        self.states.copy(from, to, length as u64).map(narrow)
    }
}

/// Steps of more tokens are planned as pieces of prompts, unless there are more sequences.
const MOST_DECODED: usize = 8;
/// How many steps of few tokens there are for each of many: an answer for a prompt.
const DECODES_PER_PREFILL: u32 = 128;

/// The steps that are planned for apart: of few tokens, one per sequence and what is run along, and of
/// many; and those with a prompt for an encoder. What the user says of sizes comes first.
fn classes(budget: &Budget, options: &Options, encodes: bool) -> Vec<ShapeClass> {
    let sequences = budget.sequences as usize;
    let class = |name: &str, runs, (tokens, outputs, encoded): (usize, usize, usize)| {
        let mut sizes = options.sizes.clone();
        let given = [("tokens", tokens), ("outputs", outputs), ("encoded", encoded)];
        for (name, size) in given.into_iter().take(if encodes { 3 } else { 2 }) {
            sizes.entry(name.to_owned()).or_insert(size);
        }
        ShapeClass { name: name.to_owned(), runs, sizes, up_to: Vec::new() }
    };
    let few = MOST_DECODED.max(sequences);
    let many = budget.step_tokens.min(budget.context);
    let mut decode = class("decode", DECODES_PER_PREFILL, (sequences, sequences, 0));
    decode.up_to.push(("tokens".to_owned(), few));
    let mut classes = vec![decode];
    if many > few {
        classes.push(class("prefill", 1, (many, 1, 0)));
    }
    if encodes {
        let without = || ("encoded".to_owned(), 0);
        classes.iter_mut().for_each(|class| class.up_to.push(without()));
        classes.push(class("encode", 1, (sequences, sequences, budget.context)));
    }
    classes
}

/// A length that was a `usize` before.
fn narrow(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

fn bug(text: String) -> ExecError {
    ExecError::Failed { target: String::new(), failure: Failure::Internal(text) }
}
