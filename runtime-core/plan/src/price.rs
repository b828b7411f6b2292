//! From the numbers that were given to numbers that can be added: checked, capped, rounded.
//!
//! After this module every cost is a whole number of nanoseconds with three significant digits,
//! small enough that the cost of any assignment fits a signed 64-bit sum. Costs that nobody knows
//! get a stand-in, and keep [`Source::Unknown`].

use crate::ids::ProviderId;
use crate::notice::{Doubt, Notices};
use crate::problem::{Answer, Cost, Link, Problem, Source};
use crate::time::{LONGEST_NS, quantise};

/// The largest size that is believed: 256 TiB.
pub(crate) const LARGEST_BYTES: u64 = 1 << 48;
/// The largest weight of a shape class.
const MOST_RUNS: u32 = 10_000;
/// Stand-ins where nobody knows.
const NODE_NS: u64 = 1_000;
const LAUNCH_NS: u64 = 10_000;
const COPY_LATENCY_NS: f64 = 20_000.0;
const COPY_BYTES_PER_NS: f64 = 1.0;

/// A cost that can be trusted to add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Price {
    pub(crate) ns: u64,
    pub(crate) source: Source,
}

/// Every number of a problem, priced.
#[derive(Debug, Clone)]
pub(crate) struct Prices {
    /// Per class and node, one entry per provider; none where the answer was no.
    pub(crate) nodes: Vec<Vec<Vec<Option<Price>>>>,
    /// Per provider.
    pub(crate) launch: Vec<Price>,
    /// Per class.
    pub(crate) runs: Vec<u64>,
    /// Per class and tensor.
    pub(crate) bytes: Vec<Vec<u64>>,
    /// Per weight.
    pub(crate) weights: Vec<u64>,
    /// Per provider.
    pub(crate) workspace: Vec<u64>,
    links: Vec<Vec<(f64, f64, Source)>>,
    longest_ns: u64,
}

impl Prices {
    /// The price of one copy of `bytes` from `from` to `to`; nothing in shared memory.
    pub(crate) fn copy(&self, bytes: u64, from: usize, to: usize) -> Price {
        let (latency, bytes_per_ns, source) = self.links[from][to];
        if bytes_per_ns == f64::INFINITY {
            return Price { ns: 0, source };
        }
        let ns = (latency + bytes as f64 / bytes_per_ns).min(self.longest_ns as f64);
        #[expect(clippy::cast_sign_loss, reason = "latency and bandwidth are positive")]
        Price { ns: quantise(ns as u64), source }
    }
}

/// Prices everything in `problem`, which has passed validation.
pub(crate) fn price(problem: &Problem, notices: &mut Notices) -> Prices {
    let classes = problem.classes.len().max(1);
    let runs = class_runs(problem, notices);
    let longest_ns = longest(problem, &runs);
    let mut nodes = Vec::with_capacity(classes);
    for class in 0..classes {
        let given = given_costs(problem, class, longest_ns, notices);
        nodes.push(fill_unknown(problem, &given, longest_ns));
    }
    let launch = launches(problem, longest_ns, notices);
    let bytes = (0..classes).map(|class| tensor_bytes(problem, class, notices)).collect();
    let weights = problem
        .weights
        .iter()
        .map(|weight| believed(weight.bytes, None, notices, || format!("weight `{}`", weight.name)))
        .collect();
    let workspace = (problem.providers.iter().enumerate())
        .map(|(at, provider)| {
            let owner = Some(ProviderId::from(at));
            believed(provider.workspace_bytes, owner, notices, || "workspace".into())
        })
        .collect();
    let links = link_table(problem, longest_ns, notices);
    Prices { nodes, launch, runs, bytes, weights, workspace, links, longest_ns }
}

/// The longest single cost with which no sum over a whole assignment leaves 61 bits.
fn longest(problem: &Problem, runs: &[u64]) -> u64 {
    let copies = problem.tensors.len() * problem.providers.len();
    let items = (2 * problem.nodes.len() + copies + 1) as u64;
    let total = items.saturating_mul(runs.iter().sum());
    LONGEST_NS.min((1 << 61) / total.max(1)).max(1)
}

fn class_runs(problem: &Problem, notices: &mut Notices) -> Vec<u64> {
    if problem.classes.is_empty() {
        return vec![1];
    }
    let runs = problem.classes.iter().map(|class| {
        let kept = class.runs.clamp(1, MOST_RUNS);
        if kept != class.runs {
            notices.note(None, Doubt::Runs, || format!("class `{}`: {}", class.name, class.runs));
        }
        u64::from(kept)
    });
    runs.collect()
}

