//! RNN, GRU and LSTM of f32: constant weights are packed once.

use std::sync::OnceLock;

use remuda_ir::{Attrs, OpError, Val};
use remuda_kernels::recurrent::{Cell, Direction, Function, Layer, Outputs, PackedWeights, Sizes};
use remuda_tensor::{DType, Tensor};

use crate::Packing;
use crate::kernel::{Kernel, Preparation, Run, optional, tensor, writable};

struct Recurrent {
    cell: Cell,
    /// The activations of each direction.
    functions: Vec<[Function; 3]>,
    backward: bool,
    batch_first: bool,
    clip: f32,
    hidden_size: Option<i64>,
    /// The packed weights, where those are known before the first run.
    packed: Option<OnceLock<Vec<PackedWeights>>>,
}

/// Where the inputs stand that not every cell has.
const LENGTHS: usize = 4;
const HIDDEN: usize = 5;
const CELL: usize = 6;
const PEEPHOLES: usize = 7;

pub(super) fn prepare(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let node = preparation.node;
    let attrs = &node.attrs;
    let cell = match &*node.op.name {
        "RNN" => Cell::Rnn,
        "GRU" => {
            let linear_before_reset = attrs.bool_or("linear_before_reset", false).ok()?;
            Cell::Gru { linear_before_reset }
        }
        _ => Cell::Lstm { coupled: attrs.bool_or("input_forget", false).ok()? },
    };
    let (directions, backward) = match attrs.text_or("direction", "forward").ok()? {
        "forward" => (1, false),
        "reverse" => (1, true),
        "bidirectional" => (2, false),
        _ => return None,
    };
    let floats = [0, 1, 2, 3, HIDDEN, CELL, PEEPHOLES];
    let floats = floats
        .iter()
        .all(|&at| node.input(at).is_none() || preparation.dtype(at) == Some(DType::F32));
    let fixed = preparation.is_fixed(1) && preparation.is_fixed(2);
    let kernel = Recurrent {
        cell,
        functions: functions(attrs, cell, directions)?,
        backward,
        batch_first: attrs.bool_or("layout", false).ok()?,
        clip: attrs.float("clip").ok()?.map_or(f32::INFINITY, f32::abs),
        hidden_size: attrs.int("hidden_size").ok()?,
        packed: fixed.then(OnceLock::new),
    };
    floats.then(|| Box::new(kernel) as Box<dyn Kernel>)
}

/// The activations of each direction; a cell of fewer than three repeats its last.
fn functions(attrs: &Attrs, cell: Cell, directions: usize) -> Option<Vec<[Function; 3]>> {
    let defaults: &[&str] = match cell {
        Cell::Rnn => &["Tanh"],
        Cell::Gru { .. } => &["Sigmoid", "Tanh"],
        Cell::Lstm { .. } => &["Sigmoid", "Tanh", "Tanh"],
    };
    let names: Vec<&str> = match attrs.texts("activations").ok()? {
        Some(names) => names.iter().map(String::as_str).collect(),
        None => defaults.repeat(directions),
    };
    if names.len() != defaults.len() * directions {
        return None;
    }
    let list = |name| Some(attrs.floats(name).ok()?.unwrap_or(&[]).iter().copied());
    let (mut alphas, mut betas) = (list("activation_alpha")?, list("activation_beta")?);
    let functions = names.into_iter().map(|name| function(name, &mut alphas, &mut betas));
    let functions = functions.collect::<Option<Vec<_>>>()?;
    let each = functions.chunks(defaults.len());
    Some(each.map(|each| [0, 1, 2].map(|at| each[at.min(each.len() - 1)])).collect())
}

/// The function of this name; it takes its parameters from those not yet taken.
fn function(
    name: &str,
    alphas: &mut impl Iterator<Item = f32>,
    betas: &mut impl Iterator<Item = f32>,
) -> Option<Function> {
    let mut alpha = |default: f32| alphas.next().unwrap_or(default);
    let mut beta = |default: f32| betas.next().unwrap_or(default);
    Some(match name.to_ascii_lowercase().as_str() {
        "relu" => Function::Relu,
        "tanh" => Function::Tanh,
        "sigmoid" => Function::Sigmoid,
        "softsign" => Function::Softsign,
        "softplus" => Function::Softplus,
        "leakyrelu" => Function::LeakyRelu(alpha(0.01)),
        "thresholdedrelu" => Function::ThresholdedRelu(alpha(1.0)),
        "elu" => Function::Elu(alpha(1.0)),
        "affine" => Function::Affine(alpha(1.0), beta(0.0)),
        "scaledtanh" => Function::ScaledTanh(alpha(1.0), beta(1.0)),
        "hardsigmoid" => Function::HardSigmoid(alpha(0.2), beta(0.5)),
        _ => return None,
    })
}

