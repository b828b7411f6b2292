//! A provider whose every call is done by a worker.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use remuda_abi as abi;
use remuda_bridge::Failure;
use remuda_host::loading::{Manifest, Source};
use remuda_host::process::Prober;
use remuda_ir::{Graph, Node, OpName, StateRef, Val};
use remuda_ops::NEWEST_OPSET;
use remuda_sdk::{
    Backend, CompileRequest, Compiled, Cost, CostSource, Device, HostServices, MemoryInfo,
    ProgramInfo, Proposal, RunRequest, StateRequest, Support,
};

use crate::link::{Link, astray};
use crate::message::{
    Call, Isolated, Opening, Reply, SentAnswer, SentDevice, SentPrice, SentProposal, StateCall,
};
use crate::share::{pack, send_graph};
use crate::state::RemoteState;

/// The option that says what runs where: an [`Isolated`] as JSON.
pub const OPTION: &str = "remuda.isolated";

/// A table of the contract for a provider of this name and version, to be opened with [`OPTION`].
#[must_use]
pub fn table(name: &str, version: &str) -> &'static abi::Provider {
    let kept = |text: &str| abi::Str::new(Box::leak(text.to_owned().into_boxed_str()));
    let table = *remuda_sdk::table::<Remote>();
    Box::leak(Box::new(abi::Provider { name: kept(name), version: kept(version), ..table }))
}

/// The table and the option for a library: how `remuda_host::loading` isolates it.
#[must_use]
pub fn for_library(
    prober: &Prober,
    library: &Path,
    manifest: &Manifest,
) -> (&'static abi::Provider, (String, String)) {
    let isolated = Isolated::new(Source::Library(library.to_owned()), prober);
    (table(&manifest.name, &manifest.version), isolated.option())
}

/// A provider in a worker process.
#[derive(Debug)]
pub(crate) struct Remote {
    link: Arc<Link>,
    devices: Vec<SentDevice>,
}

impl Remote {
    /// The number of a device in its own provider.
    fn number(&self, device: u32) -> Result<u32, Failure> {
        let found = self.devices.get(device as usize).map(|device| device.index);
        found.ok_or_else(|| Failure::Invalid(format!("there is no device {device}")))
    }

    fn query(&self, device: u32, graph: &Graph) -> Result<Vec<Support>, Failure> {
        let device = self.number(device)?;
        let (graph, _lent) = send_graph(graph, NEWEST_OPSET)?;
        match self.link.call(Call::Query { device, graph }, None)? {
            Reply::Answers(answers) => Ok(answers.into_iter().map(support).collect()),
            reply => Err(astray(&reply)),
        }
    }

    fn ask(&self, device: u32, region: &Graph) -> Result<Proposal, Failure> {
        let device = self.number(device)?;
        let (graph, _lent) = send_graph(region, NEWEST_OPSET)?;
        match self.link.call(Call::Propose { device, graph }, None)? {
            Reply::Proposed(SentProposal::Accepted { price, workspace }) => Ok(Proposal {
                cost: cost(price),
                workspace_bytes: workspace,
                ..Proposal::default()
            }),
            Reply::Proposed(SentProposal::Refused { node, code, text }) => {
                let refused = Some((node, known(&code), text));
                Ok(Proposal { refused, ..Proposal::default() })
            }
            reply => Err(astray(&reply)),
        }
    }

    fn state_call(&self, device: u32, request: &StateRequest) -> Result<StateCall, Failure> {
        let StateRequest { ty, sequences, capacity } = request;
        Ok(StateCall::new(self.number(device)?, ty, *sequences, *capacity))
    }
}

fn cost(price: SentPrice) -> Cost {
    let source = match price.source {
        abi::COST_MEASURED => CostSource::Measured,
        abi::COST_DECLARED => CostSource::Declared,
        abi::COST_MODELLED => CostSource::Modelled,
        _ => CostSource::Unknown,
    };
    Cost { source, nanoseconds: price.nanoseconds, bytes: price.bytes }
}

fn support(answer: SentAnswer) -> Support {
    match answer {
        SentAnswer::Yes(price) => Support::Yes(cost(price)),
        SentAnswer::No { code, text } => Support::No { code: known(&code), text },
        SentAnswer::If { bounds, price } => Support::If { bounds, cost: cost(price) },
    }
}

/// More reason codes than providers have.
const MAX_CODES: usize = 256;

/// A reason code as a text that stays: there are few.
fn known(code: &str) -> &'static str {
    static CODES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut codes = CODES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = codes.get(code) {
        return known;
    }
    if codes.len() >= MAX_CODES {
        return "other";
    }
    let code: &'static str = Box::leak(code.to_owned().into_boxed_str());
    codes.insert(code);
    code
}

