//! A region becomes an ONNX model in memory.
//!
//! The graph's operators are ONNX's own, so a node is written as it is; what the runtime fused into
//! operators of its own is taken apart again ([`fused`], [`linear`]), for ONNX Runtime fuses better for
//! its own kernels. Large constants are left out and handed over by reference. Values are numbered in
//! the order in which they are met, so that equal nodes make equal models.

use std::ffi::CString;

use remuda_base::Map;
use remuda_sdk::ir::{Def, Graph, Node, ValueId, ValueType};
use remuda_sdk::tensor::{DType, Dim, Tensor, TensorType};

use crate::api::{Port, Weight, is_known};
use crate::proto::{self, Message};

mod attributes;
mod fused;
mod linear;

/// Constants of more bytes are handed over by reference.
const LARGEST_INLINE: usize = 1024;

/// How models are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The newest opset of ONNX's own domain that the library takes.
    pub(crate) onnx: u32,
    /// The newest of `ai.onnx.ml`.
    pub(crate) ml: u32,
    /// Whether weights in blocks without a counterpart are written out as floats.
    pub(crate) dequantize: bool,
    /// Whether the model only answers whether it can be run: weights that would have to be converted
    /// are then zeros.
    pub(crate) probe: bool,
}

/// Why a node cannot be handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) text: String,
}

pub(crate) fn refuse(code: &'static str, text: impl Into<String>) -> Refusal {
    Refusal { code, text: text.into() }
}

/// A model and what goes with it.
#[derive(Debug)]
pub(crate) struct Lowered {
    pub(crate) model: Vec<u8>,
    pub(crate) inputs: Vec<Port>,
    pub(crate) outputs: Vec<Port>,
    pub(crate) weights: Vec<Weight>,
}

/// What becomes a model: nodes of a graph, and which values come in and go out.
#[derive(Debug)]
pub(crate) struct Cut<'g> {
    pub(crate) graph: &'g Graph,
    pub(crate) nodes: Vec<&'g Node>,
    pub(crate) inputs: Vec<ValueId>,
    pub(crate) outputs: Vec<ValueId>,
}

impl<'g> Cut<'g> {
    /// A whole graph.
    pub(crate) fn whole(graph: &'g Graph) -> Self {
        Self {
            graph,
            nodes: graph.nodes().map(|(_, node)| node).collect(),
            inputs: graph.inputs.clone(),
            outputs: graph.outputs.clone(),
        }
    }

    /// One node of a graph.
    pub(crate) fn of_node(graph: &'g Graph, node: &'g Node) -> Self {
        let mut inputs = Vec::new();
        for used in node.uses() {
            let given = !matches!(graph.value(used).def, Def::Const(_) | Def::State);
            if given && !inputs.contains(&used) {
                inputs.push(used);
            }
        }
        let outputs = node.outputs.iter().flatten().copied().collect();
        Self { graph, nodes: vec![node], inputs, outputs }
    }
}

/// Writes a model. An error names the node by its place in the cut, if it is about one.
pub(crate) fn lower(
    cut: &Cut<'_>,
    settings: Settings,
) -> Result<Lowered, (Option<usize>, Refusal)> {
    let mut scope = Scope::new(cut.graph, String::new(), settings);
    let port = |scope: &mut Scope<'_>, &id: &ValueId| scope.port(id).map_err(|why| (None, why));
    let inputs = cut.inputs.iter().map(|id| port(&mut scope, id)).collect::<Result<Vec<_>, _>>()?;
    let by_reference = inputs.iter().all(|port| port.dims.is_some());
    scope.weights = by_reference.then(Vec::new);
    for (at, node) in cut.nodes.iter().enumerate() {
        scope.label = format!("n{at}");
        scope.node(node).map_err(|why| (Some(at), why))?;
    }
    let mut outputs = Vec::new();
    for &id in &cut.outputs {
        let mut port = scope.port(id).map_err(|why| (None, why))?;
        let name = scope.output_name(id, &cut.inputs);
        port.name = c_name(&name);
        port.dims = None;
        outputs.push(port);
    }
    let mut graph = scope.message;
    graph.text(2, "region");
    inputs.iter().for_each(|port| graph.message(11, &proto::port(port)));
    let weights = scope.weights.unwrap_or_default();
    for weight in &weights {
        let dims = weight.tensor.dims().iter().map(|&dim| dim.into());
        let ty = TensorType::new(weight.tensor.dtype(), dims);
        graph.message(11, &proto::port(&tensor_port(weight.name.clone(), &ty)));
    }
    outputs.iter().for_each(|port| graph.message(12, &proto::port(port)));
    let versions = [
        ("", i64::from(settings.onnx)),
        ("ai.onnx.ml", i64::from(settings.ml)),
        ("com.microsoft", 1),
    ];
    Ok(Lowered { model: proto::model(&graph, &versions), inputs, outputs, weights })
}

