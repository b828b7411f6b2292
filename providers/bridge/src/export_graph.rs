//! Graphs as the contract carries them.

use remuda_abi as abi;
use remuda_ir::{Attr, Body, Def, Graph, Node, Val, ValueId, ValueType};
use remuda_tensor::Dim;

use crate::keep::Keep;
use crate::value::describe;
use crate::{borrow_text, dtype_code};

/// A graph as the contract carries it. Constants are held by reference: programs that were compiled
/// from it may read them until this is dropped.
pub struct GraphExport {
    graph: Box<abi::Graph>,
    _keep: Keep,
    _source: Graph,
}

// SAFETY: plain data; what it points to is owned here and never written.
unsafe impl Send for GraphExport {}
// SAFETY: as above.
unsafe impl Sync for GraphExport {}

impl std::fmt::Debug for GraphExport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GraphExport({} nodes)", self.graph.node_count)
    }
}

impl GraphExport {
    /// Describes a graph, whose operators are of this opset.
    #[must_use]
    pub fn new(graph: Graph, opset: u32) -> Self {
        let mut writer = Writer { keep: Keep::default(), opset };
        let described = Box::new(writer.graph(&graph));
        // Texts and constants are borrowed from the heap blocks of `graph`, which a move keeps.
        Self { graph: described, _keep: writer.keep, _source: graph }
    }

    /// How many nodes it has.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.graph.node_count
    }

    /// The graph, for calls; alive as long as this.
    #[must_use]
    pub fn as_ptr(&self) -> *const abi::Graph {
        &raw const *self.graph
    }
}

struct Writer {
    keep: Keep,
    opset: u32,
}

fn index(id: ValueId) -> u32 {
    u32::try_from(id.index()).unwrap_or(abi::VALUE_NONE)
}

impl Writer {
    fn ids(&mut self, ids: impl IntoIterator<Item = Option<ValueId>>) -> (*const u32, usize) {
        let ids: Vec<u32> = ids.into_iter().map(|id| id.map_or(abi::VALUE_NONE, index)).collect();
        let count = ids.len();
        (self.keep.slice(ids), count)
    }

    /// A text that is made here and must be kept.
    fn text(&mut self, text: String) -> abi::Str {
        let (len, bytes) = (text.len(), text.into_bytes());
        abi::Str { ptr: self.keep.slice(bytes), len }
    }

    fn graph(&mut self, graph: &Graph) -> abi::Graph {
        let values: Vec<abi::ValueInfo> = graph
            .values()
            .map(|(_, value)| {
                let (source, content) = match &value.def {
                    Def::Input => (abi::VALUE_INPUT, None),
                    Def::Const(tensor) => {
                        (abi::VALUE_CONST, Some(crate::export(&Val::from(tensor.clone()))))
                    }
                    Def::State => (abi::VALUE_STATE, None),
                    Def::Capture => (abi::VALUE_CAPTURE, None),
                    Def::Node(..) | Def::Nothing => (abi::VALUE_MADE, None),
                };
                abi::ValueInfo {
                    name: borrow_text(&value.name),
                    source,
                    reserved: 0,
                    ty: self.value_type(value.ty.as_ref()),
                    content: content.map_or(std::ptr::null(), |content| self.owned(content)),
                }
            })
            .collect();
        let nodes: Vec<abi::Node> = graph.nodes().map(|(_, node)| self.node(node)).collect();
        let (inputs, input_count) = self.ids(graph.inputs.iter().copied().map(Some));
        let (outputs, output_count) = self.ids(graph.outputs.iter().copied().map(Some));
        let (captures, capture_count) = self.ids(graph.captures.iter().copied().map(Some));
        let states: Vec<_> = graph
            .values()
            .filter(|(_, value)| value.def == Def::State)
            .map(|(id, _)| Some(id))
            .collect();
        let (states, state_count) = self.ids(states);
        let (value_count, node_count) = (values.len(), nodes.len());
        abi::Graph {
            struct_size: size_of::<abi::Graph>(),
            name: borrow_text(&graph.name),
            opset: self.opset,
            reserved: 0,
            values: self.keep.structs(values),
            value_count,
            nodes: self.keep.structs(nodes),
            node_count,
            inputs,
            input_count,
            outputs,
            output_count,
            captures,
            capture_count,
            states,
            state_count,
        }
    }

    /// Keeps an exported value until this graph is dropped.
    fn owned(&mut self, value: abi::Value) -> *const abi::Value {
        self.keep.slice(vec![OwnedValue(value)]).cast()
    }

