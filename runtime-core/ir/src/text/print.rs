//! Prints a graph.

use std::fmt::{self, Write};

use remuda_tensor::{DType, Tensor};

use crate::{Attr, Attrs, Def, Graph, Node, ValueId, ValueType};

/// The whole graph, constants included: parses back to the same graph.
#[must_use]
pub fn print(graph: &Graph) -> String {
    Printer { outline: false }.whole(graph)
}

/// The graph for people: constants of more than a few elements are left out.
#[must_use]
pub fn print_outline(graph: &Graph) -> String {
    Printer { outline: true }.whole(graph)
}

/// Elements of a constant that an outline shows.
const OUTLINE_ELEMENTS: usize = 8;

struct Printer {
    outline: bool,
}

/// A name as `%plain` or `%"quoted"`.
struct Ref<'a>(&'a str);

impl fmt::Display for Ref<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A colon at the end would be taken for the one in front of a type.
        let plain = !self.0.is_empty()
            && !self.0.ends_with(':')
            && self
                .0
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | ':' | '-'));
        if plain { write!(f, "%{}", self.0) } else { write!(f, "%{:?}", self.0) }
    }
}

/// The name of an operator, domain or attribute: as it is, or quoted where files have others than
/// words.
struct Name<'a>(&'a str);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        if !self.0.is_empty() && self.0.chars().all(word) {
            f.write_str(self.0)
        } else {
            write!(f, "{:?}", self.0)
        }
    }
}

impl Printer {
    fn whole(&self, graph: &Graph) -> String {
        let mut out = String::new();
        // Writing to a string does not fail.
        let _ = self.graph(&mut out, graph, 0);
        out.push('\n');
        out
    }

    fn graph(&self, out: &mut String, graph: &Graph, depth: usize) -> fmt::Result {
        let pad = "  ".repeat(depth);
        writeln!(out, "graph {:?} {{", graph.name)?;
        for &id in &graph.inputs {
            self.declaration(out, graph, id, "input", &pad)?;
        }
        for &id in &graph.captures {
            self.declaration(out, graph, id, "capture", &pad)?;
        }
        for (id, value) in graph.values() {
            match &value.def {
                Def::State => self.declaration(out, graph, id, "state", &pad)?,
                Def::Const(tensor) => self.constant(out, &value.name, tensor, &pad)?,
                _ => {}
            }
        }
        for (_, node) in graph.nodes() {
            write!(out, "{pad}  ")?;
            self.node(out, graph, node, depth)?;
            out.push('\n');
        }
        if !graph.outputs.is_empty() {
            write!(out, "{pad}  output ")?;
            self.refs(out, graph, graph.outputs.iter().map(|&id| Some(id)))?;
            out.push('\n');
        }
        write!(out, "{pad}}}")
    }

    fn declaration(
        &self,
        out: &mut String,
        graph: &Graph,
        id: ValueId,
        word: &str,
        pad: &str,
    ) -> fmt::Result {
        let value = graph.value(id);
        write!(out, "{pad}  {word} {}", Ref(&value.name))?;
        if let Some(ty) = &value.ty {
            write!(out, ": {ty}")?;
        }
        out.push('\n');
        Ok(())
    }

    fn constant(&self, out: &mut String, name: &str, tensor: &Tensor, pad: &str) -> fmt::Result {
        write!(out, "{pad}  const {}: ", Ref(name))?;
        self.tensor(out, tensor)?;
        out.push('\n');
        Ok(())
    }

    fn tensor(&self, out: &mut String, tensor: &Tensor) -> fmt::Result {
        write!(out, "{}{:?} =", tensor.dtype(), tensor.dims())?;
        if self.outline && tensor.len() > OUTLINE_ELEMENTS {
            return write!(out, " …");
        }
        if tensor.dtype() == DType::String {
            for text in tensor.texts() {
                write!(out, " {text:?}")?;
            }
            return Ok(());
        }
        if self.outline
            && let Ok(values) = tensor.to_f64_vec()
        {
            return write!(out, " {values:?}");
        }
        out.push_str(" x");
        for byte in tensor.to_le_bytes() {
            write!(out, "{byte:02x}")?;
        }
        Ok(())
    }

    fn refs(
        &self,
        out: &mut String,
        graph: &Graph,
        ids: impl Iterator<Item = Option<ValueId>>,
    ) -> fmt::Result {
        for (at, id) in ids.enumerate() {
            out.push_str(if at > 0 { ", " } else { "" });
            match id {
                Some(id) => write!(out, "{}", Ref(&graph.value(id).name))?,
                None => out.push('_'),
            }
        }
        Ok(())
    }

