//! The worker: does with the real provider what the host asks for, one call after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};

use remuda_abi as abi;
use remuda_bridge::{Failure, GraphExport};
use remuda_host::loading::BuiltIn;
use remuda_host::process::{Job, Teller};
use remuda_host::{
    Answer, DeviceTensor, Operand, Price, Program, Proposal, Provider, RunOptions, State,
};
use remuda_ir::Val;
use remuda_tensor::{DType, Tensor};

use crate::message::{
    Answered, Call, Line, Opening, Reply, SentAnswer, SentDevice, SentPrice, SentProposal,
    StateCall,
};
use crate::share::pack;

/// Does the job of a worker: opens a provider and does what the host asks for until the host is gone.
/// Says whether this was such a job.
#[must_use]
pub fn serve(job: &Job, linked: &[BuiltIn]) -> bool {
    let Some(opening) = job.body::<Opening>() else { return false };
    let teller = job.teller();
    let wanted = Arc::new(Wanted::default());
    let calls = listen(&wanted);
    let mut bench = match Bench::open(&opening, linked) {
        Ok(bench) => bench,
        Err(failure) => {
            teller.tell(&Answered { call: 0, reply: Reply::Failed(failure.into()) });
            return true;
        }
    };
    teller.tell(&Answered { call: 0, reply: bench.introduce() });
    for (call, what) in calls {
        wanted.begin(call);
        let reply = bench.answer(what, &wanted.cancelled);
        tell(&teller, call, reply);
    }
    true
}

/// The host takes over the file of a reply; without an answer it goes.
fn tell(teller: &Teller, call: u64, reply: Result<Reply, Failure>) {
    let reply = reply.unwrap_or_else(|failure| Reply::Failed(failure.into()));
    teller.tell(&Answered { call, reply });
}

/// Which call goes on, and whether it is still wanted.
#[derive(Default)]
struct Wanted {
    current: Mutex<u64>,
    cancelled: AtomicBool,
}

impl Wanted {
    fn begin(&self, call: u64) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        *current = call;
        self.cancelled.store(false, Ordering::Relaxed);
    }

    fn cancel(&self, call: u64) {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if *current == call {
            self.cancelled.store(true, Ordering::Relaxed);
        }
    }
}

/// Listens on standard input in a thread of its own, so that a call can be called off.
fn listen(wanted: &Arc<Wanted>) -> Receiver<(u64, Call)> {
    let (send, calls) = channel();
    let wanted = Arc::clone(wanted);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            match serde_json::from_str(&line) {
                Ok(Line::Call(number, call)) => {
                    if send.send((number, call)).is_err() {
                        return;
                    }
                }
                Ok(Line::Cancel(number)) => wanted.cancel(number),
                Err(_) => {}
            }
        }
    });
    calls
}

/// The provider and what was made from it.
struct Bench {
    programs: BTreeMap<u64, (Program, u32)>,
    states: BTreeMap<u64, State>,
    next: u64,
    /// Devices that work in memory of their own.
    own_memory: BTreeSet<u32>,
    provider: Provider,
}

impl Bench {
    fn open(opening: &Opening, linked: &[BuiltIn]) -> Result<Self, Failure> {
        let loaded = opening.source.load(linked);
        let (_, table) = loaded.map_err(|error| Failure::Internal(error.to_string()))?;
        let options: Vec<(&str, &str)> =
            opening.options.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let provider = Provider::open(table, opening.threads, &options)?;
        let (programs, states, own_memory) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Ok(Self { programs, states, next: 1, own_memory, provider })
    }

