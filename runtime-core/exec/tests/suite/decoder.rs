//! A small decoder with random weights, and sequences that are fed to it as an engine would.

use remuda_exec::{ExecError, Receipt, RunRequest, Session, StateOptions, States};
use remuda_ir::{Attr, Attrs, Def, Graph, OpName, StateType, Val, ValueId, ValueType};
use remuda_ops::{Random, random_tensor};
use remuda_tensor::{DType, Dim, Tensor, TensorType};

use crate::common::typed;

pub(crate) const VOCABULARY: usize = 11;
const WIDTH: usize = 8;

/// A decoder: tokens, sequences and positions in, logits of every token out. A layer with a `window`
/// forgets what lies before it.
pub(crate) fn decoder(random: &mut Random, windows: &[Option<usize>]) -> Graph {
    let mut graph = Graph::new("decoder");
    let list = |graph: &mut Graph, name: &str| {
        let ty = TensorType::new(DType::I64, [Dim::symbol("tokens")]);
        graph.add_input(name, Some(ty.into()))
    };
    let [tokens, sequences, positions] =
        ["tokens", "sequences", "positions"].map(|name| list(&mut graph, name));
    let mut weight = |graph: &mut Graph, name: String, dims: [usize; 2]| {
        graph.add_const(&name, random_tensor(random, DType::F32, &dims).expect("a sound test"))
    };
    let table = weight(&mut graph, "table".to_owned(), [VOCABULARY, WIDTH]);
    let mut x = graph.apply(OpName::onnx("Gather"), &[table, tokens], Attrs::default(), "embedded");
    for (layer, &window) in windows.iter().enumerate() {
        let ty = StateType { dtype: DType::F32, heads: 2, key_dim: 4, value_dim: 4, window };
        let ty = Some(ValueType::State(ty));
        let cache = graph.add_value(&format!("kv{layer}"), ty, Def::State);
        let mut product = |graph: &mut Graph, of: ValueId, name: &str| {
            let weight = weight(graph, format!("w{name}{layer}"), [WIDTH, WIDTH]);
            let name = format!("{name}{layer}");
            graph.apply(OpName::onnx("MatMul"), &[of, weight], Attrs::default(), &name)
        };
        let normed =
            graph.apply(OpName::onnx("Softmax"), &[x], Attrs::default(), &format!("n{layer}"));
        let [q, k, v] = ["q", "k", "v"].map(|name| product(&mut graph, normed, name));
        let mut attrs = Attrs::default();
        attrs.set("num_heads", Attr::Int(2));
        let op = OpName::new("remuda", "CachedAttention");
        let inputs = [q, k, v, cache, sequences, positions];
        let seen = graph.apply(op, &inputs, attrs, &format!("a{layer}"));
        let out = product(&mut graph, seen, "o");
        let name = format!("x{layer}");
        x = graph.apply(OpName::onnx("Add"), &[x, out], Attrs::default(), &name);
    }
    let head = weight(&mut graph, "head".to_owned(), [WIDTH, VOCABULARY]);
    let logits = graph.apply(OpName::onnx("MatMul"), &[x, head], Attrs::default(), "logits");
    graph.outputs = vec![logits];
    typed(graph)
}

/// Room for these sequences in every layer.
pub(crate) fn room(layers: usize, sequences: u32, mirror: bool) -> StateOptions {
    StateOptions { sequences, capacities: vec![64 * u64::from(sequences); layers], mirror }
}

/// Tokens of some sequences, to be appended in one step.
pub(crate) type Step = Vec<(u32, Vec<i64>)>;

/// A session with its states, and what its sequences hold.
pub(crate) struct Feeder<'s> {
    session: &'s Session,
    pub(crate) states: States,
    /// What was fed to each sequence, and how much of it the states have.
    pub(crate) fed: Vec<(Vec<i64>, usize)>,
    pub(crate) receipts: Vec<Receipt>,
    pub(crate) refilled: usize,
}

impl<'s> Feeder<'s> {
    pub(crate) fn new(session: &'s Session) -> Result<Self, ExecError> {
        let states = session.states()?;
        let fed = vec![(Vec::new(), 0); states.sequences() as usize];
        Ok(Self { session, states, fed, receipts: Vec::new(), refilled: 0 })
    }

    /// Appends tokens; gives the logits of the last token of each sequence. Sequences that were lost on
    /// the way are fed again from their beginning.
    pub(crate) fn step(&mut self, step: &Step) -> Result<Vec<Vec<f32>>, ExecError> {
        for (sequence, tokens) in step {
            self.fed[*sequence as usize].0.extend(tokens);
        }
        loop {
            match self.feed(step) {
                Err(ExecError::StatesLost { .. }) => {
                    self.refilled += 1;
                    self.fed.iter_mut().for_each(|(_, held)| *held = 0);
                }
                other => return other,
            }
        }
    }

    /// One run over everything that the states lack.
    fn feed(&mut self, step: &Step) -> Result<Vec<Vec<f32>>, ExecError> {
        let (mut tokens, mut sequences, mut positions) = (vec![], vec![], vec![]);
        let mut last = vec![0; self.fed.len()];
        for (sequence, (all, held)) in self.fed.iter().enumerate() {
            for (position, &token) in all.iter().enumerate().skip(*held) {
                last[sequence] = tokens.len();
                tokens.push(token);
                sequences.push(i64::try_from(sequence).expect("a sound test"));
                positions.push(i64::try_from(position).expect("a sound test"));
            }
        }
        let inputs = [tokens, sequences, positions].map(|list| Val::from(Tensor::vector(list)));
        let request = RunRequest::default();
        let (outputs, receipt) = self.session.step(&mut self.states, &inputs, &request)?;
        self.receipts.push(receipt);
        for (sequence, (all, held)) in (0..).zip(&mut self.fed) {
            *held = all.len();
            assert_eq!(self.states.length(sequence), *held as u64, "length of {sequence}");
        }
        let logits = outputs[0].tensor().expect("a sound test").to_f32_vec().expect("floats");
        let row = |at: usize| logits[at * VOCABULARY..(at + 1) * VOCABULARY].to_vec();
        Ok(step.iter().map(|(sequence, _)| row(last[*sequence as usize])).collect())
    }

    /// Cuts a sequence. What could not be kept is fed again with the next step.
    pub(crate) fn cut(&mut self, sequence: u32, length: usize) {
        let (tokens, held) = &mut self.fed[sequence as usize];
        tokens.truncate(length);
        let kept = self.states.cut(sequence, length as u64).expect("a sequence");
        *held = usize::try_from(kept).expect("a sound test");
    }

    pub(crate) fn copy(&mut self, from: u32, to: u32, length: usize) {
        let tokens = self.fed[from as usize].0[..length].to_vec();
        let kept = self.states.copy(from, to, length as u64).expect("a sequence");
        self.fed[to as usize] = (tokens, usize::try_from(kept).expect("a sound test"));
    }
}

pub(crate) fn close(got: &[Vec<f32>], want: &[Vec<f32>]) -> bool {
    let pairs = got.iter().flatten().zip(want.iter().flatten());
    got.len() == want.len() && pairs.into_iter().all(|(got, want)| (got - want).abs() < 1e-4)
}
