//! One node: its attributes, its bodies, its upgrade and the types of its outputs.

use remuda_ir::{Attr, Attrs, Draft, Node, OpName, ValueId};
use remuda_ops::Ops;
use remuda_tensor::Tensor;

use super::{Builder, plain_domain};
use crate::attributes::{NODE_BYTES, plain};
use crate::error::{At, ImportError, Result};
use crate::proto::{AttributeValue, NodeProto};
use crate::types::value_type;
use crate::upgrade::upgrade;

impl<'a> Builder<'a> {
    pub(super) fn node(&mut self, proto: &'a NodeProto<'a>) -> Result<()> {
        self.charge_node(proto)?;
        let op = OpName::new(plain_domain(proto.domain), proto.op_type);
        let mut inputs =
            proto.inputs.iter().map(|name| self.resolve(name)).collect::<Result<Vec<_>>>()?;
        let attrs = self.attributes(proto)?;
        if let Some(function) = self.function_of(&op, proto.overload) {
            return self.inline(function, proto, &inputs, attrs);
        }
        if op.is_onnx("Constant") {
            return self.constant(proto, &attrs);
        }
        while inputs.last() == Some(&None) {
            inputs.pop();
        }
        let opset = self.opset(&op.domain)?;
        let outputs = self.declare_outputs(proto)?;
        let mut node = Node::new(op, inputs, outputs);
        let prefix = &self.frame()?.prefix;
        let is_nameless = proto.name.is_empty() && !prefix.is_empty();
        node.name = format!("{prefix}{}", if is_nameless { proto.op_type } else { proto.name });
        node.attrs = attrs;
        self.place(node, opset)?;
        self.adopt_declared(proto)
    }

    /// Nodes of functions are made anew for each call, under longer names.
    fn charge_node(&mut self, proto: &NodeProto<'_>) -> Result<()> {
        let names = [proto.name].into_iter().chain(proto.outputs.iter().copied());
        let prefix = self.frame()?.prefix.len();
        let bytes = names
            .fold(NODE_BYTES, |sum, name| sum.saturating_add(prefix).saturating_add(name.len()));
        self.budget.charge(bytes)
    }

    /// The operator set of a domain where the innermost nodes are written.
    fn opset(&mut self, domain: &str) -> Result<u32> {
        let own = self.frame()?.opsets.get(domain).copied();
        let found = own.or_else(|| self.opsets.get(domain).copied());
        match found {
            Some(opset) => Ok(opset),
            None if domain.is_empty() => {
                Err(ImportError::invalid("the model imports no operator set of `ai.onnx`"))
            }
            None => Ok(1),
        }
    }

    /// Values for the outputs of a node; nothing makes them yet.
    fn declare_outputs(&mut self, proto: &'a NodeProto<'a>) -> Result<Vec<Option<ValueId>>> {
        let mut outputs = Vec::with_capacity(proto.outputs.len());
        for &name in &proto.outputs {
            if name.is_empty() {
                outputs.push(None);
                continue;
            }
            let full = format!("{}{name}", self.frame()?.prefix);
            let id = self.graph()?.add_pending(&full);
            self.bind(name, id)?;
            outputs.push(Some(id));
        }
        Ok(outputs)
    }

    /// Upgrades a node, puts it and what it became into the graph, and types what they make.
    fn place(&mut self, node: Node, opset: u32) -> Result<()> {
        let level = self.level()?;
        let written = node.op.clone();
        let mut draft = Draft { graph: &mut level.graph, node, opset, after: Vec::new() };
        upgrade(&mut draft)?;
        let Draft { node, after, .. } = draft;
        level.graph.push(node);
        for node in after {
            level.graph.push(node);
        }
        while let Some(&id) = level.graph.order().get(level.typed) {
            let op = level.graph.node(id).map_or_else(|| written.clone(), |node| node.op.clone());
            let typed = level.inference.step(&mut level.graph, id, &Ops);
            typed.map_err(|error| {
                let error = ImportError::from(error);
                if op == written { error } else { error.at(format!("as {op}")) }
            })?;
            level.typed = level.typed.saturating_add(1);
        }
        Ok(())
    }

    /// Outputs whose types nobody could infer have the declared ones.
    fn adopt_declared(&mut self, proto: &'a NodeProto<'a>) -> Result<()> {
        for &name in proto.outputs.iter().filter(|name| !name.is_empty()) {
            let frame = self.frame()?;
            let id = frame.names.get(name).copied().flatten();
            let (Some(id), Some(&message)) = (id, frame.declared.get(name)) else { continue };
            if self.graph()?.value(id).ty.is_none()
                && let Some(ty) = value_type(message).at(|| format!("value `{name}`"))?
            {
                self.graph()?.set_type(id, ty);
            }
        }
        Ok(())
    }

    fn attributes(&mut self, proto: &'a NodeProto<'a>) -> Result<Attrs> {
        let mut attrs = Attrs::default();
        for attribute in &proto.attributes {
            let name = attribute.name;
            let place = || format!("attribute `{name}`");
            let value = match &attribute.value {
                AttributeValue::Graph(graph) => {
                    Some(Attr::Graph(Box::new(self.body(graph).at(place)?)))
                }
                AttributeValue::Reference(wanted) => self.referred(wanted).at(place)?,
                other => plain(other, &self.loader).at(place)?,
            };
            let Some(value) = value else { continue };
            if attrs.0.insert(name.to_owned(), value).is_some() {
                return Err(ImportError::invalid("it is there twice").at(place()));
            }
        }
        Ok(attrs)
    }

    /// A `Constant` node is a constant value.
    fn constant(&mut self, proto: &'a NodeProto<'a>, attrs: &Attrs) -> Result<()> {
        let [name] = proto.outputs[..] else {
            let count = proto.outputs.len();
            return Err(ImportError::invalid(format!("expected one output, got {count}")));
        };
        let mut given = attrs.0.iter();
        let (Some(attr), None) = (given.next(), given.next()) else {
            let count = attrs.0.len();
            return Err(ImportError::invalid(format!("expected one attribute, got {count}")));
        };
        let tensor = match attr {
            (_, Attr::Tensor(tensor)) => tensor.clone(),
            (_, Attr::Int(value)) => Tensor::scalar(*value),
            (_, Attr::Float(value)) => Tensor::scalar(*value),
            (_, Attr::Ints(values)) => Tensor::vector(values.clone()),
            (_, Attr::Floats(values)) => Tensor::vector(values.clone()),
            (_, Attr::Text(text)) => Tensor::from_strings(Vec::new(), vec![text.clone()])?,
            (_, Attr::Texts(texts)) => Tensor::from_strings(vec![texts.len()], texts.clone())?,
            (name, Attr::Graph(_) | Attr::Type(_)) => {
                return Err(ImportError::invalid("expected a tensor, number or text")
                    .at(format!("attribute `{name}`")));
            }
        };
        let full = format!("{}{name}", self.frame()?.prefix);
        let id = self.graph()?.add_const(&full, tensor);
        self.bind(name, id)
    }
}
