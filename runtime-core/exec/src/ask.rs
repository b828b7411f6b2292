//! Asks every target about every node, and writes what they answered as a placement problem.

mod states;

use remuda_base::Map;
use remuda_host::{Answer as Told, GraphExport, Price};
use remuda_ir::{Def, Graph, Node as IrNode, ValueId};
use remuda_plan::{
    Answer, Code, Cost, Link, Node, NodeId, Problem, Provider, ProviderId, ShapeClass as Class,
    Source, Tensor, WeightId,
};

use crate::bounds::{self, Bound};
use crate::cost::{self, Rates, Sizes};
use crate::error::ExecError;
use crate::names::node_names;
use crate::options::Options;
use crate::select::Selection;
use crate::speeds::Copying;
use crate::states::StateShapes;
use crate::target::{Place, Target};
use states::StateAnswers;

/// What handing a region to the CPU costs: a call.
const CPU_LAUNCH_NS: f64 = 2_000.0;

/// A placement problem, and what some of its answers depend on.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) problem: Problem,
    pub(crate) conditions: Vec<Condition>,
}

/// Bounds within which a target takes a node.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub(crate) node: NodeId,
    /// The shape class that plans for sizes within them.
    pub(crate) class: usize,
    pub(crate) target: ProviderId,
    pub(crate) bounds: Vec<Bound>,
}

/// Asks every target about every node. In the problem nodes have the graph's order, and providers that
/// of the targets.
pub(crate) fn question(
    graph: &Graph,
    selection: &Selection,
    options: &Options,
    shapes: &StateShapes,
) -> Result<Question, ExecError> {
    let targets = &selection.targets;
    let cpu = ProviderId::from(targets.len() - 1);
    let mut problem = Problem { home: cpu, ..Problem::default() };
    problem.fallback = (!options.forbids_cpu(selection)).then_some(cpu);
    for (at, target) in targets.iter().enumerate() {
        problem.add_provider(provider(at, target, at == cpu.index(), options));
    }
    let classes = options.classes.iter();
    let classes = classes.map(|class| Class { name: class.name.clone(), runs: class.runs });
    problem.classes = classes.collect();
    links(&mut problem, targets, options);
    let asked = Asked {
        graph,
        told: answers(graph, targets, options)?,
        sizes: options.sizes_of_classes(),
        rates: rates(targets, options),
        states: StateAnswers::new(graph, shapes, targets, &mut problem)?,
    };
    let mut weights = Weights::default();
    let mut conditions = Vec::new();
    for (at, ((_, node), name)) in graph.nodes().zip(node_names(graph)).enumerate() {
        let rows = (0..asked.sizes.len()).map(|class| asked.row(class, at, node, &mut conditions));
        let answers = rows.collect();
        let mut weights = weights.of(graph, node, &mut problem);
        weights.extend(asked.states.weights(node));
        let (op, group) = (node.op.to_string(), asked.states.group(node));
        let tied = group.is_some();
        problem.add_node(Node { name, op, answers, weights, group, tied, ..Node::default() });
    }
    tensors(graph, &asked.sizes, &mut problem);
    problem.mark_blocks();
    Ok(Question { problem, conditions })
}

/// What is known of every node before a problem is made of it.
struct Asked<'a> {
    graph: &'a Graph,
    /// Per target and node.
    told: Vec<Vec<Told>>,
    /// Per shape class.
    sizes: Vec<Sizes>,
    /// Per target; nothing where no cost can be worked out.
    rates: Vec<Option<Rates>>,
    states: StateAnswers,
}

impl Asked<'_> {
    /// The answers of all targets about a node in one class.
    fn row(
        &self,
        class: usize,
        at: usize,
        node: &IrNode,
        conditions: &mut Vec<Condition>,
    ) -> Vec<Answer> {
        let answer = |target| {
            let (answer, bounds) = match self.answer(class, at, node, target) {
                Ok(taken) => taken,
                Err(refusal) => return refusal,
            };
            if !bounds.is_empty() {
                let (node, target) = (NodeId::from(at), ProviderId::from(target));
                conditions.push(Condition { node, class, target, bounds });
            }
            answer
        };
        (0..self.told.len()).map(answer).collect()
    }

    /// A yes with the bounds that it depends on, or a refusal.
    fn answer(
        &self,
        class: usize,
        at: usize,
        node: &IrNode,
        target: usize,
    ) -> Result<(Answer, Vec<Bound>), Answer> {
        if let Some(refusal) = self.states.refusal(node, target) {
            return Err(refusal);
        }
        let (graph, sizes) = (self.graph, &self.sizes[class]);
        // Most devices compute nothing of no elements; a cache stays where it is whatever a step brings.
        let is_cpu = target + 1 == self.told.len();
        if !is_cpu && self.states.group(node).is_none() && makes_nothing(graph, node, sizes) {
            return Err(Answer::no(Code::ShapeDynamic, "there is nothing to compute in such runs"));
        }
        let model = || Some(cost::of_node(graph, node, sizes, self.rates[target].as_ref()?));
        let told = self.told[target].get(at).unwrap_or(&SILENT);
        let (answer, bounds) = answer(told, graph, sizes, model)?;
        if !bounds.is_empty() && self.states.group(node).is_some() {
            // Caches would move whenever a run leaves the bounds.
            return Err(Answer::no(Code::ShapeDynamic, "it keeps the cache only within bounds"));
        }
        Ok((answer, bounds))
    }
}

