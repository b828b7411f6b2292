//! Recurrent layers: directions, layouts, lengths of sequences, activations and clipping, which the
//! cells (RNN, GRU, LSTM) share.

use remuda_ir::{Attrs, Draft, InferCtx, Inferred, KernelCtx, OpError, Val};
use remuda_tensor::dim::DisplayDims;
use remuda_tensor::{DType, Dim};

use super::activations::{sigmoid, softplus};
use super::array::Array;

/// An activation with its parameters.
#[derive(Clone, Debug)]
pub(crate) struct Activation {
    name: String,
    alpha: f64,
    beta: f64,
}

impl Activation {
    fn new(name: &str, alphas: &mut Vec<f64>, betas: &mut Vec<f64>) -> Result<Self, OpError> {
        let name = name.to_ascii_lowercase();
        let defaults = match name.as_str() {
            "relu" | "tanh" | "sigmoid" | "softsign" | "softplus" => (None, None),
            "leakyrelu" => (Some(0.01), None),
            "thresholdedrelu" | "elu" => (Some(1.0), None),
            "affine" => (Some(1.0), Some(0.0)),
            "scaledtanh" => (Some(1.0), Some(1.0)),
            "hardsigmoid" => (Some(0.2), Some(0.5)),
            _ => return Err(OpError::Invalid(format!("`activations` has no function `{name}`"))),
        };
        let next = |default: Option<f64>, given: &mut Vec<f64>| match default {
            Some(_) if !given.is_empty() => given.remove(0),
            default => default.unwrap_or(0.0),
        };
        let (alpha, beta) = (next(defaults.0, alphas), next(defaults.1, betas));
        Ok(Self { name, alpha, beta })
    }

    /// The function at a place.
    pub(crate) fn of(&self, x: f64) -> f64 {
        let (alpha, beta) = (self.alpha, self.beta);
        match self.name.as_str() {
            "relu" => x.max(0.0),
            "tanh" => x.tanh(),
            "sigmoid" => sigmoid(x),
            "softsign" => x / (1.0 + x.abs()),
            "softplus" => softplus(x),
            "leakyrelu" => {
                if x < 0.0 {
                    alpha * x
                } else {
                    x
                }
            }
            "thresholdedrelu" => {
                if x > alpha {
                    x
                } else {
                    0.0
                }
            }
            "elu" => {
                if x < 0.0 {
                    alpha * x.exp_m1()
                } else {
                    x
                }
            }
            "affine" => alpha * x + beta,
            "scaledtanh" => alpha * (beta * x).tanh(),
            _ => (alpha * x + beta).clamp(0.0, 1.0),
        }
    }
}

/// How many directions there are and whether the first goes backward.
fn directions(attrs: &Attrs) -> Result<(usize, bool), OpError> {
    match attrs.text_or("direction", "forward")? {
        "forward" => Ok((1, false)),
        "reverse" => Ok((1, true)),
        "bidirectional" => Ok((2, false)),
        other => Err(OpError::Invalid(format!("`direction` has no value `{other}`"))),
    }
}

/// A recurrent layer: weights, sizes and what the attributes say.
pub(crate) struct Layer {
    x: Array,
    w: Array,
    r: Array,
    b: Option<Array>,
    lengths: Vec<usize>,
    batch_first: bool,
    backward: bool,
    directions: usize,
    gates: usize,
    pub(crate) hidden: usize,
    clip: f64,
    functions: Vec<Activation>,
}

/// What a cell sees of one step of one sequence.
pub(crate) struct Step<'a> {
    layer: &'a Layer,
    pub(crate) direction: usize,
    x: &'a [f64],
}

impl Layer {
    /// Reads the first five inputs; the cell has so many gates and these activations.
    pub(crate) fn read(
        ctx: &KernelCtx<'_>,
        gates: usize,
        defaults: &[&str],
    ) -> Result<Self, OpError> {
        let array = |at: usize| Array::of(ctx.tensor(at)?);
        Self::of(ctx, [array(0)?, array(1)?, array(2)?], gates, defaults)
    }