impl Kernel for Recurrent {
    fn packs(&self) -> &[usize] {
        if self.packed.is_some() { &[1, 2] } else { &[] }
    }

    fn pack(&self, _: &Packing<'_>, inputs: &[Option<Tensor>]) -> Result<(), OpError> {
        if let (Some(packed), [_, Some(w), Some(r), ..]) = (&self.packed, inputs) {
            let _ = packed.set(self.packed_weights(w, r)?);
        }
        Ok(())
    }

    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let x = tensor(inputs, 0)?.contiguous();
        let sizes = self.sizes(&x, tensor(inputs, 1)?, tensor(inputs, 2)?)?;
        let Sizes { length, batch, hidden, .. } = sizes;
        let directions = self.functions.len();
        let bias = self.weights(inputs, 3, "b", 2 * self.cell.gates() * hidden)?;
        let peepholes = self.weights(inputs, PEEPHOLES, "p", 3 * hidden)?;
        let lengths = lengths(optional(inputs, LENGTHS)?, batch, length)?;
        let own;
        let packed = match self.packed.as_ref().and_then(OnceLock::get) {
            Some(packed) => packed,
            None => {
                own = self.packed_weights(tensor(inputs, 1)?, tensor(inputs, 2)?)?;
                &own
            }
        };
        let parts = self.parts(packed, bias.as_ref(), peepholes.as_ref())?;
        let has_cell = matches!(self.cell, Cell::Lstm { .. });
        let mut states = vec![self.initial(run, inputs, HIDDEN, sizes)?];
        if has_cell {
            states.push(self.initial(run, inputs, CELL, sizes)?);
        }
        let dims = if self.batch_first {
            [batch, length, directions, hidden]
        } else {
            [length, directions, batch, hidden]
        };
        let mut y = run.arena.tensor(DType::F32, &dims)?;
        let layer = Layer { cell: self.cell, sizes, clip: self.clip, lengths: lengths.as_deref() };
        let [state, rest @ ..] = &mut states[..] else { return Ok(Vec::new()) };
        let cell = rest.first_mut().map(writable).transpose()?.unwrap_or_default();
        let out = Outputs { y: writable(&mut y)?, hidden: writable(state)?, cell };
        layer
            .run(run.context(), x.as_slice()?, &parts, out)
            .map_err(|error| OpError::Bug(error.to_string()))?;
        let mut outputs = vec![y.into()];
        for state in states {
            outputs.push(self.last(state)?.into());
        }
        Ok(outputs)
    }
}

impl Recurrent {
    /// The sizes of data and weights that fit each other.
    fn sizes(&self, x: &Tensor, w: &Tensor, r: &Tensor) -> Result<Sizes, OpError> {
        let [input, hidden] = self.weight_sizes(w, r)?;
        let &[first, second, size] = x.dims() else {
            let text = format!("`x` expected 3 dimensions, got {}", x.rank());
            return Err(OpError::Invalid(text));
        };
        expect_dims("x", &[size], &[input])?;
        let (length, batch) = if self.batch_first { (second, first) } else { (first, second) };
        Ok(Sizes { length, batch, input, hidden, batch_first: self.batch_first })
    }

    /// The features of data and state that the weights are for.
    fn weight_sizes(&self, w: &Tensor, r: &Tensor) -> Result<[usize; 2], OpError> {
        let (&[_, _, input], &[_, _, hidden]) = (w.dims(), r.dims()) else {
            let text = format!("weights of {:?} and {:?} do not fit", w.dims(), r.dims());
            return Err(OpError::Invalid(text));
        };
        if let Some(asked) = self.hidden_size.filter(|&asked| usize::try_from(asked) != Ok(hidden))
        {
            let text = format!("`hidden_size` is {asked}, the weights have {hidden}");
            return Err(OpError::Invalid(text));
        }
        let rows = self.cell.gates().saturating_mul(hidden);
        let directions = self.functions.len();
        expect_dims("w", w.dims(), &[directions, rows, input])?;
        expect_dims("r", r.dims(), &[directions, rows, hidden])?;
        Ok([input, hidden])
    }

