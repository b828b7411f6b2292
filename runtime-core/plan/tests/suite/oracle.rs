//! The planner against brute force: every assignment of small graphs, and for each the cheapest
//! acyclic order of parts, by code that shares nothing with the planner but the rounding of costs.

use remuda_plan::{
    Answer, Interval, NodeId, Options, Planner, Problem, ProviderId, peak_alive, quantise,
};

use crate::generate::{Recipe, problem};

/// The smallest total cost there is, by definition rather than by cleverness.
pub(crate) struct Oracle<'p> {
    problem: &'p Problem,
    options: &'p Options,
    /// The contracted vertex of each node: groups, here always convex.
    vertex: Vec<usize>,
    preds: Vec<u32>,
    best: Option<i64>,
}

impl<'p> Oracle<'p> {
    pub(crate) fn new(problem: &'p Problem, options: &'p Options) -> Self {
        let mut labels: Vec<Option<u32>> = Vec::new();
        let mut vertex = Vec::new();
        for node in &problem.nodes {
            let known = labels.iter().position(|label| label.is_some() && *label == node.group);
            vertex.push(known.unwrap_or(labels.len()));
            if known.is_none() {
                labels.push(node.group);
            }
        }
        let mut preds = vec![0u32; labels.len()];
        for tensor in &problem.tensors {
            for consumer in &tensor.consumers {
                let Some(producer) = tensor.producer else { continue };
                let (from, to) = (vertex[producer.index()], vertex[consumer.index()]);
                preds[to] |= if from == to { 0 } else { 1 << from };
            }
        }
        Self { problem, options, vertex, preds, best: None }
    }

    /// The cost of the best plan, if any fits.
    pub(crate) fn solve(&mut self) -> Option<i64> {
        let mut owner = Vec::new();
        self.descend(&mut owner);
        self.best
    }

    fn count(&self) -> usize {
        self.preds.len()
    }

