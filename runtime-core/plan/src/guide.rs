//! How a plan is found, from question to receipt. This module holds no code.
//!
//! # What is minimised
//!
//! One number: the time of one run of every shape class, each weighted by how often it runs. It is
//! the sum of three kinds of cost, all in whole nanoseconds with three significant digits.
//!
//! * *Nodes.* What the chosen provider needs for each.
//! * *Copies.* A tensor that is read in another memory than the one it was made in is copied there
//!   once, however many nodes read it. Providers that share memory need no copy.
//! * *Launches.* Each part costs its provider's launch. How many parts there are depends on the order
//!   of execution, which makes this the hard kind.
//!
//! It is minimised under budgets: on each provider, the weights of its nodes (each counted once, over
//! all shape classes), its workspace, and the block that holds all its buffers must fit.
//!
//! # Preparation
//!
//! Numbers are checked first. A cost that is negative or no number counts as unknown, one of years
//! as an hour, and each such case leaves a [`Notice`](crate::Notice). An unknown cost gets a
//! stand-in that never looks better than the fallback's, and keeps the source *unknown*.
//!
//! Nodes of one [group](crate::Node::group) become one, together with whatever lies on a path between
//! them. What is left gets one provider per shape class; nodes that hold state get one over all
//! classes. [Blocks](crate::Node::block) with the same operators and edges are recognised as copies of
//! each other; [`Problem::mark_blocks`](crate::Problem::mark_blocks) finds the layers of a model.
//!
//! # Parts
//!
//! Given an assignment, parts are found by *waves*: with some nodes done, pick a provider and run
//! everything of it that is ready, to closure. That is one part. Going on until all is done gives
//! parts in an order in which nothing waits for a later part, so their graph has no cycle.
//!
//! Growing parts per provider and combining them afterwards does not have this property, not even if
//! each part is convex. Take `a1` and `a2` on A, `b1` and `b2` on B, with edges from each first node
//! to both second nodes:
//!
//! ```text
//!   a1 ──▶ a2        {a1, a2} waits for b1, {b1, b2} waits for a1:
//!     ╲  ╱           two convex parts, and neither can start.
//!      ╳             Waves make three: {a1} {b1, b2} {a2}.
//!     ╱  ╲
//!   b1 ──▶ b2
//! ```
//!
//! Nothing is lost by waves. Take any acyclic division into parts and run its providers in the same
//! sequence as waves: after each step at least as much is done, since what closure adds only grows
//! with what is done before. So the best division is the best sequence. For two providers the
//! sequence alternates, and trying both starts is exact. For more, nodes that are in one wave
//! whatever the sequence are contracted, and A* finds the cheapest sequence of small graphs, a beam
//! a good one of large graphs.
//!
//! # Assignments
//!
//! Candidates begin as *seeds*: all on the fallback; each provider with the fallback for the rest;
//! the first provider that can, for each node; the cheapest, for each node; and a cached plan.
//! These are what other runtimes do, so no user of one of those rules can lose. Where budgets bind, the
//! order of the providers gives out whole blocks from the front, in all classes at once: the first
//! provider gets as many as fit with all buffers in place, found by bisection, the next as many of the
//! rest. What lies outside of blocks follows in what room is left, never back up the list.
//!
//! Three methods see the whole graph at once. A *minimum cut* divides units between two providers;
//! copies that are paid once per destination are a helper vertex that any reader pulls over. For two
//! providers without launches and budgets it is the answer; otherwise pairs of providers take turns.
//! *Prices per byte* push units off providers that are over budget until they fit. A *table* divides
//! chains of equal blocks: equal blocks make memory a count, so budgets hold exactly.
//!
//! *Local search* then moves one unit, a whole part or a connected piece of it, the two ends of a
//! tensor, a unit of all equal blocks, or re-divides a pair of providers, and keeps what lowers the
//! whole cost. The change in nodes and copies is known at once; parts are counted only if launches
//! could win back the rest. Work is counted, not timed, so that a busy machine gets the same plan.
//! Where there are few assignments all of them are considered, with bounds, which makes the plan the
//! best there is.
//!
//! An assignment that misses a budget is repaired by moving the units that cost least per byte freed.
//!
//! # Schedule, memory, reasons
//!
//! The parts of the winner are refined where that costs nothing: nodes move to later waves where
//! fewer bytes stay alive, independent pieces become parts of their own on providers with streams,
//! parts with the longest chain behind them go first, and cheap nodes run again instead of being
//! copied. Copies are issued one part before they are needed. Lifetimes then give every tensor an
//! offset ([`pack`](crate::pack)), and the peak of each provider is exact.
//!
//! Every provider that did not get a node has a [`Reason`](crate::Reason): its own refusal, the
//! user's wish, a budget, or what the plan would cost with that node there.
//!
//! # After the plan
//!
//! A provider may still refuse a part, or fail to compile it. [`Planner::refuse`] takes the nodes
//! away from it with the reason; every call takes at least one, so this ends.
//! [`Planner::plan_among`] gives the plans to compare with by measurement and those to go on with if
//! a provider is lost. A plan is stored as text, and comes back only for the same question; for a
//! changed one, such as new measurements, it is a seed that is kept unless the new plan is better by
//! a few per cent, so that noise moves nothing. [`Diff`](crate::Diff) tells what moved, and why.
//!
//! [`Planner::refuse`]: crate::Planner::refuse
//! [`Planner::plan_among`]: crate::Planner::plan_among
