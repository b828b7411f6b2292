//! A mixture of experts: each row of the input goes through the few experts that its router scores name,
//! and their answers are summed by weight.

use remuda_ir::{AttrDef, AttrKind, Attrs, InferCtx, Inferred, OpError};

use super::activations::sigmoid;
use super::array::Array;
use super::attention::softmax;
use super::gelu::fast_gelu;

/// The attributes of experts.
pub(crate) const ATTRS: &[AttrDef] = &[
    AttrDef::new("activation_alpha", AttrKind::Float),
    AttrDef::new("activation_beta", AttrKind::Float),
    AttrDef::new("activation_type", AttrKind::Text),
    AttrDef::new("k", AttrKind::Int),
    AttrDef::new("normalize_routing_weights", AttrKind::Int),
    AttrDef::new("swiglu_fusion", AttrKind::Int),
    AttrDef::new("swiglu_limit", AttrKind::Float),
    AttrDef::new("use_sparse_mixer", AttrKind::Int),
];

/// The shape rule: the output is like the input.
pub(crate) fn infer_experts(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    Ok(vec![Inferred::from(ctx.ty(0)?.clone())])
}

/// A layer of every expert: weights `[experts, outputs, inputs]` and perhaps a bias.
pub(crate) struct Layer {
    pub(crate) weights: Array,
    pub(crate) bias: Option<Array>,
}

impl Layer {
    fn sizes(&self, name: &str) -> Result<[usize; 3], OpError> {
        let [experts, outputs, inputs] = self.weights.with_rank(name)?;
        let fits = self.bias.as_ref().is_none_or(|bias| bias.dims == [experts, outputs]);
        if fits {
            return Ok([experts, outputs, inputs]);
        }
        let got = self.bias.as_ref().map(|bias| &bias.dims);
        Err(OpError::Invalid(format!(
            "the bias of `{name}` expected [{experts}, {outputs}], got {got:?}"
        )))
    }

    /// The layer of one expert, applied to a row.
    fn apply(&self, expert: usize, row: &[f64]) -> Vec<f64> {
        let outputs = self.weights.dims[1];
        let weights = &self.weights.values[expert * outputs * row.len()..];
        let bias = |at: usize| self.bias.as_ref().map_or(0.0, |b| b.values[expert * outputs + at]);
        let dot = |at: usize| {
            let weights = &weights[at * row.len()..][..row.len()];
            weights.iter().zip(row).map(|(weight, x)| weight * x).sum::<f64>() + bias(at)
        };
        (0..outputs).map(dot).collect()
    }
}

/// How the weights of the chosen experts come about.
pub(crate) enum Routing {
    /// The softmax of all scores, or with `normalize_routing_weights` of the chosen ones.
    Scores,
    /// The softmax of the chosen scores in any case.
    Chosen,
    /// These, `[rows, experts]`; with `normalize_routing_weights` they are brought to a sum of one.
    Given(Array),
}

/// What the attributes say of routing and of what lies between the layers.
struct Plan {
    chosen: usize,
    normalised: bool,
    activation: String,
    fusion: i64,
    alpha: f64,
    beta: f64,
    limit: f64,
}

impl Plan {
    fn read(attrs: &Attrs) -> Result<Self, OpError> {
        if attrs.bool_or("use_sparse_mixer", false)? {
            return Err(OpError::unsupported("attribute `use_sparse_mixer`"));
        }
        let k = attrs.int_or("k", 1)?;
        let chosen = usize::try_from(k).ok().filter(|&k| k > 0);
        Ok(Self {
            chosen: chosen.ok_or_else(|| {
                OpError::Invalid(format!("`k` expected a positive integer, got {k}"))
            })?,
            normalised: attrs.bool_or("normalize_routing_weights", false)?,
            activation: attrs.text_or("activation_type", "relu")?.to_owned(),
            fusion: attrs.int_or("swiglu_fusion", 0)?,
            alpha: f64::from(attrs.float_or("activation_alpha", 1.0)?),
            beta: f64::from(attrs.float_or("activation_beta", 0.0)?),
            limit: attrs.float("swiglu_limit")?.map_or(f64::INFINITY, f64::from),
        })
    }

    /// The experts of a row of router scores, with their weights.
    fn route(&self, routing: &Routing, row: usize, scores: &[f64]) -> Vec<(usize, f64)> {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        order.truncate(self.chosen);
        let of_chosen = |all: &[f64]| order.iter().map(|&at| all[at]).collect::<Vec<_>>();
        let weights = match routing {
            Routing::Scores if !self.normalised => {
                let mut weights = scores.to_vec();
                softmax(&mut weights, None);
                of_chosen(&weights)
            }
            Routing::Scores | Routing::Chosen => {
                let mut weights = of_chosen(scores);
                softmax(&mut weights, None);
                weights
            }
            Routing::Given(given) => {
                let mut weights = of_chosen(&given.values[row * scores.len()..][..scores.len()]);
                let sum: f64 = weights.iter().sum();
                if self.normalised && sum != 0.0 {
                    weights.iter_mut().for_each(|weight| *weight /= sum);
                }
                weights
            }
        };
        order.into_iter().zip(weights).collect()
    }

