//! What ONNX Runtime takes and then cannot run, or runs otherwise than the operators are defined: those
//! nodes are refused with what is different. Found by running every operator's cases, which is also how
//! this list is kept true.

use remuda_sdk::ir::{Graph, Node, ValueType};
use remuda_sdk::tensor::{DType, Dim};

use crate::lower::{Refusal, refuse};

/// An operator of which some nodes come out otherwise.
struct Difference {
    op: &'static str,
    what: &'static str,
    when: fn(&View<'_>) -> bool,
}

const fn differs(op: &'static str, what: &'static str, when: fn(&View<'_>) -> bool) -> Difference {
    Difference { op, what, when }
}

const DIFFERENCES: &[Difference] = &[
    differs("AffineGrid", "axes of one element lie elsewhere with `align_corners`", |view| {
        view.int("align_corners", 0) != 0
    }),
    differs("ArgMax", "NaN is not the largest with `select_last_index`", selects_last),
    differs("ArgMin", "NaN is not the smallest with `select_last_index`", selects_last),
    differs("Attention", "a mask is as long as keys and past together", |view| {
        view.mask_may_be_short()
    }),
    differs("Attention", "with a past it gives the present too", |view| {
        view.has(4) && (view.node.output(1).is_none() || view.node.output(2).is_none())
    }),
    differs("Cast", "numbers are written otherwise", |view| {
        view.dtype_out() == Some(DType::String)
    }),
    differs("Cast", "numbers are read otherwise", |view| view.dtype(0) == Some(DType::String)),
    differs("CastLike", "numbers are written and read otherwise", |view| {
        view.dtype_out() == Some(DType::String) || view.dtype(0) == Some(DType::String)
    }),
    differs("ConvInteger", "there is one zero point for all weights", |view| !view.is_single(3)),
    differs("MatMulInteger", "there is one zero point for all rows", |view| !view.is_single(2)),
    differs("DFT", "transforms are less exact", |_| true),
    differs("STFT", "transforms are less exact", |_| true),
    differs("GridSample", "images have two or three axes", |view| {
        !matches!(view.rank(0), Some(4 | 5))
    }),
    differs("LRN", "images have two axes", |view| view.rank(0) != Some(4)),
    differs("MaxUnpool", "places are counted otherwise with an output shape", |view| view.has(2)),
    differs("Mod", "floats need `fmod`", |view| {
        view.int("fmod", 0) == 0 && view.dtype(0).is_none_or(DType::is_float)
    }),
    differs("Pad", "padding that wraps around comes out otherwise", |view| {
        view.text("mode") == Some("wrap")
    }),
    differs("RNN", "other activations than the usual ones come out as zeros", unusual_activations),
    differs("GRU", "other activations than the usual ones come out otherwise", unusual_activations),
    differs(
        "LSTM",
        "other activations than the usual ones come out otherwise",
        unusual_activations,
    ),
    differs("Resize", "it interpolates along the last two or three axes only", |view| {
        match view.text("mode") {
            Some("linear") => !matches!(view.rank(0), Some(4 | 5)) || view.may_resize_first_axes(),
            Some("cubic") => view.rank(0) != Some(4) || view.may_resize_first_axes(),
            _ => false,
        }
    }),
    differs("Resize", "corners are found by the scaled size, not by the whole one", |view| {
        view.has(2) && view.text("coordinate_transformation_mode") == Some("align_corners")
    }),
    differs("StringSplit", "an empty text has no parts", |_| true),
    differs("Unique", "an axis beside an empty one ends the process", |view| {
        view.node.attrs.0.contains_key("axis") && !view.is_certainly_not_empty(0)
    }),
    differs("Unique", "NaN takes other values away", |view| {
        view.dtype(0).is_none_or(DType::is_float)
    }),
    differs("com.microsoft::Attention", "without a bias it ends the process", |view| !view.has(2)),
    differs("com.microsoft::GroupQueryAttention", "heads are multiples of 8 wide", |view| {
        let heads = usize::try_from(view.int("num_heads", 0)).unwrap_or(0);
        let packed = usize::try_from(view.int("kv_num_heads", 0)).unwrap_or(0);
        let heads = if view.has(1) { heads } else { heads + 2 * packed };
        !view.last_dim(0).is_some_and(|width| heads > 0 && (width / heads).is_multiple_of(8))
    }),
    differs("com.microsoft::MoE", "a third product of experts does not run", |view| view.has(6)),
    differs("com.microsoft::UnfoldTensor", "texts do not run", |view| {
        view.dtype(0) == Some(DType::String)
    }),
    differs("com.microsoft::SkipLayerNormalization", "`skip` has two or three axes", |view| {
        !matches!(view.rank(1), Some(2 | 3))
    }),
];

/// Refuses a node that is known to come out otherwise.
pub(super) fn check(graph: &Graph, node: &Node) -> Result<(), Refusal> {
    let view = View { graph, node };
    if (0..node.inputs.len()).any(|at| view.is_certainly_empty(at)) {
        return Err(refuse("rank", "tensors without elements are left to the CPU"));
    }
    let op = node.op.to_string();
    let known = DIFFERENCES.iter().find(|known| known.op == op && (known.when)(&view));
    known.map_or(Ok(()), |known| Err(refuse("attribute", known.what)))
}

fn selects_last(view: &View<'_>) -> bool {
    view.int("select_last_index", 0) != 0
}

fn unusual_activations(view: &View<'_>) -> bool {
    let names = view.node.attrs.texts("activations").ok().flatten().unwrap_or(&[]);
    names.iter().any(|name| !["Relu", "Tanh", "Sigmoid"].contains(&&**name))
}

/// A node and what is known of its values.
struct View<'g> {
    graph: &'g Graph,
    node: &'g Node,
}

impl View<'_> {
    fn int(&self, name: &str, default: i64) -> i64 {
        self.node.attrs.int_or(name, default).unwrap_or(default)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.node.attrs.text(name).ok().flatten()
    }

