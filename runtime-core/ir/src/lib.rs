//! One graph for every model, whatever file it came from.
//!
//! A [`Graph`] owns values and nodes. A [`Value`] is a graph input, a constant, a state or the output
//! of a node, and knows as much of its type as can be inferred. A [`Node`] applies an operator to
//! values; bodies of control flow are graphs inside its attributes and list what they capture from
//! outside. What an operator *is* (its inputs, shape rule, reference kernel) is an [`OpDef`]; the
//! definitions live in `remuda-ops` and reach this crate as an [`OpTable`].
//!
//! The contract: nodes are kept in an order in which every value is made before it is used, and a
//! graph that passes [`verify`] needs no more checks downstream. Graphs print and parse without loss
//! ([`text`]).
#![forbid(unsafe_code)]

mod attr;
mod axis;
mod context;
mod error;
mod graph;
mod infer;
mod opdef;
mod state;
pub mod text;
mod types;
mod val;
mod value;
mod verify;

pub use attr::{Attr, Attrs, Body};
pub use axis::resolve_axis;
pub use context::{BodyRunner, InferCtx, InferInput, Inferred, KernelCtx, NoBodies};
pub use error::OpError;
pub use graph::{Graph, Node, NodeId, OpName};
pub use infer::{Inference, infer_body_types, infer_graph, infer_node};
pub use opdef::{
    AttrDef, AttrKind, Draft, InputDef, LegacyOp, OpDef, OpTable, OutputDef, Presence, Tolerance,
    Traits, Upgrade,
};
pub use state::{Appended, State, StateRef, appended};
pub use types::Types;
pub use val::Val;
pub use value::{Def, StateType, Value, ValueId, ValueType};
pub use verify::{VerifyError, verify};
