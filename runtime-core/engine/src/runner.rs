//! A compiled language model with its caches: runs steps, and keeps sequences in all caches alike.

use std::sync::atomic::AtomicBool;

use remuda_host::{Failure, Program, Provider, RunOptions, State};
use remuda_ir::Val;
use remuda_models::{LanguageModel, ModelInfo};
use remuda_ops::NEWEST_OPSET;
use remuda_tensor::Tensor;

use crate::{Budget, EngineError};

/// A compiled language model with its caches.
#[derive(Debug)]
pub struct Runner {
    program: Program,
    states: Vec<State>,
    info: ModelInfo,
    budget: Budget,
}

/// The tokens of one step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Step {
    pub(crate) tokens: Vec<i64>,
    pub(crate) positions: Vec<i64>,
    pub(crate) sequences: Vec<i64>,
    /// The tokens, by place, whose logits are wanted.
    pub(crate) outputs: Vec<i64>,
}

impl Runner {
    /// Compiles a model on a device and makes its caches.
    ///
    /// # Errors
    /// When the device does not take the model, or memory does not suffice.
    pub fn new(
        model: LanguageModel,
        budget: Budget,
        (provider, device): (&Provider, u32),
    ) -> Result<Self, EngineError> {
        budget.check()?;
        let LanguageModel { graph, info } = model;
        let make = |ty| provider.create_state(device, ty, budget.sequences, budget.capacity(ty));
        let states = info.states.iter().map(make).collect::<Result<_, _>>()?;
        let program = provider.compile(device, graph, NEWEST_OPSET)?;
        Ok(Self { program, states, info, budget })
    }

    /// What the model is.
    #[must_use]
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// What it may take.
    #[must_use]
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Runs a step: the logits of the wanted tokens, one row each.
    pub(crate) fn run(
        &self,
        step: &Step,
        cancel: Option<&AtomicBool>,
    ) -> Result<Vec<f32>, Failure> {
        let inputs = [&step.tokens, &step.positions, &step.sequences, &step.outputs]
            .map(|list| Val::from(Tensor::vector(list.clone())));
        let states: Vec<&State> = self.states.iter().collect();
        let options = RunOptions { cancel, states: &states, profile: None };
        let outputs = self.program.run(&inputs, &options)?;
        let logits =
            outputs.first().ok_or_else(|| Failure::Internal("it gave no logits".into()))?;
        let logits = logits.tensor()?;
        if logits.dims() != [step.outputs.len(), self.info.vocabulary] {
            let text = format!("it gave logits of {:?}", logits.dims());
            return Err(Failure::Internal(text));
        }
        Ok(logits.to_f32_vec().map_err(remuda_ir::OpError::from)?)
    }

    /// Cuts a sequence; one that cannot be cut there ends. Gives the length that it has then.
    pub(crate) fn cut(&mut self, sequence: u32, length: usize) -> Result<usize, Failure> {
        let cut = self.states.iter_mut().try_for_each(|s| s.truncate(sequence, length as u64));
        match cut {
            Ok(()) => Ok(length),
            Err(Failure::Invalid(_)) => self.end(sequence).map(|()| 0),
            Err(other) => Err(other),
        }
    }

    /// Makes `to` a copy of the start of `from`; where that cannot be, `to` ends. Gives the length
    /// that it has then.
    pub(crate) fn copy(&mut self, from: u32, to: u32, length: usize) -> Result<usize, Failure> {
        let copied =
            self.states.iter_mut().try_for_each(|state| state.copy(from, to, length as u64));
        match copied {
            Ok(()) => Ok(length),
            Err(Failure::Invalid(_)) => self.end(to).map(|()| 0),
            Err(other) => Err(other),
        }
    }

    fn end(&mut self, sequence: u32) -> Result<(), Failure> {
        self.states.iter_mut().try_for_each(|state| state.truncate(sequence, 0))
    }
}