    fn has(&self, at: usize) -> bool {
        self.node.input(at).is_some()
    }

    fn ty(&self, at: usize) -> Option<&ValueType> {
        self.graph.value(self.node.input(at)?).ty.as_ref()
    }

    fn dims(&self, at: usize) -> Option<&[Dim]> {
        self.ty(at)?.as_tensor()?.dims.as_deref()
    }

    fn rank(&self, at: usize) -> Option<usize> {
        Some(self.dims(at)?.len())
    }

    fn last_dim(&self, at: usize) -> Option<usize> {
        self.dims(at)?.last()?.as_usize()
    }

    fn dtype(&self, at: usize) -> Option<DType> {
        Some(self.ty(at)?.as_tensor()?.dtype)
    }

    fn dtype_out(&self) -> Option<DType> {
        Some(self.graph.value(self.node.output(0)?).ty.as_ref()?.as_tensor()?.dtype)
    }

    /// Whether an input is left out or one element.
    fn is_single(&self, at: usize) -> bool {
        let one = |dims: &[Dim]| dims.iter().all(|dim| *dim == Dim::Known(1)) && dims.len() < 2;
        !self.has(at) || self.dims(at).is_some_and(one)
    }

    fn is_certainly_empty(&self, at: usize) -> bool {
        self.dims(at).is_some_and(|dims| dims.contains(&Dim::Known(0)))
    }

    fn is_certainly_not_empty(&self, at: usize) -> bool {
        self.dims(at).is_some_and(|dims| dims.iter().all(|dim| matches!(dim, Dim::Known(1..))))
    }

    /// For an attention: whether its mask is known to end before the keys, or may be broadcast.
    fn mask_may_be_short(&self) -> bool {
        let Some(mask) = self.dims(3).and_then(<[Dim]>::last) else { return self.has(3) };
        let along = |at: usize| self.dims(at)?.iter().rev().nth(1).cloned();
        let Some(keys) = along(1) else { return true };
        let total = along(4).map_or_else(|| keys.clone(), |past| keys.add(&past));
        mask.differs(&total) || (*mask == Dim::Known(1) && !total.same(mask))
    }

    /// For a resize: whether the first two axes are known to change, or anything becomes empty.
    fn may_resize_first_axes(&self) -> bool {
        let Some(x) = self.dims(0) else { return true };
        let constant = |at: usize| {
            let value = self.node.input(at).map(|id| self.graph.value(id));
            value.and_then(|value| value.constant()).and_then(|tensor| tensor.to_f64_vec().ok())
        };
        if let Ok(Some(axes)) = self.node.attrs.ints("axes") {
            let rank = i64::try_from(x.len()).unwrap_or(0);
            return axes.iter().any(|&axis| axis.rem_euclid(rank.max(1)) < 2);
        }
        let sizes = constant(3).is_some_and(|sizes| {
            let same = |(dim, size): (&Dim, &f64)| {
                dim.as_i64().is_none_or(|dim| dim.to_string() == size.to_string())
            };
            sizes.contains(&0.0) || !x.iter().take(2).zip(&sizes).all(same)
        });
        sizes || constant(2).is_some_and(|scales| scales.iter().take(2).any(|&scale| scale != 1.0))
    }
}
