//! What the spaces of a plan are in memory of the device.

use std::sync::Arc;

use remuda_sdk::Failure;
use remuda_sdk::ir::{Graph, ValueId};

use super::instance::Key;
use super::weights::Weight;
use super::words::bytes_of;
use super::{Given, WgpuProgram};
use crate::cache::Tables;
use crate::gpu::{Gpu, Memory};
use crate::lower::{Form, Origin, Space};

/// What a space is.
pub(super) enum Held {
    Own(Memory),
    /// A part of the buffer that a run writes at once.
    Written {
        offset: u64,
        bytes: u64,
    },
    Shared(Arc<Weight>),
    /// One of the buffers that results share.
    Slot(usize),
    Keys(Arc<Tables>),
    Values(Arc<Tables>),
}

/// A part of a buffer.
pub(super) struct Seen<'m> {
    pub(super) memory: &'m Memory,
    pub(super) offset: u64,
    pub(super) bytes: u64,
}

/// What is larger is written by itself: joining it with others would be one more copy.
const SMALL: u64 = 64 << 10;

pub(super) fn lost_space() -> Failure {
    Failure::Internal("a space of a plan has no memory".to_owned())
}

/// The bytes of a space that is written before each run; none of any other.
pub(super) fn given_bytes(key: &Key, space: &Space) -> Result<Option<u64>, Failure> {
    match space.origin {
        Origin::Input(..) | Origin::Places(_) | Origin::Spans(_) => Ok(Some(space.bytes)),
        Origin::Cells(slot) => {
            let (_, cells) = key.cells.get(slot).ok_or_else(lost_space)?;
            Ok(Some(*cells as u64 * 4))
        }
        _ => Ok(None),
    }
}

impl Held {
    /// Memory for what runs give: behind all that is written at once so far, or a buffer.
    pub(super) fn written(gpu: &Gpu, bytes: u64, end: &mut u64) -> Result<Self, Failure> {
        if bytes > SMALL {
            return gpu.borrow(bytes).map(Self::Own);
        }
        let (offset, bytes) = (end.next_multiple_of(gpu.limits.alignment), bytes.max(4));
        *end = offset + bytes;
        Ok(Self::Written { offset, bytes })
    }

    /// Memory for what no run writes; results are in the buffer of a slot.
    pub(super) fn kept(
        program: &WgpuProgram,
        graph: &Graph,
        given: &Given<'_>,
        (space, slot): (&Space, Option<usize>),
    ) -> Result<Self, Failure> {
        let tables = |slot: usize| {
            let cache = given.steps.get(slot).map(|(cache, _)| Arc::clone(&cache.tables));
            cache.ok_or_else(lost_space)
        };
        match (space.origin, slot) {
            (Origin::Work, Some(slot)) => Ok(Self::Slot(slot)),
            // No step touches it.
            (Origin::Work, None) => program.gpu.borrow(space.bytes).map(Self::Own),
            (Origin::Constant(id, form), _) => Self::constant(program, graph, id, form),
            (Origin::Keys(slot), _) => tables(slot).map(Self::Keys),
            (Origin::Values(slot), _) => tables(slot).map(Self::Values),
            (Origin::Input(..) | Origin::Places(_) | Origin::Spans(_) | Origin::Cells(_), _) => {
                Err(lost_space())
            }
        }
    }

    /// A constant of the region is the program's; an input whose content decides sizes is this instance's.
    fn constant(
        program: &WgpuProgram,
        graph: &Graph,
        id: ValueId,
        form: Form,
    ) -> Result<Self, Failure> {
        if program.region.value(id).constant().is_some() {
            return program.weight(id, form).map(Self::Shared);
        }
        let tensor = graph.value(id).constant().ok_or_else(lost_space)?.contiguous();
        let bytes = bytes_of(&tensor, form)?;
        let memory = program.gpu.borrow(bytes.len() as u64)?;
        program.gpu.upload(&memory, 0, &bytes)?;
        Ok(Self::Own(memory))
    }

    pub(super) fn seen<'m>(&'m self, slots: &'m [Memory], written: &'m Memory) -> Option<Seen<'m>> {
        let memory = match self {
            Self::Written { offset, bytes } => {
                return Some(Seen { memory: written, offset: *offset, bytes: *bytes });
            }
            Self::Own(memory) => memory,
            Self::Shared(weight) => &weight.memory,
            Self::Slot(slot) => slots.get(*slot)?,
            Self::Keys(tables) => &tables.keys,
            Self::Values(tables) => &tables.values,
        };
        Some(Seen { memory, offset: 0, bytes: memory.bytes() })
    }
}
