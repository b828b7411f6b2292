//! Quantised values between `QuantizeLinear` and `DequantizeLinear`, as rules that join what lies between
//! them ask for.

use remuda_ir::{Node, ValueId};
use remuda_tensor::{DType, Tensor};

use crate::Rewriter;
use crate::pattern::{dims, dtype, producer};

/// Numbers that are kept as bytes (or as wider integers), with their scale and zero point.
#[derive(Clone, Copy)]
pub(crate) struct Quantized {
    pub(crate) value: ValueId,
    pub(crate) scale: ValueId,
    pub(crate) zero: Option<ValueId>,
    pub(crate) dtype: DType,
    axis: i64,
}

impl Quantized {
    /// What a value was dequantised from.
    pub(crate) fn behind(graph: &Rewriter<'_>, real: ValueId) -> Option<Self> {
        let (_, node) = producer(graph, real, "DequantizeLinear")?;
        let value = node.input(0)?;
        let dtype = dtype(graph, value)?;
        Self::of(graph, node, value, dtype)
    }

    /// What a `QuantizeLinear` makes: its output, as far as the parameters say it.
    pub(crate) fn made_by(graph: &Rewriter<'_>, node: &Node) -> Option<Self> {
        let output = node.output(0).filter(|_| node.op.is_onnx("QuantizeLinear"))?;
        let plain = node.attrs.int_or("precision", 0).ok()? == 0;
        let dtype = dtype(graph, output).filter(|_| plain)?;
        Self::of(graph, node, output, dtype)
    }

    fn of(graph: &Rewriter<'_>, node: &Node, value: ValueId, ty: DType) -> Option<Self> {
        let scale = node.input(1)?;
        let whole = node.attrs.int_or("block_size", 0).ok()? == 0;
        let in_floats = dtype(graph, scale)? == DType::F32;
        let axis = node.attrs.int_or("axis", 1).ok()?;
        let quantized = Self { value, scale, zero: node.input(2), dtype: ty, axis };
        (whole && in_floats).then_some(quantized)
    }

    /// Whether the numbers are bytes.
    pub(crate) fn is_bytes(&self) -> bool {
        matches!(self.dtype, DType::I8 | DType::U8)
    }

    /// Whether one scale stands for all numbers.
    pub(crate) fn is_uniform(&self, graph: &Rewriter<'_>) -> bool {
        let one = |dims: &[remuda_tensor::Dim]| dims.iter().all(|dim| dim.as_usize() == Some(1));
        dims(graph, self.scale).is_some_and(one)
    }

    /// Whether the scales are one number or one for each place of this axis.
    pub(crate) fn is_along(&self, graph: &Rewriter<'_>, axis: i64) -> bool {
        let rank = dims(graph, self.value).and_then(|dims| i64::try_from(dims.len()).ok());
        let by_place = self.axis == axis || rank.is_some_and(|rank| self.axis + rank == axis);
        self.is_uniform(graph) || by_place
    }

    /// The scales, if they are known.
    pub(crate) fn scales(&self, graph: &Rewriter<'_>) -> Option<Vec<f64>> {
        graph.value(self.scale).constant()?.to_f64_vec().ok()
    }

    /// The zero points, if they are known.
    pub(crate) fn zeros(&self, graph: &Rewriter<'_>) -> Option<Vec<f64>> {
        match self.zero {
            None => Some(vec![0.0]),
            Some(zero) => graph.value(zero).constant()?.to_f64_vec().ok(),
        }
    }

    /// The zero point, made of zeros like the scales where there is none.
    pub(crate) fn zero_or_new(&self, graph: &mut Rewriter<'_>) -> Option<ValueId> {
        if self.zero.is_some() {
            return self.zero;
        }
        let sizes = dims(graph, self.scale)?.iter().map(remuda_tensor::Dim::as_usize);
        let zeros = Tensor::zeros(self.dtype, sizes.collect::<Option<Vec<_>>>()?).ok()?;
        Some(graph.add_const("zero_point", zeros))
    }

    /// Whether nothing is lost when numbers outside of these bounds are not clamped to them before they
    /// are quantised.
    pub(crate) fn clamps_to(&self, graph: &Rewriter<'_>, low: f64, high: f64) -> bool {
        let (least, most) = if self.dtype == DType::I8 { (-128.0, 127.0) } else { (0.0, 255.0) };
        let (Some(scales), Some(zeros)) = (self.scales(graph), self.zeros(graph)) else {
            return false;
        };
        let ([scale], [zero]) = (&scales[..], &zeros[..]) else { return false };
        let place = |bound: f64| (bound / scale).round_ties_even() + zero;
        *scale > 0.0 && place(low) <= least && place(high) >= most
    }
}

/// Whether the constant at an input of a node has this rank.
pub(crate) fn is_constant_of_rank(graph: &Rewriter<'_>, value: ValueId, rank: usize) -> bool {
    graph.value(value).constant().is_some_and(|tensor| tensor.rank() == rank)
}

/// The integers in a bias that counts in units of the product of two scales, if it does.
pub(crate) fn bias_in_units(
    graph: &Rewriter<'_>,
    node: &Node,
    at: usize,
    scales: (&Quantized, &Quantized),
) -> Option<ValueId> {
    let bias = Quantized::behind(graph, node.input(at)?).filter(|bias| bias.dtype == DType::I32)?;
    let (x, w) = (scales.0.scales(graph)?, scales.1.scales(graph)?);
    let units = bias.scales(graph)?;
    let count = units.len().max(w.len());
    let of = |list: &[f64], at: usize| list.get(at).or(list.first()).copied();
    let same = (0..count).all(|at| match (of(&units, at), of(&w, at), x.first()) {
        (Some(unit), Some(w), Some(x)) => (unit - w * x).abs() <= 1e-5 * (w * x).abs(),
        _ => false,
    });
    let centred = bias.zeros(graph)?.iter().all(|&zero| zero == 0.0);
    (same && centred).then_some(bias.value)
}
