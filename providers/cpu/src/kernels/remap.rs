//! Slice, Pad and Tile: copies in which every output index of an axis names a source index of it.

use remuda_ir::{OpError, Val};
use remuda_kernels::NoMemory;
use remuda_kernels::layout::{AxisMap, Fill, PadMode, remap};
use remuda_tensor::Tensor;

use super::layout::{bits, bits_mut, by_width, finish, new_bits, width};
use super::{no_memory, resolve_axis};
use crate::kernel::{Kernel, Preparation, Run, optional, tensor};

/// The elements that `maps` name. They are made only when the result is known to fit into memory,
/// because they are as long as its axes.
pub(super) fn mapped(
    run: &mut Run<'_>,
    x: &Tensor,
    dims: &[usize],
    fill: Option<&Tensor>,
    maps: impl FnOnce() -> Result<Vec<AxisMap>, NoMemory>,
) -> Result<Vec<Val>, OpError> {
    let mut out = new_bits(run, x.dtype(), dims)?;
    if out.len() > 0 {
        by_width!(x.dtype(), T => {
            let fill = fill.map_or(Ok(0), |fill| bits::<T>(fill).map(|bits| bits[0]))?;
            let maps = maps().map_err(no_memory)?;
            remap::<T>(run.context(), bits(x)?, &maps, Fill(fill), bits_mut(&mut out)?)
                .map_err(no_memory)
        })?;
    }
    Ok(vec![finish(out, x.dtype())?])
}

fn ints(inputs: &[Option<Val>], at: usize) -> Result<Option<Vec<i64>>, OpError> {
    Ok(optional(inputs, at)?.map(Tensor::to_i64_vec).transpose()?)
}

struct Slice;

pub(super) fn prepare_slice(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    width(preparation, 0).map(|_| Box::new(Slice) as Box<dyn Kernel>)
}

/// Elements of an axis: the first, the distance of neighbours, and how many.
#[derive(Clone, Copy)]
struct Places {
    start: usize,
    step: isize,
    count: usize,
}

impl Places {
    fn all(size: usize) -> Self {
        Self { start: 0, step: 1, count: size }
    }

    /// What ONNX's `start:end:step` names on an axis: ends clamp, negative ones count from the back.
    fn of_range(size: usize, start: i64, end: i64, step: i64) -> Option<Self> {
        let whole = i128::try_from(size).ok()?;
        let (low, high) = if step > 0 { (0, whole) } else { (-1, whole - 1) };
        let place = |at: i64| {
            let at = i128::from(at);
            (if at < 0 { at + whole } else { at }).clamp(low, high.max(low))
        };
        let (start, end, stride) = (place(start).max(0), place(end), i128::from(step));
        let count = match step {
            0 => return None,
            1.. => (end - start + stride - 1).div_euclid(stride),
            _ => (start - end - stride - 1).div_euclid(-stride),
        };
        let count = if size == 0 { 0 } else { usize::try_from(count.max(0)).ok()? };
        let start = usize::try_from(start).ok()?;
        Some(Self { start, step: isize::try_from(step).ok()?, count })
    }
}

impl Kernel for Slice {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let missing = || OpError::Invalid("expected `starts` and `ends`".to_owned());
        let x = tensor(inputs, 0)?.contiguous();
        let starts = ints(inputs, 1)?.ok_or_else(missing)?;
        let ends = ints(inputs, 2)?.ok_or_else(missing)?;
        let axes = ints(inputs, 3)?.unwrap_or_else(|| (0..).take(starts.len()).collect());
        let steps = ints(inputs, 4)?.unwrap_or_else(|| vec![1; starts.len()]);
        if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
            let text = "expected as many `starts`, `ends`, `axes` and `steps`".to_owned();
            return Err(OpError::Invalid(text));
        }
        let mut places: Vec<Option<Places>> = vec![None; x.rank()];
        for (at, &axis) in axes.iter().enumerate() {
            let axis = resolve_axis(axis, x.rank())?;
            let range = Places::of_range(x.dims()[axis], starts[at], ends[at], steps[at])
                .ok_or_else(|| OpError::Invalid("`steps` holds 0".to_owned()))?;
            if places[axis].replace(range).is_some() {
                return Err(OpError::Invalid(format!("`axes` names axis {axis} twice")));
            }
        }
        let sizes = x.dims().iter().zip(places);
        let places: Vec<Places> =
            sizes.map(|(&size, range)| range.unwrap_or_else(|| Places::all(size))).collect();
        let dims: Vec<usize> = places.iter().map(|places| places.count).collect();
        if dims == x.dims() && places.iter().all(|places| places.step > 0) {
            return Ok(vec![x.into()]);
        }
        mapped(run, &x, &dims, None, || {
            let axes = x.dims().iter().zip(&places);
            axes.map(|(&size, at)| AxisMap::slice(size, at.start, at.step, at.count)).collect()
        })
    }
}

