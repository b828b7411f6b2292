//! Windows that slide over the spatial axes of a tensor: what convolutions and poolings share.
//!
//! A [`Window`] is what the attributes say; its output dimensions are computed symbolically. A
//! [`Grid`] is a window over an input of known size, and knows which input element lies under each
//! tap of the window at each place.

use remuda_ir::{Attrs, OpError};
use remuda_tensor::Dim;
use remuda_tensor::dim::DisplayDims;

/// How the input is padded.
#[derive(Clone, Debug, PartialEq)]
enum Padding {
    /// So many at the beginning and the end of each axis.
    Explicit(Vec<(usize, usize)>),
    /// As many as give ceil(input / stride); the odd one at the end, or at the beginning.
    Same { odd_at_end: bool },
}

/// A window as attributes describe it.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub(crate) kernel: Vec<usize>,
    pub(crate) strides: Vec<usize>,
    pub(crate) dilations: Vec<usize>,
    padding: Padding,
    ceil: bool,
}

/// A list of positive integers, one for each axis; ones where the attribute is missing.
pub(crate) fn per_axis(attrs: &Attrs, name: &str, rank: usize) -> Result<Vec<usize>, OpError> {
    let Some(values) = attrs.ints(name)? else { return Ok(vec![1; rank]) };
    let sizes: Option<Vec<usize>> =
        values.iter().map(|&value| usize::try_from(value).ok().filter(|&size| size > 0)).collect();
    sizes.filter(|sizes| sizes.len() == rank).ok_or_else(|| {
        OpError::Invalid(format!("`{name}` expected {rank} positive integers, got {values:?}"))
    })
}

/// The attribute `pads`: beginnings, then ends; zeros where it is missing.
pub(crate) fn explicit_pads(attrs: &Attrs, rank: usize) -> Result<Vec<(usize, usize)>, OpError> {
    let Some(pads) = attrs.ints("pads")? else { return Ok(vec![(0, 0); rank]) };
    let sizes: Option<Vec<usize>> = pads.iter().map(|&pad| usize::try_from(pad).ok()).collect();
    let sizes = sizes.filter(|sizes| sizes.len() == 2 * rank).ok_or_else(|| {
        OpError::Invalid(format!("`pads` expected {} sizes, got {pads:?}", 2 * rank))
    })?;
    Ok((0..rank).map(|axis| (sizes[axis], sizes[rank + axis])).collect())
}

/// The attribute `auto_pad`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AutoPad {
    NotSet,
    Valid,
    SameUpper,
    SameLower,
}

impl AutoPad {
    pub(crate) fn read(attrs: &Attrs) -> Result<Self, OpError> {
        match attrs.text_or("auto_pad", "NOTSET")? {
            "NOTSET" | "" => Ok(Self::NotSet),
            "VALID" => Ok(Self::Valid),
            "SAME_UPPER" => Ok(Self::SameUpper),
            "SAME_LOWER" => Ok(Self::SameLower),
            other => Err(OpError::Invalid(format!(
                "`auto_pad` expected NOTSET, VALID, SAME_UPPER or SAME_LOWER, got `{other}`"
            ))),
        }
    }
}

impl Window {
    /// Reads strides, dilations, pads, `auto_pad` and `ceil_mode` for a kernel of this size.
    pub(crate) fn read(attrs: &Attrs, kernel: Vec<usize>) -> Result<Self, OpError> {
        let rank = kernel.len();
        if kernel.contains(&0) {
            return Err(OpError::Invalid(format!("the kernel {kernel:?} has an empty axis")));
        }
        let padding = match AutoPad::read(attrs)? {
            AutoPad::NotSet => Padding::Explicit(explicit_pads(attrs, rank)?),
            AutoPad::Valid => Padding::Explicit(vec![(0, 0); rank]),
            AutoPad::SameUpper => Padding::Same { odd_at_end: true },
            AutoPad::SameLower => Padding::Same { odd_at_end: false },
        };
        Ok(Self {
            strides: per_axis(attrs, "strides", rank)?,
            dilations: per_axis(attrs, "dilations", rank)?,
            padding,
            ceil: attrs.bool_or("ceil_mode", false)?,
            kernel,
        })
    }

    /// A window without padding.
    pub(crate) fn plain(kernel: &[usize], strides: &[usize], dilations: &[usize]) -> Self {
        Self {
            kernel: kernel.to_vec(),
            strides: strides.to_vec(),
            dilations: dilations.to_vec(),
            padding: Padding::Explicit(vec![(0, 0); kernel.len()]),
            ceil: false,
        }
    }

    /// The window of a pooling operator, whose kernel is an attribute.
    pub(crate) fn read_pool(attrs: &Attrs) -> Result<Self, OpError> {
        let rank = attrs.ints("kernel_shape")?.map_or(0, <[i64]>::len);
        let kernel = per_axis(attrs, "kernel_shape", rank)?;
        Self::read(attrs, kernel)
    }

    /// How far the window reaches along an axis, dilation included.
    fn extent(&self, axis: usize) -> Dim {
        let gaps = Dim::from(self.kernel[axis]).sub(&Dim::Known(1));
        gaps.mul(&self.dilations[axis].into()).add(&Dim::Known(1))
    }

    /// The output's spatial dimensions for these of the input.
    pub(crate) fn output(&self, input: &[Dim]) -> Result<Vec<Dim>, OpError> {
        if input.len() != self.kernel.len() {
            return Err(OpError::Invalid(format!(
                "the kernel {:?} does not fit the spatial dimensions {}",
                self.kernel,
                DisplayDims(input)
            )));
        }
        (0..input.len()).map(|axis| self.output_along(axis, &input[axis])).collect()
    }