    /// As [`Self::read`], of data and weights that are given.
    pub(crate) fn of(
        ctx: &KernelCtx<'_>,
        [mut x, w, r]: [Array; 3],
        gates: usize,
        defaults: &[&str],
    ) -> Result<Self, OpError> {
        let attrs = ctx.attrs();
        let (directions, backward) = directions(attrs)?;
        let batch_first = attrs.bool_or("layout", false)?;
        x.with_rank::<3>("x")?;
        if batch_first {
            x = x.permuted(&[1, 0, 2])?;
        }
        let [length, batch, size] = x.with_rank("x")?;
        let hidden = r.with_rank::<3>("r")?[2];
        if let Some(asked) = attrs.int("hidden_size")?.filter(|&asked| asked != hidden as i64) {
            return Err(OpError::Invalid(format!(
                "`hidden_size` is {asked}, the weights have {hidden}"
            )));
        }
        let rows = gates.saturating_mul(hidden);
        expect_dims("w", &w.dims, &[directions, rows, size])?;
        expect_dims("r", &r.dims, &[directions, rows, hidden])?;
        let b = Array::of_optional(ctx.opt_tensor(3)?)?;
        if let Some(b) = &b {
            expect_dims("b", &b.dims, &[directions, 2 * rows])?;
        }
        Ok(Self {
            lengths: lengths(ctx.opt_ints(4)?, batch, length)?,
            functions: functions(attrs, defaults, directions)?,
            clip: attrs.float("clip")?.map_or(f64::INFINITY, |clip| f64::from(clip).abs()),
            x,
            w,
            r,
            b,
            batch_first,
            backward,
            directions,
            gates,
            hidden,
        })
    }

    /// A state input as `[directions, batch, hidden]`, zeros if it is left out.
    pub(crate) fn initial(&self, ctx: &KernelCtx<'_>, at: usize) -> Result<Array, OpError> {
        let batch = self.x.dims[1];
        let dims = [self.directions, batch, self.hidden];
        let Some(mut state) = Array::of_optional(ctx.opt_tensor(at)?)? else {
            return Array::filled(dims, 0.0);
        };
        if self.batch_first {
            expect_dims("initial state", &state.dims, &[batch, self.directions, self.hidden])?;
            state = state.permuted(&[1, 0, 2])?;
        }
        expect_dims("initial state", &state.dims, &dims)?;
        Ok(state)
    }

    /// Runs the cell over all sequences. `states` (the first is what comes out) are `[directions,
    /// batch, hidden]`; the cell changes the slices it gets.
    pub(crate) fn run(
        &self,
        mut states: Vec<Array>,
        cell: impl Fn(&Step<'_>, &mut [Vec<f64>]),
    ) -> Result<(Array, Vec<Array>), OpError> {
        let [length, batch, size] = self.x.with_rank("x")?;
        let hidden = self.hidden;
        let mut y = Array::filled([length, self.directions, batch, hidden], 0.0)?;
        for place in super::array::positions(&[self.directions, batch]) {
            let (direction, sequence) = (place[0], place[1]);
            let own = (direction * batch + sequence) * hidden;
            let mut current: Vec<Vec<f64>> =
                states.iter().map(|state| state.values[own..][..hidden].to_vec()).collect();
            let count = self.lengths[sequence];
            for step in 0..count {
                let backward = self.backward || direction == 1;
                let at = if backward { count - 1 - step } else { step };
                let x = &self.x.values[(at * batch + sequence) * size..][..size];
                cell(&Step { layer: self, direction, x }, &mut current);
                let to = ((at * self.directions + direction) * batch + sequence) * hidden;
                y.values[to..][..hidden].copy_from_slice(&current[0]);
            }
            for (state, current) in states.iter_mut().zip(&current) {
                state.values[own..][..hidden].copy_from_slice(current);
            }
        }
        Ok((y, states))
    }

    /// The outputs in the layout that was asked for.
    pub(crate) fn outputs(
        &self,
        (y, states): (Array, Vec<Array>),
        dtype: DType,
    ) -> Result<Vec<Val>, OpError> {
        let y = if self.batch_first { y.permuted(&[2, 0, 1, 3])? } else { y };
        let mut outputs = vec![y.to_floats(dtype)?.into()];
        for state in states {
            let state = if self.batch_first { state.permuted(&[1, 0, 2])? } else { state };
            outputs.push(state.to_floats(dtype)?.into());
        }
        Ok(outputs)
    }
}

impl Step<'_> {
    /// Data times the weights of a gate, with its bias.
    pub(crate) fn data_through(&self, gate: usize) -> Vec<f64> {
        self.product(&self.layer.w, self.x, gate, gate)
    }

    /// The state times the recurrent weights of a gate, with its bias.
    pub(crate) fn state_through(&self, state: &[f64], gate: usize) -> Vec<f64> {
        self.product(&self.layer.r, state, gate, self.layer.gates + gate)
    }

