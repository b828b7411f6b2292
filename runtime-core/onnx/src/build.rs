//! Graphs from the structure of a file.
//!
//! Nodes are taken in an order in which every name is made before it is used; each is brought to the
//! newest operator set and its outputs are typed before the next one comes, so that upgrade rules
//! can ask for types. Names are looked up from the innermost graph outwards: a body may use names of
//! the graphs around it (it then *captures* them), a function may not. Within one graph a name means
//! one value, wherever its maker stands. Calls of functions are replaced by the function's nodes.

mod function;
mod node;
mod scope;

use std::rc::Rc;
use std::sync::Arc;

use remuda_base::{Map, Set};
use remuda_ir::{Attrs, Body, Graph, Node, OpName, ValueId, ValueType};
use remuda_tensor::{Memory, Tensor};

use crate::ImportOptions;
use crate::error::{At, ImportError, Result};
use crate::order;
use crate::proto::{FunctionProto, GraphProto, ModelProto};
use crate::tensor::Loader;
use crate::types::value_type;
use crate::wire::Budget;
use scope::{Frame, Level};

/// Operator set versions by domain; ONNX's own is the empty text.
pub(crate) type Opsets = Rc<Map<String, u32>>;

/// `ai.onnx` is another name of the empty domain.
pub(crate) fn plain_domain(domain: &str) -> &str {
    if domain == "ai.onnx" { "" } else { domain }
}

/// The operator sets that a model or function imports.
pub(crate) fn opset_map(opsets: &[(&str, i64)], ir_version: i64) -> Result<Opsets> {
    let mut map = Map::new();
    for &(domain, version) in opsets {
        let version =
            u32::try_from(version).ok().filter(|&version| version > 0).ok_or_else(|| {
                ImportError::invalid(format!(
                    "operator set {version} of domain `{domain}` is no version"
                ))
            })?;
        map.insert(plain_domain(domain).to_owned(), version);
    }
    // Files of the first two format versions had no operator sets.
    if ir_version < 3 {
        map.entry(String::new()).or_insert(1);
    }
    Ok(Rc::new(map))
}

/// What identifies a function: domain, name, overload.
type FunctionKey<'a> = (&'a str, &'a str, &'a str);

