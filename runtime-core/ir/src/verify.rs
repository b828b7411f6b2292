//! The verifier. A graph that passes needs no more checks downstream. Its rules:
//!
//! 1. Every value that a node, a body or the graph's outputs use is made: by the caller, as a
//!    constant, as a state, by capture, or by a node earlier in the order.
//! 2. Every value is made once; a node's outputs say so themselves.
//! 3. A node of a known operator has as many inputs and outputs as the operator allows, and no
//!    required one is left out.
//! 4. Inputs hold dtypes that the operator takes; inputs tied by a type letter hold the same one.
//! 5. Attributes are known to the operator, have its kind, and required ones are there.
//! 6. A body captures as many values as it declares.
//! 7. Constants have the type that their value says.
//! 8. Bodies obey the same rules.

#[cfg(test)]
mod tests;

use std::fmt;

use remuda_base::{BitSet, Map, Set, nearest};
use remuda_tensor::{DType, TensorType};

use crate::{Def, Graph, Node, OpDef, OpTable, Presence, ValueId, ValueType};

/// A broken rule and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyError {
    /// The number of the rule.
    pub rule: u8,
    /// The graph's name, then the node or value.
    pub place: String,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

impl std::error::Error for VerifyError {}

/// Checks every rule.
///
/// # Errors
/// The first broken rule, in the order of the nodes.
pub fn verify(graph: &Graph, ops: &dyn OpTable) -> Result<(), VerifyError> {
    Verifier { graph, ops, made: BitSet::new(graph.value_count()) }.run()
}

struct Verifier<'a> {
    graph: &'a Graph,
    ops: &'a dyn OpTable,
    made: BitSet,
}

