//! Convolutions and pooling over one or two spatial axes.

use remuda_sdk::ir::Node;

use super::activations::activated;
use super::{Lowering, Part, Refusal, attribute, refuse};
use crate::shaders::{Convolution, Elem, Expr, Extra, Patches, Pool, Pooling, convolution};

/// A window over the last axes, height first; an image of one axis has a height of 1.
struct Window {
    image: [usize; 2],
    kernel: [usize; 2],
    out: [usize; 2],
    strides: [usize; 2],
    dilations: [usize; 2],
    /// In front, and behind.
    pads: [[isize; 2]; 2],
}

/// Places of a window: drivers end kernels that loop for too long.
const MOST_PLACES: usize = 1 << 16;

/// The spatial sizes of a tensor of images.
fn plane(dims: &[usize]) -> Result<[usize; 2], Refusal> {
    match dims {
        [_, _, width] => Ok([1, *width]),
        [_, _, height, width] => Ok([*height, *width]),
        other => Err(refuse("rank", format!("no kernel has windows over {other:?}"))),
    }
}

/// An attribute of one number per spatial axis.
fn pair(values: Option<&[i64]>, spatial: usize) -> Result<[usize; 2], Refusal> {
    let wrong = || refuse("attribute", format!("{values:?} for {spatial} axes"));
    let size = |value: i64| usize::try_from(value).ok().filter(|&size| size > 0).ok_or_else(wrong);
    match (values, spatial) {
        (None, _) => Ok([1, 1]),
        (Some(&[width]), 1) => Ok([1, size(width)?]),
        (Some(&[height, width]), 2) => Ok([size(height)?, size(width)?]),
        _ => Err(wrong()),
    }
}

/// The padding in front and behind that the attributes say, height first.
fn given_pads(values: Option<&[i64]>, spatial: usize) -> Result<[[isize; 2]; 2], Refusal> {
    let pads = match (values, spatial) {
        (None, _) => [[0; 2]; 2],
        (Some(&[left, right]), 1) => [[0, left], [0, right]],
        (Some(&[top, left, bottom, right]), 2) => [[top, left], [bottom, right]],
        (Some(other), _) => return Err(refuse("attribute", format!("{} pads", other.len()))),
    };
    Ok(pads.map(|side| side.map(|pad| isize::try_from(pad).unwrap_or(isize::MAX))))
}

impl Window {
    /// What the attributes say of a window of this size, but for the padding.
    fn unpadded(
        node: &Node,
        dims: &[usize],
        out: &[usize],
        kernel: [usize; 2],
    ) -> Result<Self, Refusal> {
        if kernel[0].saturating_mul(kernel[1]) > MOST_PLACES {
            return Err(refuse("attribute", format!("a window of {kernel:?} places is too large")));
        }
        let spatial = dims.len().saturating_sub(2);
        let ints = |name: &str| node.attrs.ints(name).map_err(attribute);
        let strides = pair(ints("strides")?, spatial)?;
        let dilations = pair(ints("dilations")?, spatial)?;
        let (image, out) = (plane(dims)?, plane(out)?);
        Ok(Self { image, kernel, out, strides, dilations, pads: [[0; 2]; 2] })
    }

    /// What the attributes say of a window of this size.
    fn of(node: &Node, dims: &[usize], out: &[usize], kernel: [usize; 2]) -> Result<Self, Refusal> {
        let mut window = Self::unpadded(node, dims, out, kernel)?;
        let pads = node.attrs.ints("pads").map_err(attribute)?;
        window.pads = match node.attrs.text_or("auto_pad", "NOTSET").map_err(attribute)? {
            "NOTSET" => given_pads(pads, dims.len() - 2)?,
            "VALID" => window.pads,
            mode @ ("SAME_UPPER" | "SAME_LOWER") => window.same_pads(mode == "SAME_UPPER"),
            other => return Err(refuse("attribute", format!("`auto_pad` is `{other}`"))),
        };
        Ok(window)
    }

