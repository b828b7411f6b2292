//! Decoders under the order of providers, where the first ones have no room for all: whole layers from the
//! front, the same in every shape class, and few parts.

use remuda_plan::{
    Answer, Code, Cost, Node, NodeId, Options, Plan, Planner, Policy, Problem, Provider,
    ProviderId, ShapeClass, Tensor, TensorId,
};

const GPU: usize = 0;
const NPU: usize = 1;
const CPU: usize = 2;
const LAYERS: usize = 12;
/// What the products of a layer weigh, its norms, its cache, and the embedding and the head each.
const PRODUCT: u64 = 1_000_000;
const NORM: u64 = 1_000;
const CACHE: u64 = 200_000;
const TABLE: u64 = 3_500_000;
const LAYER: u64 = 4 * PRODUCT + 2 * NORM + CACHE;
/// Per token, what passes between nodes; steps of decode and pieces of a prompt are of so many.
const PASSING: u64 = 640;
const TOKENS: [u64; 2] = [1, 64];
/// More than all values take that are alive in a layer.
const ALIVE: u64 = 8 * PASSING * TOKENS[1];

/// What a test changes of the decoder.
#[derive(Default)]
struct Wishes {
    /// Of the GPU and the NPU; 0 for none.
    budgets: [u64; 2],
    /// An operator that the GPU refuses.
    refused: &'static str,
    /// Weights that a layer has more than the others.
    heavier: [u64; LAYERS],
}

struct Writer {
    problem: Problem,
    refused: &'static str,
}

impl Writer {
    fn new(wishes: &Wishes) -> Self {
        let mut problem = Problem::default();
        let budget = |at: usize| wishes.budgets.get(at).copied().filter(|&bytes| bytes > 0);
        for (at, name) in ["gpu", "npu", "cpu"].into_iter().enumerate() {
            problem.add_provider(Provider {
                name: name.into(),
                launch: Cost::measured(1_000.0),
                budget_bytes: budget(at),
                workspace_bytes: if at == CPU { 0 } else { 10_000 },
                memory: (2 - at) as u32,
                ..Provider::default()
            });
        }
        for (a, b) in [(GPU, NPU), (GPU, CPU), (NPU, CPU)] {
            problem.link_both(a.into(), b.into(), Cost::measured(10_000.0), 1.0);
        }
        (problem.home, problem.fallback) = (CPU.into(), Some(CPU.into()));
        let class = |(name, runs): (&str, u32)| ShapeClass { name: name.into(), runs };
        problem.classes = [("decode", 128), ("prefill", 1)].map(class).to_vec();
        Self { problem, refused: wishes.refused }
    }

    /// A node that reads `inputs` and what it makes.
    fn node(&mut self, op: &str, at: &str, inputs: &[TensorId], weights: &[u64]) -> TensorId {
        let name = format!("{op}{at}");
        let answer = |provider: usize| match provider == GPU && op == self.refused {
            true => Answer::no(Code::OpUnsupported, "no kernel"),
            false => Answer::yes(Cost::measured(5_000.0)),
        };
        let answers = vec![(0..3).map(answer).collect()];
        let weights = weights
            .iter()
            .zip(0..)
            .map(|(&bytes, number)| self.problem.add_weight(format!("{name}.{number}"), bytes));
        let weights = weights.collect();
        let (op, tied) = (op.to_owned(), op == "attend");
        let name = name.clone();
        let group = None;
        let node = self.problem.add_node(Node {
            name,
            op,
            answers,
            weights,
            tied,
            group,
            ..Node::default()
        });
        for input in inputs {
            self.problem.tensors[input.index()].consumers.push(node);
        }
        self.value(Some(node))
    }

    fn value(&mut self, producer: Option<NodeId>) -> TensorId {
        let name = format!("t{}", self.problem.tensors.len());
        let bytes = TOKENS.map(|tokens| tokens * PASSING).to_vec();
        self.problem.add_tensor(Tensor { name, producer, bytes, ..Tensor::default() })
    }

    fn layer(&mut self, layer: usize, x: TensorId, angles: TensorId, heavier: u64) -> TensorId {
        let at = &layer.to_string();
        let norm = self.node("norm_a", at, &[x], &[NORM]);
        let read = self.node("read", at, &[norm], &[PRODUCT + heavier]);
        let attend = self.node("attend", at, &[read, angles], &[CACHE]);
        let back = self.node("back", at, &[attend], &[PRODUCT]);
        let sum = self.node("sum_a", at, &[x, back], &[]);
        let norm = self.node("norm_b", at, &[sum], &[NORM]);
        let wide = self.node("wide", at, &[norm], &[PRODUCT]);
        let narrow = self.node("narrow", at, &[wide], &[PRODUCT]);
        self.node("sum_b", at, &[sum, narrow], &[])
    }
}

fn decoder(wishes: &Wishes) -> Problem {
    let mut writer = Writer::new(wishes);
    let tokens = writer.value(None);
    let positions = writer.value(None);
    let angles = writer.node("angles", "", &[positions], &[]);
    let mut x = writer.node("embed", "", &[tokens], &[TABLE]);
    for (layer, heavier) in wishes.heavier.into_iter().enumerate() {
        x = writer.layer(layer, x, angles, heavier);
    }
    let norm = writer.node("norm_c", "", &[x], &[NORM]);
    let logits = writer.node("head", "", &[norm], &[TABLE]);
    let mut problem = writer.problem;
    problem.tensors[logits.index()].output = true;
    problem.mark_blocks();
    problem
}