    /// What lies between the layers: a function of the first one's result, and of the gate's if there
    /// is a gate.
    fn activate(&self, hidden: Vec<f64>, gate: Option<Vec<f64>>) -> Result<Vec<f64>, OpError> {
        if self.activation == "swiglu" {
            return self.swiglu(hidden, gate);
        }
        let f: fn(f64) -> f64 = match &*self.activation {
            "relu" => |x| x.max(0.0),
            "gelu" => fast_gelu,
            "silu" => |x| x * sigmoid(x),
            "identity" => |x| x,
            other => {
                return Err(OpError::Unsupported(format!(
                    "attribute `activation_type` of `{other}`"
                )));
            }
        };
        let gates = gate.into_iter().flatten().chain(std::iter::repeat(1.0));
        Ok(hidden.into_iter().zip(gates).map(|(x, gate)| f(x) * gate).collect())
    }

    fn swiglu(&self, hidden: Vec<f64>, gate: Option<Vec<f64>>) -> Result<Vec<f64>, OpError> {
        let (gates, values): (Vec<f64>, Vec<f64>) = match (self.fusion, gate) {
            (0, Some(values)) => (hidden, values),
            (1, None) => {
                hidden.as_chunks::<2>().0.iter().map(|&[gate, value]| (gate, value)).unzip()
            }
            (2, None) => {
                let (gates, values) = hidden.split_at(hidden.len() / 2);
                (gates.to_vec(), values.to_vec())
            }
            (fusion, gate) => {
                let text = if gate.is_some() { "with" } else { "without" };
                return Err(OpError::Invalid(format!("`swiglu_fusion` of {fusion} {text} `fc3`")));
            }
        };
        let mix = |(gate, value): (f64, f64)| {
            let (gate, value) = (gate.min(self.limit), value.clamp(-self.limit, self.limit));
            gate * sigmoid(self.alpha * gate) * (value + self.beta)
        };
        Ok(gates.into_iter().zip(values).map(mix).collect())
    }
}

/// Sends each row of `x` through its experts.
pub(crate) fn mixture(
    attrs: &Attrs,
    x: &Array,
    (scores, routing): (&Array, &Routing),
    layers: [Option<Layer>; 3],
) -> Result<Array, OpError> {
    let plan = Plan::read(attrs)?;
    let [Some(first), Some(second), gate] = layers else {
        return Err(OpError::invalid("the weights of a layer are missing"));
    };
    let ([experts, hidden, width], [e2, outputs, inner]) =
        (first.sizes("fc1")?, second.sizes("fc2")?);
    let [rows, choices] = scores.with_rank("router_probs")?;
    let halved = if plan.activation == "swiglu" && plan.fusion > 0 { hidden / 2 } else { hidden };
    let gated = gate.as_ref().map(|gate| gate.sizes("fc3")).transpose()?;
    let fits = x.values.len() == rows * width
        && x.dims.last() == Some(&width)
        && outputs == width
        && [choices, e2] == [experts; 2]
        && inner == halved
        && gated.is_none_or(|sizes| sizes == [experts, hidden, width]);
    if !fits {
        return Err(OpError::Invalid(format!(
            "input {:?}, scores {:?} and weights {:?} and {:?} do not fit each other",
            x.dims, scores.dims, first.weights.dims, second.weights.dims
        )));
    }
    if let Routing::Given(given) = routing
        && given.dims != scores.dims
    {
        let text = format!("router weights of {:?} for scores of {:?}", given.dims, scores.dims);
        return Err(OpError::Invalid(text));
    }
    let mut values = Vec::with_capacity(x.values.len());
    let pairs = x.values.chunks(width.max(1)).zip(scores.values.chunks(experts.max(1)));
    for (at, (row, scores)) in pairs.enumerate() {
        let mut sum = vec![0.0; outputs];
        for (expert, weight) in plan.route(routing, at, scores) {
            let gate = gate.as_ref().map(|gate| gate.apply(expert, row));
            let hidden = plan.activate(first.apply(expert, row), gate)?;
            let answer = second.apply(expert, &hidden);
            sum.iter_mut().zip(answer).for_each(|(sum, value)| *sum += weight * value);
        }
        values.extend(sum);
    }
    Ok(Array { dims: x.dims.clone(), values })
}