fn believed(
    bytes: u64,
    owner: Option<ProviderId>,
    notices: &mut Notices,
    place: impl FnOnce() -> String,
) -> u64 {
    if bytes > LARGEST_BYTES {
        notices.note(owner, Doubt::TooLarge, || format!("{}: {bytes} bytes", place()));
    }
    bytes.min(LARGEST_BYTES)
}

fn tensor_bytes(problem: &Problem, class: usize, notices: &mut Notices) -> Vec<u64> {
    let sizes = problem.tensors.iter().map(|tensor| {
        let bytes = tensor.bytes[class.min(tensor.bytes.len() - 1)];
        believed(bytes, None, notices, || format!("tensor `{}`", tensor.name))
    });
    sizes.collect()
}

/// The believable nanoseconds of a cost, or none if it has to count as unknown.
fn believable(
    cost: Cost,
    longest_ns: u64,
    owner: ProviderId,
    notices: &mut Notices,
    place: impl Fn() -> String,
) -> Option<u64> {
    if cost.source == Source::Unknown {
        return None;
    }
    let said = || format!("{}: {} ns", place(), cost.ns);
    if cost.ns.is_nan() {
        notices.note(Some(owner), Doubt::NotANumber, said);
        return None;
    }
    if cost.ns < 0.0 {
        notices.note(Some(owner), Doubt::Negative, said);
        return None;
    }
    if cost.ns > longest_ns as f64 {
        notices.note(Some(owner), Doubt::TooLong, said);
    }
    #[expect(clippy::cast_sign_loss, reason = "negative values were turned away above")]
    let ns = (cost.ns.round() as u64).min(longest_ns);
    Some(quantise(ns))
}

type Row = Vec<Option<(Option<u64>, Source)>>;

fn given_costs(
    problem: &Problem,
    class: usize,
    longest_ns: u64,
    notices: &mut Notices,
) -> Vec<Row> {
    let rows = problem.nodes.iter().map(|node| {
        let answers = &node.answers[class.min(node.answers.len() - 1)];
        let row = answers.iter().enumerate().map(|(provider, answer)| match answer {
            Answer::No { .. } => None,
            Answer::Yes { cost } => {
                let place = || format!("node `{}`", node.name);
                let ns = believable(*cost, longest_ns, provider.into(), notices, place);
                Some((ns, if ns.is_some() { cost.source } else { Source::Unknown }))
            }
        });
        row.collect()
    });
    rows.collect()
}

/// Stand-ins for unknown costs. A node is taken to cost what the reference provider needs for it,
/// scaled by how the asked provider compares with the reference where both are known. An unknown
/// provider therefore never looks faster than the reference until somebody measures it.
fn fill_unknown(problem: &Problem, given: &[Row], longest_ns: u64) -> Vec<Vec<Option<Price>>> {
    let reference = problem.fallback.unwrap_or(problem.home).index();
    let known = |row: &Row, provider: usize| row[provider].and_then(|(ns, _)| ns);
    let usual = mean(given.iter().filter_map(|row| known(row, reference))).unwrap_or(NODE_NS);
    let ratios: Vec<(u128, u128)> = (0..problem.providers.len())
        .map(|provider| {
            let both = given
                .iter()
                .filter_map(|row| Some((known(row, provider)?, known(row, reference)?)));
            let (mine, theirs) = both.fold((0, 0), |(mine, theirs), (a, b)| {
                (mine + u128::from(a), theirs + u128::from(b))
            });
            if mine == 0 || theirs == 0 { (1, 1) } else { (mine, theirs) }
        })
        .collect();
    let stand_in = |row: &Row, provider: usize| {
        let base = u128::from(known(row, reference).unwrap_or(usual));
        let (mine, theirs) = ratios[provider];
        let scaled = (base * mine / theirs).min(u128::from(longest_ns));
        quantise(scaled as u64)
    };
    let rows = given.iter().map(|row| {
        let prices = row.iter().enumerate().map(|(provider, entry)| {
            entry.map(|(ns, source)| Price {
                ns: ns.unwrap_or_else(|| stand_in(row, provider)),
                source,
            })
        });
        prices.collect()
    });
    rows.collect()
}

fn mean(values: impl Iterator<Item = u64>) -> Option<u64> {
    let (sum, count) = values.fold((0u128, 0u128), |(sum, n), v| (sum + u128::from(v), n + 1));
    (count > 0).then(|| (sum / count) as u64)
}

fn launches(problem: &Problem, longest_ns: u64, notices: &mut Notices) -> Vec<Price> {
    let prices = problem.providers.iter().enumerate().map(|(at, provider)| {
        let place = || "launch".to_owned();
        match believable(provider.launch, longest_ns, at.into(), notices, place) {
            Some(ns) => Price { ns, source: provider.launch.source },
            None => Price { ns: LAUNCH_NS.min(longest_ns), source: Source::Unknown },
        }
    });
    prices.collect()
}