/// Whether all that a node makes is without elements at these sizes.
fn makes_nothing(graph: &Graph, node: &IrNode, sizes: &Sizes) -> bool {
    let mut made = node.outputs.iter().flatten();
    made.all(|&id| sizes.bytes(graph.value(id).ty.as_ref()) == 0)
}

/// What the costs of nodes are worked out with, for every target of which that is known.
fn rates(targets: &[Target], options: &Options) -> Vec<Option<Rates>> {
    let of_target = |(at, target): (usize, &Target)| {
        let measured = options.speeds.get(&*target.name).map(Rates::from);
        measured.or_else(|| (at + 1 == targets.len()).then(|| Rates::of_cpu(options.threads)))
    };
    targets.iter().enumerate().map(of_target).collect()
}

static SILENT: Told = Told::No { code: String::new(), text: String::new() };

fn provider(at: usize, target: &Target, is_cpu: bool, options: &Options) -> Provider {
    let own = target.place() != Place::Host;
    let free = if target.place() == Place::Own {
        target.provider.memory(target.device.index).map_or(0, |memory| memory.free_bytes)
    } else {
        0
    };
    Provider {
        name: target.name.to_string(),
        launch: match options.speeds.get(&*target.name) {
            Some(speeds) => Cost::measured(speeds.launch_ns),
            None if is_cpu => Cost::modelled(CPU_LAUNCH_NS),
            None => Cost::UNKNOWN,
        },
        budget_bytes: budget(rounded(free), options.budgets.get(&*target.name)),
        workspace_bytes: 0,
        streams: false,
        memory: if own { u32::try_from(at + 1).unwrap_or(u32::MAX) } else { 0 },
    }
}

/// A little less than is free, so that plans do not change with every byte.
fn rounded(free: u64) -> u64 {
    let spare = free.checked_ilog2().unwrap_or(0).saturating_sub(4);
    (free >> spare) << spare
}

/// What is free now, and no more than the user allows.
fn budget(free: u64, allowed: Option<&u64>) -> Option<u64> {
    let free = (free > 0).then_some(free);
    allowed.map(|&allowed| free.map_or(allowed, |free| free.min(allowed))).or(free)
}

/// Copies between memories are taken as slow until somebody measures them; those between two devices
/// as if they went through the host.
fn links(problem: &mut Problem, targets: &[Target], options: &Options) {
    let own = |at: usize| targets[at].place() != Place::Host;
    let speeds = |at: usize| options.speeds.get(&*targets[at].name);
    for from in 0..targets.len() {
        for to in (0..targets.len()).filter(|&to| to != from) {
            let down = own(from).then(|| speeds(from).and_then(|speeds| speeds.download));
            let up = own(to).then(|| speeds(to).and_then(|speeds| speeds.upload));
            let legs: Option<Vec<Copying>> = [down, up].into_iter().flatten().collect();
            let (from, to) = (ProviderId::from(from), ProviderId::from(to));
            let (latency, bytes_per_ns) = match legs.as_deref() {
                Some(legs @ [_, ..]) => {
                    let latency = legs.iter().map(|leg| leg.latency_ns).sum();
                    let per_byte: f64 = legs.iter().map(|leg| 1.0 / leg.bytes_per_ns).sum();
                    (Cost::measured(latency), 1.0 / per_byte)
                }
                _ => (Cost::UNKNOWN, 1.0),
            };
            problem.links.push(Link { from, to, latency, bytes_per_ns });
        }
    }
}

/// What every target says of every node. One that fails to answer is one that takes nothing.
fn answers(
    graph: &Graph,
    targets: &[Target],
    options: &Options,
) -> Result<Vec<Vec<Told>>, ExecError> {
    let nodes = graph.order().len();
    let export = GraphExport::new(graph.clone(), options.opset);
    let last = targets.len() - 1;
    let ask = |(at, target): (usize, &Target)| {
        let told = target.provider.query(target.device.index, &export, nodes);
        told.or_else(|failure| {
            if at == last {
                return Err(ExecError::Failed { target: String::new(), failure });
            }
            let text = failure.to_string();
            Ok(vec![Told::No { code: "unavailable".to_owned(), text }; nodes])
        })
    };
    targets.iter().enumerate().map(ask).collect()
}

