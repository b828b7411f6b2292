//! What cases work on: the provider, and small graphs that it can run.

use std::cell::RefCell;
use std::rc::Rc;

use remuda_host::loading::Library;
use remuda_host::{
    Answer, Device, DeviceTensor, Failure, GraphExport, Operand, Program, Provider, RunOptions,
    Table,
};
use remuda_ir::{Graph, OpDef, Tolerance, Val, infer_graph, text, verify};
use remuda_ops::cases::{Case, agree, parse};
use remuda_ops::{NEWEST_OPSET, Ops, Random, interpret, random_tensor};
use remuda_tensor::DType;

use crate::{BuiltIn, Outcome, Subject};

/// Threads that the provider may keep busy.
const THREADS: usize = 2;

/// What the host writes down for a node that a provider does not answer for.
const SILENT: &str = "silent";

/// How a case ends: an error is a failure of the case, in words.
pub(crate) type Verdict = Result<Outcome, String>;

/// The provider on the bench.
pub(crate) struct Bench {
    pub(crate) library: Option<Library>,
    pub(crate) table: Table,
    pub(crate) options: Vec<(String, String)>,
    /// Open for all cases that do not open one themselves.
    shared: RefCell<Option<Provider>>,
    /// The cases of the operator that was asked for last.
    cases: RefCell<Option<Cases>>,
}

/// An operator's name and its cases.
type Cases = (&'static str, Rc<[Case]>);

impl Bench {
    pub(crate) fn new(
        subject: &Subject,
        linked: &[BuiltIn],
        options: Vec<(String, String)>,
    ) -> Result<Self, String> {
        let (library, table) = subject.load(linked).map_err(|error| error.to_string())?;
        let (shared, cases) = (RefCell::new(None), RefCell::new(None));
        Ok(Self { library, table, options, shared, cases })
    }

    /// Opens the provider.
    pub(crate) fn open(&self) -> Result<Provider, String> {
        let options: Vec<(&str, &str)> =
            self.options.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        Provider::open(self.table, THREADS, &options)
            .map_err(|failure| format!("it cannot be opened: {failure}"))
    }

    /// The provider that cases share.
    pub(crate) fn provider(&self) -> Result<Provider, String> {
        let mut shared = self.shared.borrow_mut();
        if shared.is_none() {
            *shared = Some(self.open()?);
        }
        shared.clone().ok_or_else(|| "there is no provider".to_owned())
    }

    /// Closes the provider that cases share: after a failure the next one gets a new one.
    pub(crate) fn renew(&self) {
        *self.shared.borrow_mut() = None;
    }

    /// The cases of an operator.
    pub(crate) fn cases(&self, def: &'static OpDef) -> Result<Rc<[Case]>, String> {
        let mut last = self.cases.borrow_mut();
        if let Some((_, cases)) = last.as_ref().filter(|(name, _)| std::ptr::eq(*name, def.name)) {
            return Ok(Rc::clone(cases));
        }
        let cases = Rc::<[Case]>::from(parse(def)?);
        *last = Some((def.name, Rc::clone(&cases)));
        Ok(cases)
    }

    /// The shared provider and one of its devices.
    pub(crate) fn device(&self, index: u32) -> Result<Bed, String> {
        Bed::new(self.provider()?, index)
    }
}

/// A device on the bench.
#[derive(Clone)]
pub(crate) struct Bed {
    pub(crate) provider: Provider,
    pub(crate) device: Device,
}

impl Bed {
    pub(crate) fn new(provider: Provider, index: u32) -> Result<Self, String> {
        let devices = provider.devices().map_err(|failure| failure.to_string())?;
        let device = devices.into_iter().find(|device| device.index == index);
        let device = device.ok_or_else(|| format!("device {index} is gone"))?;
        Ok(Self { provider, device })
    }

    /// Whether values must be brought to memory of the device.
    pub(crate) fn has_own_memory(&self) -> bool {
        !self.device.host_memory && self.provider.has_device_memory()
    }

    /// What it says of each node.
    pub(crate) fn ask(&self, graph: &Graph) -> Result<Vec<Answer>, String> {
        let nodes = graph.nodes().count();
        let export = GraphExport::new(graph.clone(), NEWEST_OPSET);
        let answers = self
            .provider
            .query(self.device.index, &export, nodes)
            .map_err(|failure| format!("it does not answer what it can run: {failure}"))?;
        let silent = |answer: &Answer| matches!(answer, Answer::No { code, .. } if code == SILENT);
        match answers.iter().position(silent) {
            Some(at) => Err(format!("it does not answer for node {at} of {nodes}")),
            None => Ok(answers),
        }
    }

    /// Whether it says yes to every node.
    pub(crate) fn takes(&self, graph: &Graph) -> Result<bool, String> {
        let yes = |answer: &Answer| matches!(answer, Answer::Yes(_) | Answer::If { .. });
        Ok(self.ask(graph)?.iter().all(yes))
    }

    pub(crate) fn compile(&self, graph: Graph) -> Result<Program, Failure> {
        self.provider.compile(self.device.index, graph, NEWEST_OPSET)
    }

    /// Compiles what it said yes to.
    pub(crate) fn compile_claimed(&self, graph: &Graph) -> Result<Program, String> {
        self.compile(graph.clone()).map_err(|failure| {
            format!("it says that it can run it, and does not compile it: {failure}")
        })
    }

    /// A value where the device works on it.
    pub(crate) fn operand(&self, val: &Val) -> Result<Operand, Failure> {
        match val {
            Val::Tensor(tensor) if self.has_own_memory() && tensor.dtype() != DType::String => {
                let tensor = DeviceTensor::upload(&self.provider, self.device.index, tensor)?;
                Ok(Operand::Device(tensor))
            }
            _ => Ok(Operand::Host(val.clone())),
        }
    }

    pub(crate) fn operands(&self, vals: &[Val]) -> Result<Vec<Operand>, Failure> {
        vals.iter().map(|val| self.operand(val)).collect()
    }

    pub(crate) fn run(
        &self,
        program: &Program,
        inputs: &[Val],
        options: &RunOptions<'_>,
    ) -> Result<Vec<Val>, Failure> {
        let outputs = program.run_operands(&self.operands(inputs)?, options)?;
        outputs.into_iter().map(Operand::into_host).collect()
    }
}

/// A small graph that the device takes, with its answer.
pub(crate) struct Sample {
    pub(crate) graph: Graph,
    pub(crate) inputs: Vec<Val>,
    pub(crate) want: Vec<Val>,
    pub(crate) operator: &'static str,
    size: usize,
}

/// What small graphs are made of, and how many inputs each takes. The first one that is taken is used.
const OPERATORS: &[(&str, usize)] = &[
    ("Add", 2),
    ("Mul", 2),
    ("Sub", 2),
    ("Relu", 1),
    ("Neg", 1),
    ("Abs", 1),
    ("Sigmoid", 1),
    ("Tanh", 1),
    ("MatMul", 2),
    ("Identity", 1),
];

impl Sample {
    /// So many nodes of one operator, one after the other, over square matrices of f32; the outcome of
    /// the case where the device takes no such operator.
    pub(crate) fn find(bed: &Bed, size: usize, depth: usize) -> Result<Self, Refused> {
        for &(operator, arity) in OPERATORS {
            let graph = typed(&source(operator, arity, size, depth))?;
            if bed.takes(&graph)? {
                return Ok(Self::of(graph, operator, size, 1)?);
            }
        }
        let names: Vec<&str> = OPERATORS.iter().map(|(name, _)| *name).collect();
        Err(Refused::NotTaken(format!(
            "it takes none of the operators that this is tried with: {}",
            names.join(", ")
        )))
    }

    fn of(graph: Graph, operator: &'static str, size: usize, seed: u64) -> Result<Self, String> {
        let mut random = Random::new(seed);
        let inputs: Vec<Val> = graph
            .inputs
            .iter()
            .map(|_| random_tensor(&mut random, DType::F32, &[size, size]).map(Val::from))
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())?;
        let want = interpret(&graph, &inputs).map_err(|error| error.to_string())?;
        Ok(Self { graph, inputs, want, operator, size })
    }

    /// The same with other numbers.
    pub(crate) fn again(&self, seed: u64) -> Result<Self, String> {
        Self::of(self.graph.clone(), self.operator, self.size, seed)
    }

    /// Compares outputs with the answer.
    pub(crate) fn check(&self, got: &[Val]) -> Result<(), String> {
        agree(Tolerance::Float(1.0), got, &self.want)
    }
}