impl Verifier<'_> {
    fn run(&mut self) -> Result<(), VerifyError> {
        self.values()?;
        for (id, node) in self.graph.nodes() {
            let place = format!("node {}", node.label());
            for used in node.uses() {
                self.expect_made(used, &place)?;
            }
            if let Some(def) = self.ops.find(&node.op.domain, &node.op.name) {
                self.signature(node, def, &place)?;
                self.input_types(node, def, &place)?;
                attributes(node, def).map_err(|message| self.error(5, &place, message))?;
            }
            self.bodies(node, &place)?;
            for (at, output) in node.outputs.iter().enumerate() {
                let Some(output) = *output else { continue };
                let value = self.graph.value(output);
                if value.def != Def::Node(id, at) || !self.made.insert(output.index()) {
                    let message = format!("output `{}` is also made elsewhere", value.name);
                    return Err(self.error(2, &place, message));
                }
            }
        }
        for &output in &self.graph.outputs {
            self.expect_made(output, "the outputs")?;
        }
        Ok(())
    }

    fn error(&self, rule: u8, place: &str, message: String) -> VerifyError {
        VerifyError { rule, place: format!("graph `{}`, {place}", self.graph.name), message }
    }

    fn expect_made(&self, value: ValueId, place: &str) -> Result<(), VerifyError> {
        if value.index() < self.graph.value_count() && self.made.contains(value.index()) {
            return Ok(());
        }
        let name = self.graph.values().nth(value.index()).map_or("?", |(_, value)| &value.name);
        Err(self.error(1, place, format!("value `{name}` is used before anything makes it")))
    }

    fn values(&mut self) -> Result<(), VerifyError> {
        let inputs: Set<ValueId> = self.graph.inputs.iter().copied().collect();
        let captures: Set<ValueId> = self.graph.captures.iter().copied().collect();
        for (id, value) in self.graph.values() {
            let listed = match &value.def {
                Def::Input => inputs.contains(&id),
                Def::Capture => captures.contains(&id),
                Def::Const(tensor) => {
                    let declared = value.ty.as_ref().and_then(ValueType::as_tensor);
                    let misfit = declared.filter(|ty| {
                        ty.dtype != tensor.dtype()
                            || ty.fixed_dims().as_deref() != Some(tensor.dims())
                    });
                    if let Some(ty) = misfit {
                        let dims = tensor.dims().iter().map(|&dim| dim.into());
                        let got = TensorType::new(tensor.dtype(), dims);
                        let message = format!("the constant is `{got}`, declared as `{ty}`");
                        return Err(self.error(7, &format!("value `{}`", value.name), message));
                    }
                    true
                }
                Def::State => true,
                Def::Node(..) | Def::Nothing => continue,
            };
            if !listed {
                let message = "it is an input or a capture that its graph does not list".to_owned();
                return Err(self.error(1, &format!("value `{}`", value.name), message));
            }
            self.made.insert(id.index());
        }
        Ok(())
    }

    fn signature(&self, node: &Node, def: &OpDef, place: &str) -> Result<(), VerifyError> {
        let inputs: Vec<_> = def.inputs.iter().map(|input| (input.name, input.presence)).collect();
        let outputs: Vec<_> =
            def.outputs.iter().map(|output| (output.name, output.presence)).collect();
        count("inputs", &inputs, node.inputs.len(), |at| node.input(at).is_some())
            .and_then(|()| {
                count("outputs", &outputs, node.outputs.len(), |at| node.output(at).is_some())
            })
            .map_err(|message| self.error(3, place, message))
    }

    fn input_types(&self, node: &Node, def: &OpDef, place: &str) -> Result<(), VerifyError> {
        let mut ties: Map<&str, (usize, DType)> = Map::new();
        for (at, input) in node.inputs.iter().enumerate() {
            let Some(spec) = def.inputs.get(at).or_else(|| def.inputs.last()) else { continue };
            let Some(dtype) = input.and_then(|id| self.dtype(id)) else { continue };
            if !spec.types.contains(dtype) {
                let message = format!(
                    "input {at} (`{}`) is `{dtype}`, expected one of: {}",
                    spec.name, spec.types
                );
                return Err(self.error(4, place, message));
            }
            if spec.tie.is_empty() {
                continue;
            }
            let &mut (first, tied) = ties.entry(spec.tie).or_insert((at, dtype));
            if tied != dtype {
                let message = format!(
                    "input {at} (`{}`) is `{dtype}`, expected `{tied}` as input {first}",
                    spec.name
                );
                return Err(self.error(4, place, message));
            }
        }
        Ok(())
    }

    fn dtype(&self, id: ValueId) -> Option<DType> {
        let mut ty = self.graph.value(id).ty.as_ref()?;
        loop {
            match ty {
                ValueType::Tensor(tensor) => return Some(tensor.dtype),
                ValueType::Sequence(item) | ValueType::Optional(item) => ty = item,
                ValueType::State(_) => return None,
            }
        }
    }

    fn bodies(&self, node: &Node, place: &str) -> Result<(), VerifyError> {
        for (name, body) in node.attrs.bodies() {
            let (declared, given) = (body.graph.captures.len(), body.captures.len());
            if declared != given {
                let message = format!("body `{name}` captures {declared} values, is given {given}");
                return Err(self.error(6, place, message));
            }
            verify(&body.graph, self.ops)?;
        }
        Ok(())
    }
}

fn count(
    what: &str,
    spec: &[(&str, Presence)],
    got: usize,
    there: impl Fn(usize) -> bool,
) -> Result<(), String> {
    let variadic = spec.last().is_some_and(|(_, presence)| *presence == Presence::Variadic);
    if got > spec.len() && !variadic {
        return Err(format!("expected at most {} {what}, got {got}", spec.len()));
    }
    let absent =
        (0..spec.len()).find(|&at| spec[at].1 == Presence::Required && !(at < got && there(at)));
    absent.map_or(Ok(()), |at| {
        Err(format!("{} `{}` is missing", what.trim_end_matches('s'), spec[at].0))
    })
}

fn attributes(node: &Node, def: &OpDef) -> Result<(), String> {
    for (name, attr) in &node.attrs.0 {
        let Some(spec) = def.attrs.iter().find(|spec| spec.name == name) else {
            let near = nearest(name, def.attrs.iter().map(|spec| spec.name));
            let hint = near.map_or(String::new(), |near| format!(", did you mean `{near}`?"));
            return Err(format!("unknown attribute `{name}`{hint}"));
        };
        if !spec.kind.fits(attr) {
            return Err(format!("attribute `{name}` expected {}, got {}", spec.kind, attr.kind()));
        }
    }
    let missing =
        def.attrs.iter().find(|spec| spec.required && !node.attrs.0.contains_key(spec.name));
    missing.map_or(Ok(()), |spec| Err(format!("attribute `{}` is missing", spec.name)))
}
