//! Functions: operators that a model defines by nodes. Their calls are replaced by those nodes.

use remuda_base::{Map, Set};
use remuda_ir::{Attr, Attrs, Def, OpName, ValueId};
use remuda_ops::find;

use super::scope::Frame;
use super::{Builder, opset_map, plain_domain};
use crate::attributes::{plain, weight};
use crate::error::{At, ImportError, Result};
use crate::order;
use crate::proto::{FunctionProto, NodeProto};

impl<'a> Builder<'a> {
    /// The function that a node calls.
    ///
    /// Files carry functions of foreign domains (`com.microsoft`) as a fallback for runtimes that
    /// lack the operator: there a known operator is preferred. Nobody needs to define an operator of
    /// ONNX's own domains, unless to change its meaning or because it is newer than the runtime:
    /// there the function is what the model means.
    pub(super) fn function_of(&self, op: &OpName, overload: &str) -> Option<&'a FunctionProto<'a>> {
        let function = self.functions.get(&(&*op.domain, &*op.name, overload)).copied()?;
        let standard = op.domain.is_empty() || op.domain.starts_with("ai.onnx");
        (standard || find(&op.domain, &op.name).is_none()).then_some(function)
    }

    /// Puts the nodes of a function in the place of a node that calls it.
    pub(super) fn inline(
        &mut self,
        function: &'a FunctionProto<'a>,
        proto: &'a NodeProto<'a>,
        inputs: &[Option<ValueId>],
        attrs: Attrs,
    ) -> Result<()> {
        let label = format!("function `{}::{}`", function.domain, function.name);
        let key = (plain_domain(function.domain), function.name, function.overload);
        if self.calls.contains(&key) {
            return Err(ImportError::invalid("it calls itself").at(label));
        }
        let frame = self.call_frame(function, proto, inputs, attrs).at(|| label.clone())?;
        self.push_frame(frame)?;
        self.calls.push(key);
        self.body_of(function).at(|| label.clone())?;
        self.calls.pop();
        let frame = self.frames.pop().ok_or_else(super::no_level)?;
        self.bind_results(function, proto, inputs, &frame).at(|| label)
    }

    fn body_of(&mut self, function: &'a FunctionProto<'a>) -> Result<()> {
        for at in order::sorted(&function.nodes)? {
            if let Some(node) = function.nodes.get(at) {
                self.node(node).at(|| node.label())?;
            }
        }
        Ok(())
    }

    /// The names and attributes that the nodes of a function see in one call.
    fn call_frame(
        &mut self,
        function: &'a FunctionProto<'a>,
        proto: &NodeProto<'_>,
        inputs: &[Option<ValueId>],
        attrs: Attrs,
    ) -> Result<Frame<'a>> {
        let (most, got) = (function.inputs.len(), inputs.len());
        if got > most {
            return Err(ImportError::invalid(format!("expected at most {most} inputs, got {got}")));
        }
        let mut frame = Frame::of_graph(
            self.levels.len().saturating_sub(1),
            opset_map(&function.opsets, i64::MAX)?,
        );
        for (at, &name) in function.inputs.iter().enumerate() {
            if frame.names.insert(name, inputs.get(at).copied().flatten()).is_some() {
                return Err(ImportError::invalid(format!("input `{name}` is there twice")));
            }
        }
        frame.call = Some(self.call_attributes(function, attrs)?);
        let outer = &self.frame()?.prefix;
        let name = if proto.name.is_empty() { proto.op_type } else { proto.name };
        frame.prefix = format!("{outer}{name}/");
        Ok(frame)
    }

    fn call_attributes(
        &self,
        function: &FunctionProto<'_>,
        attrs: Attrs,
    ) -> Result<Map<String, Attr>> {
        let known = |name: &str| {
            function.attributes.contains(&name)
                || function.defaults.iter().any(|default| default.name == name)
        };
        if let Some(name) = attrs.0.keys().find(|name| !known(name)) {
            return Err(ImportError::invalid(format!("it has no attribute `{name}`")));
        }
        let mut values = attrs.0;
        for default in &function.defaults {
            if values.contains_key(default.name) {
                continue;
            }
            let place = || format!("attribute `{}`", default.name);
            let value = plain(&default.value, &self.loader).at(place)?.ok_or_else(|| {
                ImportError::unsupported("a graph as default of an attribute").at(place())
            })?;
            values.insert(default.name.to_owned(), value);
        }
        Ok(values)
    }

    /// The attribute of the innermost call of a function; `None` if the call leaves it out.
    pub(super) fn referred(&mut self, name: &str) -> Result<Option<Attr>> {
        let call =
            self.frames.iter().rev().find_map(|frame| Some((frame.call.as_ref()?, frame.level)));
        let Some((attrs, level)) = call else {
            return Err(ImportError::invalid(format!(
                "it refers to attribute `{name}` of a function, but is in none"
            )));
        };
        let Some(attr) = attrs.get(name) else { return Ok(None) };
        self.budget.charge(weight(attr))?;
        let mut attr = attr.clone();
        if let Attr::Graph(body) = &mut attr {
            for outer in &mut body.captures {
                *outer = self.capture(*outer, level)?;
            }
        }
        Ok(Some(attr))
    }

    /// Lets the outputs of the call mean what the function made.
    fn bind_results(
        &mut self,
        function: &FunctionProto<'_>,
        proto: &'a NodeProto<'a>,
        inputs: &[Option<ValueId>],
        inner: &Frame<'_>,
    ) -> Result<()> {
        let (most, got) = (function.outputs.len(), proto.outputs.len());
        if got > most {
            return Err(ImportError::invalid(format!(
                "expected at most {most} outputs, got {got}"
            )));
        }
        let mut taken: Set<ValueId> = inputs.iter().flatten().copied().collect();
        for (&outer, name) in proto.outputs.iter().zip(&function.outputs) {
            if outer.is_empty() {
                continue;
            }
            let made = inner.names.get(name).copied().flatten();
            let id = made.ok_or_else(|| {
                ImportError::invalid(format!("nothing makes its output `{name}`"))
            })?;
            self.bind(outer, id)?;
            let full = format!("{}{outer}", self.frame()?.prefix);
            let graph = self.graph()?;
            if taken.insert(id) && matches!(graph.value(id).def, Def::Node(..) | Def::Const(_)) {
                graph.rename(id, &full);
            }
        }
        Ok(())
    }
}