    fn members(&self, vertex: usize) -> impl Iterator<Item = usize> + '_ {
        (0..self.vertex.len()).filter(move |&node| self.vertex[node] == vertex)
    }

    /// What the nodes of `vertex` cost on `provider`; none if it may not have them.
    pub(crate) fn own_cost(&self, vertex: usize, provider: usize) -> Option<i64> {
        let mut sum = 0;
        for node in self.members(vertex) {
            let Answer::Yes { cost } = self.problem.nodes[node].answers[0][provider] else {
                return None;
            };
            sum += cost.ns as i64;
            let (node, id) = (NodeId::from(node), ProviderId::from(provider));
            let forbidden =
                self.options.forbids.iter().any(|&(n, p)| p == id && n.is_none_or(|n| n == node));
            let elsewhere = self.options.pins.iter().any(|&(n, p)| n == node && p != id);
            if forbidden || elsewhere {
                return None;
            }
        }
        Some(sum)
    }

    fn copy(&self, bytes: u64, from: usize, to_memory: u32) -> i64 {
        let problem = self.problem;
        if problem.providers[from].memory == to_memory {
            return 0;
        }
        let there = problem.links.iter().filter(|link| {
            link.from.index() == from && problem.providers[link.to.index()].memory == to_memory
        });
        let costs = there.map(|link| {
            let ns = link.latency.ns + bytes as f64 / link.bytes_per_ns;
            quantise(ns as u64) as i64
        });
        costs.min().unwrap()
    }

    /// Node and copy costs of a (possibly partial) assignment; copies between assigned nodes only.
    pub(crate) fn base(&self, owner: &[usize]) -> i64 {
        let problem = self.problem;
        let own = (0..owner.len()).map(|v| self.own_cost(v, owner[v]).unwrap_or(0));
        let mut total: i64 = own.sum();
        for tensor in &problem.tensors {
            let maker = match tensor.producer {
                None => problem.home.index(),
                Some(node) if self.vertex[node.index()] < owner.len() => {
                    owner[self.vertex[node.index()]]
                }
                Some(_) => continue,
            };
            let mut memories: Vec<u32> = Vec::new();
            for consumer in &tensor.consumers {
                if let Some(&reader) = owner.get(self.vertex[consumer.index()]) {
                    memories.push(problem.providers[reader].memory);
                }
            }
            if tensor.output {
                memories.push(problem.providers[problem.home.index()].memory);
            }
            memories.sort_unstable();
            memories.dedup();
            let copies = memories.iter().map(|&memory| self.copy(tensor.bytes[0], maker, memory));
            total += copies.sum::<i64>();
        }
        total
    }

    fn descend(&mut self, owner: &mut Vec<usize>) {
        let base = self.base(owner);
        if self.best.is_some_and(|best| base >= best) {
            return;
        }
        if owner.len() == self.count() {
            if let Some(launch) = self.order(owner, self.best.map(|best| best - base)) {
                self.best = Some(base + launch);
            }
            return;
        }
        for provider in 0..self.problem.providers.len() {
            if self.own_cost(owner.len(), provider).is_some() {
                owner.push(provider);
                self.descend(owner);
                owner.pop();
            }
        }
    }

    /// The cheapest launches over every sequence of waves that fits the budgets, below `limit`.
    pub(crate) fn order(&self, owner: &[usize], limit: Option<i64>) -> Option<i64> {
        let tight = self.problem.providers.iter().any(|provider| provider.budget_bytes.is_some());
        if tight && !self.weights_fit(owner) {
            return None;
        }
        if !tight {
            let mut known = vec![None; 1 << self.count()];
            let launch = self.cheapest(owner, 0, &mut known);
            return Some(launch).filter(|&launch| limit.is_none_or(|limit| launch < limit));
        }
        let mut best = limit;
        let mut parts = vec![usize::MAX; self.count()];
        let found = self.sequences(owner, Walk::default(), &mut parts, &mut best);
        best.filter(|_| found)
    }

    /// By a table over the sets of vertices that are done.
    fn cheapest(&self, owner: &[usize], done: u32, known: &mut Vec<Option<i64>>) -> i64 {
        if done.count_ones() as usize == self.count() {
            return 0;
        }
        if let Some(cost) = known[done as usize] {
            return cost;
        }
        let mut best = i64::MAX;
        for provider in 0..self.problem.providers.len() {
            let after = self.wave(owner, done, provider);
            if after != done {
                let launch = self.problem.providers[provider].launch.ns as i64;
                best = best.min(launch + self.cheapest(owner, after, known));
            }
        }
        known[done as usize] = Some(best);
        best
    }

    fn wave(&self, owner: &[usize], mut done: u32, provider: usize) -> u32 {
        loop {
            let ready = (0..self.count()).find(|&v| {
                done >> v & 1 == 0 && owner[v] == provider && self.preds[v] & !done == 0
            });
            match ready {
                Some(v) => done |= 1 << v,
                None => return done,
            }
        }
    }

    /// One after the other, with the memory of each; true if one was cheaper than `best`.
    fn sequences(
        &self,
        owner: &[usize],
        Walk { done, depth, cost }: Walk,
        parts: &mut Vec<usize>,
        best: &mut Option<i64>,
    ) -> bool {
        if best.is_some_and(|best| cost >= best) {
            return false;
        }
        if done.count_ones() as usize == self.count() {
            let fits = self.peaks_fit(owner, parts, depth);
            if fits {
                *best = Some(cost);
            }
            return fits;
        }
        let mut found = false;
        for provider in 0..self.problem.providers.len() {
            let after = self.wave(owner, done, provider);
            if after == done {
                continue;
            }
            for (v, part) in parts.iter_mut().enumerate() {
                if (after & !done) >> v & 1 == 1 {
                    *part = depth;
                }
            }
            let launch = self.problem.providers[provider].launch.ns as i64;
            let next = Walk { done: after, depth: depth + 1, cost: cost + launch };
            found |= self.sequences(owner, next, parts, best);
        }
        found
    }

    fn fixed(&self, owner: &[usize], provider: usize) -> u64 {
        let mut weights: Vec<usize> = Vec::new();
        for (node, entry) in self.problem.nodes.iter().enumerate() {
            if owner[self.vertex[node]] == provider {
                weights.extend(entry.weights.iter().map(|weight| weight.index()));
            }
        }
        weights.sort_unstable();
        weights.dedup();
        let resident: u64 = weights.iter().map(|&w| self.problem.weights[w].bytes).sum();
        let used = owner.contains(&provider);
        resident + if used { self.problem.providers[provider].workspace_bytes } else { 0 }
    }

    fn weights_fit(&self, owner: &[usize]) -> bool {
        (0..self.problem.providers.len()).all(|provider| {
            let budget = self.problem.providers[provider].budget_bytes;
            budget.is_none_or(|budget| self.fixed(owner, provider) <= budget)
        })
    }

    /// Whether the bytes alive at any time fit, for one order of parts. Packing is taken as perfect,
    /// so that the oracle is never stricter than the planner.
    fn peaks_fit(&self, owner: &[usize], parts: &[usize], count: usize) -> bool {
        let problem = self.problem;
        let part = |node: usize| parts[self.vertex[node]];
        let mut order: Vec<usize> = (0..problem.nodes.len()).collect();
        order.sort_by_key(|&node| (part(node), node));
        let step = |node: usize| order.iter().position(|&other| other == node).unwrap() as u32;
        let first = |p: usize| order.iter().position(|&node| part(node) == p).unwrap() as u32;
        let last = |p: usize| order.iter().rposition(|&node| part(node) == p).unwrap() as u32;
        let end = problem.nodes.len() as u32;
        let mut held: Vec<Vec<Interval>> = vec![Vec::new(); problem.providers.len()];
        for tensor in &problem.tensors {
            let made = tensor.producer.map(NodeId::index);
            let maker = made.map_or(problem.home.index(), |node| owner[self.vertex[node]]);
            let start = made.map_or(0, step);
            let mut until = start;
            let memory = |provider: usize| problem.providers[provider].memory;
            let mut memories: Vec<u32> = problem.providers.iter().map(|p| p.memory).collect();
            memories.sort_unstable();
            memories.dedup();
            for there in memories {
                let mut readers: Vec<usize> = tensor.consumers.iter().map(|n| n.index()).collect();
                readers.retain(|&node| memory(owner[self.vertex[node]]) == there);
                readers.sort_by_key(|&node| step(node));
                let out = tensor.output && memory(problem.home.index()) == there;
                let stop = readers.last().map_or(start, |&node| step(node));
                let stop = if out { end } else { stop };
                if there == memory(maker) {
                    until = until.max(stop);
                    continue;
                }
                let Some(to) = readers
                    .first()
                    .map(|&node| owner[self.vertex[node]])
                    .or(out.then_some(problem.home.index()))
                else {
                    continue;
                };
                let needed = readers.first().map(|&node| part(node));
                let from = match (made.map(part), needed) {
                    (Some(made), Some(needed)) if needed <= made + 1 => last(made),
                    (Some(_), Some(needed)) => {
                        until = until.max(last(needed - 1));
                        first(needed - 1)
                    }
                    (Some(made), None) => last(made),
                    (None, Some(needed)) if needed > 0 => {
                        until = until.max(last(needed - 1));
                        first(needed - 1)
                    }
                    (None, _) => 0,
                };
                if let Some(made) = made {
                    until = until.max(last(part(made)));
                }
                held[to].push(Interval { bytes: tensor.bytes[0], first: from, last: stop });
            }
            held[maker].push(Interval { bytes: tensor.bytes[0], first: start, last: until });
        }
        debug_assert!(parts.iter().all(|&p| p < count));
        (0..problem.providers.len()).all(|provider| {
            let budget = problem.providers[provider].budget_bytes;
            budget.is_none_or(|budget| {
                peak_alive(&held[provider], 64) + self.fixed(owner, provider) <= budget
            })
        })
    }

    /// The cost of a fixed assignment, if it may be and fits.
    fn cost_of(&self, choose: impl Fn(usize) -> Option<usize>) -> Option<i64> {
        let owner: Vec<usize> = (0..self.count()).map(&choose).collect::<Option<_>>()?;
        for (vertex, &provider) in owner.iter().enumerate() {
            self.own_cost(vertex, provider)?;
        }
        Some(self.base(&owner) + self.order(&owner, None)?)
    }

    fn may(&self, vertex: usize) -> impl Iterator<Item = usize> + '_ {
        let all = 0..self.problem.providers.len();
        all.filter(move |&provider| self.own_cost(vertex, provider).is_some())
    }

    /// What other runtimes would do: all on the fallback, by priority, each node where it is
    /// cheapest. Those that may not be or do not fit are left out.
    pub(crate) fn baselines(&self) -> Vec<i64> {
        let fallback = self.problem.fallback.unwrap().index();
        let cheapest = |v: usize| self.may(v).min_by_key(|&p| (self.own_cost(v, p), p));
        let all = [
            self.cost_of(|_| Some(fallback)),
            self.cost_of(|v| self.may(v).next()),
            self.cost_of(cheapest),
        ];
        all.into_iter().flatten().collect()
    }
}

