//! Problems of the shapes that models have, from a seed.

use remuda_plan::{
    Answer, Code, Cost, Node, NodeId, Options, Problem, Provider, ProviderId, ShapeClass, Tensor,
    quantise,
};

/// A small generator of numbers: the same everywhere, for any seed.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// Below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// True so many times in a hundred.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// Between a `parts`-th of `most` and `most`, evenly.
    pub(crate) fn within(&mut self, most: u64, parts: u64) -> u64 {
        let least = most / parts + 1;
        quantise(least + self.next() % (most.saturating_sub(least) + 1))
    }

    /// Between 1 and about `most`, small values as likely as large ones.
    pub(crate) fn skewed(&mut self, most: u64) -> u64 {
        let shift = self.below(64 - most.leading_zeros() as usize);
        quantise((self.next() % (most >> shift).max(1)) + 1)
    }
}

/// The shape of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Chain,
    Diamonds,
    Skips,
    Cross,
    Experts,
    QuantSandwich,
    DynamicDims,
    Random,
}

pub(crate) const SHAPES: [Shape; 8] = [
    Shape::Chain,
    Shape::Diamonds,
    Shape::Skips,
    Shape::Cross,
    Shape::Experts,
    Shape::QuantSandwich,
    Shape::DynamicDims,
    Shape::Random,
];

/// What to generate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recipe {
    pub(crate) seed: u64,
    pub(crate) shape: Shape,
    pub(crate) nodes: usize,
    pub(crate) providers: usize,
    pub(crate) budgets: bool,
    pub(crate) pins: bool,
    pub(crate) groups: bool,
    pub(crate) classes: bool,
    pub(crate) repeats: bool,
}

impl Recipe {
    /// One that is different for every seed, with at most `nodes` nodes and `providers` providers.
    pub(crate) fn any(seed: u64, nodes: usize, providers: usize) -> Self {
        let mut dice = Dice::new(seed ^ 0x5eed);
        Self {
            seed,
            shape: SHAPES[dice.below(SHAPES.len())],
            nodes: (3 + dice.below(nodes)).min(nodes),
            providers: 2 + dice.below(providers - 1),
            budgets: dice.chance(40),
            pins: dice.chance(20),
            groups: false,
            classes: false,
            repeats: false,
        }
    }
}

/// Edges of a graph with `count` nodes; every edge goes to a larger number.
pub(crate) fn edges(shape: Shape, count: usize, dice: &mut Dice) -> Vec<(usize, usize)> {
    let mut edges: Vec<(usize, usize)> = Vec::new();
    for to in 1..count {
        match shape {
            Shape::Chain | Shape::QuantSandwich => edges.push((to - 1, to)),
            Shape::Diamonds => match to % 3 {
                0 => edges.extend([(to - 1, to), (to.saturating_sub(2), to)]),
                1 => edges.push((to - 1, to)),
                _ => edges.push((to - 2, to)),
            },
            Shape::Skips => {
                edges.push((to - 1, to));
                let mirror = count - 1 - to;
                if mirror + 1 < to {
                    edges.push((mirror, to));
                }
            }
            Shape::Cross => match to % 4 {
                0 => edges.extend([(to - 1, to), (to.saturating_sub(2), to)]),
                1 => edges.push((to.saturating_sub(2).min(to - 1), to)),
                _ => {
                    let first = to / 4 * 4;
                    edges.extend([(first, to), ((first + 1).min(to - 1), to)]);
                }
            },
            Shape::Experts => {
                let width = 4;
                match to % (width + 2) {
                    0 => edges.push((to - 1, to)),
                    last if last == width + 1 => edges.extend((to - width..to).map(|e| (e, to))),
                    expert => edges.push((to - expert, to)),
                }
            }
            Shape::DynamicDims => {
                edges.push((if to > 2 { to - 2 } else { to - 1 }, to));
                if to % 4 == 3 {
                    edges.push((to - 1, to));
                }
            }
            Shape::Random => {
                for _ in 0..1 + dice.below(3) {
                    edges.push((dice.below(to), to));
                }
            }
        }
    }
    edges.sort_unstable();
    edges.dedup();
    edges
}