/// Why there is nothing to try.
pub(crate) enum Refused {
    /// The provider does not claim it.
    NotTaken(String),
    /// The case failed.
    Failed(String),
}

impl From<String> for Refused {
    fn from(message: String) -> Self {
        Self::Failed(message)
    }
}

/// A case that can end early because the provider does not claim what it is about.
pub(crate) fn claimed(case: impl FnOnce() -> Result<(), Refused>) -> Verdict {
    match case() {
        Ok(()) => Ok(Outcome::Passed),
        Err(Refused::NotTaken(reason)) => Ok(Outcome::NotTaken(reason)),
        Err(Refused::Failed(message)) => Err(message),
    }
}

/// A failed call, as the failure of a case.
pub(crate) fn told(what: &str) -> impl Fn(Failure) -> String + '_ {
    move |failure| format!("{what}: {failure}")
}

/// A verified graph with its types, from its text.
pub(crate) fn typed(source: &str) -> Result<Graph, String> {
    let mut graph = text::parse(source).map_err(|error| error.to_string())?;
    verify(&graph, &Ops).map_err(|error| error.to_string())?;
    infer_graph(&mut graph, &Ops).map_err(|error| error.to_string())?;
    Ok(graph)
}

fn source(operator: &str, arity: usize, size: usize, depth: usize) -> String {
    let right = if arity == 2 { ", %b" } else { "" };
    let mut source = format!("graph \"sample\" {{\n  input %a: f32[{size}, {size}]\n");
    if arity == 2 {
        source += &format!("  input %b: f32[{size}, {size}]\n");
    }
    let mut last = "a".to_owned();
    for at in 0..depth {
        source += &format!("  %c{at} = {operator}(%{last}{right})\n");
        last = format!("c{at}");
    }
    source + &format!("  output %{last}\n}}")
}
