//! How a tensor is walked: an offset and a stride per axis, in elements.

use super::source::{Elem, signed, word};

/// A tensor, or a part of one, along the axes of what is computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) elem: Elem,
    pub(crate) offset: usize,
    /// 0 where an element serves a whole axis, below 0 where an axis is walked backwards.
    pub(crate) strides: Vec<isize>,
}

/// Strides of a tensor whose elements lie in order.
pub(crate) fn contiguous_strides(dims: &[usize]) -> Vec<isize> {
    let mut strides = vec![0; dims.len()];
    let mut next = 1;
    for (stride, &dim) in strides.iter_mut().zip(dims).rev() {
        *stride = next;
        next *= isize::try_from(dim).unwrap_or(isize::MAX).max(1);
    }
    strides
}

impl View {
    /// A tensor whose elements lie in order.
    pub(crate) fn whole(elem: Elem, dims: &[usize]) -> Self {
        Self { elem, offset: 0, strides: contiguous_strides(dims) }
    }

    /// A tensor whose elements lie in order, broadcast by ONNX's rules to the dimensions `to`.
    #[cfg(test)]
    pub(crate) fn broadcast(elem: Elem, dims: &[usize], to: &[usize]) -> Self {
        let missing = to.len().saturating_sub(dims.len());
        let own = contiguous_strides(dims);
        let of_axis = |(axis, stride): (usize, isize)| if dims[axis] == 1 { 0 } else { stride };
        let strides =
            std::iter::repeat_n(0, missing).chain(own.into_iter().enumerate().map(of_axis));
        Self { elem, offset: 0, strides: strides.collect() }
    }
}

/// Axes with the strides of several tensors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Walk {
    pub(super) dims: Vec<usize>,
    /// For each tensor its strides.
    pub(super) strides: Vec<Vec<isize>>,
}

impl Walk {
    /// The fewest axes that reach the same elements in the same order.
    pub(super) fn merged(dims: &[usize], strides: &[&[isize]]) -> Self {
        let mut walk = Self { dims: Vec::new(), strides: vec![Vec::new(); strides.len()] };
        for (axis, &dim) in dims.iter().enumerate() {
            if dim == 1 {
                continue;
            }
            let own: Vec<isize> =
                strides.iter().map(|of| of.get(axis).copied().unwrap_or(0)).collect();
            walk.push(dim, &own);
        }
        walk
    }

    fn push(&mut self, dim: usize, own: &[isize]) {
        let size = isize::try_from(dim).unwrap_or(isize::MAX);
        let joins = |(of, &stride): (&Vec<isize>, &isize)| {
            of.last().is_some_and(|&last| Some(last) == stride.checked_mul(size))
        };
        if self.strides.iter().zip(own).all(joins) && !self.dims.is_empty() {
            if let Some(last) = self.dims.last_mut() {
                *last *= dim;
            }
            for (of, &stride) in self.strides.iter_mut().zip(own) {
                if let Some(last) = of.last_mut() {
                    *last = stride;
                }
            }
            return;
        }
        self.dims.push(dim);
        for (of, &stride) in self.strides.iter_mut().zip(own) {
            of.push(stride);
        }
    }

    pub(super) fn rank(&self) -> usize {
        self.dims.len()
    }

    pub(super) fn count(&self) -> usize {
        self.dims.iter().product()
    }

    /// Dimensions as parameters.
    pub(super) fn dim_words(&self) -> impl Iterator<Item = u32> + '_ {
        self.dims.iter().map(|&dim| word(dim))
    }

    /// A tensor's strides as parameters.
    pub(super) fn stride_words(&self, tensor: usize) -> impl Iterator<Item = u32> + '_ {
        self.strides.get(tensor).into_iter().flatten().map(|&stride| signed(stride))
    }
}

/// Text that splits the number `from` into the coordinates `PREFIX0..` of so many axes, whose sizes are the
/// parameters from `at` on.
pub(super) fn split_text(prefix: &str, from: &str, rank: usize, at: usize) -> String {
    let mut text = format!("    var {prefix}_rest = {from};\n");
    for axis in (1..rank).rev() {
        let size = at + axis;
        text += &format!(
            "    let {prefix}{axis} = i32({prefix}_rest % params[{size}]);\n    \
             {prefix}_rest /= params[{size}];\n"
        );
    }
    if rank > 0 {
        text += &format!("    let {prefix}0 = i32({prefix}_rest);\n");
    }
    text
}

/// The place that coordinates lead to: an expression of `i32`, with strides from the parameter `at` on.
pub(super) fn place_text(prefix: &str, rank: usize, at: usize) -> String {
    let terms: Vec<String> =
        (0..rank).map(|axis| format!("{prefix}{axis} * i32(params[{}])", at + axis)).collect();
    if terms.is_empty() { "0".to_owned() } else { terms.join(" + ") }
}