struct Pad(PadMode);

pub(super) fn prepare_pad(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    width(preparation, 0)?;
    let node = preparation.node;
    if node.input(2).is_some() && preparation.dtype(2) != preparation.dtype(0) {
        return None;
    }
    let mode = match node.attrs.text_or("mode", "constant").ok()? {
        "constant" => PadMode::Constant,
        "edge" => PadMode::Edge,
        "reflect" => PadMode::Reflect,
        "wrap" => PadMode::Wrap,
        _ => return None,
    };
    Some(Box::new(Pad(mode)))
}

impl Kernel for Pad {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let x = tensor(inputs, 0)?.contiguous();
        let pads = tensor(inputs, 1)?.to_i64_vec()?;
        let fill = optional(inputs, 2)?.map(Tensor::contiguous);
        if let Some(fill) = fill.as_ref().filter(|fill| fill.len() != 1) {
            let text = format!("`constant_value` holds {} elements, expected one", fill.len());
            return Err(OpError::Invalid(text));
        }
        let pairs = pairs(x.rank(), &pads, ints(inputs, 3)?)?;
        let sizes = x.dims().iter().zip(&pairs);
        let dims = sizes.map(|(&size, &pair)| self.padded(size, pair));
        let dims = dims.collect::<Result<Vec<_>, _>>()?;
        if dims.iter().zip(x.dims()).all(|(to, from)| to == from)
            && pairs.iter().all(|&[front, _]| front == 0)
        {
            return Ok(vec![x.into()]);
        }
        mapped(run, &x, &dims, fill.as_ref(), || {
            let axes = x.dims().iter().zip(&pairs);
            axes.map(|(&size, &[front, back])| AxisMap::pad(size, front, back, self.0)).collect()
        })
    }
}

/// The pads in front of and behind each axis.
fn pairs(rank: usize, pads: &[i64], axes: Option<Vec<i64>>) -> Result<Vec<[isize; 2]>, OpError> {
    let axes = axes.unwrap_or_else(|| (0..).take(rank).collect());
    if pads.len() != 2 * axes.len() {
        let text = format!("`pads` holds {} numbers, expected {}", pads.len(), 2 * axes.len());
        return Err(OpError::Invalid(text));
    }
    let mut pairs = vec![[0; 2]; rank];
    for (at, &axis) in axes.iter().enumerate() {
        let pad = |at: usize| {
            isize::try_from(pads[at])
                .map_err(|_| OpError::Invalid("`pads` are too large".to_owned()))
        };
        pairs[resolve_axis(axis, rank)?] = [pad(at)?, pad(at + axes.len())?];
    }
    Ok(pairs)
}

impl Pad {
    /// The size of a padded axis.
    fn padded(&self, size: usize, [front, back]: [isize; 2]) -> Result<usize, OpError> {
        let whole = size.checked_add_signed(front).map_or_else(
            || size.checked_add_signed(back).and_then(|whole| whole.checked_add_signed(front)),
            |whole| whole.checked_add_signed(back),
        );
        let whole = whole.filter(|&whole| isize::try_from(whole).is_ok()).ok_or_else(|| {
            OpError::Invalid(format!("`pads` of {front} and {back} do not fit {size} elements"))
        })?;
        if size == 0 && whole > 0 && self.0 != PadMode::Constant {
            return Err(OpError::Invalid("an axis is empty: there is nothing to pad with".into()));
        }
        Ok(whole)
    }
}

struct Tile;

pub(super) fn prepare_tile(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    width(preparation, 0).map(|_| Box::new(Tile) as Box<dyn Kernel>)
}

impl Kernel for Tile {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let (x, repeats) = (tensor(inputs, 0)?.contiguous(), tensor(inputs, 1)?.to_i64_vec()?);
        let counts = repeats.iter().map(|&times| usize::try_from(times));
        let counts = counts.collect::<Result<Vec<_>, _>>().ok();
        let dims = counts.as_ref().filter(|counts| counts.len() == x.rank()).and_then(|counts| {
            let sizes = x.dims().iter().zip(counts);
            sizes.map(|(size, &times)| size.checked_mul(times)).collect::<Option<Vec<_>>>()
        });
        let (Some(counts), Some(dims)) = (counts, dims) else {
            let text = format!("expected a count for each of {:?}, got {repeats:?}", x.dims());
            return Err(OpError::Invalid(text));
        };
        if counts.iter().all(|&times| times == 1) {
            return Ok(vec![x.into()]);
        }
        mapped(run, &x, &dims, None, || {
            let axes = x.dims().iter().zip(&counts);
            axes.map(|(&size, &times)| AxisMap::tile(size, times)).collect()
        })
    }
}
