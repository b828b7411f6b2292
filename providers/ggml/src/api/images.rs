//! Operators over images: `[width, height, channels, batch]`.

use std::ffi::c_int;

use super::context::{Context, Refusal, T, refuse};

/// A window that moves over an image: width first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) stride: [i64; 2],
    pub(crate) pad: [i64; 2],
    pub(crate) dilation: [i64; 2],
}

/// What a window gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pool {
    Max,
    Mean,
}

fn number(value: i64) -> Result<c_int, Refusal> {
    /// More is no size of a window.
    const MOST: i64 = 1 << 24;
    if (0..MOST).contains(&value) {
        return Ok(c_int::try_from(value).unwrap_or(0));
    }
    Err(refuse("attribute", format!("ggml has no windows of {value}")))
}

/// How many places a window has along an axis.
fn places(size: i64, kernel: i64, stride: i64, pad: i64, dilation: i64) -> Option<i64> {
    let reach = dilation.checked_mul(kernel.checked_sub(1)?)?.checked_add(1)?;
    let room = size.checked_add(pad.checked_mul(2)?)?.checked_sub(reach)?;
    (stride >= 1 && room >= 0).then(|| room / stride + 1)
}

impl Context {
    /// How many places a window has along both axes.
    fn places(&self, image: T, kernel: [i64; 2], window: Window) -> Result<[i64; 2], Refusal> {
        let mut counts = [0; 2];
        for (axis, kernel) in kernel.into_iter().enumerate() {
            let (size, stride) = (image.ne()[axis], window.stride[axis]);
            let count = places(size, kernel, stride, window.pad[axis], window.dilation[axis]);
            counts[axis] = count.ok_or_else(|| {
                refuse("shape", format!("a window of {kernel} does not fit an axis of {size}"))
            })?;
        }
        Ok(counts)
    }

    /// A convolution with `[width, height, channels, outputs]`, or channel by channel with
    /// `[width, height, 1, channels]`.
    pub(crate) fn conv(
        &self,
        image: T,
        kernel: T,
        window: Window,
        depthwise: bool,
    ) -> Result<T, Refusal> {
        self.expect_f32(image)?;
        self.expect_f32(kernel)?;
        let (image, kernel) = (self.together(image)?, self.together(kernel)?);
        let (of, by) = (image.ne(), kernel.ne());
        let fits = if depthwise { by[2] == 1 && by[3] == of[2] } else { by[2] == of[2] };
        if !fits {
            return Err(refuse("shape", format!("a kernel of {by:?} does not fit {of:?}")));
        }
        let [wide, high] = self.places(image, [by[0], by[1]], window)?;
        self.expect_size([wide, high, by[3], of[3]])?;
        /// Bytes that ggml sets aside on the CPU for one place of the window, or more of them.
        const WORK_BYTES: i64 = 16 << 20;
        if by[0] * by[1] * by[2] + by[3] > WORK_BYTES / 4 {
            return Err(refuse("memory", format!("a kernel of {by:?} is too large for ggml")));
        }
        let raw = &self.library.raw;
        let function = if depthwise { raw.ggml_conv_2d_dw_direct } else { raw.ggml_conv_2d_direct };
        let Window { stride, pad, dilation } = window;
        let [s0, s1] = [number(stride[0])?, number(stride[1])?];
        let [p0, p1] = [number(pad[0])?, number(pad[1])?];
        let [d0, d1] = [number(dilation[0])?, number(dilation[1])?];
        // SAFETY: contiguous f32, channels that fit, and at least one place on each axis.
        let y = self.made(|context| unsafe {
            function(context, kernel.raw(), image.raw(), s0, s1, p0, p1, d0, d1)
        })?;
        self.add_work(y.elements().saturating_mul(by[0] * by[1] * by[2]));
        Ok(y)
    }

    /// The greatest or mean element of each window. Padding counts as nothing for the greatest, and as
    /// zeros for the mean.
    pub(crate) fn pool(
        &self,
        image: T,
        pool: Pool,
        kernel: [i64; 2],
        window: Window,
    ) -> Result<T, Refusal> {
        self.expect_f32(image)?;
        let image = self.together(image)?;
        let inside = window.pad[0] < kernel[0] && window.pad[1] < kernel[1];
        if window.dilation != [1, 1] || !inside || kernel.iter().any(|&size| size < 1) {
            return Err(refuse(
                "attribute",
                format!("ggml does not pool {window:?} of {kernel:?}"),
            ));
        }
        let [wide, high] = self.places(image, kernel, window)?;
        self.expect_size([wide, high, image.ne()[2], image.ne()[3]])?;
        let kind = match pool {
            Pool::Max => 0,
            Pool::Mean => 1,
        };
        let [k0, k1] = [number(kernel[0])?, number(kernel[1])?];
        let [s0, s1] = [number(window.stride[0])?, number(window.stride[1])?];
        let [p0, p1] = window.pad.map(|pad| pad as f32);
        // SAFETY: contiguous f32, and at least one place on each axis.
        self.made(|context| unsafe {
            (self.library.raw.ggml_pool_2d)(context, image.raw(), kind, k0, k1, s0, s1, p0, p1)
        })
    }

    /// Groups of channels brought to mean 0 and variance 1.
    pub(crate) fn group_norm(&self, image: T, groups: i64, epsilon: f32) -> Result<T, Refusal> {
        self.expect_f32(image)?;
        let image = self.together(image)?;
        if groups < 1 || image.ne()[2] % groups != 0 || epsilon.is_nan() || epsilon < 0.0 {
            let text = format!("{groups} groups of {} channels", image.ne()[2]);
            return Err(refuse("attribute", text));
        }
        let groups = number(groups)?;
        // SAFETY: contiguous f32, and whole groups.
        self.made(|context| unsafe {
            (self.library.raw.ggml_group_norm)(context, image.raw(), groups, epsilon)
        })
    }
}