    /// An optional input that has so many elements for each direction.
    fn weights(
        &self,
        inputs: &[Option<Val>],
        at: usize,
        name: &str,
        count: usize,
    ) -> Result<Option<Tensor>, OpError> {
        let Some(values) = optional(inputs, at)? else { return Ok(None) };
        expect_dims(name, values.dims(), &[self.functions.len(), count])?;
        Ok(Some(values.contiguous()))
    }

    fn packed_weights(&self, w: &Tensor, r: &Tensor) -> Result<Vec<PackedWeights>, OpError> {
        let (w, r) = (w.contiguous(), r.contiguous());
        let [input, hidden] = self.weight_sizes(&w, &r)?;
        let (w, r) = (self.each(w.as_slice()?), self.each(r.as_slice()?));
        w.zip(r)
            .map(|(w, r)| PackedWeights::new(self.cell, w, r, [input, hidden]))
            .collect::<Result<_, _>>()
            .map_err(|error| OpError::Bug(error.to_string()))
    }

    /// The parts of weights that belong to each direction.
    fn each<'a>(&self, values: &'a [f32]) -> impl Iterator<Item = &'a [f32]> {
        let directions = self.functions.len();
        let each = values.len() / directions;
        (0..directions).map(move |at| &values[at * each..(at + 1) * each])
    }

    fn parts<'a>(
        &self,
        packed: &'a [PackedWeights],
        bias: Option<&'a Tensor>,
        peepholes: Option<&'a Tensor>,
    ) -> Result<Vec<Direction<'a>>, OpError> {
        let slices = |values: Option<&'a Tensor>| -> Result<Vec<Option<&'a [f32]>>, OpError> {
            let Some(values) = values else { return Ok(vec![None; packed.len()]) };
            Ok(self.each(values.as_slice()?).map(Some).collect())
        };
        let optional = slices(bias)?.into_iter().zip(slices(peepholes)?);
        let parts = packed.iter().zip(&self.functions).zip(optional).enumerate();
        let part = |(at, ((weights, &functions), (bias, peepholes)))| {
            let backward = self.backward || at == 1;
            Direction { weights, bias, peepholes, functions, backward }
        };
        Ok(parts.map(part).collect())
    }

    /// A state to begin with, `[directions, batch, hidden]`.
    fn initial(
        &self,
        run: &mut Run<'_>,
        inputs: &[Option<Val>],
        at: usize,
        sizes: Sizes,
    ) -> Result<Tensor, OpError> {
        let Sizes { batch, hidden, .. } = sizes;
        let directions = self.functions.len();
        let dims = [directions, batch, hidden];
        let mut state = run.arena.tensor(DType::F32, &dims)?;
        match optional(inputs, at)? {
            Some(given) if self.batch_first => {
                expect_dims("initial state", given.dims(), &[batch, directions, hidden])?;
                let given = given.permute(&[1, 0, 2])?.contiguous();
                writable(&mut state)?.copy_from_slice(given.as_slice::<f32>()?);
            }
            Some(given) => {
                expect_dims("initial state", given.dims(), &dims)?;
                writable(&mut state)?.copy_from_slice(given.contiguous().as_slice::<f32>()?);
            }
            None => writable::<f32>(&mut state)?.fill(0.0),
        }
        Ok(state)
    }

    /// A state at the end, in the layout of the outputs.
    fn last(&self, state: Tensor) -> Result<Tensor, OpError> {
        Ok(if self.batch_first { state.permute(&[1, 0, 2])?.contiguous() } else { state })
    }
}

fn expect_dims(name: &str, got: &[usize], expected: &[usize]) -> Result<(), OpError> {
    if got == expected {
        return Ok(());
    }
    Err(OpError::Invalid(format!("`{name}` expected {expected:?}, got {got:?}")))
}

/// The steps of every sequence, if they are given.
fn lengths(
    given: Option<&Tensor>,
    batch: usize,
    length: usize,
) -> Result<Option<Vec<usize>>, OpError> {
    let Some(given) = given else { return Ok(None) };
    let given = given.contiguous();
    let given = given.as_slice::<i32>()?;
    let fits = |&steps: &i32| usize::try_from(steps).ok().filter(|&steps| steps <= length);
    let lengths: Option<Vec<usize>> = given.iter().map(fits).collect();
    lengths.filter(|lengths| lengths.len() == batch).map(Some).ok_or_else(|| {
        OpError::Invalid(format!(
            "`sequence_lens` expected {batch} lengths up to {length}, got {given:?}"
        ))
    })
}
