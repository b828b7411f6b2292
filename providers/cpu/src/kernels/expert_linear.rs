//! `ExpertLinear` of f32 rows: rows are sorted by expert, and each expert's rows are multiplied as
//! those of `Linear` are. Experts that are kept apart are packed where they lie, without joining them.

use std::ops::Range;
use std::sync::OnceLock;

use remuda_base::Map;
use remuda_ir::{OpError, Val};
use remuda_kernels::block::{
    Activations, Codec, Format, Grain, Weights, multiply, pack, scratch_bytes,
};
use remuda_tensor::{DType, Tensor};

use super::linear::{bytes, codec_of, failed, format_of};
use crate::Packing;
use crate::kernel::{Kernel, Needs, Preparation, Run, tensor, writable};
use crate::packing::Packed;

struct ExpertLinear {
    layout: Layout,
    /// The places of the weights among the inputs.
    places: Vec<usize>,
}

/// How the weights are kept.
enum Layout {
    /// In a form of the kernels' own, one expert after the other, of so many bytes in all, from before
    /// the first run on.
    Packed(Format, usize, OnceLock<Packed>),
    /// As they are given.
    Plain(Codec, DType),
}

/// Packed experts start at multiples of this.
const ALIGNMENT: usize = 64;

pub(super) fn prepare(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let dtype = preparation.dtype(1)?;
    let places: Vec<usize> = std::iter::once(1).chain(3..preparation.node.inputs.len()).collect();
    let packed = format_of(dtype)
        .and_then(|format| Some((format, packed_bytes(preparation, &places, format)?)));
    let layout = match packed {
        Some((format, bytes)) => Layout::Packed(format, bytes, OnceLock::new()),
        None => Layout::Plain(codec_of(dtype)?, dtype),
    };
    let alike = places.iter().all(|&place| preparation.dtype(place) == Some(dtype));
    let fits = alike && preparation.dtype(0)? == DType::F32 && preparation.dtype(2)? == DType::I64;
    fits.then(|| Box::new(ExpertLinear { layout, places }) as Box<dyn Kernel>)
}

/// Bytes of the packed weights, if they are wanted and known in time, and their rows can be packed.
fn packed_bytes(preparation: &Preparation<'_>, places: &[usize], format: Format) -> Option<usize> {
    let mut all = 0usize;
    for &place in places {
        let dims = preparation.dims(place)?;
        let &[count, rows, depth] = &dims[..] else { return None };
        let bytes = slab(format, [rows, depth])?.checked_mul(count).filter(|_| depth > 0)?;
        all = all.checked_add(bytes)?;
        if !preparation.is_fixed(place) {
            return None;
        }
    }
    preparation.packs.then_some(all)
}

/// Bytes of a packed expert, with what is between it and the next.
fn slab(format: Format, [rows, depth]: [usize; 2]) -> Option<usize> {
    format.packed_bytes(rows, depth)?.checked_next_multiple_of(ALIGNMENT)
}

/// Experts of all weights, and the rows and depth of each.
fn sizes(weights: &[Tensor]) -> Result<[usize; 3], OpError> {
    let mut all: Option<[usize; 3]> = None;
    for weight in weights {
        let own: [usize; 3] = weight.dims().try_into().map_err(|_| {
            OpError::Invalid(format!("weights expected 3 dimensions, got {:?}", weight.dims()))
        })?;
        all = Some(match all {
            None => own,
            Some([count, rows, depth]) if own[1..] == [rows, depth] => {
                [count + own[0], rows, depth]
            }
            Some(other) => {
                let text = format!("weights of {other:?} and {own:?} do not go together");
                return Err(OpError::Invalid(text));
            }
        });
    }
    all.ok_or_else(|| OpError::invalid("weights are missing"))
}

fn too_large(what: [usize; 3]) -> OpError {
    OpError::Resource(format!("no memory to pack weights of {what:?} elements"))
}

/// The part of all weights' bytes that is one expert's.
fn part(all: &[u8], step: usize, expert: usize, len: usize) -> Result<&[u8], OpError> {
    let start = expert * step;
    let range = Range { start, end: start + len };
    all.get(range).ok_or_else(|| OpError::Bug("weights are shorter than they say".to_owned()))
}

impl ExpertLinear {
    /// Calls `body` with the weights of an expert.
    fn with_expert<R>(
        &self,
        (weights, all): (&[Tensor], [usize; 3]),
        expert: usize,
        body: impl FnOnce(&Weights<'_>) -> Result<R, OpError>,
    ) -> Result<R, OpError> {
        let [_, rows, depth] = all;
        match &self.layout {
            Layout::Plain(codec, dtype) => {
                let step = dtype.bytes_for(rows * depth).ok_or_else(|| too_large(all))?;
                let (weight, expert) = holder(weights, expert)?;
                let own = part(bytes(weight)?, step, expert, step)?;
                body(&Weights::plain(*codec, [rows, depth], own).map_err(failed)?)
            }
            Layout::Packed(format, _, packed) => {
                let packed = packed.get();
                let packed =
                    packed.ok_or_else(|| OpError::Bug("weights are not packed".to_owned()))?;
                let step = slab(*format, [rows, depth]).ok_or_else(|| too_large(all))?;
                let len = format.packed_bytes(rows, depth).ok_or_else(|| too_large(all))?;
                let own = part(packed.bytes(), step, expert, len)?;
                body(&Weights::packed(*format, [rows, depth], own).map_err(failed)?)
            }
        }
    }
}

/// The tensor that holds an expert, and its place there.
fn holder(weights: &[Tensor], mut expert: usize) -> Result<(&Tensor, usize), OpError> {
    for weight in weights {
        let count = weight.dims().first().copied().unwrap_or(0);
        if expert < count {
            return Ok((weight, expert));
        }
        expert -= count;
    }
    Err(OpError::Bug("there are fewer experts than they say".to_owned()))
}

/// The places of each expert's results, in order.
fn by_expert(experts: &[i64], count: usize) -> Result<Map<usize, Vec<usize>>, OpError> {
    let mut places = Map::<usize, Vec<usize>>::new();
    for (place, &expert) in experts.iter().enumerate() {
        let own = usize::try_from(expert).ok().filter(|&expert| expert < count);
        let own = own.ok_or_else(|| {
            OpError::Invalid(format!("an expert is not one of {count}, expected 0 to {count} - 1"))
        })?;
        places.entry(own).or_default().push(place);
    }
    Ok(places)
}

impl Kernel for ExpertLinear {
    fn packs(&self) -> &[usize] {
        if matches!(self.layout, Layout::Packed(..)) { &self.places } else { &[] }
    }

