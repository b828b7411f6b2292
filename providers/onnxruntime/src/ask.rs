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
        known_to_fit(node, device.writing.onnx)?;
        differs::check(graph, node)?;
        let writing = Settings { probe: true, ..device.writing };
        let model = lower(&Cut::of_node(graph, node), writing).map_err(|(_, refusal)| refusal)?;
        let key = key(index, &model);
        if let Some(answer) = self.lock().get(&key) {
            return answer.clone();
        }
        let answer =
            session(library, device, &model, true).map(drop).map_err(|e| refusal(device, &e));
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

/// Whether the library's newest opset still says the same of the operator as the newest of all.
fn known_to_fit(node: &Node, opset: u32) -> Result<(), Refusal> {
    let op = &node.op;
    if op.domain.is_empty()
        && let Some(def) = remuda_ops::find("", &op.name)
    {
        let newest = def.upgrades.last().map_or(def.since, |upgrade| upgrade.below.max(def.since));
        if newest > opset {
            let text = format!("`{op}` is that of opset {newest}, the library knows {opset}");
            return Err(refuse("op-unsupported", text));
        }
        if !def.traits.pure {
            let text = format!("`{op}` draws random numbers, which are the CPU's everywhere");
            return Err(refuse("op-unsupported", text));
        }
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
