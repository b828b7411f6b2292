//! Convolutions and pooling over one or two spatial axes.

use remuda_sdk::ir::Node;

use super::{Lowering, attribute};
use crate::api::{Binary, Pool, Refusal, T, Window, refuse};

/// Attributes of a window over the last axes, width first, with padding of both ends.
struct Shape {
    kernel: [i64; 2],
    stride: [i64; 2],
    dilation: [i64; 2],
    pads: [(i64, i64); 2],
}

/// An attribute of one number per spatial axis, width first.
fn pair(values: Option<&[i64]>, default: i64, spatial: usize) -> Result<[i64; 2], Refusal> {
    match (values, spatial) {
        (None, _) => Ok([default; 2]),
        (Some([width]), 1) => Ok([*width, default]),
        (Some([height, width]), 2) => Ok([*width, *height]),
        (Some(other), _) => Err(refuse("attribute", format!("{} numbers per axis", other.len()))),
    }
}

/// The padding of one axis: what the attributes say, or what `auto_pad` makes of the sizes.
fn auto_pad(
    mode: &str,
    size: i64,
    places: i64,
    stride: i64,
    reach: i64,
) -> Result<(i64, i64), Refusal> {
    let far = places.saturating_sub(1).saturating_mul(stride).saturating_add(reach);
    let total = far.saturating_sub(size).max(0);
    match mode {
        "VALID" => Ok((0, 0)),
        "SAME_UPPER" => Ok((total / 2, total - total / 2)),
        "SAME_LOWER" => Ok((total - total / 2, total / 2)),
        other => Err(refuse("attribute", format!("`auto_pad` is `{other}`"))),
    }
}

impl Lowering<'_> {
    /// How many spatial axes there are: one or two.
    fn spatial(&self, node: &Node) -> Result<usize, Refusal> {
        match self.dims_in(node, 0)?.len() {
            3 => Ok(1),
            4 => Ok(2),
            other => Err(refuse("rank", format!("ggml has no windows over {other} dimensions"))),
        }
    }

    fn window(
        &self,
        node: &Node,
        kernel: [i64; 2],
        image: T,
        out: [i64; 4],
    ) -> Result<Shape, Refusal> {
        let spatial = self.spatial(node)?;
        let ints = |name: &str| node.attrs.ints(name).map_err(attribute);
        let stride = pair(ints("strides")?, 1, spatial)?;
        let dilation = pair(ints("dilations")?, 1, spatial)?;
        let mode = node.attrs.text_or("auto_pad", "NOTSET").map_err(attribute)?;
        let mut pads = [(0, 0); 2];
        if mode == "NOTSET" {
            match (ints("pads")?, spatial) {
                (None, _) => {}
                (Some([front, back]), 1) => pads[0] = (*front, *back),
                (Some([top, left, bottom, right]), 2) => {
                    pads = [(*left, *right), (*top, *bottom)];
                }
                (Some(other), _) => {
                    return Err(refuse("attribute", format!("{} pads", other.len())));
                }
            }
        } else {
            for axis in 0..spatial {
                let reach = kernel[axis].saturating_sub(1).saturating_mul(dilation[axis]);
                let reach = reach.saturating_add(1);
                pads[axis] = auto_pad(mode, image.ne()[axis], out[axis], stride[axis], reach)?;
            }
        }
        Ok(Shape { kernel, stride, dilation, pads })
    }

    /// An input of one spatial axis as an image of height 1.
    fn as_image(&self, node: &Node, x: T) -> Result<T, Refusal> {
        let ne = x.ne();
        match self.spatial(node)? {
            1 => self.context.reshape(x, [ne[0], 1, ne[1], ne[2]]),
            _ => Ok(x),
        }
    }

    /// The sizes of the output as those of an image.
    fn image_out(&self, node: &Node) -> Result<[i64; 4], Refusal> {
        let ne = self.ne_out(node, 0)?;
        Ok(if self.spatial(node)? == 1 { [ne[0], 1, ne[1], ne[2]] } else { ne })
    }

    fn convolved(&mut self, node: &Node) -> Result<T, Refusal> {
        let x = self.float(node, 0)?;
        let kernel = self.float(node, 1)?;
        let (image, kernel) = (self.as_image(node, x)?, self.as_image(node, kernel)?);
        let out = self.image_out(node)?;
        let by = kernel.ne();
        let shape = self.window(node, [by[0], by[1]], image, out)?;
        let groups = node.attrs.int_or("group", 1).map_err(attribute)?;
        let channels = image.ne()[2];
        let depthwise = groups == channels && by[2] == 1 && by[3] == channels && groups > 1;
        if groups != 1 && !depthwise {
            return Err(refuse("attribute", format!("ggml has no {groups} groups of channels")));
        }
        let y = if even(&shape) {
            self.context.conv(image, kernel, evenly(&shape), depthwise)?
        } else {
            let [width, height] = shape.pads;
            let image = self.context.pad(image, [width, height, (0, 0), (0, 0)])?;
            let window = Window { pad: [0, 0], ..evenly(&shape) };
            self.context.conv(image, kernel, window, depthwise)?
        };
        match self.optional(node, 2)? {
            None => Ok(y),
            Some(bias) => {
                let bias = self.context.reshape(bias, [1, 1, bias.elements(), 1])?;
                self.onto(Binary::Add, y, bias)
            }
        }
    }

    fn pooled(&mut self, node: &Node, pool: Pool) -> Result<T, Refusal> {
        let x = self.float(node, 0)?;
        let image = self.as_image(node, x)?;
        let out = self.image_out(node)?;
        let sizes = node.attrs.ints("kernel_shape").map_err(attribute)?;
        let kernel = pair(sizes, 1, self.spatial(node)?)?;
        let shape = self.window(node, kernel, image, out)?;
        if !even(&shape) {
            return Err(refuse("attribute", "ggml pools with the same padding on both ends"));
        }
        let y = self.context.pool(image, pool, shape.kernel, evenly(&shape))?;
        if y.ne() != out {
            return Err(refuse("attribute", "ggml has no windows that reach beyond the padding"));
        }
        Ok(y)
    }
}