fn link_table(
    problem: &Problem,
    longest_ns: u64,
    notices: &mut Notices,
) -> Vec<Vec<(f64, f64, Source)>> {
    let count = problem.providers.len();
    let mut table: Vec<Vec<Option<(f64, f64, Source)>>> = vec![vec![None; count]; count];
    for link in &problem.links {
        let known = checked_link(problem, link, longest_ns, notices);
        table[link.from.index()][link.to.index()] = Some(known);
    }
    let mut complete = Vec::with_capacity(count);
    for (from, row) in table.into_iter().enumerate() {
        let full = row.into_iter().enumerate().map(|(to, link)| {
            if problem.providers[from].memory == problem.providers[to].memory {
                return (0.0, f64::INFINITY, Source::Declared);
            }
            link.unwrap_or_else(|| {
                notices.note(Some(from.into()), Doubt::NoLink, || {
                    format!("copies to `{}`", problem.providers[to].name)
                });
                (COPY_LATENCY_NS, COPY_BYTES_PER_NS, Source::Unknown)
            })
        });
        complete.push(full.collect());
    }
    complete
}

fn checked_link(
    problem: &Problem,
    link: &Link,
    longest_ns: u64,
    notices: &mut Notices,
) -> (f64, f64, Source) {
    let place = || format!("copies to `{}`", problem.providers[link.to.index()].name);
    let latency = believable(link.latency, longest_ns, link.from, notices, place);
    let mut source = if latency.is_some() { link.latency.source } else { Source::Unknown };
    let mut bytes_per_ns = link.bytes_per_ns;
    if bytes_per_ns.is_nan() || bytes_per_ns <= 0.0 || bytes_per_ns == f64::INFINITY {
        notices.note(Some(link.from), Doubt::Bandwidth, || {
            format!("{}: {} bytes/ns", place(), link.bytes_per_ns)
        });
        bytes_per_ns = COPY_BYTES_PER_NS;
        source = Source::Unknown;
    }
    (latency.map_or(COPY_LATENCY_NS, |ns| ns as f64), bytes_per_ns, source)
}

#[cfg(test)]
mod tests {
    use super::price;
    use crate::ids::ProviderId;
    use crate::notice::{Doubt, Notices};
    use crate::problem::{Answer, Cost, Node, Problem, Provider, Source};

    fn two_providers(gpu: &[Cost], cpu: &[Cost]) -> Problem {
        let mut problem = Problem::default();
        for (name, memory) in [("gpu", 1), ("cpu", 0)] {
            let launch = Cost::declared(5.0);
            problem.add_provider(Provider {
                name: name.into(),
                memory,
                launch,
                ..Default::default()
            });
        }
        problem.home = ProviderId(1);
        problem.fallback = Some(ProviderId(1));
        problem.link_both(ProviderId(0), ProviderId(1), Cost::declared(10.0), 2.0);
        for (at, (&gpu, &cpu)) in gpu.iter().zip(cpu).enumerate() {
            problem.add_node(Node {
                name: format!("n{at}"),
                answers: vec![vec![Answer::yes(gpu), Answer::yes(cpu)]],
                ..Default::default()
            });
        }
        problem
    }

    #[test]
    fn absurd_costs_become_unknown_with_a_notice() {
        let gpu = [f64::NAN, -4.0, f64::INFINITY].map(Cost::declared);
        let problem = two_providers(&gpu, &[Cost::measured(100.0); 3]);
        let mut notices = Notices::default();
        let prices = price(&problem, &mut notices);
        let found: Vec<_> = notices.finish().iter().map(|n| (n.provider, n.doubt)).collect();
        let gpu = Some(ProviderId(0));
        let expected = [(gpu, Doubt::NotANumber), (gpu, Doubt::Negative), (gpu, Doubt::TooLong)];
        assert_eq!(found, expected);
        let first = prices.nodes[0][0][0].unwrap();
        assert_eq!(first.source, Source::Unknown);
        assert_eq!(prices.nodes[0][2][0].unwrap().source, Source::Declared);
    }

    #[test]
    fn an_unknown_cost_follows_what_is_known_of_the_provider() {
        let gpu = [Cost::measured(50.0), Cost::UNKNOWN];
        let problem = two_providers(&gpu, &[Cost::measured(100.0), Cost::measured(400.0)]);
        let prices = price(&problem, &mut Notices::default());
        assert_eq!(prices.nodes[0][1][0].unwrap().ns, 200);
    }

    #[test]
    fn copies_cost_latency_and_bandwidth() {
        let problem = two_providers(&[], &[]);
        let prices = price(&problem, &mut Notices::default());
        assert_eq!(prices.copy(1_000, 0, 1).ns, 510);
        assert_eq!(prices.copy(1_000, 1, 1).ns, 0);
    }
}
