//! Convolutions as products: what a kernel covers at one place of the result is a column of the right
//! matrix, read where it lies.

use super::{Extra, Factor, Left, Product, Rows};
use crate::shaders::expr::Expr;
use crate::shaders::source::{Elem, Filling, signed, word};

/// Patches of images, by height and width; those of one axis have a height of 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patches {
    pub(crate) image: [usize; 2],
    pub(crate) kernel: [usize; 2],
    /// Sizes of the result.
    pub(crate) out: [usize; 2],
    pub(crate) strides: [usize; 2],
    pub(crate) dilations: [usize; 2],
    /// In front: above and on the left.
    pub(crate) pads: [isize; 2],
    /// Whether strides spread the image, not the kernel's places: `ConvTranspose`.
    pub(crate) spread: bool,
}

const PLACE: &str = "    let py = i32(column / {{out_width}}) * i32({{stride_y}}) + i32(ky) * i32({{dilation_y}}) - i32({{pad_y}});
    let px = i32(column % {{out_width}}) * i32({{stride_x}}) + i32(kx) * i32({{dilation_x}}) - i32({{pad_x}});
    let inside = true;
";

const SPREAD: &str =
    "    let ty = i32(column / {{out_width}}) + i32({{pad_y}}) - i32(ky) * i32({{dilation_y}});
    let tx = i32(column % {{out_width}}) + i32({{pad_x}}) - i32(kx) * i32({{dilation_x}});
    let inside = ty >= 0 && tx >= 0 && ty % i32({{stride_y}}) == 0 && tx % i32({{stride_x}}) == 0;
    let py = ty / i32({{stride_y}});
    let px = tx / i32({{stride_x}});
";

impl Patches {
    pub(super) fn fill(&self, filling: &mut Filling) {
        filling.param("image_height", word(self.image[0]));
        filling.param("image_width", word(self.image[1]));
        filling.param("kernel_height", word(self.kernel[0]));
        filling.param("kernel_width", word(self.kernel[1]));
        filling.param("out_width", word(self.out[1]));
        filling.param("stride_y", word(self.strides[0]));
        filling.param("stride_x", word(self.strides[1]));
        filling.param("dilation_y", word(self.dilations[0]));
        filling.param("dilation_x", word(self.dilations[1]));
        filling.param("pad_y", signed(self.pads[0]));
        filling.param("pad_x", signed(self.pads[1]));
    }

    /// `patch_at(base, at, column)`: 0 outside of the image.
    pub(super) fn text(&self) -> String {
        format!(
            "fn patch_at(base: i32, at: u32, column: u32) -> f32 {{
    let kx = at % {{{{kernel_width}}}};
    let rest = at / {{{{kernel_width}}}};
    let ky = rest % {{{{kernel_height}}}};
    let channel = i32(rest / {{{{kernel_height}}}});
    let height = i32({{{{image_height}}}});
    let width = i32({{{{image_width}}}});
{}    if !inside || py < 0 || py >= height || px < 0 || px >= width {{
        return 0.0;
    }}
    return b_at(u32(base + (channel * height + py) * width + px));
}}\n",
            if self.spread { SPREAD } else { PLACE }
        )
    }
}

/// `Conv` and `ConvTranspose` of images that lie in order. The inputs are the weights, the images and, if
/// there is one, the bias.
///
/// Weights lie by output, input of the group, height, width; those of `ConvTranspose` by input, output of the
/// group, height, width.
#[derive(Clone, Debug)]
pub(crate) struct Convolution {
    pub(crate) images: usize,
    pub(crate) groups: usize,
    /// Channels of a group: of the images, and of the result.
    pub(crate) channels: [usize; 2],
    pub(crate) patches: Patches,
    pub(crate) elem: Elem,
    pub(crate) weights: Elem,
    pub(crate) bias: Option<Elem>,
    /// What is stored, of the sum, which the bias is part of: `Input(0)`, with the bias `Input(1)`.
    pub(crate) epilogue: Expr,
}

/// The product that a convolution is.
pub(crate) fn convolution(of: &Convolution) -> Product {
    let [channels, outputs] = of.channels;
    let patches = of.patches;
    let area = |sizes: [usize; 2]| sizes[0] * sizes[1];
    let (image, places) = (area(patches.image), area(patches.out));
    let kernel = area(patches.kernel);
    let sums = channels * kernel;
    let stride = |size: usize| isize::try_from(size).unwrap_or(isize::MAX);
    let bias = of.bias.map(|elem| Extra {
        elem,
        offset: 0,
        strides: [1, 0],
        batch: vec![0, stride(outputs)],
    });
    Product {
        sizes: [outputs, places, sums],
        batch: vec![of.images, of.groups],
        left: Left {
            elem: of.weights,
            offset: 0,
            strides: if patches.spread {
                [stride(kernel), stride(outputs * kernel)]
            } else {
                [stride(sums), 1]
            },
            run: patches.spread.then_some(kernel),
            batch: vec![0, stride(outputs * sums)],
        },
        right: Factor {
            rows: Rows::Patches { elem: of.elem, offset: 0, patches },
            batch: vec![stride(of.groups * channels * image), stride(channels * image)],
        },
        extras: bias.into_iter().collect(),
        epilogue: of.epilogue.clone(),
        out: (
            0,
            stride(places),
            vec![stride(of.groups * outputs * places), stride(outputs * places)],
        ),
    }
}