/// An answer, and the bounds that it depends on; or a refusal.
fn answer(
    told: &Told,
    graph: &Graph,
    sizes: &Sizes,
    model: impl FnOnce() -> Option<f64>,
) -> Result<(Answer, Vec<Bound>), Answer> {
    let (price, bounds) = match told {
        Told::Yes(price) => (price, Vec::new()),
        Told::No { code, text } => return Err(refusal(code, text)),
        Told::If { bounds, price } => (price, watchable(bounds, graph, sizes)?),
    };
    let said = said_cost(price);
    let modelled = (said.source == Source::Unknown).then(model).flatten();
    Ok((Answer::yes(modelled.map_or(said, Cost::modelled)), bounds))
}

/// Bounds that the planned sizes keep and that runs can be held against.
fn watchable(bounds: &str, graph: &Graph, sizes: &Sizes) -> Result<Vec<Bound>, Answer> {
    let no = |text: String| Answer::no(Code::ShapeDynamic, format!("only while {bounds}: {text}"));
    let read = bounds::parse(bounds, graph).map_err(no)?;
    match read.iter().find(|bound| !bound.is_planned(sizes)) {
        Some(bound) => Err(no(format!("the sizes planned for leave {bound}"))),
        None => Ok(read),
    }
}

/// A refusal in the planner's words; a code that it does not know stays in the text.
pub(crate) fn refusal(code: &str, text: &str) -> Answer {
    match Code::parse(code) {
        Some(code) => Answer::no(code, text),
        None if code.is_empty() => Answer::no(Code::Other, text),
        None => Answer::no(Code::Other, format!("{code}: {text}")),
    }
}

fn said_cost(price: &Price) -> Cost {
    let source = match price.source {
        remuda_host::COST_MEASURED => Source::Measured,
        remuda_host::COST_DECLARED => Source::Declared,
        remuda_host::COST_MODELLED => Source::Modelled,
        _ => Source::Unknown,
    };
    Cost { ns: price.nanoseconds, source }
}

/// Constants as resident bytes, each counted once.
#[derive(Default)]
struct Weights(Map<ValueId, WeightId>);

impl Weights {
    fn of(&mut self, graph: &Graph, node: &IrNode, problem: &mut Problem) -> Vec<WeightId> {
        let mut own = Vec::new();
        for id in node.uses() {
            let value = graph.value(id);
            let Some(tensor) = value.constant() else { continue };
            let weight = *self.0.entry(id).or_insert_with(|| {
                problem.add_weight(value.name.clone(), tensor.byte_len() as u64)
            });
            if !own.contains(&weight) {
                own.push(weight);
            }
        }
        let inner: u64 = node.attrs.bodies().map(|(_, body)| constant_bytes(&body.graph)).sum();
        if inner > 0 {
            own.push(problem.add_weight(format!("bodies of {}", node.label()), inner));
        }
        own
    }
}

fn constant_bytes(graph: &Graph) -> u64 {
    let own: usize = graph
        .values()
        .filter_map(|(_, value)| value.constant())
        .map(|tensor| tensor.byte_len())
        .sum();
    let bodies = graph.nodes().flat_map(|(_, node)| node.attrs.bodies());
    own as u64 + bodies.map(|(_, body)| constant_bytes(&body.graph)).sum::<u64>()
}

/// Every value that a node makes or uses and that is no constant.
fn tensors(graph: &Graph, sizes: &[Sizes], problem: &mut Problem) {
    let place: Map<remuda_ir::NodeId, usize> =
        graph.order().iter().enumerate().map(|(at, &id)| (id, at)).collect();
    let users = graph.users();
    for (id, value) in graph.values() {
        let producer = match value.def {
            Def::Node(node, _) => Some(NodeId::from(place[&node])),
            Def::Input => None,
            Def::Const(_) | Def::State | Def::Capture | Def::Nothing => continue,
        };
        let consumers: Vec<NodeId> =
            users[id.index()].iter().map(|user| NodeId::from(place[user])).collect();
        let output = graph.outputs.contains(&id);
        if consumers.is_empty() && !(output && producer.is_some()) {
            continue;
        }
        problem.add_tensor(Tensor {
            name: value.name.clone(),
            producer,
            consumers,
            output,
            bytes: sizes.iter().map(|sizes| sizes.bytes(value.ty.as_ref())).collect(),
        });
    }
}
