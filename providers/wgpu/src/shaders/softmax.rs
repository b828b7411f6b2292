//! `Softmax` and `LogSoftmax` along any axis.

use super::lines::{Sharing, THREADS};
use super::source::{Bindings, Dispatch, Elem, Filling, word};

/// Of a tensor whose elements lie in order: `outer` times `size` times `inner`, along the middle one.
/// Input: the tensor.
pub(crate) fn softmax(elem: Elem, [outer, size, inner]: [usize; 3], logarithm: bool) -> Dispatch {
    let lines = if size == 0 { 0 } else { outer * inner };
    let sharing = Sharing::of(size, inner);
    let mut filling = Filling::default();
    sharing.fill(&mut filling);
    let (log_sum, value) = if logarithm {
        ("    let log_sum = log_of(sum);\n", "shifted - log_sum")
    } else {
        ("", "exp_of(shifted) / sum")
    };
    filling.text("log_sum", log_sum);
    filling.text("value", value);
    filling.param("lines", word(lines));
    filling.param("size", word(size));
    filling.param("inner", word(inner));
    let bindings = Bindings::new().input("x", elem).output("y", Elem::F32);
    let kernel = bindings.kernel(THREADS, include_str!("softmax.wgsl"), &filling);
    Dispatch { kernel, launch: filling.launch(sharing.groups(lines)) }
}
