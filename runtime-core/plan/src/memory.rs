//! What is alive where and when: from an order of parts to buffers, copies and peaks.
//!
//! Time is counted in nodes run. A tensor lives where it was made from the node that makes it to the
//! last reader in that memory or the last copy out of it, whichever is later. A copy is issued one
//! part before the part that reads it, so that it overlaps with that part, and lives to its last
//! reader. Every tensor appears at most once per memory.

use crate::model::Model;
use crate::pack::{Interval, pack, peak_alive};
use crate::waves::Effort;

/// Buffers start at multiples of this.
pub(crate) const ALIGN_BYTES: u64 = 64;

/// Parts in order of execution, for one shape class.
#[derive(Debug)]
pub(crate) struct Order {
    /// Per vertex.
    pub(crate) owner: Vec<u8>,
    /// Per vertex.
    pub(crate) part_of: Vec<u32>,
    pub(crate) parts: usize,
}

/// A tensor somewhere for some time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Alive {
    pub(crate) tensor: u32,
    pub(crate) provider: usize,
    pub(crate) interval: Interval,
}

/// A copy to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Move {
    pub(crate) tensor: u32,
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// The part with which it is issued; none if before the first.
    pub(crate) issue: Option<u32>,
    /// The part that first reads it; none if it is a graph output.
    pub(crate) needed: Option<u32>,
}

/// All buffers and copies of one class.
#[derive(Debug, Default)]
pub(crate) struct Lives {
    pub(crate) alive: Vec<Alive>,
    pub(crate) moves: Vec<Move>,
}

/// First and last node step of each part.
struct Clock {
    /// Per node.
    step: Vec<u32>,
    /// Per part.
    first: Vec<u32>,
    last: Vec<u32>,
    end: u32,
}

impl Clock {
    fn new(model: &Model, order: &Order) -> Self {
        let part = |node: usize| order.part_of[model.vertex_of[node] as usize] as usize;
        let mut size = vec![0u32; order.parts];
        for node in 0..model.vertex_of.len() {
            size[part(node)] += 1;
        }
        let mut first = Vec::with_capacity(order.parts);
        let mut end = 0;
        for &count in &size {
            first.push(end);
            end += count;
        }
        let last = first.iter().zip(&size).map(|(&first, &n)| (first + n).max(1) - 1).collect();
        let mut step = vec![0; model.vertex_of.len()];
        let mut next = first.clone();
        for &node in &model.node_order {
            let part = part(node as usize);
            step[node as usize] = next[part];
            next[part] += 1;
        }
        Self { step, first, last, end }
    }
}

/// Readers of one tensor in one memory.
#[derive(Clone, Copy)]
struct Readers {
    provider: usize,
    first: u32,
    part: u32,
    last: u32,
}

/// What is alive in `class`.
pub(crate) fn lives(model: &Model, class: usize, order: &Order) -> Lives {
    let clock = Clock::new(model, order);
    let mut out = Lives::default();
    let mut readers: Vec<Option<Readers>> = vec![None; model.domains];
    for (at, tensor) in model.tensors.iter().enumerate() {
        readers.fill(None);
        for &node in &tensor.consumers {
            let vertex = model.vertex_of[node as usize] as usize;
            let provider = order.owner[vertex] as usize;
            let (step, part) = (clock.step[node as usize], order.part_of[vertex]);
            let entry = &mut readers[model.domain[provider]];
            let seen = entry.get_or_insert(Readers { provider, first: step, part, last: step });
            seen.last = seen.last.max(step);
            if step < seen.first {
                (seen.provider, seen.first, seen.part) = (provider, step, part);
            }
        }
        tensor_lives(model, class, order, &clock, at, &readers, &mut out);
    }
    out
}

#[expect(clippy::too_many_arguments, reason = "one tensor's share of `lives`")]
fn tensor_lives(
    model: &Model,
    class: usize,
    order: &Order,
    clock: &Clock,
    at: usize,
    readers: &[Option<Readers>],
    out: &mut Lives,
) {
    let tensor = &model.tensors[at];
    let (bytes, id) = (model.prices.bytes[class][at], at as u32);
    let made = tensor.producer.map(|node| {
        let vertex = model.vertex_of[node as usize] as usize;
        (order.owner[vertex] as usize, order.part_of[vertex], clock.step[node as usize])
    });
    let (maker, part, step) =
        made.map_or((model.home, None, 0), |(maker, part, step)| (maker, Some(part), step));
    let here = model.domain[maker];
    let mut last = readers[here].map_or(step, |readers| readers.last).max(step);
    let home = tensor.output.then(|| model.domain[model.home]);
    if home == Some(here) {
        last = clock.end;
    }
    for domain in (0..model.domains).filter(|&domain| domain != here) {
        let leaves = home == Some(domain);
        let (to, needed) = match (readers[domain], leaves) {
            (None, false) => continue,
            (None, true) => (model.home, None),
            (Some(readers), _) => (readers.provider, Some(readers.part)),
        };
        let issue = match (part, needed) {
            (Some(part), Some(needed)) => Some(part.max(needed.max(1) - 1)),
            (Some(part), None) => Some(part),
            (None, Some(needed)) => needed.checked_sub(1),
            (None, None) => None,
        };
        let starts = match issue {
            None => 0,
            Some(issue) if Some(issue) == part => clock.last[issue as usize],
            Some(issue) => clock.first[issue as usize],
        };
        last = last.max(issue.map_or(0, |issue| clock.last[issue as usize]));
        let end = if leaves { clock.end } else { readers[domain].map_or(starts, |r| r.last) };
        let interval = Interval { bytes, first: starts, last: end };
        out.alive.push(Alive { tensor: id, provider: to, interval });
        out.moves.push(Move { tensor: id, from: maker, to, issue, needed });
    }
    let interval = Interval { bytes, first: step, last };
    out.alive.push(Alive { tensor: id, provider: maker, interval });
}

impl Lives {
    /// The buffers of one provider.
    pub(crate) fn of(&self, provider: usize) -> Vec<Interval> {
        let mine = self.alive.iter().filter(|alive| alive.provider == provider);
        mine.map(|alive| alive.interval).collect()
    }

    /// Whether the buffers of `provider` fit into `room` bytes, and if not how many they need. In
    /// haste buffers are not placed: a share of what is alive is set aside for gaps.
    pub(crate) fn fit(&self, provider: usize, room: u64, effort: Effort) -> Result<(), u64> {
        let intervals = self.of(provider);
        let total = intervals.iter().map(|interval| aligned(interval.bytes));
        if total.fold(0, u64::saturating_add) <= room {
            return Ok(());
        }
        let least = peak_alive(&intervals, ALIGN_BYTES);
        let needed = match effort {
            _ if least > room => least,
            Effort::Quick => least.saturating_add(least / GAPS),
            Effort::Thorough => pack(&intervals, ALIGN_BYTES).peak_bytes,
        };
        if needed <= room { Ok(()) } else { Err(needed) }
    }
}

/// One part in so many is lost to gaps between buffers, as a rule of thumb.
const GAPS: u64 = 16;

/// The bytes a buffer takes.
pub(crate) fn aligned(bytes: u64) -> u64 {
    bytes.div_ceil(ALIGN_BYTES) * ALIGN_BYTES
}
