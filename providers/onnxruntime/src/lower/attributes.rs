//! Attributes, and the bodies of control flow among them.

use remuda_sdk::ir::{Attr, Attrs, Body};

use super::{Refusal, Scope, refuse};
use crate::api::is_known;
use crate::proto::{self, Message};

impl Scope<'_> {
    /// Attributes as messages.
    pub(super) fn attributes(&mut self, attrs: &Attrs) -> Result<Vec<Message>, Refusal> {
        attrs.0.iter().map(|(name, attr)| self.attribute(name, attr)).collect()
    }

    fn attribute(&mut self, name: &str, attr: &Attr) -> Result<Message, Refusal> {
        let mut message = Message::default();
        message.text(1, name);
        let kind = match attr {
            Attr::Float(value) => {
                message.float(2, *value);
                1
            }
            Attr::Int(value) => {
                message.int(3, *value);
                2
            }
            Attr::Text(value) => {
                message.text(4, value);
                3
            }
            Attr::Tensor(value) if is_known(value.dtype()) => {
                message.message(5, &proto::tensor("", value));
                4
            }
            Attr::Tensor(value) => {
                let text = format!("attribute `{name}` is of `{}`", value.dtype().name());
                return Err(refuse("dtype", text));
            }
            Attr::Graph(body) => {
                message.message(6, &self.body(name, body)?);
                5
            }
            Attr::Floats(values) => {
                values.iter().for_each(|&value| message.float(7, value));
                6
            }
            Attr::Ints(values) => {
                values.iter().for_each(|&value| message.int(8, value));
                7
            }
            Attr::Texts(values) => {
                values.iter().for_each(|value| message.text(9, value));
                8
            }
            Attr::Type(ty) => {
                let Some(ty) = proto::type_proto(ty) else {
                    return Err(refuse("attribute", format!("attribute `{name}` is a state")));
                };
                message.message(14, &ty);
                13
            }
        };
        message.int(20, kind);
        Ok(message)
    }

    /// A body as a message. Its values get names that nothing around it has.
    fn body(&mut self, name: &str, body: &Body) -> Result<Message, Refusal> {
        let prefix = format!("{}{name}{}_", self.prefix, self.given);
        self.given += 1;
        let graph = &body.graph;
        let mut scope = Scope::new(graph, prefix, self.settings);
        scope.label.clone_from(&self.label);
        for (&inner, &outer) in graph.captures.iter().zip(&body.captures) {
            let outer = self.name(outer)?;
            scope.names.insert(inner, outer);
        }
        let mut ends = Vec::new();
        for &input in &graph.inputs {
            let name = scope.name(input)?;
            ends.push((11, proto::value_info(&name, graph.value(input).ty.as_ref())));
        }
        for (_, node) in graph.nodes() {
            scope.node(node)?;
        }
        for &output in &graph.outputs {
            scope.name(output)?;
            let name = scope.output_name(output, &graph.inputs);
            ends.push((12, proto::value_info(&name, graph.value(output).ty.as_ref())));
        }
        let mut message = scope.message;
        message.text(2, name);
        ends.iter().for_each(|(field, end)| message.message(*field, end));
        Ok(message)
    }
}

/// A float attribute.
pub(super) fn float_attr(name: &str, value: f32) -> Message {
    let mut message = Message::default();
    message.text(1, name);
    message.float(2, value);
    message.int(20, 1);
    message
}

/// A whole-number attribute.
pub(super) fn int_attr(name: &str, value: i64) -> Message {
    let mut message = Message::default();
    message.text(1, name);
    message.int(3, value);
    message.int(20, 2);
    message
}

/// A text attribute.
pub(super) fn text_attr(name: &str, value: &str) -> Message {
    let mut message = Message::default();
    message.text(1, name);
    message.text(4, value);
    message.int(20, 3);
    message
}
