//! Chains of equal blocks over providers with room for some of them: the table over a chain against every
//! way of giving whole blocks to providers, and against arithmetic where there are too many ways.

use remuda_plan::{
    Answer, Code, Cost, Node, NodeId, Options, Plan, Planner, Problem, Provider, ProviderId,
    ShapeClass, Tensor,
};

use crate::generate::Dice;
use crate::oracle::Oracle;

const NPU: usize = 0;
const GPU: usize = 1;
const CPU: usize = 2;

/// What a chain is made of. A block is three nodes and a sum over all of it; the second node reads what
/// all blocks share. An embedding before the chain and a head behind it run on the CPU.
#[derive(Debug, Clone)]
struct Chain {
    blocks: usize,
    /// Per node of a block and provider.
    costs: [[u64; 3]; 3],
    launches: [u64; 3],
    latency: u64,
    weights: [u64; 3],
    /// Between blocks, inside a block, and shared by all blocks.
    bytes: [u64; 3],
    budgets: [u64; 2],
    unified: bool,
    /// Two shape classes, the first with more of everything, with a cache in each block.
    classes: bool,
}

impl Chain {
    fn roll(dice: &mut Dice) -> Self {
        let scale = 1_000 + dice.skewed(100_000);
        let mut cost = |_| {
            let slow = 1 + dice.below(3) as u64;
            [dice.within(scale, 3), dice.within(scale, 4), dice.within(scale * slow, 3)]
        };
        let costs = [0, 1, 2].map(&mut cost);
        let weights = [0, 1, 2].map(|_| dice.within(100_000, 4));
        let bytes = [0, 1, 2].map(|_| 64 * dice.skewed(1_000));
        let block: u64 = weights.iter().sum();
        let blocks = 4 + dice.below(5);
        let room = |dice: &mut Dice| dice.within(block * blocks as u64, 5) + 2 * bytes[0];
        Self {
            blocks,
            costs,
            launches: [0, 1, 2].map(|_| dice.within(scale, 10)),
            latency: dice.within(scale, 10),
            weights,
            bytes,
            budgets: [room(dice), room(dice)],
            unified: dice.chance(20),
            classes: false,
        }
    }

    fn block_bytes(&self) -> u64 {
        self.weights.iter().sum()
    }

    fn problem(&self) -> Problem {
        let mut problem = Problem::default();
        let memories = [2, u32::from(!self.unified), 0];
        for (at, name) in ["npu", "gpu", "cpu"].into_iter().enumerate() {
            problem.add_provider(Provider {
                name: name.into(),
                launch: Cost::measured(self.launches[at] as f64),
                budget_bytes: self.budgets.get(at).copied(),
                memory: memories[at],
                ..Provider::default()
            });
        }
        for (a, b) in [(NPU, GPU), (NPU, CPU), (GPU, CPU)] {
            problem.link_both(a.into(), b.into(), Cost::measured(self.latency as f64), 1.0);
        }
        (problem.home, problem.fallback) = (ProviderId(2), Some(ProviderId(2)));
        if self.classes {
            let class = |(name, runs): (&str, u32)| ShapeClass { name: name.into(), runs };
            problem.classes = [("prefill", 1), ("decode", 9)].map(class).to_vec();
        }
        let tokens = tensor(&mut problem, "tokens", None, 64);
        let shared = tensor(&mut problem, "shared", None, self.bytes[2]);
        let embed = add(&mut problem, "embed", [None, None, Some(1_000)], None);
        read(&mut problem, tokens, embed);
        let mut x = tensor(&mut problem, "x", Some(embed), self.bytes[0]);
        for block in 0..self.blocks {
            x = self.block(&mut problem, block, x, shared);
        }
        let head = add(&mut problem, "head", [None, None, Some(1_000)], None);
        read(&mut problem, x, head);
        let out = tensor(&mut problem, "out", Some(head), 64);
        problem.tensors[out].output = true;
        if self.classes {
            many_tokens(&mut problem);
        }
        problem
    }