    /// As [`Window::of`], of a convolution whose transpose this is: what is taken off the result.
    fn transposed(
        node: &Node,
        dims: &[usize],
        out: &[usize],
        kernel: [usize; 2],
    ) -> Result<Self, Refusal> {
        let mut window = Self::unpadded(node, dims, out, kernel)?;
        let spatial = dims.len() - 2;
        let ints = |name: &str| node.attrs.ints(name).map_err(attribute);
        let mode = node.attrs.text_or("auto_pad", "NOTSET").map_err(attribute)?;
        let further = ints("output_padding")?.unwrap_or_default();
        let further = &further[further.len().saturating_sub(spatial)..];
        window.pads[0] = match (mode, ints("output_shape")?) {
            ("NOTSET", None) => given_pads(ints("pads")?, spatial)?[0],
            ("VALID", None) => [0; 2],
            ("NOTSET" | "VALID" | "SAME_UPPER" | "SAME_LOWER", _) => {
                window.cut_off(further, mode == "SAME_UPPER")
            }
            (other, _) => return Err(refuse("attribute", format!("`auto_pad` is `{other}`"))),
        };
        Ok(window)
    }

    /// How much more a transposed convolution makes than the output has, the half of it in front.
    fn cut_off(&self, further: &[i64], upper: bool) -> [isize; 2] {
        let mut cut = [0; 2];
        let axes = cut.iter_mut().enumerate().rev();
        let further = further.iter().rev().copied().chain(std::iter::repeat(0));
        for ((axis, cut), further) in axes.zip(further) {
            let made = (self.image[axis] - 1) * self.strides[axis]
                + (self.kernel[axis] - 1) * self.dilations[axis]
                + 1
                + usize::try_from(further).unwrap_or(0);
            let total = made.saturating_sub(self.out[axis]);
            let front = if upper { total / 2 } else { total - total / 2 };
            *cut = isize::try_from(front).unwrap_or(isize::MAX);
        }
        cut
    }

    /// As much padding as the output needs, the odd one behind or in front.
    fn same_pads(&self, upper: bool) -> [[isize; 2]; 2] {
        let pads_of = |axis: usize| {
            let reach = (self.kernel[axis] - 1) * self.dilations[axis] + 1;
            let far = (self.out[axis] - 1) * self.strides[axis] + reach;
            let total = far.saturating_sub(self.image[axis]);
            let (less, more) = (total / 2, total - total / 2);
            let both = if upper { [less, more] } else { [more, less] };
            both.map(|size| isize::try_from(size).unwrap_or(isize::MAX))
        };
        let [[top, bottom], [left, right]] = [pads_of(0), pads_of(1)];
        [[top, left], [bottom, right]]
    }
}

/// A convolution, then bias, residual and activation.
pub(super) fn conv(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    convolved(lowering, node, false)
}

/// The transpose of a convolution, then bias.
pub(super) fn conv_transpose(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    convolved(lowering, node, true)
}

/// The groups of channels, and how many channels each has, of the images and of the result.
fn groups_of(
    node: &Node,
    [x, weights, out]: [&[usize]; 3],
    spread: bool,
) -> Result<(usize, [usize; 2]), Refusal> {
    let groups = node.attrs.int_or("group", 1).map_err(attribute)?;
    let groups = usize::try_from(groups).ok().filter(|&groups| groups > 0);
    let groups = groups.ok_or_else(|| refuse("attribute", "groups of channels"))?;
    let channels = [x[1] / groups, out[1] / groups];
    let expected = if spread { [x[1], channels[1]] } else { [out[1], channels[0]] };
    if weights[..2] != expected || channels.map(|own| own * groups) != [x[1], out[1]] {
        let text = format!("weights of {weights:?} for {x:?} in {groups} groups");
        return Err(refuse("shape", text));
    }
    Ok((groups, channels))
}