    fn node(&self, out: &mut String, graph: &Graph, node: &Node, depth: usize) -> fmt::Result {
        for (at, output) in node.outputs.iter().enumerate() {
            out.push_str(if at > 0 { ", " } else { "" });
            let Some(id) = output else {
                out.push('_');
                continue;
            };
            let value = graph.value(*id);
            write!(out, "{}", Ref(&value.name))?;
            if let Some(ty) = &value.ty {
                write!(out, ": {ty}")?;
            }
        }
        out.push_str(if node.outputs.is_empty() { "= " } else { " = " });
        if !node.op.domain.is_empty() {
            write!(out, "{}::", Name(&node.op.domain))?;
        }
        write!(out, "{}(", Name(&node.op.name))?;
        self.refs(out, graph, node.inputs.iter().copied())?;
        out.push(')');
        if !node.attrs.0.is_empty() {
            out.push(' ');
            self.attrs(out, graph, &node.attrs, depth)?;
        }
        if !node.name.is_empty() {
            write!(out, " @{:?}", node.name)?;
        }
        Ok(())
    }

    fn attrs(&self, out: &mut String, graph: &Graph, attrs: &Attrs, depth: usize) -> fmt::Result {
        out.push('{');
        for (at, (name, attr)) in attrs.0.iter().enumerate() {
            write!(out, "{}{} = ", if at > 0 { ", " } else { "" }, Name(name))?;
            match attr {
                Attr::Int(value) => write!(out, "{value}")?,
                Attr::Float(value) => write!(out, "{}", Float(*value))?,
                Attr::Text(value) => write!(out, "{value:?}")?,
                Attr::Ints(values) => list(out, "ints", values.iter())?,
                Attr::Floats(values) => {
                    list(out, "floats", values.iter().map(|&value| Float(value)))?;
                }
                Attr::Texts(values) => {
                    list(out, "texts", values.iter().map(|value| Quoted(value)))?;
                }
                Attr::Tensor(tensor) => {
                    out.push_str("tensor ");
                    self.tensor(out, tensor)?;
                    out.push(';');
                }
                Attr::Type(ty) => print_type(out, ty)?,
                Attr::Graph(body) => {
                    self.graph(out, &body.graph, depth + 1)?;
                    out.push_str(" (");
                    self.refs(out, graph, body.captures.iter().map(|&id| Some(id)))?;
                    out.push(')');
                }
            }
        }
        out.push('}');
        Ok(())
    }
}

fn print_type(out: &mut String, ty: &ValueType) -> fmt::Result {
    write!(out, "type {ty}")
}

fn list<T: fmt::Display>(
    out: &mut String,
    word: &str,
    items: impl Iterator<Item = T>,
) -> fmt::Result {
    write!(out, "{word}[")?;
    for (at, item) in items.enumerate() {
        write!(out, "{}{item}", if at > 0 { ", " } else { "" })?;
    }
    write!(out, "]")
}

/// A float that reads back to the same bits: the shortest decimal, or the bits of a NaN.
struct Float(f32);

impl fmt::Display for Float {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_nan() {
            write!(f, "nan({:08x})", self.0.to_bits())
        } else {
            write!(f, "{:?}f", self.0)
        }
    }
}

struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use crate::text::{parse, print};
    use crate::{Attr, Graph, Node, OpName};

    #[test]
    fn names_that_are_no_words_are_quoted() {
        let mut graph = Graph::new("g");
        let x = graph.add_input("x:", None);
        let y = graph.add_pending("y");
        let op = OpName::new("pkg|x", "Linear(1)");
        let mut node = Node::new(op, vec![Some(x)], vec![Some(y)]);
        node.attrs.set("a b", Attr::Int(1));
        graph.push(node);
        graph.outputs.push(y);
        let printed = print(&graph);
        assert!(printed.contains(r#"%y = "pkg|x"::"Linear(1)"(%"x:") {"a b" = 1}"#), "{printed}");
        assert_eq!(print(&parse(&printed).unwrap()), printed);
    }

    #[test]
    fn nodes_without_outputs_are_kept() {
        let mut graph = Graph::new("g");
        let x = graph.add_input("x", None);
        graph.push(Node::new(OpName::new("acme", "Log"), vec![Some(x)], vec![]));
        let printed = print(&graph);
        assert!(printed.contains("\n  = acme::Log(%x)\n"), "{printed}");
        assert_eq!(print(&parse(&printed).unwrap()), printed);
    }
}
