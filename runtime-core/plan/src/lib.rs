//! Which provider runs which node, in what order, in how much memory, and why.
//!
//! A model is a graph of nodes; a machine has several providers, each of which can run some of the
//! nodes at some cost. Giving every node to the provider that runs it fastest loses: each change of
//! provider launches another part and copies tensors. This crate weighs it all in one objective, the
//! sum of node costs, copies and launches, under the memory budget of every provider, and it keeps
//! the reason for everything it decides.
//!
//! Three types carry it. A [`Problem`] holds what the providers answered, in plain numbers: nothing
//! here knows an operator, opens a file or asks a clock. A [`Planner`] holds the problem, answers
//! with plans, and takes back what a provider refuses after seeing a part. A [`Plan`] says who runs
//! what, as ordered [`Part`]s with copies, buffers and one [`Reason`] per node and refused provider.
//!
//! How a plan is found is told in [`guide`]. The contract:
//!
//! * Every node is in exactly one part, on a provider that may have it; no part waits for a later
//!   one; budgets hold. [`Planner::plan`] checks this on every plan, also in release builds.
//! * If the fallback supports every node and its budget is large enough, planning cannot fail.
//! * No plan costs more than all-fallback, greedy priority, or each node where it is cheapest, by the
//!   plan's own prediction.
//! * The same inputs give the same bytes. Search is bounded by counted moves, never by time.
//! * Numbers from providers are not trusted: what cannot be believed is replaced, with a [`Notice`].
//!
//! ```
//! use remuda_plan::{Answer, Code, Cost, Node, Options, Planner, Problem, Provider, Tensor};
//!
//! let mut problem = Problem::default();
//! let gpu = problem.add_provider(Provider {
//!     name: "gpu".into(),
//!     launch: Cost::measured(8_000.0),
//!     memory: 1,
//!     ..Default::default()
//! });
//! let cpu = problem.add_provider(Provider { name: "cpu".into(), ..Default::default() });
//! problem.link_both(gpu, cpu, Cost::measured(10_000.0), 16.0);
//! (problem.home, problem.fallback) = (cpu, Some(cpu));
//!
//! let answers = [
//!     ("matmul", Answer::yes(Cost::measured(40_000.0)), 900_000.0),
//!     ("unique", Answer::no(Code::OpUnsupported, "no kernel for `Unique`"), 5_000.0),
//! ];
//! let nodes = answers.map(|(name, on_gpu, on_cpu)| {
//!     let on_cpu = Answer::yes(Cost::measured(on_cpu));
//!     let answers = vec![vec![on_gpu, on_cpu]];
//!     problem.add_node(Node { name: name.into(), answers, ..Default::default() })
//! });
//! problem.add_tensor(Tensor {
//!     name: "product".into(),
//!     producer: Some(nodes[0]),
//!     consumers: vec![nodes[1]],
//!     bytes: vec![64_000],
//!     ..Default::default()
//! });
//!
//! let plan = Planner::new(problem, Options::default())?.plan(None)?;
//! let class = &plan.classes[0];
//! assert_eq!(class.placements[0].provider, gpu);
//! assert_eq!(class.placements[1].reasons[0].code, Code::OpUnsupported);
//! assert_eq!(class.transfers.len(), 1);
//! println!("{}", plan.explain(nodes[1]));
//! # Ok::<(), remuda_plan::PlanError>(())
//! ```
#![forbid(unsafe_code)]
#![expect(
    clippy::cast_possible_truncation,
    reason = "indices are checked to fit 32 bits, times to fit 61; providers number at most 64"
)]

mod assemble;
mod blocks;
mod chain;
mod contract;
mod cut;
mod diff;
mod error;
mod exhaustive;
mod explain;
mod fill;
mod fingerprint;
mod graph;
pub mod guide;
mod hash;
mod ids;
mod json;
mod judge;
mod memory;
mod model;
mod notice;
mod options;
mod pack;
mod permit;
mod plan;
mod planner;
mod prepare;
mod price;
mod problem;
mod reason;
mod repair;
mod repeats;
mod schedule;
mod search;
mod seeds;
mod state;
mod time;
mod validate;
mod verify;
mod waves;

pub use contract::{Contract, Demands, Strictness};
pub use diff::{ClassChange, Diff, Moved};
pub use error::PlanError;
pub use ids::{NodeId, ProviderId, TensorId, WeightId};
pub use notice::{Doubt, Notice};
pub use options::{Options, Policy};
pub use pack::{Interval, Packing, pack, peak_alive};
pub use plan::{
    Breakdown, Buffer, ClassPlan, Instead, Origin, Part, Placement, Plan, PlanId, ProviderUse,
    ReadError, Transfer,
};
pub use planner::{Planner, Timed};
pub use problem::{
    Answer, Cost, Link, Node, Problem, Provider, ShapeClass, Source, Tensor, Weight,
};
pub use reason::{Code, Delta, Reason};
pub use time::{quantise, show_ns};