    fn block(&self, problem: &mut Problem, block: usize, x: usize, shared: usize) -> usize {
        let mut before = x;
        for (place, op) in ["norm", "attend", "sum"].into_iter().enumerate() {
            let name = format!("{op}{block}");
            let weight = problem.add_weight(format!("w_{name}"), self.weights[place]);
            let node = add(problem, &name, self.costs[place].map(Some), Some(block as u32));
            problem.nodes[node.index()].op = op.into();
            problem.nodes[node.index()].weights.push(weight);
            read(problem, before, node);
            match place {
                1 => read(problem, shared, node),
                2 => read(problem, x, node),
                _ => {}
            }
            let bytes = self.bytes[usize::from(place < 2)];
            before = tensor(problem, &format!("t_{name}"), Some(node), bytes);
        }
        before
    }
}

/// A first class with more tokens: values are eight times as large and most nodes take as much longer.
fn many_tokens(problem: &mut Problem) {
    for tensor in &mut problem.tensors {
        tensor.bytes = vec![tensor.bytes[0] * 8, tensor.bytes[0]];
    }
    for node in &mut problem.nodes {
        node.tied = node.op == "attend";
        let slower = |(provider, answer): (usize, &Answer)| match answer {
            Answer::Yes { cost } => {
                let times = if provider == NPU { 2.0 } else { 8.0 };
                Answer::yes(Cost::measured(cost.ns * times))
            }
            no => no.clone(),
        };
        let row = node.answers[0].iter().enumerate().map(slower).collect();
        node.answers.insert(0, row);
    }
}

fn add(problem: &mut Problem, name: &str, costs: [Option<u64>; 3], block: Option<u32>) -> NodeId {
    let answer = |cost: Option<u64>| match cost {
        Some(ns) => Answer::yes(Cost::measured(ns as f64)),
        None => Answer::no(Code::OpUnsupported, "no kernel"),
    };
    let answers = vec![costs.map(answer).to_vec()];
    problem.add_node(Node { name: name.into(), op: name.into(), answers, block, ..Node::default() })
}

fn tensor(problem: &mut Problem, name: &str, producer: Option<NodeId>, bytes: u64) -> usize {
    let bytes = vec![bytes];
    let tensor = Tensor { name: name.into(), producer, bytes, ..Tensor::default() };
    problem.add_tensor(tensor).index()
}

fn read(problem: &mut Problem, tensor: usize, node: NodeId) {
    problem.tensors[tensor].consumers.push(node);
}

/// No search beside the table: neither of all assignments nor by moves.
fn table_alone() -> Options {
    Options { exhaustive_limit: 0, moves_per_node: 0, ..Options::default() }
}

fn plan(problem: &Problem, options: Options) -> Plan {
    Planner::new(problem.clone(), options).unwrap().plan(None).unwrap()
}

/// The provider of each block, if it is on one.
fn owners(plan: &Plan, blocks: usize) -> Vec<Option<usize>> {
    let owner = |name: String| {
        let node = plan.node_named(&name).unwrap();
        plan.classes[0].placements[node.index()].provider.index()
    };
    let block = |block: usize| {
        let [a, b, c] = ["norm", "attend", "sum"].map(|op| owner(format!("{op}{block}")));
        (a == b && b == c).then_some(a)
    };
    (0..blocks).map(block).collect()
}

/// Every way of giving each block to one provider that costs less than `limit` and fits on paper.
fn cheaper_ways(problem: &Problem, blocks: usize, limit: u64) -> Vec<Vec<usize>> {
    let options = Options::default();
    let oracle = Oracle::new(problem, &options);
    let ways = (0..3usize.pow(blocks as u32)).map(|number| {
        (0..blocks as u32).map(|at| number / 3usize.pow(at) % 3).collect::<Vec<usize>>()
    });
    let is_cheaper = |way: &Vec<usize>| {
        let inner = way.iter().flat_map(|&owner| [owner; 3]);
        let owner: Vec<usize> = [CPU].into_iter().chain(inner).chain([CPU]).collect();
        let left = limit as i64 - oracle.base(&owner);
        left > 0 && oracle.order(&owner, Some(left)).is_some()
    };
    ways.filter(is_cheaper).collect()
}