    fn introduce(&mut self) -> Reply {
        let devices = match self.provider.devices() {
            Ok(devices) => devices,
            Err(failure) => return Reply::Failed(failure.into()),
        };
        if self.provider.has_device_memory() {
            let own = devices.iter().filter(|device| !device.host_memory);
            self.own_memory = own.map(|device| device.index).collect();
        }
        let sent = devices.into_iter().map(|device| SentDevice {
            kind: device.kind,
            name: device.name,
            unique_id: device.unique_id,
            driver: device.driver,
            unusable: device.unusable,
            total_bytes: device.total_bytes,
            no_results: device.no_results,
            index: device.index,
        });
        Reply::Opened(sent.collect())
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn answer(&mut self, call: Call, cancel: &AtomicBool) -> Result<Reply, Failure> {
        match call {
            Call::Query { device, graph } => {
                let export = GraphExport::new(graph.graph()?, graph.opset);
                let nodes = export.node_count();
                let answers = self.provider.query(device, &export, nodes)?;
                Ok(Reply::Answers(answers.into_iter().map(answer).collect()))
            }
            Call::Propose { device, graph } => {
                let export = GraphExport::new(graph.graph()?, graph.opset);
                Ok(Reply::Proposed(proposal(self.provider.propose(device, &export)?)))
            }
            Call::Compile { device, graph } => {
                let program = self.provider.compile(device, graph.graph()?, graph.opset)?;
                let (resident, workspace) = program.memory().unwrap_or_default();
                let number = self.number();
                self.programs.insert(number, (program, device));
                Ok(Reply::Compiled { program: number, resident, workspace })
            }
            Call::FreeProgram(program) => {
                self.programs.remove(&program);
                Ok(Reply::Done)
            }
            Call::Run { program, inputs, states } => {
                self.run(program, &inputs.unpack()?, &states, cancel)
            }
            Call::Memory(device) => {
                let memory = self.provider.memory(device)?;
                Ok(Reply::Memory { total: memory.total_bytes, free: memory.free_bytes })
            }
            Call::Synchronize(device) => self.provider.synchronize(device).map(|()| Reply::Done),
            other => self.answer_state(other),
        }
    }

    fn run(
        &self,
        program: u64,
        inputs: &[Val],
        states: &[u64],
        cancel: &AtomicBool,
    ) -> Result<Reply, Failure> {
        let unknown = || Failure::Internal(format!("there is no program {program}"));
        let (program, device) = self.programs.get(&program).ok_or_else(unknown)?;
        let states =
            states.iter().map(|&state| self.state(state)).collect::<Result<Vec<_>, _>>()?;
        let operands = inputs.iter().map(|val| self.operand(*device, val));
        let operands: Vec<Operand> = operands.collect::<Result<_, _>>()?;
        let options = RunOptions { cancel: Some(cancel), states: &states, ..RunOptions::default() };
        let outputs = program.run_operands(&operands, &options)?;
        let outputs: Vec<Val> =
            outputs.into_iter().map(Operand::into_host).collect::<Result<_, _>>()?;
        values(&outputs)
    }

    /// A value where the device works on it.
    fn operand(&self, device: u32, val: &Val) -> Result<Operand, Failure> {
        match val {
            Val::Tensor(tensor)
                if self.own_memory.contains(&device) && tensor.dtype() != DType::String =>
            {
                Ok(Operand::Device(DeviceTensor::upload(&self.provider, device, tensor)?))
            }
            _ => Ok(Operand::Host(val.clone())),
        }
    }

    fn state(&self, state: u64) -> Result<&State, Failure> {
        let unknown = || Failure::Internal(format!("there is no state {state}"));
        self.states.get(&state).ok_or_else(unknown)
    }

    fn state_mut(&mut self, state: u64) -> Result<&mut State, Failure> {
        let unknown = || Failure::Internal(format!("there is no state {state}"));
        self.states.get_mut(&state).ok_or_else(unknown)
    }

    fn answer_state(&mut self, call: Call) -> Result<Reply, Failure> {
        let done = |()| Reply::Done;
        match call {
            Call::StateBytes(asked) => {
                let StateCall { device, sequences, capacity, .. } = asked;
                let bytes = self.provider.state_bytes(device, &asked.ty()?, sequences, capacity)?;
                Ok(Reply::Number(bytes))
            }
            Call::CreateState(asked) => {
                let StateCall { device, sequences, capacity, .. } = asked;
                let state =
                    self.provider.create_state(device, &asked.ty()?, sequences, capacity)?;
                let number = self.number();
                self.states.insert(number, state);
                Ok(Reply::Number(number))
            }
            Call::FreeState(state) => {
                self.states.remove(&state);
                Ok(Reply::Done)
            }
            Call::Length { state, sequence } => {
                Ok(Reply::Number(self.state(state)?.length(sequence)?))
            }
            Call::Truncate { state, sequence, length } => {
                self.state_mut(state)?.truncate(sequence, length).map(done)
            }
            Call::Copy { state, from, to, length } => {
                self.state_mut(state)?.copy(from, to, length).map(done)
            }
            Call::Export { state, sequence, start, end } => {
                let numbers = self.state(state)?.export(sequence, start..end)?;
                values(&[Tensor::vector(numbers).into()])
            }
            Call::Append { state, sequence, positions } => {
                let numbers = positions.unpack()?;
                let numbers = numbers.first().map(|val| val.tensor()).transpose()?;
                let numbers = numbers.map(|tensor| tensor.to_vec::<f32>()).transpose();
                let numbers = numbers.map_err(|error| Failure::Internal(error.to_string()))?;
                let state = self.state_mut(state)?;
                state.import(sequence, &numbers.unwrap_or_default()).map(done)
            }
            _ => Err(Failure::Internal("it does not do this".to_owned())),
        }
    }
}

/// Values that the host takes over with their file.
fn values(vals: &[Val]) -> Result<Reply, Failure> {
    let (parcel, lent) = pack(vals)?;
    lent.leave();
    Ok(Reply::Values(parcel))
}

fn sent(price: Price) -> SentPrice {
    // JSON has no number for what is not finite; the host takes 0 of an unknown source.
    let finite = price.nanoseconds.is_finite();
    let source = if finite { price.source } else { abi::COST_UNKNOWN };
    let nanoseconds = if finite { price.nanoseconds } else { 0.0 };
    SentPrice { source, nanoseconds, bytes: price.bytes }
}

fn answer(answer: Answer) -> SentAnswer {
    match answer {
        Answer::Yes(price) => SentAnswer::Yes(sent(price)),
        Answer::No { code, text } => SentAnswer::No { code, text },
        Answer::If { bounds, price } => SentAnswer::If { bounds, price: sent(price) },
    }
}

fn proposal(proposal: Proposal) -> SentProposal {
    match proposal {
        Proposal::Accepted { price, workspace_bytes } => {
            SentProposal::Accepted { price: sent(price), workspace: workspace_bytes }
        }
        Proposal::Refused { node, code, text } => SentProposal::Refused { node, code, text },
    }
}
