//! Building a graph out of weights by their names.

use std::cell::RefCell;

use remuda_base::Set;
use remuda_gguf::Parts;
use remuda_ir::{
    Attr, Attrs, Def, Graph, Node, OpName, StateType, ValueId, ValueType, infer_graph, verify,
};
use remuda_ops::Ops;
use remuda_tensor::{DType, Dim, Tensor, TensorType};

use crate::adapter::{Factors, Opened};
use crate::{ModelError, ModelFile};

/// A graph under construction, and where its weights come from.
pub(crate) struct Net<'a> {
    graph: Graph,
    file: &'a ModelFile,
    parts: &'a Parts<'a>,
    adapters: &'a [Opened<'a>],
    /// What stands in front of the names of nodes: the layer.
    scope: String,
    /// The names of the weights that were asked for.
    used: RefCell<Set<String>>,
}

/// An attribute of one operator.
pub(crate) type Named<'a> = (&'a str, Attr);

impl<'a> Net<'a> {
    pub(crate) fn new(name: &str, file: &'a ModelFile, parts: &'a Parts<'a>) -> Self {
        Self {
            graph: Graph::new(name),
            file,
            parts,
            adapters: &[],
            scope: String::new(),
            used: RefCell::default(),
        }
    }

    /// The same, and what these adapters add to its products.
    pub(crate) fn with_adapters(mut self, adapters: &'a [Opened<'a>]) -> Self {
        self.adapters = adapters;
        self
    }

    /// Sets what stands in front of names: `blk.3`, or nothing.
    pub(crate) fn enter(&mut self, scope: String) {
        self.scope = scope;
    }

    /// The name of a weight of the current layer, as the file has it.
    pub(crate) fn scoped(&self, name: &str) -> String {
        if self.scope.is_empty() { name.to_owned() } else { format!("{}.{name}", self.scope) }
    }

    /// An input of integers, one for each of `count`.
    pub(crate) fn indices(&mut self, name: &str, count: &str) -> ValueId {
        let ty = TensorType::new(DType::I64, [Dim::symbol(count)]);
        self.graph.add_input(name, Some(ty.into()))
    }

    pub(crate) fn state(&mut self, name: &str, ty: StateType) -> ValueId {
        self.graph.add_value(name, Some(ValueType::State(ty)), Def::State)
    }

    pub(crate) fn constant(&mut self, name: &str, tensor: Tensor) -> ValueId {
        let name = self.scoped(name);
        self.graph.add_const(&name, tensor)
    }

    /// Fails if a file has a weight that nobody asked for: the model would not be what its files say.
    /// Tables of frequencies may be there for contexts that are not used.
    fn expect_all_used(&self) -> Result<(), ModelError> {
        let used = self.used.borrow();
        let weights = self.file.weights(self.parts).into_iter();
        let mut unused = weights
            .filter(|weight| !used.contains(weight.name) && !weight.name.starts_with("rope_"));
        let unused = unused.next().map(|weight| weight.name.to_owned());
        unused.map_or(Ok(()), |name| Err(ModelError::Unused { name }))?;
        self.adapters.iter().try_for_each(Opened::expect_all_used)
    }

    /// The graph that gives `output` out by this name, typed; every weight must have found its place.
    pub(crate) fn finish(mut self, output: ValueId, name: &str) -> Result<Graph, ModelError> {
        self.expect_all_used()?;
        self.graph.rename(output, name);
        self.graph.outputs.push(output);
        verify(&self.graph, &Ops)?;
        infer_graph(&mut self.graph, &Ops)?;
        Ok(self.graph)
    }

    /// Takes it that the model needs no weight of these names.
    pub(crate) fn pass_over(&self, needless: impl Fn(&str) -> bool) {
        let weights = self.file.weights(self.parts).into_iter();
        let names = weights.map(|weight| weight.name.to_owned()).filter(|name| needless(name));
        self.used.borrow_mut().extend(names);
    }

    /// Whether there is a weight of this name here.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.file.has(self.parts, &self.scoped(name))
    }

    /// The weight of this name.
    pub(crate) fn weight(&self, name: &str) -> Result<Tensor, ModelError> {
        let name = self.scoped(name);
        let tensor = self.file.tensor(self.parts, &name)?;
        self.used.borrow_mut().insert(name);
        Ok(tensor)
    }

    /// The weight of this name as a constant; it has these dimensions.
    pub(crate) fn shaped(&mut self, name: &str, expected: &[usize]) -> Result<ValueId, ModelError> {
        let tensor = self.weight(name)?;
        if tensor.dims() != expected {
            return Err(ModelError::Shape {
                name: self.scoped(name),
                expected: expected.to_vec(),
                got: tensor.dims().to_vec(),
            });
        }
        Ok(self.constant(name, tensor))
    }

    /// A list of numbers of the file as a constant of f32.
    pub(crate) fn vector(&mut self, name: &str, len: usize) -> Result<ValueId, ModelError> {
        let tensor = self.weight(name)?;
        if tensor.len() != len {
            return Err(ModelError::Shape {
                name: self.scoped(name),
                expected: vec![len],
                got: tensor.dims().to_vec(),
            });
        }
        let values = tensor.to_f32_vec().map_err(remuda_ir::OpError::from)?;
        Ok(self.constant(name, Tensor::vector(values)))
    }

    /// Applies an operator with one output.
    pub(crate) fn apply(
        &mut self,
        op: OpName,
        inputs: &[Option<ValueId>],
        attrs: &[Named<'_>],
        name: &str,
    ) -> ValueId {
        let name = self.scoped(name);
        let output = self.graph.add_pending(&name);
        let mut node = Node::new(op, inputs.to_vec(), vec![Some(output)]);
        node.name = name;
        node.attrs = attributes(attrs);
        self.graph.push(node);
        output
    }

    /// An operator of ONNX's own domain.
    pub(crate) fn onnx(
        &mut self,
        op: &str,
        inputs: &[ValueId],
        attrs: &[Named<'_>],
        name: &str,
    ) -> ValueId {
        let inputs: Vec<_> = inputs.iter().copied().map(Some).collect();
        self.apply(OpName::onnx(op), &inputs, attrs, name)
    }

    /// An operator of ONNX's own domain with two outputs.
    pub(crate) fn two(&mut self, op: &str, inputs: &[ValueId], name: &str) -> [ValueId; 2] {
        let name = self.scoped(name);
        let outputs = [(); 2].map(|()| self.graph.add_pending(&name));
        let inputs = inputs.iter().copied().map(Some).collect();
        let mut node = Node::new(OpName::onnx(op), inputs, outputs.map(Some).to_vec());
        node.name = name;
        self.graph.push(node);
        outputs
    }

    /// Splits the last axis into parts of these sizes.
    pub(crate) fn split<const N: usize>(
        &mut self,
        x: ValueId,
        sizes: [usize; N],
        name: &str,
    ) -> [ValueId; N] {
        let sizes = sizes.iter().map(|&size| i64::try_from(size).unwrap_or(i64::MAX)).collect();
        let sizes = self.constant("sizes", Tensor::vector::<i64>(sizes));
        let name = self.scoped(name);
        let outputs = [(); N].map(|()| self.graph.add_pending(&name));
        let mut node = Node::new(
            OpName::onnx("Split"),
            vec![Some(x), Some(sizes)],
            outputs.map(Some).to_vec(),
        );
        node.name = name;
        node.attrs = attributes(&[("axis", Attr::Int(-1))]);
        self.graph.push(node);
        outputs
    }

    /// Rows times the weight `name.weight` of so many outputs and inputs, plus `name.bias` if there
    /// is one.
    pub(crate) fn linear(
        &mut self,
        x: ValueId,
        name: &str,
        [outputs, inputs]: [usize; 2],
    ) -> Result<ValueId, ModelError> {
        let weight = self.shaped(&format!("{name}.weight"), &[outputs, inputs])?;
        let bias_name = format!("{name}.bias");
        let bias =
            if self.has(&bias_name) { Some(self.vector(&bias_name, outputs)?) } else { None };
        let mut operands = vec![Some(x), Some(weight)];
        operands.extend(bias.map(Some));
        let y = self.apply(OpName::new("remuda", "Linear"), &operands, &[], name);
        self.adapted(y, (x, None), name, &[outputs, inputs])
    }

    /// Rows times the matrices of the experts that each token has: in `name.weight`, or apart.
    pub(crate) fn expert_linear(
        &mut self,
        (rows, chosen): (ValueId, ValueId),
        name: &str,
        dims: [usize; 3],
    ) -> Result<ValueId, ModelError> {
        let weights = match name.strip_suffix("_exps") {
            Some(stem) if self.has(&format!("{stem}.0.weight")) => self.apart(stem, dims)?,
            _ => vec![self.shaped(&format!("{name}.weight"), &dims)?],
        };
        let mut weights = weights.into_iter();
        let mut operands = vec![Some(rows), weights.next(), Some(chosen)];
        operands.extend(weights.map(Some));
        let y = self.apply(OpName::new("remuda", "ExpertLinear"), &operands, &[], name);
        self.adapted(y, (rows, Some(chosen)), name, &dims)
    }

    /// The matrices of experts in weights of their own, `stem.3.weight`, each as if it were of several.
    /// They are not joined: that would be a copy of all of them.
    fn apart(
        &mut self,
        stem: &str,
        [count, outputs, inputs]: [usize; 3],
    ) -> Result<Vec<ValueId>, ModelError> {
        let one = |number: usize| {
            let name = format!("{stem}.{number}.weight");
            let (tensor, expected) = (self.weight(&name)?, vec![outputs, inputs]);
            if tensor.dims() != expected {
                let (name, got) = (self.scoped(&name), tensor.dims().to_vec());
                return Err(ModelError::Shape { name, expected, got });
            }
            let tensor = tensor.reshape([1, outputs, inputs]).map_err(remuda_ir::OpError::from)?;
            Ok(self.constant(&name, tensor))
        };
        (0..count).map(one).collect()
    }

    /// Rows times a weight, or times those of its matrices that each token has.
    fn product(
        &mut self,
        (rows, chosen): (ValueId, Option<ValueId>),
        weight: ValueId,
        name: &str,
    ) -> ValueId {
        let op = if chosen.is_some() { "ExpertLinear" } else { "Linear" };
        let mut operands = vec![Some(rows), Some(weight)];
        operands.extend(chosen.map(Some));
        self.apply(OpName::new("remuda", op), &operands, &[], name)
    }

    /// A product with `name.weight`, and what adapters add to it.
    fn adapted(
        &mut self,
        mut y: ValueId,
        (x, chosen): (ValueId, Option<ValueId>),
        name: &str,
        dims: &[usize],
    ) -> Result<ValueId, ModelError> {
        let &[ref experts @ .., outputs, inputs] = dims else { return Ok(y) };
        for adapter in self.adapters {
            let name = self.scoped(&format!("{name}.weight"));
            let Some(Factors { narrow, widen, scale }) = adapter.factors(&name)? else { continue };
            let rank = widen.dims().last().copied().unwrap_or(0);
            let dims = [experts, &[rank, inputs]].concat();
            let narrow = self.factor(&format!("{name}.lora_a"), narrow, dims)?;
            let dims = [experts, &[outputs, rank]].concat();
            let widen = self.factor(&format!("{name}.lora_b"), widen, dims)?;
            let row = self.product((x, chosen), narrow, "narrowed");
            // The row between the factors is the shortest to scale.
            let row = self.scale(row, scale);
            let part = self.product((row, chosen), widen, "widened");
            y = self.onnx("Add", &[y, part], &[], "adapted");
        }
        Ok(y)
    }

    /// A factor of an adapter as a constant; it has these dimensions.
    fn factor(
        &mut self,
        name: &str,
        factor: Tensor,
        expected: Vec<usize>,
    ) -> Result<ValueId, ModelError> {
        if factor.dims() != expected {
            let (name, got) = (name.to_owned(), factor.dims().to_vec());
            return Err(ModelError::Shape { name, expected, got });
        }
        Ok(self.graph.add_const(name, factor))
    }

    /// Rows of a table, and what adapters add to them. Their narrow factor is a table, too.
    fn adapted_rows(
        &mut self,
        mut rows: ValueId,
        indices: ValueId,
        name: &str,
        [count, features]: [usize; 2],
    ) -> Result<ValueId, ModelError> {
        for adapter in self.adapters {
            let Some(Factors { narrow, widen, scale }) = adapter.factors(name)? else { continue };
            let rank = widen.dims().last().copied().unwrap_or(0);
            let dtype = narrow.dtype();
            let narrow = self.factor(&format!("{name}.lora_a"), narrow, vec![count, rank])?;
            let widen = self.factor(&format!("{name}.lora_b"), widen, vec![features, rank])?;
            let row = self.rows_of(narrow, dtype, indices);
            let row = self.scale(row, scale);
            let part = self.product((row, None), widen, "widened");
            rows = self.onnx("Add", &[rows, part], &[], "adapted");
        }
        Ok(rows)
    }

    /// The rows of a table of this dtype that `indices` name, as f32.
    fn rows_of(&mut self, table: ValueId, dtype: DType, indices: ValueId) -> ValueId {
        let rows = self.onnx("Gather", &[table, indices], &[], "rows");
        if matches!(dtype, DType::F32 | DType::Block(_)) { rows } else { self.cast(rows) }
    }

    /// The rows of a table that `indices` name, as f32.
    pub(crate) fn embed(
        &mut self,
        indices: ValueId,
        name: &str,
        shape: [usize; 2],
    ) -> Result<ValueId, ModelError> {
        let table = self.shaped(name, &shape)?;
        let dtype = self.graph.value(table).constant().map_or(DType::F32, Tensor::dtype);
        let rows = self.rows_of(table, dtype, indices);
        self.adapted_rows(rows, indices, name, shape)
    }

    /// The values as f32.
    pub(crate) fn cast(&mut self, x: ValueId) -> ValueId {
        /// The number of `f32` in ONNX.
        const FLOAT: i64 = 1;
        self.onnx("Cast", &[x], &[("to", Attr::Int(FLOAT))], "float")
    }

    /// The values times a number, unless that is 1.
    pub(crate) fn scale(&mut self, x: ValueId, factor: f64) -> ValueId {
        if factor == 1.0 {
            return x;
        }
        #[expect(clippy::cast_possible_truncation, reason = "the graph computes in f32")]
        let factor = self.constant("factor", Tensor::scalar(factor as f32));
        self.onnx("Mul", &[x, factor], &[], "scaled")
    }

    /// The values bent to within plus and minus `cap`.
    pub(crate) fn softcap(&mut self, x: ValueId, cap: f64) -> ValueId {
        let bent = self.scale(x, 1.0 / cap);
        let bent = self.onnx("Tanh", &[bent], &[], "bent");
        self.scale(bent, cap)
    }

    /// The same elements under other dimensions; one of them may be -1.
    pub(crate) fn reshape(&mut self, x: ValueId, dims: &[i64]) -> ValueId {
        let dims = self.constant("dims", Tensor::vector(dims.to_vec()));
        self.onnx("Reshape", &[x, dims], &[], "reshaped")
    }
}

fn attributes(named: &[Named<'_>]) -> Attrs {
    let mut attrs = Attrs::default();
    for (name, attr) in named {
        attrs.set(name, attr.clone());
    }
    attrs
}

/// A size as an attribute or dimension.
pub(crate) fn int(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// A number as an attribute.
#[expect(clippy::cast_possible_truncation, reason = "attributes are single precision")]
pub(crate) fn float(number: f64) -> Attr {
    Attr::Float(number as f32)
}
