//! Pooling over windows of images; one axis is a height of 1.

use super::source::{Bindings, Dispatch, Elem, Filling, signed, word};

const THREADS: u32 = 64;

const TEMPLATE: &str = "\
{{main}} {
    let i = (group.y * groups.x + group.x) * {{threads}} + lane;
    if i >= {{count}} {
        return;
    }
    let column = i % {{columns}};
    let row = (i / {{columns}}) % {{rows}};
    let plane = i / ({{columns}} * {{rows}});
    let height = i32({{height}});
    let width = i32({{width}});
    let origin = plane * {{height}} * {{width}};
    let top = i32(row * {{stride_y}}) - i32({{pad_y}});
    let left = i32(column * {{stride_x}}) - i32({{pad_x}});
    var all = 0.0;
    var count = 0u;
    var padded = 0u;
    for (var v = 0u; v < {{kernel_height}}; v += 1u) {
        for (var h = 0u; h < {{kernel_width}}; h += 1u) {
            let py = top + i32(v * {{dilation_y}});
            let px = left + i32(h * {{dilation_x}});
            if py < height + i32({{pad_below}}) && px < width + i32({{pad_right}}) {
                padded += 1u;
            }
            if py >= 0 && py < height && px >= 0 && px < width {
                let x = x_at(origin + u32(py * width + px));
{{take}}
                count += 1u;
            }
        }
    }
    y[i] = {{value}};
}
";

/// What becomes of the elements of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Pooling {
    /// NaN is the greatest of nothing else only.
    Max,
    Average {
        /// Whether padding counts, as zeros.
        padded: bool,
    },
}

/// Windows on images that lie in order. The input is the images.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    pub(crate) kind: Pooling,
    pub(crate) elem: Elem,
    pub(crate) planes: usize,
    pub(crate) image: [usize; 2],
    pub(crate) out: [usize; 2],
    pub(crate) kernel: [usize; 2],
    pub(crate) strides: [usize; 2],
    pub(crate) dilations: [usize; 2],
    /// In front, and behind.
    pub(crate) pads: [[isize; 2]; 2],
}

impl Pool {
    /// A kernel and its launch.
    pub(crate) fn dispatch(&self) -> Dispatch {
        let count = self.planes * self.out[0] * self.out[1];
        let mut filling = Filling::default();
        let (take, value) = match self.kind {
            Pooling::Max => (
                "                if count == 0u || !(x <= all || is_nan(x)) {\n                    \
                 all = x;\n                }",
                "select(all, -infinity(), count == 0u)",
            ),
            Pooling::Average { padded: true } => ("                all += x;", "all / f32(padded)"),
            Pooling::Average { padded: false } => ("                all += x;", "all / f32(count)"),
        };
        filling.text("take", take);
        filling.text("value", value);
        let [height, width] = self.image;
        let pairs = [
            (["rows", "columns"], self.out),
            (["height", "width"], [height, width]),
            (["kernel_height", "kernel_width"], self.kernel),
            (["stride_y", "stride_x"], self.strides),
            (["dilation_y", "dilation_x"], self.dilations),
        ];
        filling.param("count", word(count));
        for (names, sizes) in pairs {
            for (name, size) in names.into_iter().zip(sizes) {
                filling.param(name, word(size));
            }
        }
        let names = ["pad_y", "pad_x", "pad_below", "pad_right"];
        for (name, pad) in names.into_iter().zip(self.pads.into_iter().flatten()) {
            filling.param(name, signed(pad));
        }
        let bindings = Bindings::new().input("x", self.elem).output("y", Elem::F32);
        let kernel = bindings.kernel(THREADS, TEMPLATE, &filling);
        Dispatch { kernel, launch: filling.launch(count.div_ceil(THREADS as usize)) }
    }
}
