//! `GridSample`: the elements of an image or volume at given coordinates, interpolated. Coordinates go from
//! -1 to 1; outside stand zeros, the border or a reflection.

use remuda_ir::{
    Attr, AttrDef, AttrKind, Attrs, Draft, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError,
    OutputDef, Tolerance, Traits, Types, Upgrade, Val,
};
use remuda_tensor::dim::DisplayDims;

use crate::support::array::Array;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "GridSample",
    since: 16,
    upgrades: &[Upgrade { below: 20, apply: upgrade }],
    inputs: &[InputDef::new("x", Types::NUMBERS), InputDef::new("grid", Types::FLOATS).tied("T2")],
    outputs: &[OutputDef::new("y")],
    attrs: &[
        AttrDef::new("align_corners", AttrKind::Int),
        AttrDef::new("mode", AttrKind::Text),
        AttrDef::new("padding_mode", AttrKind::Text),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(8.0),
    infer,
    reference,
    cases: include_str!("grid_sample.cases"),
};

/// The modes had the names of two dimensions.
fn upgrade(draft: &mut Draft<'_>) -> Result<(), OpError> {
    let new = match draft.node.attrs.text_or("mode", "bilinear")? {
        "bilinear" => "linear",
        "bicubic" => "cubic",
        other => other,
    };
    let new = new.to_owned();
    draft.node.attrs.set("mode", Attr::Text(new));
    Ok(())
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = ctx.dtype(0)?;
    let (Some(x), Some(grid)) = (ctx.dims(0)?, ctx.dims(1)?) else {
        return Ok(vec![Inferred::maybe(dtype, None)]);
    };
    if x.len() < 3 || x.len() != grid.len() || grid[grid.len() - 1].differs(&(x.len() - 2).into()) {
        let (x, grid) = (DisplayDims(x), DisplayDims(grid));
        return Err(OpError::Invalid(format!("a grid of {grid} does not fit data of {x}")));
    }
    let space = grid[1..grid.len() - 1].iter().cloned();
    Ok(vec![Inferred::tensor(dtype, x[..2].iter().cloned().chain(space))])
}

#[derive(Clone, Copy, PartialEq)]
enum Outside {
    Zeros,
    Border,
    Reflection,
}

struct Sampler<'a> {
    dims: &'a [usize],
    outside: Outside,
    corners: bool,
    mode: &'a str,
}

impl<'a> Sampler<'a> {
    fn read(attrs: &'a Attrs, dims: &'a [usize]) -> Result<Self, OpError> {
        let outside = match attrs.text_or("padding_mode", "zeros")? {
            "zeros" => Outside::Zeros,
            "border" => Outside::Border,
            "reflection" => Outside::Reflection,
            other => return Err(OpError::Invalid(format!("`padding_mode` has no mode `{other}`"))),
        };
        let mode = attrs.text_or("mode", "linear")?;
        if !["linear", "nearest", "cubic"].contains(&mode) {
            return Err(OpError::Invalid(format!("`mode` has no mode `{mode}`")));
        }
        Ok(Self { dims, outside, corners: attrs.bool_or("align_corners", false)?, mode })
    }

    /// The lowest and highest coordinate of an axis.
    fn range(&self, size: f64) -> (f64, f64) {
        if self.corners { (0.0, size - 1.0) } else { (-0.5, size - 0.5) }
    }

    /// The coordinate in elements, brought inside as the padding says.
    fn coordinate(&self, axis: usize, given: f64) -> f64 {
        let size = self.dims[axis] as f64;
        let spread = if self.corners {
            (given + 1.0) / 2.0 * (size - 1.0)
        } else {
            ((given + 1.0) * size - 1.0) / 2.0
        };
        let place = if self.mode == "nearest" { spread.round_ties_even() } else { spread };
        let (low, high) = self.range(size);
        match self.outside {
            _ if (low..=high).contains(&place) => place,
            Outside::Zeros => place,
            // The four places of a cubic are brought inside one by one, as PyTorch does it.
            Outside::Border if self.mode == "cubic" => place,
            Outside::Border => place.clamp(0.0, size - 1.0),
            Outside::Reflection => reflect(place, low, high),
        }
    }