    fn output_along(&self, axis: usize, input: &Dim) -> Result<Dim, OpError> {
        let stride = Dim::from(self.strides[axis]);
        let Padding::Explicit(pads) = &self.padding else { return Ok(input.ceil_div(&stride)) };
        let (begin, end) = (Dim::from(pads[axis].0), Dim::from(pads[axis].1));
        let room = input.add(&begin).add(&end).sub(&self.extent(axis));
        let size = if self.ceil {
            // The last window starts inside the input or the padding in front of it.
            let starts = input.add(&begin).ceil_div(&stride);
            room.ceil_div(&stride).add(&Dim::Known(1)).lesser(&starts)
        } else {
            room.floor_div(&stride).add(&Dim::Known(1))
        };
        match size.as_i64() {
            Some(size) if size < 0 => Err(OpError::Invalid(format!(
                "the kernel {:?} is larger than the padded input, whose axis {axis} has {input}",
                self.kernel
            ))),
            _ => Ok(size),
        }
    }

    /// The window over an input of this size.
    pub(crate) fn over(&self, input: &[usize]) -> Result<Grid, OpError> {
        let symbolic: Vec<Dim> = input.iter().map(|&dim| dim.into()).collect();
        let output: Option<Vec<usize>> =
            self.output(&symbolic)?.iter().map(Dim::as_usize).collect();
        let output = output.ok_or_else(|| OpError::invalid("the window is too large"))?;
        let pads = (0..input.len()).map(|axis| self.pads_along(axis, input[axis], output[axis]));
        Ok(Grid { window: self.clone(), input: input.to_vec(), pads: pads.collect(), output })
    }

    fn pads_along(&self, axis: usize, input: usize, output: usize) -> (usize, usize) {
        let odd_at_end = match &self.padding {
            Padding::Explicit(pads) => return pads[axis],
            Padding::Same { odd_at_end } => *odd_at_end,
        };
        let reach = Dim::from(output.saturating_sub(1))
            .mul(&self.strides[axis].into())
            .add(&self.extent(axis))
            .sub(&input.into());
        let total = reach.as_usize().unwrap_or(0);
        let (small, large) = (total / 2, total - total / 2);
        if odd_at_end { (small, large) } else { (large, small) }
    }
}

/// A window over an input of known size.
#[derive(Clone, Debug)]
pub(crate) struct Grid {
    pub(crate) window: Window,
    pub(crate) input: Vec<usize>,
    pub(crate) output: Vec<usize>,
    /// Padding at the beginning and the end of each axis.
    pub(crate) pads: Vec<(usize, usize)>,
}

impl Grid {
    /// Where a tap lies along an axis for an output place: from the start of the input, so
    /// negative in the padding. `None` if that cannot be a place at all.
    fn place(&self, axis: usize, output: usize, tap: usize) -> Option<i64> {
        let window = &self.window;
        let start = output.checked_mul(window.strides[axis])?;
        let place = start.checked_add(tap.checked_mul(window.dilations[axis])?)?;
        i64::try_from(place).ok()?.checked_sub_unsigned(self.pads[axis].0 as u64)
    }

    fn inside(&self, axis: usize, place: i64) -> Option<usize> {
        usize::try_from(place).ok().filter(|&place| place < self.input[axis])
    }

    /// The offsets of (output, input) elements that one tap of the window joins.
    pub(crate) fn pairs(&self, tap: &[usize]) -> Vec<(usize, usize)> {
        let mut pairs = vec![(0, 0)];
        for (axis, &tap) in tap.iter().enumerate() {
            let places: Vec<(usize, usize)> = (0..self.output[axis])
                .filter_map(|output| {
                    Some((output, self.inside(axis, self.place(axis, output, tap)?)?))
                })
                .collect();
            let (outputs, inputs) = (self.output[axis], self.input[axis]);
            let extend = |(o, i): (usize, usize)| {
                places
                    .iter()
                    .map(move |&(output, input)| (o * outputs + output, i * inputs + input))
            };
            pairs = pairs.into_iter().flat_map(extend).collect();
        }
        pairs
    }

    /// The input positions under the window at an output position, and how many of its taps lie in
    /// the input or its padding (a window of `ceil_mode` may reach beyond).
    pub(crate) fn under(&self, output: &[usize]) -> (Vec<Vec<usize>>, f64) {
        let mut positions = vec![Vec::new()];
        let mut padded = 1.0;
        for (axis, &output) in output.iter().enumerate() {
            let (inside, count) = self.under_along(axis, output);
            padded *= count as f64;
            positions = positions
                .into_iter()
                .flat_map(|front| {
                    inside.iter().map(move |&place| {
                        let mut position = front.clone();
                        position.push(place);
                        position
                    })
                })
                .collect();
        }
        (positions, padded)
    }

    /// The input places under the window along one axis, and how many taps lie in the input or its
    /// padding. The work is bounded by the input, not by the kernel.
    fn under_along(&self, axis: usize, output: usize) -> (Vec<usize>, usize) {
        let (kernel, dilation) = (self.window.kernel[axis], self.window.dilations[axis]);
        let Some(start) = self.place(axis, output, 0) else { return (Vec::new(), 0) };
        let taps_before = |end: usize| {
            let room = i128::try_from(end).unwrap_or(i128::MAX) - i128::from(start);
            let taps = (room + dilation as i128 - 1).div_euclid(dilation as i128);
            usize::try_from(taps).unwrap_or(0).min(kernel)
        };
        let inside = (taps_before(0)..taps_before(self.input[axis]))
            .filter_map(|tap| self.inside(axis, self.place(axis, output, tap)?))
            .collect();
        (inside, taps_before(self.input[axis].saturating_add(self.pads[axis].1)))
    }
}