    fn value_type(&mut self, ty: Option<&ValueType>) -> abi::ValueType {
        let mut out = abi::ValueType {
            kind: 0,
            dtype: 0,
            rank: u32::MAX,
            reserved: 0,
            dims: std::ptr::null(),
            symbols: std::ptr::null(),
            item: std::ptr::null(),
            state: [0; 4],
        };
        match ty {
            None => {}
            Some(ValueType::Tensor(tensor)) => {
                out.kind = abi::KIND_TENSOR;
                out.dtype = dtype_code(tensor.dtype);
                if let Some(dims) = &tensor.dims {
                    self.dims(dims, &mut out);
                }
            }
            Some(ValueType::Sequence(item) | ValueType::Optional(item)) => {
                let sequence = matches!(ty, Some(ValueType::Sequence(_)));
                out.kind = if sequence { abi::KIND_SEQUENCE } else { abi::KIND_OPTIONAL };
                let item = self.value_type(Some(item));
                out.item = self.keep.structs(vec![item]);
            }
            Some(ValueType::State(state)) => {
                out.kind = abi::KIND_STATE;
                out.dtype = dtype_code(state.dtype);
                let window = state.window.unwrap_or(0);
                out.state =
                    [state.heads, state.key_dim, state.value_dim, window].map(|size| size as u64);
            }
        }
        out
    }

    fn dims(&mut self, dims: &[Dim], out: &mut abi::ValueType) {
        out.rank = u32::try_from(dims.len()).unwrap_or(u32::MAX);
        let numbers: Vec<i64> =
            dims.iter().map(|dim| dim.as_i64().unwrap_or(abi::DIM_UNKNOWN)).collect();
        let symbols: Vec<abi::Str> = dims
            .iter()
            .map(|dim| match dim {
                Dim::Expr(_) => self.text(dim.to_string()),
                Dim::Known(_) | Dim::Unknown => abi::Str::empty(),
            })
            .collect();
        out.dims = self.keep.slice(numbers);
        out.symbols = self.keep.structs(symbols);
    }

    fn node(&mut self, node: &Node) -> abi::Node {
        let attrs: Vec<abi::Attr> =
            node.attrs.0.iter().map(|(name, attr)| self.attr(name, attr)).collect();
        let (inputs, input_count) = self.ids(node.inputs.iter().copied());
        let (outputs, output_count) = self.ids(node.outputs.iter().copied());
        let attr_count = attrs.len();
        abi::Node {
            name: borrow_text(&node.name),
            domain: borrow_text(&node.op.domain),
            op: borrow_text(&node.op.name),
            inputs,
            input_count,
            outputs,
            output_count,
            attrs: self.keep.structs(attrs),
            attr_count,
        }
    }

    fn attr(&mut self, name: &str, attr: &Attr) -> abi::Attr {
        let mut out = abi::Attr {
            name: borrow_text(name),
            kind: 0,
            float: 0.0,
            int: 0,
            text: abi::Str::empty(),
            count: 0,
            ints: std::ptr::null(),
            floats: std::ptr::null(),
            texts: std::ptr::null(),
            tensor: std::ptr::null(),
            graph: std::ptr::null(),
            captures: std::ptr::null(),
            ty: std::ptr::null(),
        };
        match attr {
            Attr::Int(value) => (out.kind, out.int) = (abi::ATTR_INT, *value),
            Attr::Float(value) => (out.kind, out.float) = (abi::ATTR_FLOAT, *value),
            Attr::Text(value) => (out.kind, out.text) = (abi::ATTR_TEXT, borrow_text(value)),
            Attr::Ints(values) => {
                (out.kind, out.ints, out.count) = (abi::ATTR_INTS, values.as_ptr(), values.len());
            }
            Attr::Floats(values) => {
                (out.kind, out.floats, out.count) =
                    (abi::ATTR_FLOATS, values.as_ptr(), values.len());
            }
            Attr::Texts(values) => {
                let texts: Vec<abi::Str> = values.iter().map(|text| borrow_text(text)).collect();
                (out.kind, out.count) = (abi::ATTR_TEXTS, texts.len());
                out.texts = self.keep.structs(texts);
            }
            Attr::Tensor(tensor) => {
                let value = describe(&Val::from(tensor.clone()), &mut self.keep);
                out.kind = abi::ATTR_TENSOR;
                out.tensor = self.keep.structs(vec![value]);
            }
            Attr::Graph(body) => self.body(body, &mut out),
            Attr::Type(ty) => {
                let ty = self.value_type(Some(ty));
                out.kind = abi::ATTR_TYPE;
                out.ty = self.keep.structs(vec![ty]);
            }
        }
        out
    }

    fn body(&mut self, body: &Body, out: &mut abi::Attr) {
        let graph = self.graph(&body.graph);
        out.kind = abi::ATTR_GRAPH;
        out.graph = self.keep.structs(vec![graph]);
        (out.captures, out.count) = self.ids(body.captures.iter().copied().map(Some));
    }
}

/// A value whose reference is given up on drop.
#[repr(transparent)]
struct OwnedValue(abi::Value);

// SAFETY: values may be released from any thread.
unsafe impl Send for OwnedValue {}
// SAFETY: as above.
unsafe impl Sync for OwnedValue {}

impl Drop for OwnedValue {
    fn drop(&mut self) {
        if let Some(release) = self.0.release {
            // SAFETY: the reference that `export` gave, given up once.
            unsafe { release(self.0.owner) };
        }
    }
}
