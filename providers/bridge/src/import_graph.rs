//! Graphs of the contract as the Rust side of a provider works with them.

use remuda_abi as abi;
use remuda_ir::{
    Attr, Attrs, Body, Def, Graph, Node, OpError, OpName, StateType, ValueId, ValueType,
};
use remuda_tensor::{Dim, Tensor, TensorType, parse_dim};

use crate::{dtype_from_code, import, read_slice, read_text};

/// The graph at a pointer. Constants are held by reference.
///
/// # Safety
/// `graph` must be as the contract says and alive during the call.
///
/// # Errors
/// When it contradicts itself: an index that names no value, an unknown kind.
pub unsafe fn import_graph(graph: &abi::Graph) -> Result<Graph, OpError> {
    // SAFETY: handed on to the caller.
    unsafe { Reader { depth: 0 }.graph(graph) }
}

/// Bodies in bodies, deeper than the host nests them.
const MAX_DEPTH: usize = 64;

struct Reader {
    depth: usize,
}

fn broken(what: &str) -> OpError {
    OpError::Invalid(format!("a graph of the contract is broken: {what}"))
}

/// The values of one graph, by their index in the contract.
struct Values(Vec<ValueId>);

impl Values {
    fn get(&self, index: u32) -> Result<ValueId, OpError> {
        self.0.get(index as usize).copied().ok_or_else(|| broken("an index names no value"))
    }

    fn optional(&self, index: u32) -> Result<Option<ValueId>, OpError> {
        if index == abi::VALUE_NONE { Ok(None) } else { self.get(index).map(Some) }
    }

    /// # Safety
    /// As for [`read_slice`].
    unsafe fn list(&self, ptr: *const u32, count: usize) -> Result<Vec<ValueId>, OpError> {
        // SAFETY: handed on to the caller.
        unsafe { read_slice(ptr, count) }.iter().map(|&index| self.get(index)).collect()
    }
}

impl Reader {
    unsafe fn graph(&mut self, source: &abi::Graph) -> Result<Graph, OpError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(broken("bodies nest too deeply"));
        }
        // SAFETY: handed on to the caller, here and below.
        unsafe {
            let mut graph = Graph::new(&read_text(source.name));
            let mut values = Values(Vec::new());
            for info in read_slice(source.values, source.value_count) {
                values.0.push(add_value(&mut graph, info)?);
            }
            graph.inputs = values.list(source.inputs, source.input_count)?;
            graph.captures = values.list(source.captures, source.capture_count)?;
            graph.outputs = values.list(source.outputs, source.output_count)?;
            for node in read_slice(source.nodes, source.node_count) {
                let node = self.node(node, &values)?;
                graph.push(node);
            }
            self.depth -= 1;
            Ok(graph)
        }
    }

    unsafe fn node(&mut self, source: &abi::Node, values: &Values) -> Result<Node, OpError> {
        // SAFETY: handed on to the caller.
        unsafe {
            let list = |ptr, count| -> Result<Vec<Option<ValueId>>, OpError> {
                read_slice(ptr, count).iter().map(|&index| values.optional(index)).collect()
            };
            let op = OpName::new(&read_text(source.domain), &read_text(source.op));
            let mut node = Node::new(
                op,
                list(source.inputs, source.input_count)?,
                list(source.outputs, source.output_count)?,
            );
            node.name = read_text(source.name);
            let mut attrs = Attrs::default();
            for attr in read_slice(source.attrs, source.attr_count) {
                attrs.0.insert(read_text(attr.name), self.attr(attr, values)?);
            }
            node.attrs = attrs;
            Ok(node)
        }
    }

    unsafe fn attr(&mut self, source: &abi::Attr, values: &Values) -> Result<Attr, OpError> {
        let missing = || broken("an attribute points nowhere");
        // SAFETY: handed on to the caller.
        unsafe {
            Ok(match source.kind {
                abi::ATTR_INT => Attr::Int(source.int),
                abi::ATTR_FLOAT => Attr::Float(source.float),
                abi::ATTR_TEXT => Attr::Text(read_text(source.text)),
                abi::ATTR_INTS => Attr::Ints(read_slice(source.ints, source.count).to_vec()),
                abi::ATTR_FLOATS => Attr::Floats(read_slice(source.floats, source.count).to_vec()),
                abi::ATTR_TEXTS => {
                    let texts = read_slice(source.texts, source.count);
                    Attr::Texts(texts.iter().map(|&text| read_text(text)).collect())
                }
                abi::ATTR_TENSOR => {
                    Attr::Tensor(tensor(source.tensor.as_ref().ok_or_else(missing)?)?)
                }
                abi::ATTR_GRAPH => {
                    let graph = self.graph(source.graph.as_ref().ok_or_else(missing)?)?;
                    let captures = values.list(source.captures, source.count)?;
                    Attr::Graph(Box::new(Body { graph, captures }))
                }
                abi::ATTR_TYPE => {
                    let ty = value_type(source.ty.as_ref().ok_or_else(missing)?, 0)?;
                    Attr::Type(ty.ok_or_else(|| broken("an attribute holds no type"))?)
                }
                _ => return Err(broken("an attribute is of no known kind")),
            })
        }
    }
}