impl Backend for Remote {
    // The table that is handed out has the name and version of the provider in the worker.
    const NAME: &'static str = "isolated";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    fn open(host: HostServices, options: &[(String, String)]) -> Result<Self, Failure> {
        let missing = || Failure::Internal(format!("the option `{OPTION}` is missing"));
        let (_, spec) = options.iter().find(|(key, _)| key == OPTION).ok_or_else(missing)?;
        let Isolated { source, program, arguments } = serde_json::from_str(spec)
            .map_err(|error| Failure::Internal(format!("the option `{OPTION}`: {error}")))?;
        let options = options.iter().filter(|(key, _)| key != OPTION).cloned().collect();
        let opening = Opening { source, options, threads: host.threads() };
        let arguments = arguments.into_iter().map(Into::into).collect();
        match Link::open(&Prober { program, arguments }, &opening)? {
            (link, Reply::Opened(devices)) => Ok(Self { link: link.into(), devices }),
            (_, reply) => Err(astray(&reply)),
        }
    }

    fn devices(&self) -> Vec<Device> {
        let lost = self.link.fate().map(str::to_owned);
        let device = |device: &SentDevice| Device {
            kind: device.kind.clone(),
            name: device.name.clone(),
            unique_id: device.unique_id.clone(),
            driver: device.driver.clone(),
            unusable: lost.clone().or_else(|| device.unusable.clone()),
            total_bytes: device.total_bytes,
            host_memory: false,
            no_results: device.no_results,
        };
        self.devices.iter().map(device).collect()
    }

    fn supported_ops(&self) -> Vec<OpName> {
        Vec::new()
    }

    fn supports_operation(&self, device: u32, graph: &Graph, node: &Node) -> Support {
        let nodes = graph.nodes().map(|(_, node)| node);
        let found = nodes.zip(self.supports_operations(device, graph));
        let answer = found.into_iter().find(|(known, _)| std::ptr::eq(*known, node));
        answer.map_or_else(|| gone("it did not answer"), |(_, answer)| answer)
    }

    fn supports_operations(&self, device: u32, graph: &Graph) -> Vec<Support> {
        match self.query(device, graph) {
            Ok(answers) => answers,
            Err(failure) => graph.nodes().map(|_| gone(&failure.to_string())).collect(),
        }
    }

    fn propose(&self, device: u32, region: &Graph) -> Proposal {
        self.ask(device, region).unwrap_or_else(|failure| Proposal {
            refused: Some((None, "unavailable", failure.to_string())),
            ..Proposal::default()
        })
    }

    fn compile_subgraph(
        &self,
        device: u32,
        region: Graph,
        request: &CompileRequest<'_>,
    ) -> Result<Box<dyn Compiled>, Failure> {
        let device = self.number(device)?;
        // The constants stay in shared memory as long as the worker has them mapped.
        let (graph, _lent) = send_graph(&region, NEWEST_OPSET)?;
        match self.link.call(Call::Compile { device, graph }, Some(request.cancel))? {
            Reply::Compiled { program, resident, workspace } => {
                let info = ProgramInfo { resident_bytes: resident, workspace_bytes: workspace };
                Ok(Box::new(RemoteProgram { link: Arc::clone(&self.link), program, info }))
            }
            reply => Err(astray(&reply)),
        }
    }

    fn state_bytes(&self, device: u32, request: &StateRequest) -> Result<u64, Failure> {
        match self.link.call(Call::StateBytes(self.state_call(device, request)?), None)? {
            Reply::Number(bytes) => Ok(bytes),
            reply => Err(astray(&reply)),
        }
    }

    fn create_state(&self, device: u32, request: &StateRequest) -> Result<StateRef, Failure> {
        match self.link.call(Call::CreateState(self.state_call(device, request)?), None)? {
            Reply::Number(state) => {
                let (link, ty) = (Arc::clone(&self.link), request.ty.clone());
                Ok(StateRef(Arc::new(RemoteState { link, state, ty })))
            }
            reply => Err(astray(&reply)),
        }
    }

    fn memory_info(&self, device: u32) -> Result<MemoryInfo, Failure> {
        match self.link.call(Call::Memory(self.number(device)?), None)? {
            Reply::Memory { total, free } => {
                Ok(MemoryInfo { total_bytes: total, free_bytes: free })
            }
            reply => Err(astray(&reply)),
        }
    }

    fn synchronize(&self, device: u32) -> Result<(), Failure> {
        self.link.done(Call::Synchronize(self.number(device)?))
    }
}

fn gone(text: &str) -> Support {
    Support::No { code: "unavailable", text: text.to_owned() }
}

/// A program in a worker.
struct RemoteProgram {
    link: Arc<Link>,
    program: u64,
    info: ProgramInfo,
}

impl Drop for RemoteProgram {
    fn drop(&mut self) {
        // A worker that is gone has freed everything.
        let _ = self.link.done(Call::FreeProgram(self.program));
    }
}

impl Compiled for RemoteProgram {
    fn execute(&self, inputs: Vec<Val>, request: &RunRequest<'_>) -> Result<Vec<Val>, Failure> {
        let state = |state: &StateRef| match state.as_any().downcast_ref::<RemoteState>() {
            Some(remote) if Arc::ptr_eq(&remote.link, &self.link) => Ok(remote.state),
            _ => Err(Failure::Invalid("a state was made by another provider".to_owned())),
        };
        let states = request.states.iter().map(state).collect::<Result<_, _>>()?;
        let (inputs, _lent) = pack(&inputs)?;
        let call = Call::Run { program: self.program, inputs, states };
        match self.link.call(call, Some(request.cancel))? {
            Reply::Values(outputs) => outputs.take(),
            reply => Err(astray(&reply)),
        }
    }

    fn info(&self) -> ProgramInfo {
        self.info
    }
}