    fn packed_bytes(&self) -> usize {
        if let Layout::Packed(_, bytes, _) = self.layout { bytes } else { 0 }
    }

    /// At the most, when one expert gets all rows.
    fn needs(&self, preparation: &Preparation<'_>) -> Needs {
        let grain = match self.layout {
            Layout::Packed(format, ..) => format.grain(),
            Layout::Plain(..) => Grain::Float,
        };
        let (weight, chosen) = (preparation.dims(1), preparation.dims(2));
        let (Some(&[_, outputs, depth]), Some(&[tokens, used])) =
            (weight.as_deref(), chosen.as_deref())
        else {
            return Needs::default();
        };
        let rows = tokens * used;
        let floats = rows * (depth + outputs) * size_of::<f32>();
        let run_bytes = floats + Activations::bytes(grain, [rows, depth]);
        Needs { run_bytes, thread_bytes: scratch_bytes(grain, rows), ..Needs::default() }
    }

    fn pack(&self, packing: &Packing<'_>, inputs: &[Option<Tensor>]) -> Result<(), OpError> {
        let Layout::Packed(format, needed, packed) = &self.layout else { return Ok(()) };
        let weights = self.places.iter().map(|&place| inputs.get(place)?.clone());
        let weights: Option<Vec<Tensor>> = weights.collect();
        let weights = weights.ok_or_else(|| OpError::invalid("weights are missing"))?;
        let all = sizes(&weights)?;
        let [_, rows, depth] = all;
        let step = slab(*format, [rows, depth]).ok_or_else(|| too_large(all))?;
        let len = format.packed_bytes(rows, depth).ok_or_else(|| too_large(all))?;
        let sources: Vec<&Tensor> = weights.iter().collect();
        let made = packing.packed((*format, *needed), &sources, |memory| {
            let mut slabs = memory.chunks_exact_mut(step.max(1));
            for weight in &weights {
                let count = weight.dims().first().copied().unwrap_or(0);
                let source = bytes(weight)?;
                let raw = source.len() / count.max(1);
                for (expert, to) in slabs.by_ref().take(count).enumerate() {
                    let from = part(source, raw, expert, raw)?;
                    pack(packing.cx, *format, [rows, depth], from, &mut to[..len])
                        .map_err(failed)?;
                }
            }
            Ok(())
        })?;
        let _ = packed.set(made);
        Ok(())
    }

    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let (x, experts) = (tensor(inputs, 0)?.contiguous(), tensor(inputs, 2)?.contiguous());
        // Packed weights are there by their dimensions alone.
        let plain = matches!(self.layout, Layout::Plain(..));
        let weights = self.places.iter().map(|&place| {
            let weight = tensor(inputs, place)?;
            Ok(if plain { weight.contiguous() } else { weight.clone() })
        });
        let weights = weights.collect::<Result<Vec<Tensor>, OpError>>()?;
        let all = sizes(&weights)?;
        let [count, outputs, depth] = all;
        let (&[rows, slots, width], &[tokens, used]) = (x.dims(), experts.dims()) else {
            return Err(misfit(&x, &experts, all));
        };
        if rows != tokens || width != depth || (slots != 1 && slots != used) {
            return Err(misfit(&x, &experts, all));
        }
        let places = by_expert(experts.as_slice::<i64>()?, count)?;
        let mut out = run.arena.tensor(DType::F32, &[tokens, used, outputs])?;
        let values = writable::<f32>(&mut out)?;
        let source = x.as_slice::<f32>()?;
        if depth == 0 {
            values.fill(0.0);
        }
        let cx = run.context();
        let mut activations = Activations::default();
        for (&expert, places) in &places {
            if depth == 0 || outputs == 0 {
                break;
            }
            let row = |&place: &usize| if slots == 1 { place / used } else { place };
            let gathered: Vec<f32> = places
                .iter()
                .flat_map(|place| &source[row(place) * depth..][..depth])
                .copied()
                .collect();
            let mut results = vec![0.0; places.len() * outputs];
            self.with_expert((&weights, all), expert, |weights| {
                activations.fill(cx, weights.grain(), depth, &gathered);
                multiply(cx, weights, &activations, &mut results, outputs).map_err(failed)
            })?;
            for (&place, result) in places.iter().zip(results.chunks_exact(outputs)) {
                values[place * outputs..][..outputs].copy_from_slice(result);
            }
        }
        Ok(vec![out.into()])
    }
}

fn misfit(x: &Tensor, experts: &Tensor, weights: [usize; 3]) -> OpError {
    OpError::Invalid(format!(
        "rows of {:?} and experts of {:?} do not fit weights of {weights:?}",
        x.dims(),
        experts.dims()
    ))
}
