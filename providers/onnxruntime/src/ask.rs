//! Whether a device takes a node: asked of the library, with a model of that node alone.
//!
//! No table of operators could say it: it depends on the build, the version, the types and the
//! attributes. A session that can be made is a yes; otherwise the library's own words are the reason.
//! Equal nodes are asked once. What runs and differs from the operator's definition is listed in
//! [`differs`], with what differs.

use std::sync::{Mutex, PoisonError};

use remuda_base::Map;
use remuda_sdk::ir::{Graph, Node};
use remuda_sdk::{Cost, Support};

use crate::api::OrtError;
use crate::device::{OrtDevice, session};
use crate::find::Library;
use crate::lower::{Cut, Lowered, Refusal, Settings, lower, refuse};

mod differs;

/// The answers so far.
#[derive(Debug, Default)]
pub(crate) struct Answers(Mutex<Map<Vec<u8>, Result<(), Refusal>>>);

impl Answers {
    /// Whether a device takes a node.
    pub(crate) fn ask(
        &self,
        library: &'static Library,
        (index, device): (u32, &OrtDevice),
        graph: &Graph,
        node: &Node,
    ) -> Support {
        match self.decide(library, (index, device), graph, node) {
            Ok(()) => Support::Yes(Cost::default()),
            Err(Refusal { code, text }) => Support::No { code, text },
        }
    }

    fn decide(
        &self,
        library: &'static Library,
        (index, device): (u32, &OrtDevice),
        graph: &Graph,
        node: &Node,
    ) -> Result<(), Refusal> {
        check_definition(node, device.writing.onnx)?;
        differs::check(graph, node)?;
        let cut = Cut::of_node(graph, node);
        let mut said = Ok(());
        for onnx in opsets(&cut, device.writing.onnx) {
            let writing = Settings { probe: true, onnx, ..device.writing };
            let model = lower(&cut, writing).map_err(|(_, refusal)| refusal)?;
            let answer = self.of_model(library, (index, device), &model);
            if answer.is_ok() {
                return answer;
            }
            said = said.and(answer);
        }
        said
    }

    /// Whether a model becomes a session; equal ones are tried once.
    fn of_model(
        &self,
        library: &'static Library,
        (index, device): (u32, &OrtDevice),
        model: &Lowered,
    ) -> Result<(), Refusal> {
        let key = key(index, model);
        if let Some(answer) = self.lock().get(&key) {
            return answer.clone();
        }
        let made = session(library, device, model, true).map(drop);
        let answer = made.map_err(|error| refusal(device, &error));
        self.lock().insert(key, answer.clone());
        answer
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Map<Vec<u8>, Result<(), Refusal>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The node and its types: the model itself. Weights beside it have their types in it.
fn key(index: u32, model: &Lowered) -> Vec<u8> {
    [&index.to_le_bytes(), &model.model[..]].concat()
}

/// The opsets that a model of these nodes may be written in, the best first. The library fuses best what
/// older opsets say, and knows some types in newer ones only.
pub(crate) fn opsets(cut: &Cut<'_>, newest: u32) -> Vec<u32> {
    /// What most exporters write.
    const USUAL: [u32; 2] = [18, 21];
    let least = cut.nodes.iter().map(|node| needed(node)).max().unwrap_or(0);
    let mut opsets: Vec<u32> =
        USUAL.iter().map(|&usual| usual.max(least).min(newest)).chain([newest]).collect();
    opsets.dedup();
    opsets
}

/// The oldest opset that says the same of a node's operator as the newest of all.
fn needed(node: &Node) -> u32 {
    let bodies = node.attrs.bodies().flat_map(|(_, body)| body.graph.nodes());
    let inner = bodies.map(|(_, node)| needed(node)).max().unwrap_or(0);
    // `Swish` is written as its parts.
    let own = if node.op.domain.is_empty() && &*node.op.name != "Swish" {
        remuda_ops::find("", &node.op.name).map_or(0, |def| {
            def.upgrades.last().map_or(def.since, |upgrade| upgrade.below.max(def.since))
        })
    } else {
        0
    };
    own.max(inner)
}

/// Whether the library's newest opset says the same of the operator, and the operator always does the
/// same.
fn check_definition(node: &Node, newest: u32) -> Result<(), Refusal> {
    let (op, needed) = (&node.op, needed(node));
    if needed > newest {
        let text = format!("`{op}` is that of opset {needed}, the library knows {newest}");
        return Err(refuse("op-unsupported", text));
    }
    let random = remuda_ops::find(&op.domain, &op.name).is_some_and(|def| !def.traits.pure);
    if random && op.domain.is_empty() {
        let text = format!("`{op}` draws random numbers, which are the CPU's everywhere");
        return Err(refuse("op-unsupported", text));
    }
    Ok(())
}

fn refusal(device: &OrtDevice, error: &OrtError) -> Refusal {
    let mut text = error.sentence();
    if text.contains("fallback to CPU EP") {
        text = format!("the {} does not take it", device.name);
    }
    let types = ["Type '", "Type Error", "type inference", "elem type", "tensor("];
    let code =
        if types.iter().any(|sign| text.contains(sign)) { "dtype" } else { "op-unsupported" };
    refuse(code, text)
}