/// Builds the graph of one model.
pub(crate) struct Builder<'a> {
    options: &'a ImportOptions,
    budget: &'a Budget,
    loader: Loader<'a>,
    functions: Map<FunctionKey<'a>, &'a FunctionProto<'a>>,
    opsets: Opsets,
    /// The graphs that are being built, from the model's to the innermost body.
    levels: Vec<Level>,
    /// Where names are looked up, from the model's graph to the innermost body or function.
    frames: Vec<Frame<'a>>,
    /// The functions that are being inlined.
    calls: Vec<FunctionKey<'a>>,
    warnings: Vec<String>,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(
        file: &'a Arc<dyn Memory>,
        options: &'a ImportOptions,
        proto: &'a ModelProto<'a>,
        budget: &'a Budget,
        opsets: Opsets,
    ) -> Result<Self> {
        let mut functions = Map::new();
        for function in &proto.functions {
            let key = (plain_domain(function.domain), function.name, function.overload);
            if functions.insert(key, function).is_some() {
                let label = format!("function `{}::{}`", function.domain, function.name);
                return Err(ImportError::invalid("it is there more than once").at(label));
            }
        }
        Ok(Self {
            options,
            budget,
            loader: Loader::new(file, options, budget),
            functions,
            opsets,
            levels: Vec::new(),
            frames: Vec::new(),
            calls: Vec::new(),
            warnings: Vec::new(),
        })
    }

    pub(crate) fn into_warnings(self) -> Vec<String> {
        self.warnings
    }

    /// The model's own graph, and the defaults of inputs that may be left out.
    pub(crate) fn main(
        &mut self,
        proto: &'a GraphProto<'a>,
    ) -> Result<(Graph, Map<String, Tensor>)> {
        self.levels.push(Level::new(proto.name));
        self.frames.push(Frame::of_graph(0, Rc::clone(&self.opsets)));
        let mut defaults = Map::new();
        self.fill(proto, Some(&mut defaults)).at(|| graph_label(proto))?;
        self.frames.pop();
        let level = self.levels.pop().ok_or_else(no_level)?;
        Ok((level.graph, defaults))
    }

    /// A body, as an attribute of a node that is being built.
    fn body(&mut self, proto: &'a GraphProto<'a>) -> Result<Body> {
        let opsets = Rc::clone(&self.frame()?.opsets);
        self.levels.push(Level::new(proto.name));
        self.push_frame(Frame::of_graph(self.levels.len().saturating_sub(1), opsets))?;
        self.fill(proto, None).at(|| graph_label(proto))?;
        self.frames.pop();
        let level = self.levels.pop().ok_or_else(no_level)?;
        Ok(Body { graph: level.graph, captures: level.outer })
    }

    /// Builds a graph in the innermost level. `defaults` is there for the model's own graph.
    fn fill(
        &mut self,
        proto: &'a GraphProto<'a>,
        defaults: Option<&mut Map<String, Tensor>>,
    ) -> Result<()> {
        let is_main = defaults.is_some();
        let mut constants = self.constants(proto)?;
        self.inputs(proto, &mut constants, defaults)?;
        for (name, tensor) in constants {
            let id = self.graph()?.add_const(name, tensor);
            self.bind(name, id)?;
        }
        let declared = proto.value_info.iter().chain(&proto.outputs);
        let declared = declared.filter_map(|info| Some((info.name, info.ty?))).collect();
        self.frame()?.declared = declared;
        for at in order::sorted(&proto.nodes)? {
            if let Some(node) = proto.nodes.get(at) {
                self.node(node).at(|| node.label())?;
            }
        }
        self.outputs(proto, is_main)
    }

    fn constants(&mut self, proto: &'a GraphProto<'a>) -> Result<Map<&'a str, Tensor>> {
        let mut constants = Map::new();
        let dense = proto.initializers.iter().map(|tensor| (tensor.name, self.loader.load(tensor)));
        let sparse = proto
            .sparse_initializers
            .iter()
            .map(|sparse| (sparse.values.name, self.loader.load_sparse(sparse)));
        for (name, tensor) in dense.chain(sparse) {
            if name.is_empty() {
                return Err(ImportError::invalid("an initializer has no name"));
            }
            if constants.insert(name, tensor?).is_some() {
                return Err(ImportError::invalid(format!("initializer `{name}` is there twice")));
            }
        }
        Ok(constants)
    }

    /// Inputs in order. One with an initializer is a constant, unless the caller wants to give it.
    fn inputs(
        &mut self,
        proto: &'a GraphProto<'a>,
        constants: &mut Map<&'a str, Tensor>,
        mut defaults: Option<&mut Map<String, Tensor>>,
    ) -> Result<()> {
        for info in &proto.inputs {
            let name = info.name;
            let place = || format!("input `{name}`");
            if name.is_empty() {
                return Err(ImportError::invalid("an input has no name"));
            }
            let ty = info.ty.map(value_type).transpose().at(place)?.flatten();
            if let Some(tensor) = constants.get(name) {
                let overridable = self.options.overridable.iter().any(|wanted| wanted == name);
                let Some(defaults) = defaults.as_deref_mut().filter(|_| overridable) else {
                    continue;
                };
                defaults.insert(name.to_owned(), tensor.clone());
                constants.remove(name);
            }
            let id = self.graph()?.add_input(name, ty);
            self.bind(name, id).at(place)?;
        }
        Ok(())
    }

    fn outputs(&mut self, proto: &'a GraphProto<'a>, is_main: bool) -> Result<()> {
        let mut given = Set::new();
        for info in &proto.outputs {
            let place = || format!("output `{}`", info.name);
            let nothing = || ImportError::invalid("it has no name").at(place());
            let mut id = self.resolve(info.name).at(place)?.ok_or_else(nothing)?;
            let declared = info.ty.map(value_type).transpose().at(place)?.flatten();
            self.check_declared(id, declared).at(place)?;
            // The caller asks for outputs by name: each name needs a value of its own.
            let graph = self.graph()?;
            if is_main && (graph.value(id).name != info.name || !given.insert(id)) {
                id = self.identity(id, info.name)?;
            }
            self.graph()?.outputs.push(id);
        }
        Ok(())
    }

    fn identity(&mut self, id: ValueId, name: &str) -> Result<ValueId> {
        let level = self.level()?;
        let ty = level.graph.value(id).ty.clone();
        let copy = level.graph.add_pending(name);
        if let Some(ty) = ty {
            level.graph.set_type(copy, ty);
        }
        let mut node = Node::new(OpName::onnx("Identity"), vec![Some(id)], vec![Some(copy)]);
        node.attrs = Attrs::default();
        level.graph.push(node);
        Ok(copy)
    }

    /// An output must have the type it is declared with. Dimensions are often declared wrongly:
    /// what follows from the operators holds, and the difference is a warning.
    fn check_declared(&mut self, id: ValueId, declared: Option<ValueType>) -> Result<()> {
        let Some(declared) = declared else { return Ok(()) };
        let graph = self.graph()?;
        let Some(found) = graph.value(id).ty.clone() else {
            graph.set_type(id, declared);
            return Ok(());
        };
        if !same_kind(&declared, &found) {
            let message = format!("it is declared `{declared}`, the graph makes `{found}`");
            return Err(ImportError::invalid(message));
        }
        if let (ValueType::Tensor(want), ValueType::Tensor(got)) = (&declared, &found)
            && let (Some(want), Some(got)) = (&want.dims, &got.dims)
            && (want.len() != got.len()
                || want.iter().zip(got).any(|(want, got)| want.differs(got)))
        {
            let name = graph.value(id).name.clone();
            let text =
                format!("output `{name}` is declared `{declared}`, the graph makes `{found}`");
            self.warnings.push(text);
        }
        Ok(())
    }
}

/// Whether two types differ in their dimensions at most.
fn same_kind(a: &ValueType, b: &ValueType) -> bool {
    match (a, b) {
        (ValueType::Tensor(a), ValueType::Tensor(b)) => a.dtype == b.dtype,
        (ValueType::Sequence(a), ValueType::Sequence(b))
        | (ValueType::Optional(a), ValueType::Optional(b)) => same_kind(a, b),
        (a, b) => a == b,
    }
}

fn graph_label(proto: &GraphProto<'_>) -> String {
    format!("graph `{}`", proto.name)
}

fn no_level() -> ImportError {
    ImportError::Bug(Box::new(crate::Problem {
        message: "no graph is being built".to_owned(),
        ..crate::Problem::default()
    }))
}