    fn product(&self, weights: &Array, x: &[f64], gate: usize, bias: usize) -> Vec<f64> {
        let Layer { hidden, gates, b, .. } = self.layer;
        let row = |at: usize| {
            let start = (self.direction * gates + gate) * hidden + at;
            let weights = &weights.values[start * x.len()..][..x.len()];
            let place = (self.direction * 2 * gates + bias) * hidden + at;
            let bias = b.as_ref().map_or(0.0, |b| b.values[place]);
            weights.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() + bias
        };
        (0..*hidden).map(row).collect()
    }

    /// An activation of this direction after clipping.
    pub(crate) fn activate(&self, which: usize, x: f64) -> f64 {
        let each = self.layer.functions.len() / self.layer.directions;
        let clip = self.layer.clip;
        self.layer.functions[self.direction * each + which].of(x.clamp(-clip, clip))
    }
}

fn functions(
    attrs: &Attrs,
    defaults: &[&str],
    directions: usize,
) -> Result<Vec<Activation>, OpError> {
    let wanted = defaults.len() * directions;
    let names: Vec<String> = match attrs.texts("activations")? {
        Some(names) => names.to_vec(),
        None => defaults.iter().cycle().take(wanted).map(|&name| name.to_owned()).collect(),
    };
    if names.len() != wanted {
        return Err(OpError::Invalid(format!(
            "`activations` expected {wanted} names, got {}",
            names.len()
        )));
    }
    let list = |name: &str| -> Result<Vec<f64>, OpError> {
        Ok(attrs.floats(name)?.unwrap_or(&[]).iter().map(|&value| value.into()).collect())
    };
    let (mut alphas, mut betas) = (list("activation_alpha")?, list("activation_beta")?);
    names.iter().map(|name| Activation::new(name, &mut alphas, &mut betas)).collect()
}

fn lengths(given: Option<Vec<i64>>, batch: usize, length: usize) -> Result<Vec<usize>, OpError> {
    let Some(given) = given else { return Ok(vec![length; batch]) };
    let fits = |&len: &i64| usize::try_from(len).ok().filter(|&len| len <= length);
    let lengths: Option<Vec<usize>> = given.iter().map(fits).collect();
    lengths.filter(|lengths| lengths.len() == batch).ok_or_else(|| {
        OpError::Invalid(format!(
            "`sequence_lens` expected {batch} lengths up to {length}, got {given:?}"
        ))
    })
}

/// Refuses other dimensions.
pub(crate) fn expect_dims(name: &str, got: &[usize], expected: &[usize]) -> Result<(), OpError> {
    if got == expected {
        return Ok(());
    }
    Err(OpError::Invalid(format!("`{name}` expected {expected:?}, got {got:?}")))
}

/// The shape rule: the sequence of results, then `states` last states.
pub(crate) fn infer_recurrent(ctx: &InferCtx<'_>, states: usize) -> Result<Vec<Inferred>, OpError> {
    infer_layer(ctx, states, 2)
}

/// As [`infer_recurrent`]; this axis of the recurrent weights is as long as the state.
pub(crate) fn infer_layer(
    ctx: &InferCtx<'_>,
    states: usize,
    axis: usize,
) -> Result<Vec<Inferred>, OpError> {
    let dtype = ctx.dtype(0)?;
    let count = Dim::from(directions(ctx.attrs())?.0);
    let hidden = match (ctx.attrs().int("hidden_size")?, ctx.dims(2)?) {
        (Some(hidden), _) => Dim::Known(hidden),
        (None, Some(dims)) => dims.get(axis).cloned().unwrap_or(Dim::Unknown),
        _ => Dim::Unknown,
    };
    let (first, second) = match ctx.dims(0)? {
        Some([first, second, _]) => (first.clone(), second.clone()),
        Some(other) => {
            let other = DisplayDims(other);
            return Err(OpError::Invalid(format!("`x` expected 3 dimensions, got {other}")));
        }
        None => (Dim::Unknown, Dim::Unknown),
    };
    let (y, state) = if ctx.attrs().bool_or("layout", false)? {
        ([first.clone(), second, count.clone(), hidden.clone()], [first, count, hidden])
    } else {
        ([first, count.clone(), second.clone(), hidden.clone()], [count, second, hidden])
    };
    let mut out = vec![Inferred::tensor(dtype, y)];
    out.resize(1 + states, Inferred::tensor(dtype, state));
    Ok(out)
}

/// Early opsets asked for the sequence of results by an attribute.
pub(crate) fn upgrade_recurrent(draft: &mut Draft<'_>) -> Result<(), OpError> {
    draft.node.attrs.take("output_sequence");
    Ok(())
}
