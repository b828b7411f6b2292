//! Resize of floats by nearest, linear and cubic interpolation along any axes; what crops, keeps an
//! aspect ratio or rounds between axes is left to the reference.

use remuda_ir::{Attrs, OpError, Val};
use remuda_kernels::resize::{Coordinates, Filter, Rounding, Sampling, Taps, resize};
use remuda_tensor::{DType, bf16, f16};

use super::elementwise::{is_fast, with_fast};
use super::{no_memory, resolve_axis};
use crate::kernel::{Kernel, Preparation, Run, optional, tensor, writable};

struct Resize {
    sampling: Sampling,
    axes: Option<Vec<i64>>,
}

pub(super) fn prepare(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let attrs = &preparation.node.attrs;
    let dtype = preparation.dtype(0).filter(|&dtype| is_fast(dtype))?;
    let sampling = sampling(attrs)?;
    // Elements of 16 bits would be rounded after every axis.
    let exact = dtype == DType::F32 || matches!(sampling.filter, Filter::Nearest(_));
    let stretched = attrs.text_or("keep_aspect_ratio_policy", "stretch").ok()? == "stretch";
    let axes = attrs.ints("axes").ok()?.map(<[i64]>::to_vec);
    (exact && stretched).then(|| Box::new(Resize { sampling, axes }) as Box<dyn Kernel>)
}

fn sampling(attrs: &Attrs) -> Option<Sampling> {
    let rounding = match attrs.text_or("nearest_mode", "round_prefer_floor").ok()? {
        "round_prefer_floor" => Rounding::PreferFloor,
        "round_prefer_ceil" => Rounding::PreferCeil,
        "floor" => Rounding::Floor,
        "ceil" => Rounding::Ceil,
        _ => return None,
    };
    let filter = match attrs.text_or("mode", "nearest").ok()? {
        "nearest" => Filter::Nearest(rounding),
        "linear" => Filter::Linear,
        "cubic" => Filter::Cubic(attrs.float_or("cubic_coeff_a", -0.75).ok()?),
        _ => return None,
    };
    let coordinates = match attrs.text_or("coordinate_transformation_mode", "half_pixel").ok()? {
        "half_pixel" => Coordinates::HalfPixel,
        "half_pixel_symmetric" => Coordinates::HalfPixelSymmetric,
        "align_corners" => Coordinates::AlignCorners,
        "asymmetric" => Coordinates::Asymmetric,
        _ => return None,
    };
    let exclude_outside = attrs.bool_or("exclude_outside", false).ok()?;
    let antialias = attrs.bool_or("antialias", false).ok()?;
    Some(Sampling { filter, coordinates, exclude_outside, antialias })
}

/// The size of an axis after, and how many times the size before that is.
#[derive(Clone, Copy)]
struct Along {
    output: usize,
    scale: f64,
}

impl Along {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the scale is positive, and sizes past the greatest integer find no memory"
    )]
    fn of_scale(input: usize, scale: f32) -> Result<Self, OpError> {
        if !(scale > 0.0 && scale.is_finite()) {
            let text = format!("`scales` expected positive numbers, got {scale}");
            return Err(OpError::Invalid(text));
        }
        let output = (input as f32 * scale).floor() as usize;
        Ok(Self { output, scale: f64::from(scale) })
    }

    fn of_size(input: usize, size: i64) -> Result<Self, OpError> {
        let output = usize::try_from(size)
            .map_err(|_| OpError::Invalid(format!("`sizes` expected sizes, got {size}")))?;
        Ok(Self { output, scale: size as f64 / input as f64 })
    }
}

impl Resize {
    /// What happens along each axis of `dims`; nothing along those that stay.
    fn plan(&self, inputs: &[Option<Val>], dims: &[usize]) -> Result<Vec<Option<Along>>, OpError> {
        let axes = match &self.axes {
            Some(axes) => {
                axes.iter().map(|&axis| resolve_axis(axis, dims.len())).collect::<Result<_, _>>()?
            }
            None => (0..dims.len()).collect::<Vec<_>>(),
        };
        let given =
            |at: usize| Ok::<_, OpError>(optional(inputs, at)?.filter(|tensor| tensor.len() > 0));
        let (name, alongs) = match (given(2)?, given(3)?) {
            (Some(scales), None) => {
                let pairs = axes.iter().zip(scales.to_f32_vec()?);
                let alongs = pairs.map(|(&axis, scale)| Along::of_scale(dims[axis], scale));
                (("scales", scales.len()), alongs.collect::<Result<Vec<_>, _>>()?)
            }
            (None, Some(sizes)) => {
                let pairs = axes.iter().zip(sizes.to_i64_vec()?);
                let alongs = pairs.map(|(&axis, size)| Along::of_size(dims[axis], size));
                (("sizes", sizes.len()), alongs.collect::<Result<Vec<_>, _>>()?)
            }
            _ => {
                let text = "expected either `scales` or `sizes`".to_owned();
                return Err(OpError::Invalid(text));
            }
        };
        if name.1 != axes.len() {
            let text = format!("`{}` expected {} elements, got {}", name.0, axes.len(), name.1);
            return Err(OpError::Invalid(text));
        }
        let mut plan = vec![None; dims.len()];
        for (&axis, along) in axes.iter().zip(alongs) {
            let stays = along.output == dims[axis] && along.scale == 1.0;
            plan[axis] = (!stays).then_some(along);
        }
        Ok(plan)
    }
}

impl Kernel for Resize {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let x = tensor(inputs, 0)?.contiguous();
        let plan = self.plan(inputs, x.dims())?;
        let sizes = plan.iter().zip(x.dims());
        let dims: Vec<usize> =
            sizes.map(|(along, &dim)| along.map_or(dim, |along| along.output)).collect();
        let mut out = run.arena.tensor(x.dtype(), &dims)?;
        if out.len() == 0 {
            return Ok(vec![out.into()]);
        }
        if x.len() == 0 {
            let text = format!("cannot resize the empty axes of {:?}", x.dims());
            return Err(OpError::Invalid(text));
        }
        let taps: Vec<Option<Taps>> = plan
            .iter()
            .zip(x.dims())
            .map(|(along, &dim)| along.map(|at| self.sampling.taps(dim, at.output, at.scale)))
            .map(Option::transpose)
            .collect::<Result<_, _>>()
            .map_err(no_memory)?;
        with_fast!(x.dtype(), T => {
            resize(run.context(), &taps, x.as_slice::<T>()?, x.dims(), writable(&mut out)?);
            Ok(())
        })?;
        Ok(vec![out.into()])
    }
}