/// Whether both ends of each axis are padded alike.
fn even(shape: &Shape) -> bool {
    shape.pads.iter().all(|(front, back)| front == back)
}

fn evenly(shape: &Shape) -> Window {
    let pad = shape.pads.map(|(front, _)| front);
    Window { stride: shape.stride, pad, dilation: shape.dilation }
}

pub(super) fn conv(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let y = lowering.convolved(node)?;
    lowering.set_shaped(node, 0, y)
}

/// A convolution, then a residual and an activation.
pub(super) fn fused_conv(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let y = lowering.convolved(node)?;
    let mut y = lowering.context.reshape(y, lowering.ne_out(node, 0)?)?;
    if let Some(residual) = lowering.optional(node, 3)? {
        y = lowering.onto(Binary::Add, y, residual)?;
    }
    let y = lowering.activated(node, y)?;
    lowering.set(node, 0, y)
}

pub(super) fn max_pool(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let y = lowering.pooled(node, Pool::Max)?;
    lowering.set_shaped(node, 0, y)
}

pub(super) fn average_pool(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let counted = node.attrs.bool_or("count_include_pad", false).map_err(attribute)?;
    let padded =
        node.attrs.ints("pads").map_err(attribute)?.unwrap_or(&[]).iter().any(|&pad| pad != 0);
    let auto = node.attrs.text_or("auto_pad", "NOTSET").map_err(attribute)?;
    if (padded || auto.starts_with("SAME")) && !counted {
        return Err(refuse("attribute", "ggml counts padding into the mean"));
    }
    let y = lowering.pooled(node, Pool::Mean)?;
    lowering.set_shaped(node, 0, y)
}

pub(super) fn global_average_pool(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let x = lowering.float(node, 0)?;
    let rows: i64 = lowering.ne_out(node, 0)?.iter().product();
    let x = lowering.context.reshape(x, [x.elements() / rows.max(1), rows, 1, 1])?;
    let y = lowering.context.mean_rows(x)?;
    lowering.set_shaped(node, 0, y)
}