fn convolved(lowering: &mut Lowering<'_>, node: &Node, spread: bool) -> Result<(), Refusal> {
    let (x, weights) = (lowering.floats(node, 0)?, lowering.part(node, 1)?);
    let weights = if weights.is_dense() { weights } else { lowering.dense(weights)? };
    let out = lowering.dims_out(node, 0)?;
    let kernel = plane(&weights.dims)?;
    let read = if spread { Window::transposed } else { Window::of };
    let window = read(node, &x.dims, &out, kernel)?;
    let (groups, channels) = groups_of(node, [&x.dims, &weights.dims, &out], spread)?;
    let mut reads = vec![weights.bound(), x.bound()];
    let bias = lowering.optional_floats(node, 2)?;
    let mut epilogue = Expr::Input(0);
    if let Some(bias) = &bias {
        if bias.count() != out[1] {
            let text = format!("{} biases for {} channels", bias.count(), out[1]);
            return Err(refuse("shape", text));
        }
        reads.push(bias.bound());
        epilogue = epilogue.plus(Expr::Input(1));
    }
    let residual = residual_of(lowering, node, &out)?;
    if let Some(residual) = &residual {
        epilogue = epilogue.plus(Expr::Input(reads.len() - 1));
        reads.push(residual.bound());
    }
    if &*node.op.name == "FusedConv" {
        epilogue = activated(node, epilogue)?;
    }
    let mut product = convolution(&Convolution {
        images: x.dims[0],
        groups,
        channels,
        patches: Patches {
            image: window.image,
            kernel,
            out: window.out,
            strides: window.strides,
            dilations: window.dilations,
            pads: window.pads[0],
            spread,
        },
        elem: x.view.elem,
        weights: weights.view.elem,
        bias: bias.map(|bias| bias.view.elem),
        epilogue,
    });
    if let Some(residual) = residual {
        product.extras.push(Extra {
            elem: residual.view.elem,
            offset: 0,
            strides: [product.out.1, 1],
            batch: product.out.2.clone(),
        });
    }
    let y = lowering.work(Elem::F32, out)?;
    lowering.launch(product.dispatch()?, &reads, &[y.bound()])?;
    lowering.set_part(node, 0, y)
}

/// What is added to each element of a fused convolution.
fn residual_of(
    lowering: &mut Lowering<'_>,
    node: &Node,
    out: &[usize],
) -> Result<Option<Part>, Refusal> {
    if &*node.op.name != "FusedConv" || node.input(3).is_none() {
        return Ok(None);
    }
    let residual = lowering.float_part(node, 3)?.broadcast(out)?;
    lowering.dense(residual).map(Some)
}

pub(super) fn max_pool(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    pool(lowering, node, Pooling::Max)
}

pub(super) fn average_pool(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let padded = node.attrs.bool_or("count_include_pad", false).map_err(attribute)?;
    pool(lowering, node, Pooling::Average { padded })
}

fn pool(lowering: &mut Lowering<'_>, node: &Node, kind: Pooling) -> Result<(), Refusal> {
    let x = lowering.floats(node, 0)?;
    let out = lowering.dims_out(node, 0)?;
    let sizes = node.attrs.ints("kernel_shape").map_err(attribute)?;
    let kernel = pair(sizes, x.dims.len().saturating_sub(2))?;
    let window = Window::of(node, &x.dims, &out, kernel)?;
    let pool = Pool {
        kind,
        elem: x.view.elem,
        planes: x.dims[0] * x.dims[1],
        image: window.image,
        out: window.out,
        kernel,
        strides: window.strides,
        dilations: window.dilations,
        pads: window.pads,
    };
    let y = lowering.work(Elem::F32, out)?;
    lowering.launch(pool.dispatch(), &[x.bound()], &[y.bound()])?;
    lowering.set_part(node, 0, y)
}