#[test]
fn no_other_way_to_give_blocks_to_providers_is_cheaper() {
    let (mut divided, mut cases) = (0, 0);
    for seed in 0..150 {
        let chain = Chain::roll(&mut Dice::new(seed));
        let problem = chain.problem();
        let plan = plan(&problem, table_alone());
        let found = owners(&plan, chain.blocks);
        for way in cheaper_ways(&problem, chain.blocks, plan.cost_ns) {
            // What fits on paper may not when buffers get their places.
            let cost = verdict(&problem, &way);
            let told = format!("seed {seed}: {chain:?}\n{way:?}\n{found:?} {}", plan.cost_ns);
            assert!(cost.is_none_or(|cost| cost >= plan.cost_ns), "{cost:?}, {told}");
        }
        cases += 1;
        divided += u32::from(found.iter().any(|owner| *owner != found[0]));
    }
    assert!(divided * 2 > cases, "{divided} of {cases} are divided at all");
}

/// The planner's own verdict on blocks on these providers; none if they do not fit.
fn verdict(problem: &Problem, way: &[usize]) -> Option<u64> {
    let mut pins = Vec::new();
    for (node, entry) in problem.nodes.iter().enumerate() {
        let provider = entry.block.map_or(CPU, |block| way[block as usize]);
        pins.push((node.into(), provider.into()));
    }
    let options = Options { pins, ..table_alone() };
    Some(Planner::new(problem.clone(), options).unwrap().plan(None).ok()?.cost_ns)
}

#[test]
fn shape_classes_are_divided_together() {
    let mut divided = 0;
    for seed in 1_000..1_030 {
        let mut chain = Chain::roll(&mut Dice::new(seed));
        (chain.blocks, chain.classes) = (4, true);
        let problem = chain.problem();
        let ways = (0..81).map(|number| [1, 3, 9, 27].map(|power| number / power % 3));
        let costs = ways.filter_map(|way| Some((verdict(&problem, &way)?, way)));
        let (best, way) = costs.min().unwrap();
        let found = plan(&problem, table_alone());
        let told = format!("seed {seed}: {chain:?}\nbest {way:?}\n{:?}", owners(&found, 4));
        assert!(found.cost_ns <= best, "{} > {best}, {told}", found.cost_ns);
        divided += u32::from(way.iter().any(|owner| *owner != way[0]));
    }
    assert!(divided > 10, "{divided} are divided at all");
}

/// A decoder of 32 layers whose budgets alone tell how many layers a device gets: it never pays to divide
/// a layer, nor to leave room for one empty.
fn long(inner: u64) -> Chain {
    Chain {
        blocks: 32,
        costs: [[2_000, 1_000, 8_000]; 3],
        launches: [300, 200, 100],
        latency: 500,
        weights: [1_000_000; 3],
        bytes: [6_400, inner, 6_400],
        budgets: [0, 0],
        unified: false,
        classes: false,
    }
}

#[test]
fn as_many_layers_as_fit_go_to_the_faster_devices() {
    // In the second chain what is alive within a layer takes more room than the weights of two.
    for (inner, room) in [(16_000, [7, 11]), (3_200_000, [7, 11]), (3_200_000, [1, 30])] {
        let mut chain = long(inner);
        // What its second node reads and makes, what enters and leaves a layer, and what all layers share.
        let alive = 2 * inner + 2 * chain.bytes[0] + chain.bytes[2];
        // Not enough for one more node.
        for spare in [0, chain.weights[0] - 10_000] {
            let layers = room.map(|layers| layers * chain.block_bytes());
            chain.budgets = layers.map(|layers| layers + alive + spare);
            let plan = plan(&chain.problem(), Options::default());
            let found = owners(&plan, chain.blocks);
            let count = |owner| found.iter().filter(|&&at| at == Some(owner)).count() as u64;
            assert_eq!([count(NPU), count(GPU)], room, "{inner} {spare}: {found:?}");
            let changes = found.windows(2).filter(|pair| pair[0] != pair[1]).count();
            assert_eq!(changes, 2, "{found:?}");
            for used in &plan.providers[..2] {
                assert!(used.peak_bytes() <= used.budget_bytes.unwrap());
            }
        }
    }
}