    /// The element at a whole coordinate, if there is one.
    fn element(&self, axis: usize, place: f64) -> Option<usize> {
        let size = self.dims[axis];
        if place >= 0.0 && place < size as f64 {
            return Some(place as usize);
        }
        let inside = match self.outside {
            Outside::Zeros => return None,
            Outside::Border => place,
            Outside::Reflection => {
                let (low, high) = self.range(size as f64);
                reflect(place, low, high)
            }
        };
        place.is_finite().then_some(inside.clamp(0.0, size as f64 - 1.0) as usize)
    }

    /// The elements of an axis around a coordinate, and their weights.
    fn taps(&self, axis: usize, given: f64) -> Vec<(usize, f64)> {
        let place = self.coordinate(axis, given);
        let (below, part) = (place.floor(), place - place.floor());
        let weights: Vec<(f64, f64)> = match self.mode {
            "nearest" => vec![(place, 1.0)],
            "linear" => vec![(below, 1.0 - part), (below + 1.0, part)],
            _ => (0..4)
                .map(|at| (below - 1.0 + f64::from(at), cubic(f64::from(at) - 1.0 - part)))
                .collect(),
        };
        let inside = |(place, weight): (f64, f64)| Some((self.element(axis, place)?, weight));
        weights.into_iter().filter_map(inside).collect()
    }
}

/// Folds a coordinate back at the ends of a range.
fn reflect(place: f64, low: f64, high: f64) -> f64 {
    let range = high - low;
    if range <= 0.0 || !place.is_finite() {
        return low.max(0.0);
    }
    let beyond = (place - low).rem_euclid(2.0 * range);
    low + if beyond <= range { beyond } else { 2.0 * range - beyond }
}

/// The cubic convolution kernel at a distance.
fn cubic(distance: f64) -> f64 {
    let (a, x) = (-0.75, distance.abs());
    if x <= 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
    } else {
        0.0
    }
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (x, grid) = (Array::of(ctx.tensor(0)?)?, Array::of(ctx.tensor(1)?)?);
    let rank = x.dims.len();
    let fits = rank >= 3
        && grid.dims.len() == rank
        && grid.dims[0] == x.dims[0]
        && grid.dims[rank - 1] == rank - 2;
    if !fits {
        let text = format!("a grid of {:?} does not fit data of {:?}", grid.dims, x.dims);
        return Err(OpError::Invalid(text));
    }
    let space = &x.dims[2..];
    let sampler = Sampler::read(ctx.attrs(), space)?;
    let (batch, channels, axes) = (x.dims[0], x.dims[1], rank - 2);
    let places: usize = grid.dims[1..rank - 1].iter().product();
    let plane: usize = space.iter().product();
    let dims: Vec<usize> = x.dims[..2].iter().chain(&grid.dims[1..rank - 1]).copied().collect();
    let mut y = Array::filled(dims, 0.0)?;
    for (at, point) in grid.values.chunks(axes).enumerate().take(batch * places) {
        let mut taps = vec![(0usize, 1.0)];
        for axis in 0..axes {
            // The fastest axis of the data comes first in the coordinates.
            let along = sampler.taps(axis, point[axes - 1 - axis]);
            let extend = |(offset, weight): (usize, f64)| {
                along.iter().map(move |&(place, by)| (offset * space[axis] + place, weight * by))
            };
            taps = taps.into_iter().flat_map(extend).collect();
        }
        let (image, place) = (at / places, at % places);
        for channel in image * channels..(image + 1) * channels {
            let x = &x.values[channel * plane..][..plane];
            y.values[channel * places + place] =
                taps.iter().map(|&(at, weight)| x[at] * weight).sum();
        }
    }
    Ok(vec![y.to_numbers(ctx.tensor(0)?.dtype())?.into()])
}
