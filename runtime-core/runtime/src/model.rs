//! A loaded model.

use std::cell::RefCell;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use remuda_exec::{RunRequest, Session};
use remuda_host::StepTime;
use remuda_ir::{Graph, OpError, Val, ValueType};
use remuda_tensor::Memory;

use crate::placement::{Plan, Receipt, Trial};
use crate::{Error, Outputs, Runtime};

mod bind;
mod load;
mod predictable;
mod summary;

pub use load::value_from_protobuf;
pub use summary::Summary;

/// A model, loaded and ready to run. Cheap to clone; runs may go on in many threads at once.
#[derive(Clone, Debug)]
pub struct Model(Arc<Loaded>);

#[derive(Debug)]
struct Loaded {
    graph: Graph,
    session: Session,
    last: Mutex<Option<Receipt>>,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    summary: Summary,
}

/// An input or output of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Its type, dimensions by number or by name. `None` where the model does not say.
    pub ty: Option<ValueType>,
}

/// What one run is told.
#[derive(Clone, Debug, Default)]
pub struct RunOptions<'a> {
    /// The outputs that are wanted, in this order; all of them by default.
    pub outputs: Option<&'a [&'a str]>,
    /// Set it to true, from any thread, to end the run.
    pub cancel: Option<&'a AtomicBool>,
    /// Whether the time of each node is taken.
    pub profile: bool,
}

/// What one run gave.
#[derive(Clone, Debug)]
pub struct RunReport {
    /// The results.
    pub outputs: Outputs,
    /// How long the run took.
    pub time: Duration,
    /// The time of each node, if it was asked for.
    pub steps: Vec<StepTime>,
    /// Who really ran what.
    pub receipt: Receipt,
}

impl Model {
    pub(crate) fn open(runtime: &Runtime, path: &Path) -> Result<Self, Error> {
        load::open(path).and_then(|imported| Self::prepare(runtime, imported))
    }

    pub(crate) fn from_memory(runtime: &Runtime, bytes: Arc<dyn Memory>) -> Result<Self, Error> {
        load::import(bytes).and_then(|imported| Self::prepare(runtime, imported))
    }

    fn prepare(runtime: &Runtime, imported: load::Imported) -> Result<Self, Error> {
        let load::Imported { mut graph, mut summary } = imported;
        summary.count(&graph);
        let port = |&id: &remuda_ir::ValueId| {
            let value = graph.value(id);
            Port { name: value.name.clone(), ty: value.ty.clone() }
        };
        let (inputs, outputs) =
            (graph.inputs.iter().map(port).collect(), graph.outputs.iter().map(port).collect());
        summary.rewrites = remuda_passes::optimize(&mut graph, &runtime.rewrites)?;
        summary.count_running(&graph);
        let options = runtime.session_options();
        let session = Session::new(graph.clone(), &runtime.selection, &options)?;
        let last = Mutex::default();
        Ok(Self(Arc::new(Loaded { graph, session, last, inputs, outputs, summary })))
    }

    /// What runs must be given.
    #[must_use]
    pub fn inputs(&self) -> &[Port] {
        &self.0.inputs
    }

    /// What runs give.
    #[must_use]
    pub fn outputs(&self) -> &[Port] {
        &self.0.outputs
    }

    /// What the model is, in numbers.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.0.summary
    }

    /// Whether runs over inputs of the same sizes take about as long: values decide nothing, and no device or
    /// process is involved that may hang.
    #[must_use]
    pub fn is_predictable(&self) -> bool {
        self.0.session.is_on_processor() && predictable::is_predictable(&self.0.graph)
    }

    /// The graph as text; with `constants` it holds every weight and parses back.
    #[must_use]
    pub fn graph_text(&self, constants: bool) -> String {
        if constants {
            remuda_ir::text::print(&self.0.graph)
        } else {
            remuda_ir::text::print_outline(&self.0.graph)
        }
    }

    /// Who runs which node, what that costs, and why nobody else does. Plans name backends by their
    /// place in [`Plan::providers`].
    #[must_use]
    pub fn placement(&self) -> Plan {
        self.0.session.plan()
    }

    /// What the placement contract wants the user to know.
    #[must_use]
    pub fn placement_warnings(&self) -> Arc<[String]> {
        self.0.session.plan_warnings()
    }

    /// What the first run found out by trying the plan against others; nothing before it, or where there
    /// was nothing to try.
    #[must_use]
    pub fn trials(&self) -> &[Trial] {
        self.0.session.trials()
    }

    /// Plans again with the times that parts took in past runs. Gives whether a node moved.
    ///
    /// # Errors
    /// When the placement contract is not met any more, or the new parts cannot be compiled.
    pub fn replan(&self) -> Result<bool, Error> {
        Ok(self.0.session.replan()?)
    }

    /// The receipt of the run that ended last.
    #[must_use]
    pub fn last_receipt(&self) -> Option<Receipt> {
        self.0.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs the model with named values and gives all its outputs.
    ///
    /// # Errors
    /// When a value is missing, unknown or does not fit, or the run fails.
    pub fn run<N, V>(&self, inputs: impl IntoIterator<Item = (N, V)>) -> Result<Outputs, Error>
    where
        N: AsRef<str>,
        V: Into<Val>,
    {
        Ok(self.run_with(inputs, &RunOptions::default())?.outputs)
    }

    /// Runs the model with named values and options.
    ///
    /// # Errors
    /// When a value is missing, unknown or does not fit, an output is unknown, or the run fails.
    pub fn run_with<N, V>(
        &self,
        inputs: impl IntoIterator<Item = (N, V)>,
        options: &RunOptions<'_>,
    ) -> Result<RunReport, Error>
    where
        N: AsRef<str>,
        V: Into<Val>,
    {
        let given =
            inputs.into_iter().map(|(name, val)| (name.as_ref().to_owned(), val.into())).collect();
        let bound = bind::inputs(&self.0.inputs, given)?;
        let wanted = bind::outputs(&self.0.outputs, options.outputs)?;
        let started = Instant::now();
        let steps = RefCell::new(Vec::new());
        let report = |step| steps.borrow_mut().push(step);
        let profile: Option<&dyn Fn(StepTime)> = if options.profile { Some(&report) } else { None };
        let request = RunRequest { cancel: options.cancel, profile };
        let session = &self.0.session;
        session.canary_once(None, || vec![bound.clone()], &request);
        let (made, receipt) = session.run(&bound, &request)?;
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(receipt.clone());
        let time = started.elapsed();
        let outputs = wanted
            .into_iter()
            .map(|at| {
                let val = made
                    .get(at)
                    .cloned()
                    .ok_or_else(|| OpError::Bug("an output is not there".to_owned()))?;
                Ok((self.0.outputs[at].name.clone(), val))
            })
            .collect::<Result<_, OpError>>()?;
        Ok(RunReport { outputs: Outputs(outputs), time, steps: steps.into_inner(), receipt })
    }
}
