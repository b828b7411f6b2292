//! Who runs what, and why: plans, contracts and receipts.
//!
//! A [`Plan`] says for every node which backend runs it, what that costs by whose word, and for every
//! other backend why not. A [`Contract`] turns what the user demands of it into warnings or errors. A
//! [`Receipt`] says what a run really did.

pub use remuda_exec::plan::{
    Breakdown, ClassPlan, Code, Diff, Instead, NodeId, Origin, Part, Placement, Plan, PlanId,
    Policy, ProviderId, ProviderUse, ReadError, Reason, Source, Transfer, show_ns,
};
pub use remuda_exec::{
    Contract, Demands, Failover, Moved, PartReceipt, Receipt, Strictness, Trial, TriedClass,
};