/// How far a sequence of waves has come.
#[derive(Default)]
struct Walk {
    done: u32,
    depth: usize,
    cost: i64,
}

#[derive(Default)]
struct Tally {
    cases: u32,
    solved: u32,
    optimal: u32,
    sum: f64,
    worst: f64,
    /// Cases in which the best baseline is optimal already, and the sum of its ratios.
    easy: u32,
    baseline: f64,
}

/// Runs one case; `exhaustive` leaves the planner its exact search.
fn case(seed: u64, exhaustive: bool, tally: &mut Tally) {
    let recipe = Recipe::any(seed, 8, 4);
    let (problem, mut options) = problem(&recipe);
    if !exhaustive {
        options.exhaustive_limit = 0;
    }
    let mut oracle = Oracle::new(&problem, &options);
    let baselines = oracle.baselines();
    let best = oracle.solve();
    tally.cases += 1;
    let planned = Planner::new(problem.clone(), options.clone()).unwrap().plan(None);
    let Some(best) = best else {
        assert!(planned.is_err(), "seed {seed}: a plan where nothing fits");
        return;
    };
    // The planner packs buffers for real, so now and then nothing fits that fits on paper.
    let plan = match planned {
        Ok(plan) => plan,
        Err(error) => panic!("seed {seed}, {recipe:?}: {error}"),
    };
    let cost = plan.cost_ns as i64;
    assert!(cost >= best || recipe.budgets, "seed {seed}: below the optimum: {cost} < {best}");
    let leading = baselines.iter().copied().min().unwrap_or(cost);
    tally.easy += u32::from(leading == best);
    tally.baseline += leading as f64 / best as f64;
    for baseline in baselines {
        assert!(cost <= baseline, "seed {seed}: {cost} is worse than a baseline of {baseline}");
    }
    let ratio = cost as f64 / best as f64;
    tally.solved += 1;
    tally.optimal += u32::from(cost == best);
    tally.sum += ratio;
    tally.worst = tally.worst.max(ratio);
}

fn run(cases: std::ops::Range<u64>, exhaustive: bool) {
    let mut tally = Tally::default();
    for seed in cases {
        case(seed, exhaustive, &mut tally);
    }
    let mean = tally.sum / f64::from(tally.solved);
    println!(
        "{} cases, {} feasible, {} optimal, mean {mean:.6}, worst {:.4}; best baseline: {} optimal, \
         mean {:.3}",
        tally.cases,
        tally.solved,
        tally.optimal,
        tally.worst,
        tally.easy,
        tally.baseline / f64::from(tally.solved)
    );
    assert!(mean <= 1.005, "mean cost is {mean} times the optimum");
}

#[test]
fn plans_are_within_half_a_per_cent_of_brute_force() {
    run(0..10_000, true);
}

#[test]
fn so_are_plans_without_exhaustive_search() {
    run(0..10_000, false);
}