unsafe fn tensor(value: &abi::Value) -> Result<Tensor, OpError> {
    // SAFETY: handed on to the caller.
    unsafe { import(value) }?.tensor().cloned()
}

unsafe fn add_value(graph: &mut Graph, info: &abi::ValueInfo) -> Result<ValueId, OpError> {
    // SAFETY: handed on to the caller.
    let (name, ty) = unsafe { (read_text(info.name), value_type(&info.ty, 0)?) };
    let def = match info.source {
        abi::VALUE_INPUT => Def::Input,
        abi::VALUE_STATE => Def::State,
        abi::VALUE_CAPTURE => Def::Capture,
        abi::VALUE_MADE => Def::Nothing,
        abi::VALUE_CONST => {
            // SAFETY: handed on to the caller.
            match unsafe { info.content.as_ref() } {
                // SAFETY: handed on to the caller.
                Some(content) => Def::Const(unsafe { tensor(content) }?),
                None => Def::Input,
            }
        }
        _ => return Err(broken("a value is of no known source")),
    };
    Ok(graph.add_value(&name, ty, def))
}

unsafe fn value_type(source: &abi::ValueType, depth: usize) -> Result<Option<ValueType>, OpError> {
    if depth > MAX_DEPTH {
        return Err(broken("types nest too deeply"));
    }
    let dtype =
        || dtype_from_code(source.dtype).ok_or_else(|| broken("an element type is not known"));
    Ok(Some(match source.kind {
        abi::KIND_NONE => return Ok(None),
        // SAFETY: handed on to the caller.
        abi::KIND_TENSOR => TensorType { dtype: dtype()?, dims: unsafe { dims(source) }? }.into(),
        abi::KIND_SEQUENCE | abi::KIND_OPTIONAL => {
            // SAFETY: handed on to the caller.
            let item =
                unsafe { source.item.as_ref() }.ok_or_else(|| broken("a type has no item"))?;
            // SAFETY: handed on to the caller.
            let item = unsafe { value_type(item, depth + 1) }?
                .ok_or_else(|| broken("an item has no type"))?;
            let sequence = source.kind == abi::KIND_SEQUENCE;
            if sequence {
                ValueType::Sequence(item.into())
            } else {
                ValueType::Optional(item.into())
            }
        }
        abi::KIND_STATE => {
            let sizes = source.state.map(|size| usize::try_from(size).unwrap_or(usize::MAX));
            let [heads, key_dim, value_dim, window] = sizes;
            let window = (window > 0).then_some(window);
            ValueType::State(StateType { dtype: dtype()?, heads, key_dim, value_dim, window })
        }
        _ => return Err(broken("a type is of no known kind")),
    }))
}

unsafe fn dims(source: &abi::ValueType) -> Result<Option<Vec<Dim>>, OpError> {
    if source.rank == u32::MAX {
        return Ok(None);
    }
    // SAFETY: handed on to the caller: `rank` entries each, or null.
    let (numbers, symbols) = unsafe {
        (
            read_slice(source.dims, source.rank as usize),
            read_slice(source.symbols, source.rank as usize),
        )
    };
    let dim = |(at, &number): (usize, &i64)| {
        // SAFETY: handed on to the caller.
        let symbol =
            symbols.get(at).map(|&symbol| unsafe { read_text(symbol) }).unwrap_or_default();
        match (number, symbol.as_str()) {
            (abi::DIM_UNKNOWN, "") => Ok(Dim::Unknown),
            (abi::DIM_UNKNOWN, symbol) => parse_dim(symbol).map_err(|error| broken(&error)),
            (number, _) => Ok(Dim::Known(number)),
        }
    };
    numbers.iter().enumerate().map(dim).collect::<Result<_, _>>().map(Some)
}