fn plan(problem: &Problem) -> Plan {
    let options = Options { policy: Policy::Priority, ..Options::default() };
    Planner::new(problem.clone(), options).unwrap().plan(None).unwrap()
}

fn owner(plan: &Plan, class: usize, name: &str) -> usize {
    let node = plan.node_named(name).unwrap();
    plan.classes[class].placements[node.index()].provider.index()
}

/// The provider of each layer, which is whole and the same in both classes, but for what is refused.
fn layers(plan: &Plan, refused: &str) -> Vec<usize> {
    let ops = ["norm_a", "read", "attend", "back", "sum_a", "norm_b", "wide", "narrow", "sum_b"];
    let of_layer = |layer: usize| {
        let ops = ops.into_iter().filter(|op| *op != refused);
        let mut owners =
            ops.flat_map(|op| [0, 1].map(|class| owner(plan, class, &format!("{op}{layer}"))));
        let first = owners.next().unwrap();
        assert!(owners.all(|owner| owner == first), "layer {layer} is divided");
        first
    };
    (0..LAYERS).map(of_layer).collect()
}

fn split(counts: [usize; 3]) -> Vec<usize> {
    counts.into_iter().enumerate().flat_map(|(owner, count)| vec![owner; count]).collect()
}

fn parts(plan: &Plan) -> [usize; 2] {
    [0, 1].map(|class| plan.classes[class].parts.len())
}

/// Room for so many layers and for what is alive in them.
fn room(layers: u64) -> u64 {
    layers * LAYER + ALIVE + 10_000
}

#[test]
fn the_first_provider_gets_as_many_whole_layers_as_fit() {
    for count in [1, 5, 11] {
        // Nothing more, or nearly another layer, into which the embedding fits.
        for (spare, embeds) in [(0, CPU), (LAYER - ALIVE - 1, GPU)] {
            let budgets = [room(count) + spare, 1];
            let plan = plan(&decoder(&Wishes { budgets, ..Wishes::default() }));
            let counts = [count as usize, 0, LAYERS - count as usize];
            assert_eq!(layers(&plan, ""), split(counts), "{spare}");
            assert_eq!(owner(&plan, 0, "embed"), embeds);
            // What comes behind a layer on the CPU stays there.
            assert_eq!(owner(&plan, 0, "head"), CPU);
            assert_eq!(parts(&plan), [if embeds == GPU { 2 } else { 3 }; 2]);
            let used = &plan.providers[GPU];
            assert!(used.peak_bytes() + LAYER > used.budget_bytes.unwrap());
        }
    }
}

#[test]
fn the_next_provider_gets_the_layers_behind_them() {
    let budgets = [room(5), room(4)];
    let plan = plan(&decoder(&Wishes { budgets, ..Wishes::default() }));
    assert_eq!(layers(&plan, ""), split([5, 4, 3]));
    assert_eq!(parts(&plan), [4; 2]);
}

#[test]
fn where_all_layers_fit_the_head_goes_before_the_embedding() {
    let all = room(LAYERS as u64);
    for (budget, head, embed) in
        [(all, CPU, CPU), (all + TABLE + NORM, GPU, CPU), (all + 2 * TABLE + NORM, GPU, GPU)]
    {
        let plan = plan(&decoder(&Wishes { budgets: [budget, 1], ..Wishes::default() }));
        assert_eq!(layers(&plan, ""), [GPU; LAYERS]);
        let found = ["head", "embed"].map(|name| owner(&plan, 1, name));
        assert_eq!(found, [head, embed]);
        let more = usize::from(head == CPU) + usize::from(embed == CPU);
        assert_eq!(parts(&plan), [1 + more; 2]);
    }
}

#[test]
fn what_is_refused_in_a_layer_does_not_divide_the_rest_of_it() {
    // The NPU is too small for what the GPU refuses.
    let wishes = Wishes { budgets: [room(5), 1], refused: "norm_b", ..Wishes::default() };
    let plan = plan(&decoder(&wishes));
    assert_eq!(layers(&plan, "norm_b"), split([5, 0, 7]));
    assert_eq!(owner(&plan, 0, "norm_b2"), CPU);
}

#[test]
fn layers_of_different_weights_are_taken_from_the_front() {
    let mut heavier = [0; LAYERS];
    heavier[2] = 2 * LAYER;
    let budgets = [room(4), room(7)];
    let plan = plan(&decoder(&Wishes { budgets, heavier, ..Wishes::default() }));
    assert_eq!(layers(&plan, ""), split([2, 5, 5]));
}

#[test]
fn where_no_layer_fits_none_is_begun() {
    let wishes = Wishes { budgets: [LAYER - 1, 1], ..Wishes::default() };
    let plan = plan(&decoder(&wishes));
    assert_eq!(layers(&plan, ""), [CPU; LAYERS]);
    assert!(parts(&plan).iter().all(|&parts| parts <= 2), "{:?}", parts(&plan));
}

#[test]
fn a_layer_that_does_not_fit_whole_says_so() {
    let problem = decoder(&Wishes { budgets: [room(3), 1], ..Wishes::default() });
    let plan = plan(&problem);
    let node = plan.node_named("norm_a3").unwrap();
    let reasons = &plan.classes[0].placements[node.index()].reasons;
    let reason = reasons.iter().find(|reason| reason.provider == ProviderId::from(GPU)).unwrap();
    assert_eq!(reason.code, Code::Memory);
    assert!(plan.explain(node).contains("no division into whole layers was found"));
}
