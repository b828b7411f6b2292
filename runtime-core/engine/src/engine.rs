//! The engine: a thread that runs the scheduler, and handles to ask it.

use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use remuda_exec::plan::Plan;
use remuda_exec::{Receipt, Session, Trial};
use remuda_models::ModelInfo;

use crate::journal::Journal;
use crate::scheduler::Scheduler;
use crate::{Budget, EngineError, Request, Runner, StepFailover};

/// A running engine; it stops when this is dropped.
#[derive(Debug)]
pub struct Engine {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

/// A way to ask an engine; cheap to clone, from any thread.
#[derive(Clone, Debug)]
pub struct Handle {
    requests: Arc<Mutex<Option<Sender<Request>>>>,
    info: Arc<ModelInfo>,
    budget: Budget,
    session: Arc<Session>,
    journal: Arc<Journal>,
}

impl Engine {
    /// Starts an engine; with a draft model, which guesses tokens for the model to look at several at
    /// once.
    ///
    /// # Errors
    /// When the draft model has another vocabulary or budget, or there is no thread to be had.
    pub fn start(runner: Runner, draft: Option<Runner>) -> Result<Self, EngineError> {
        check_draft(&runner, draft.as_ref())?;
        let (sender, receiver) = channel();
        let handle = Handle {
            requests: Arc::new(Mutex::new(Some(sender))),
            info: Arc::new(runner.info().clone()),
            budget: *runner.budget(),
            session: Arc::clone(runner.session()),
            journal: Arc::default(),
        };
        let journal = Arc::clone(&handle.journal);
        let thread = std::thread::Builder::new()
            .name("remuda-engine".to_owned())
            .spawn(move || run(Scheduler::new(runner, draft, journal), &receiver))
            .map_err(|error| EngineError::Budget(format!("cannot start a thread: {error}")))?;
        Ok(Self { handle, thread: Some(thread) })
    }

    /// A way to ask it.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.handle.requests.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = self.thread.take() {
            // A panic of a consumer ended the thread; its requests were told when it unwound.
            let _ = thread.join();
        }
    }
}

impl Handle {
    /// What the model is.
    #[must_use]
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// What the engine may take.
    #[must_use]
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Who runs what.
    #[must_use]
    pub fn plan(&self) -> Plan {
        self.session.plan()
    }

    /// What came of comparing the plan with others before the first step.
    #[must_use]
    pub fn trials(&self) -> &[Trial] {
        self.session.trials()
    }

    /// What the placement contract wants the user to know of the plan.
    #[must_use]
    pub fn plan_warnings(&self) -> Arc<[String]> {
        self.session.plan_warnings()
    }

    /// The receipt of the step that ended last.
    #[must_use]
    pub fn last_receipt(&self) -> Option<Receipt> {
        self.journal.last_receipt()
    }

    /// The devices that failed since the engine started, in order.
    #[must_use]
    pub fn failovers(&self) -> Vec<StepFailover> {
        self.journal.failovers()
    }

    /// Why the draft model was given up, if it was: answers go on without its guesses.
    #[must_use]
    pub fn draft_lost(&self) -> Option<String> {
        self.journal.draft_lost()
    }

    /// Hands in a request; its consumer is told everything else.
    ///
    /// # Errors
    /// When the engine has stopped.
    pub fn submit(&self, request: Request) -> Result<(), EngineError> {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = requests.as_ref().ok_or(EngineError::Stopped)?;
        sender.send(request).map_err(|_| EngineError::Stopped)
    }
}

/// What a draft model guesses must be tokens of the model, in the same sequences and places.
fn check_draft(runner: &Runner, draft: Option<&Runner>) -> Result<(), EngineError> {
    let Some(draft) = draft else { return Ok(()) };
    let encodes = [runner, draft].into_iter().find(|one| one.info().start.is_some());
    if let Some(encodes) = encodes {
        return Err(EngineError::Budget(format!(
            "draft models are for models that go on from their prompts, `{}` reads them with an encoder",
            encodes.info().architecture
        )));
    }
    let (own, guessed) = (runner.info().vocabulary, draft.info().vocabulary);
    if own != guessed {
        return Err(EngineError::Budget(format!(
            "the draft model has a vocabulary of {guessed}, expected the model's: {own}"
        )));
    }
    let sizes = |budget: &Budget| (budget.context, budget.sequences, budget.step_tokens);
    if sizes(runner.budget()) != sizes(draft.budget()) {
        let text = "the draft model has another context, other sequences or other steps";
        return Err(EngineError::Budget(text.to_owned()));
    }
    Ok(())
}

fn run(mut scheduler: Scheduler, requests: &Receiver<Request>) {
    loop {
        if scheduler.is_idle() {
            match requests.recv() {
                Ok(request) => scheduler.add(request),
                Err(_) => return,
            }
        }
        loop {
            match requests.try_recv() {
                Ok(request) => scheduler.add(request),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return scheduler.stop(),
            }
        }
        scheduler.step();
    }
}