/// The problem and the wishes of a recipe. The last provider is the fallback and the home.
pub(crate) fn problem(recipe: &Recipe) -> (Problem, Options) {
    let mut dice = Dice::new(recipe.seed);
    let mut problem = Problem::default();
    let scale = Scale::roll(&mut dice);
    providers(recipe, &mut problem, &scale, &mut dice);
    if recipe.classes {
        for (name, runs) in [("prefill", 1), ("decode", 20)] {
            problem.classes.push(ShapeClass { name: name.into(), runs });
        }
    }
    for at in 0..recipe.nodes {
        let node = node(recipe, &mut problem, at, &scale, &mut dice);
        problem.add_node(node);
    }
    tensors(recipe, &mut problem, &scale, &mut dice);
    if recipe.budgets {
        budgets(&mut problem, &mut dice);
    }
    let mut options = Options::default();
    if recipe.pins {
        wishes(&problem, &mut options, &mut dice);
    }
    (problem, options)
}

/// How nodes, launches and copies compare. In most problems they are of one order, so that there is
/// something to weigh; in the others anything goes.
struct Scale {
    node_ns: u64,
    balanced: bool,
}

impl Scale {
    fn roll(dice: &mut Dice) -> Self {
        Self { node_ns: 1_000 + dice.skewed(1_000_000), balanced: dice.chance(75) }
    }

    fn node(&self, dice: &mut Dice) -> f64 {
        (if self.balanced { dice.within(self.node_ns, 12) } else { dice.skewed(self.node_ns) })
            as f64
    }

    /// Of a launch, or of an empty copy.
    fn overhead(&self, dice: &mut Dice) -> f64 {
        let most = if self.balanced { self.node_ns / 8 } else { 100_000 };
        (if self.balanced { dice.within(most, 10) } else { dice.skewed(most) }) as f64
    }

    /// Of a tensor; copied at a byte per nanosecond it costs as much as an overhead.
    fn bytes(&self, dice: &mut Dice) -> u64 {
        if self.balanced { dice.within(self.node_ns / 8, 20) } else { dice.skewed(1 << 20) }
    }
}

fn providers(recipe: &Recipe, problem: &mut Problem, scale: &Scale, dice: &mut Dice) {
    for at in 0..recipe.providers {
        let last = at + 1 == recipe.providers;
        problem.add_provider(Provider {
            name: if last { "cpu".into() } else { format!("p{at}") },
            launch: Cost::measured(scale.overhead(dice)),
            streams: dice.chance(30),
            memory: if dice.chance(15) { 0 } else { (recipe.providers - 1 - at) as u32 },
            ..Default::default()
        });
    }
    let cpu = ProviderId::from(recipe.providers - 1);
    (problem.home, problem.fallback) = (cpu, Some(cpu));
    for a in 0..recipe.providers {
        for b in 0..a {
            let latency = Cost::measured(scale.overhead(dice));
            let bytes_per_ns = [0.5, 1.0, 4.0, 32.0][dice.below(4)];
            problem.link_both(a.into(), b.into(), latency, bytes_per_ns);
        }
    }
}