/// A name of ours as a C text; none of them holds a zero.
fn c_name(name: &str) -> CString {
    CString::new(name).unwrap_or_default()
}

fn tensor_port(name: CString, ty: &TensorType) -> Port {
    let dim = |dim: &Dim| match dim {
        Dim::Known(number) => Ok(*number),
        Dim::Unknown => Err(CString::default()),
        // A symbol whose name C cannot hold loses its name.
        Dim::Expr(_) => Err(CString::new(dim.to_string()).unwrap_or_default()),
    };
    let dims = ty.dims.as_ref().map(|dims| dims.iter().map(dim).collect());
    Port { name, dtype: ty.dtype, dims }
}

/// A graph or body on its way into a message.
struct Scope<'g> {
    graph: &'g Graph,
    /// In front of the names of this body's values.
    prefix: String,
    settings: Settings,
    names: Map<ValueId, String>,
    /// How many names have been given.
    given: usize,
    message: Message,
    /// Where large constants go; none where they must be written into the model.
    weights: Option<Vec<Weight>>,
    /// The name of the node at work.
    label: String,
    taken: Vec<String>,
}

impl<'g> Scope<'g> {
    fn new(graph: &'g Graph, prefix: String, settings: Settings) -> Self {
        Self {
            graph,
            prefix,
            settings,
            names: Map::new(),
            given: 0,
            message: Message::default(),
            weights: None,
            label: String::new(),
            taken: Vec::new(),
        }
    }

    /// A name that no value has.
    fn fresh(&mut self) -> String {
        self.given += 1;
        format!("{}v{}", self.prefix, self.given - 1)
    }

    /// The name of a value; constants are written when they are first met.
    fn name(&mut self, id: ValueId) -> Result<String, Refusal> {
        if let Some(name) = self.names.get(&id) {
            return Ok(name.clone());
        }
        let name = self.fresh();
        self.names.insert(id, name.clone());
        if let Some(tensor) = self.graph.value(id).constant() {
            let tensor = tensor.clone();
            self.constant(&name, tensor)?;
        }
        Ok(name)
    }

    /// Writes a constant, or sets it aside.
    fn constant(&mut self, name: &str, tensor: Tensor) -> Result<(), Refusal> {
        if !is_known(tensor.dtype()) {
            let text = format!("it does not know constants of `{}`", tensor.dtype().name());
            return Err(refuse("dtype", text));
        }
        let plain = tensor.bytes().is_some() && tensor.byte_len() > LARGEST_INLINE;
        match &mut self.weights {
            Some(weights) if plain => weights.push(Weight { name: c_name(name), tensor }),
            _ => self.message.message(5, &proto::tensor(name, &tensor)),
        }
        Ok(())
    }

    /// A constant that the region does not have as it is.
    fn made(
        &mut self,
        dtype: DType,
        dims: Vec<usize>,
        make: impl FnOnce() -> Result<Tensor, String>,
    ) -> Result<String, Refusal> {
        let tensor = if self.settings.probe {
            Tensor::zeros(dtype, dims).map_err(|error| error.to_string())
        } else {
            make()
        };
        let tensor = tensor.map_err(|text| refuse("memory", text))?;
        let name = self.fresh();
        self.constant(&name, tensor)?;
        Ok(name)
    }

    fn tensor_type(&self, id: ValueId) -> Option<&TensorType> {
        self.graph.value(id).ty.as_ref()?.as_tensor()
    }

    /// What a value's elements are.
    fn dtype(&self, id: ValueId) -> Option<DType> {
        Some(self.tensor_type(id)?.dtype)
    }

