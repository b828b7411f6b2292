//! Kernels that compute every element from the elements of other tensors at the same place.
//!
//! Where "the same place" is, strides say: so the same kernel transposes, slices with any step, repeats,
//! broadcasts, and writes into a part of a tensor, whatever else it computes meanwhile.

use super::expr::{Expr, ExprError, Statements};
use super::source::{Bindings, Dispatch, Filling, word};
use super::view::{View, Walk, place_text, split_text};

const THREADS: u32 = 64;

const TEMPLATE: &str = "\
{{main}} {
    let i = (group.y * groups.x + group.x) * {{threads}} + lane;
    if i >= {{count}} {
        return;
    }
{{split}}{{read}}{{compute}}    y[{{place}}] = {{value}};
}
";

/// Computes `expr` of elements of the inputs for all places of `dims`. The inputs of the kernel are those
/// of the expression in the same order.
///
/// # Errors
/// When types in the expression do not fit, or its type is not that of the output.
pub(crate) fn pointwise(
    expr: &Expr,
    dims: &[usize],
    out: &View,
    inputs: &[View],
) -> Result<Dispatch, ExprError> {
    let views: Vec<&View> = std::iter::once(out).chain(inputs).collect();
    let strides: Vec<&[isize]> = views.iter().map(|view| &view.strides[..]).collect();
    let walk = Walk::merged(dims, &strides);
    let rank = walk.rank();
    let mut filling = Filling::default();
    filling.param("count", word(walk.count()));
    let sizes = filling.row(walk.dim_words());
    filling.text("split", split_text("c", "i", rank, sizes));
    let mut places = Vec::with_capacity(views.len());
    for (tensor, view) in views.iter().enumerate() {
        let offset = filling.row([word(view.offset)]);
        let at = filling.row(walk.stride_words(tensor));
        places.push(format!("u32(i32(params[{offset}]) + {})", place_text("c", rank, at)));
    }
    let mut bindings = Bindings::new();
    let mut read = String::new();
    let mut names = Vec::with_capacity(inputs.len());
    for (at, (input, place)) in inputs.iter().zip(places.iter().skip(1)).enumerate() {
        bindings = bindings.input(&format!("x{at}"), input.elem);
        read += &format!("    let e{at} = x{at}_at({place});\n");
        names.push((format!("e{at}"), input.elem));
    }
    let mut statements = Statements::of(names);
    let value = statements.write_as(expr, out.elem)?;
    filling.text("read", read);
    filling.text("compute", statements.text);
    filling.text("place", places.swap_remove(0));
    filling.text("value", value);
    let kernel = bindings.output("y", out.elem).kernel(THREADS, TEMPLATE, &filling);
    Ok(Dispatch { kernel, launch: filling.launch(walk.count().div_ceil(THREADS as usize)) })
}