fn node(recipe: &Recipe, problem: &mut Problem, at: usize, scale: &Scale, dice: &mut Dice) -> Node {
    let sandwich = recipe.shape == Shape::QuantSandwich;
    let plain = recipe.shape == Shape::DynamicDims && at % 2 == 1;
    let rows = if recipe.classes { 2 } else { 1 };
    let refused: Vec<bool> = (1..recipe.providers)
        .map(|_| dice.chance(if plain { 70 } else { 25 }))
        .chain([false])
        .collect();
    let answers = (0..rows).map(|_| {
        let row = refused.iter().map(|&no| match no {
            true => Answer::no(Code::OpUnsupported, "no such kernel"),
            false => {
                let ns = if plain { dice.skewed(2_000) as f64 } else { scale.node(dice) };
                Answer::yes(Cost::measured(ns))
            }
        });
        row.collect()
    });
    let answers = answers.collect();
    let weights = match dice.below(4) {
        0 => Vec::new(),
        1 if !problem.weights.is_empty() => vec![dice.below(problem.weights.len()).into()],
        _ => vec![problem.add_weight(format!("w{at}"), scale.bytes(dice))],
    };
    Node {
        name: format!("n{at}"),
        op: ["MatMul", "Add", "Softmax"][at % 3].into(),
        answers,
        weights,
        group: (sandwich || recipe.groups).then_some((at / 3) as u32),
        // Every other problem has blocks.
        block: (recipe.seed % 2 == 1).then_some((at / 3) as u32),
        tied: recipe.classes && dice.chance(20),
        repeatable: recipe.repeats && dice.chance(40),
    }
}

fn tensors(recipe: &Recipe, problem: &mut Problem, scale: &Scale, dice: &mut Dice) {
    let edges = edges(recipe.shape, recipe.nodes, dice);
    let size = |dice: &mut Dice| {
        let bytes = scale.bytes(dice);
        if recipe.classes { vec![bytes * 8, bytes] } else { vec![bytes] }
    };
    let reads = |from: usize| -> Vec<NodeId> {
        edges.iter().filter(|edge| edge.0 == from).map(|edge| edge.1.into()).collect()
    };
    for at in 0..recipe.nodes {
        let consumers = reads(at);
        problem.add_tensor(Tensor {
            name: format!("t{at}"),
            producer: Some(at.into()),
            output: consumers.is_empty() || dice.chance(10),
            consumers,
            bytes: size(dice),
        });
    }
    let roots = (0..recipe.nodes).filter(|&at| edges.iter().all(|edge| edge.1 != at));
    let roots: Vec<NodeId> = roots.map(NodeId::from).collect();
    let bytes = size(dice);
    problem.add_tensor(Tensor {
        name: "input".into(),
        producer: None,
        consumers: roots,
        output: false,
        bytes,
    });
}

/// Budgets that some assignments keep and others miss; the fallback has none, or a large one.
fn budgets(problem: &mut Problem, dice: &mut Dice) {
    let weights: u64 = problem.weights.iter().map(|weight| weight.bytes).sum();
    let moved: u64 = problem.tensors.iter().map(|tensor| tensor.bytes[0]).sum();
    let last = problem.providers.len() - 1;
    for provider in &mut problem.providers[..last] {
        provider.workspace_bytes = dice.skewed(10_000);
        if dice.chance(70) {
            let share = 20 + dice.below(80) as u64;
            provider.budget_bytes = Some((weights + moved / 2) * share / 100);
        }
    }
}

fn wishes(problem: &Problem, options: &mut Options, dice: &mut Dice) {
    let node = NodeId::from(dice.below(problem.nodes.len()));
    let free: Vec<ProviderId> = (0..problem.providers.len())
        .map(ProviderId::from)
        .filter(|&provider| {
            let mates = problem.nodes.iter().filter(|mate| {
                let group = problem.nodes[node.index()].group;
                mate.name == problem.nodes[node.index()].name
                    || (group.is_some() && mate.group == group)
            });
            let mut answers = mates.flat_map(|mate| &mate.answers);
            problem.providers[provider.index()].budget_bytes.is_none()
                && answers.all(|row| matches!(row[provider.index()], Answer::Yes { .. }))
        })
        .collect();
    options.pins.push((node, free[dice.below(free.len())]));
    let other = NodeId::from(dice.below(problem.nodes.len()));
    let gpu = ProviderId(0);
    if other != node && problem.nodes[node.index()].group.is_none() {
        options.forbids.push((Some(other), gpu));
    }
}