    /// How many dimensions a value has.
    fn rank(&self, id: ValueId) -> Option<usize> {
        Some(self.tensor_type(id)?.dims.as_ref()?.len())
    }

    /// A value as an input or output of the model.
    fn port(&mut self, id: ValueId) -> Result<Port, Refusal> {
        let value = self.graph.value(id);
        match &value.ty {
            Some(ValueType::Tensor(ty)) if is_known(ty.dtype) => {
                let name = c_name(&self.name(id)?);
                Ok(tensor_port(name, ty))
            }
            Some(ValueType::Tensor(ty)) => {
                Err(refuse("dtype", format!("it does not take tensors of `{}`", ty.dtype.name())))
            }
            Some(ty) => Err(refuse("dtype", format!("only tensors are handed over, not `{ty}`"))),
            None => Err(refuse("dtype", format!("the type of `{}` is not known", value.name))),
        }
    }

    /// The name under which a value goes out: an output is made by a node, and is one output only.
    fn output_name(&mut self, id: ValueId, inputs: &[ValueId]) -> String {
        let made = matches!(self.graph.value(id).def, Def::Node(..)) && !inputs.contains(&id);
        let name = self.names.get(&id).cloned().unwrap_or_default();
        if made && !self.taken.contains(&name) {
            self.taken.push(name.clone());
            return name;
        }
        let other = self.fresh();
        self.emit(("", "Identity"), &[name], std::slice::from_ref(&other), &[]);
        other
    }

    /// Writes a node of the graph.
    fn node(&mut self, node: &'g Node) -> Result<(), Refusal> {
        if &*node.op.domain == "remuda" {
            return match &*node.op.name {
                "FusedConv" => fused::conv(self, node),
                "FusedLinear" => fused::linear(self, node),
                "Linear" => linear::lower(self, node),
                _ => Err(refuse("op-unsupported", format!("it has nothing like `{}`", node.op))),
            };
        }
        if node.op.is_onnx("Swish") {
            return fused::swish(self, node);
        }
        let inputs = self.inputs(node)?;
        let outputs = self.outputs(node)?;
        let mut attrs = self.attributes(&node.attrs)?;
        if node.op.is_onnx("Split") && inputs.len() < 2 && !node.attrs.0.contains_key("num_outputs")
        {
            // Equal parts, which newer opsets want counted.
            let count = i64::try_from(outputs.len()).unwrap_or(i64::MAX);
            attrs.push(attributes::int_attr("num_outputs", count));
        }
        self.emit((&node.op.domain, &node.op.name), &inputs, &outputs, &attrs);
        Ok(())
    }

    /// The names of a node's inputs; empty for those left out.
    fn inputs(&mut self, node: &Node) -> Result<Vec<String>, Refusal> {
        node.inputs
            .iter()
            .map(|input| input.map_or(Ok(String::new()), |id| self.name(id)))
            .collect()
    }

    /// The names of a node's outputs; empty for those that nobody wants.
    fn outputs(&mut self, node: &Node) -> Result<Vec<String>, Refusal> {
        let name = |output: &Option<ValueId>| output.map_or(Ok(String::new()), |id| self.name(id));
        node.outputs.iter().map(name).collect()
    }

    /// Writes a node.
    fn emit(
        &mut self,
        (domain, op): (&str, &str),
        inputs: &[String],
        outputs: &[String],
        attrs: &[Message],
    ) {
        let mut node = Message::default();
        inputs.iter().for_each(|name| node.text(1, name));
        outputs.iter().for_each(|name| node.text(2, name));
        // Names of nodes are unique, and begin with the place of the node that they are made of.
        self.given += 1;
        node.text(3, &format!("{}.{}{}", self.label, self.prefix, self.given));
        node.text(4, op);
        attrs.iter().for_each(|attr| node.message(5, attr));
        node.text(7, domain);
        self.message.message(1, &node);
    }

    /// Writes a node with one output, and returns that.
    fn step(&mut self, op: &str, inputs: &[String], attrs: &[Message]) -> String {
        let output = self.fresh();
        self.emit(("", op), inputs, std::slice::from_ref(&output), attrs);
        output
    }
}
