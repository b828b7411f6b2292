//! The caches of a session: one provider state per state of the graph, on the device whose part uses
//! it, kept alike in all of them.
//!
//! A [`States`] follows its session's plan. Before each run it is settled: what lies elsewhere than the
//! plan says, or is lost, is made where it belongs and filled from the old place or from the mirror in
//! host memory; where neither is left, every sequence ends, and the caller is told to feed them again.
//! A run that fails is undone in every state, so that it can start over.
//!
//! States that `CrossAttention` looks at hold what was encoded of another text: how far a sequence has come
//! is nothing to them. They are cut only when the sequence ends, and copied whole.

mod mirror;
mod settle;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use remuda_base::Map;
use remuda_host::{Failure, State};
use remuda_ir::{Def, Graph, StateType, ValueId, ValueType};

use crate::error::ExecError;
use crate::receipt::Failover;
use crate::target::Target;
use mirror::{Mirror, reach};
pub(crate) use settle::Unsettled;

/// How large the states of a session are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateOptions {
    /// Sequences that may be alive at once, named from 0 on.
    pub sequences: u32,
    /// Positions over all sequences, for each state of the graph in its order.
    pub capacities: Vec<u64>,
    /// Whether what devices keep is kept in host memory too, so that a lost device costs no
    /// recomputation. Each run then copies what it appends.
    pub mirror: bool,
}

/// A state as runs hold it. The lock is free except during a run that was left behind.
pub(crate) type SharedState = Arc<Mutex<State>>;

/// What is known of the states of a graph.
#[derive(Clone, Debug, Default)]
pub(crate) struct StateShapes {
    pub(crate) types: Vec<StateType>,
    /// Whether each of them holds what was encoded of another text.
    encoded: Vec<bool>,
    pub(crate) options: StateOptions,
}

/// The states of a graph, in the order of its values.
pub(crate) fn states_of(graph: &Graph) -> impl Iterator<Item = (ValueId, &StateType)> {
    graph.values().filter_map(|(id, value)| match (&value.def, &value.ty) {
        (Def::State, Some(ValueType::State(ty))) => Some((id, ty)),
        _ => None,
    })
}

/// Whether a state holds what was encoded of another text.
fn is_encoded(graph: &Graph, state: ValueId) -> bool {
    graph.nodes().any(|(_, node)| {
        let crosses = (&*node.op.domain, &*node.op.name) == ("remuda", "CrossAttention");
        crosses && node.uses().any(|id| id == state)
    })
}

impl StateShapes {
    /// The states of a graph, with the sizes that the user gave.
    pub(crate) fn new(graph: &Graph, options: &StateOptions) -> Result<Self, ExecError> {
        let types: Vec<StateType> = states_of(graph).map(|(_, ty)| ty.clone()).collect();
        let capacities = options.capacities.len();
        if types.len() != capacities || (!types.is_empty() && options.sequences == 0) {
            return Err(ExecError::Wish(format!(
                "the graph has {} states: expected a capacity for each and a sequence, got {capacities} \
                 and {} sequences",
                types.len(),
                options.sequences
            )));
        }
        let encoded = states_of(graph).map(|(id, _)| is_encoded(graph, id)).collect();
        Ok(Self { types, encoded, options: options.clone() })
    }

    /// Bytes that a state takes on a target.
    pub(crate) fn bytes(&self, state: usize, target: &Target) -> Result<u64, Failure> {
        let StateOptions { sequences, capacities, .. } = &self.options;
        let (ty, device) = (&self.types[state], target.device.index);
        target.provider.state_bytes(device, ty, *sequences, capacities[state])
    }

    fn create(&self, state: usize, target: &Target) -> Result<State, Failure> {
        let StateOptions { sequences, capacities, .. } = &self.options;
        let (ty, device) = (&self.types[state], target.device.index);
        target.provider.create_state(device, ty, *sequences, capacities[state])
    }
}

/// The caches of a session. Runs borrow them one at a time; several may belong to one session, each
/// with memory of its own.
#[derive(Debug)]
pub struct States {
    /// The session that they belong to.
    session: Arc<()>,
    shapes: Arc<StateShapes>,
    targets: Arc<[Target]>,
    cells: Vec<Cell>,
    /// Failures whose runs gave no receipt.
    pub(crate) pending: Vec<Failover>,
}

/// One state.
#[derive(Debug)]
struct Cell {
    /// Where it is, and itself; absent once it is lost or before it is made.
    held: Option<(usize, SharedState)>,
    /// Whether it holds what was encoded of another text.
    encoded: bool,
    /// How many positions each sequence has.
    lengths: Vec<u64>,
    /// From which position on sequences are as they were fed: what their windows had left behind when
    /// they were carried over is gone.
    floors: Vec<u64>,
    /// Whether it was lost after a run whose positions only the other states have.
    torn: bool,
    mirror: Option<Mirror>,
}

/// A state that nobody uses now, even after somebody who used it panicked.
fn lock(state: &SharedState) -> Option<MutexGuard<'_, State>> {
    match state.try_lock() {
        Ok(state) => Some(state),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// A state for the time of a run.
pub(crate) fn lock_for_run(state: &SharedState) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn sequence_names(lengths: &[u64]) -> impl Iterator<Item = (u32, u64)> + '_ {
    (0u32..).zip(lengths.iter().copied())
}

impl States {
    /// States that are nowhere yet.
    pub(crate) fn new(
        session: &Arc<()>,
        shapes: &Arc<StateShapes>,
        targets: &Arc<[Target]>,
    ) -> Self {
        let cell = |(ty, &encoded): (&StateType, &bool)| Cell {
            held: None,
            encoded,
            lengths: vec![0; shapes.options.sequences as usize],
            floors: vec![0; shapes.options.sequences as usize],
            torn: false,
            mirror: shapes.options.mirror.then(|| Mirror::new(ty, shapes.options.sequences)),
        };
        Self {
            session: Arc::clone(session),
            cells: shapes.types.iter().zip(&shapes.encoded).map(cell).collect(),
            shapes: Arc::clone(shapes),
            targets: Arc::clone(targets),
            pending: Vec::new(),
        }
    }

    pub(crate) fn belong_to(&self, session: &Arc<()>) -> bool {
        Arc::ptr_eq(&self.session, session)
    }

    /// The states for a run, in the graph's order; all are settled.
    pub(crate) fn shared(&self) -> Vec<SharedState> {
        self.cells.iter().filter_map(|cell| Some(Arc::clone(&cell.held.as_ref()?.1))).collect()
    }

    /// How many sequences there may be, named from 0 on.
    #[must_use]
    pub fn sequences(&self) -> u32 {
        self.shapes.options.sequences
    }

    /// How many positions a sequence has in every state, what was encoded left out.
    #[must_use]
    pub fn length(&self, sequence: u32) -> u64 {
        let whole = self.cells.iter().filter(|cell| !cell.torn && !cell.encoded);
        whole.filter_map(|cell| cell.lengths.get(sequence as usize).copied()).min().unwrap_or(0)
    }

    /// Bytes that they hold, by target name; the mirror is under `host mirror`.
    #[must_use]
    pub fn bytes(&self) -> Map<String, u64> {
        let mut bytes = Map::new();
        for (at, cell) in self.cells.iter().enumerate() {
            if let Some((target, _)) = &cell.held {
                let target = &self.targets[*target];
                let own = self.shapes.bytes(at, target).unwrap_or(0);
                *bytes.entry(target.name.to_string()).or_insert(0) += own;
            }
            if let Some(mirror) = &cell.mirror {
                *bytes.entry("host mirror".to_owned()).or_insert(0) += mirror.bytes();
            }
        }
        bytes
    }

    /// Targets that failed in runs that gave no receipt; the next receipt does not tell of them any more.
    pub fn take_failovers(&mut self) -> Vec<Failover> {
        std::mem::take(&mut self.pending)
    }

    /// Cuts a sequence to so many positions, of which what was encoded is none; one that cannot be cut there
    /// (because it is shorter, or its window has given up what it would need) ends. Gives the length that it
    /// has then.
    ///
    /// # Errors
    /// When there can be no such sequence. A device that fails is seen to by the next run.
    pub fn cut(&mut self, sequence: u32, length: u64) -> Result<u64, ExecError> {
        let cut = self.change(sequence, |ty, cell| cell.cut(ty, sequence, length))?;
        Ok(if cut { length } else { 0 })
    }

    /// Makes `to` a copy of the first positions of `from`; where that cannot be, `to` ends. Gives the
    /// length that it has then.
    ///
    /// # Errors
    /// As for [`States::cut`].
    pub fn copy(&mut self, from: u32, to: u32, length: u64) -> Result<u64, ExecError> {
        self.check(from)?;
        let copied = self.change(to, |ty, cell| cell.copy(ty, from, to, length))?;
        Ok(if copied { length } else { 0 })
    }

    fn check(&self, sequence: u32) -> Result<(), ExecError> {
        if sequence < self.sequences() {
            return Ok(());
        }
        let text =
            format!("there is no sequence {sequence}, expected fewer than {}", self.sequences());
        Err(ExecError::invalid(text))
    }

    /// Changes every state; if one does not allow it, the sequence ends in all of them.
    fn change(
        &mut self,
        sequence: u32,
        mut change: impl FnMut(&StateType, &mut Cell) -> bool,
    ) -> Result<bool, ExecError> {
        self.check(sequence)?;
        // All are tried: what one refuses must not leave another longer than it was.
        let cells = self.shapes.types.iter().zip(&mut self.cells);
        let refused = cells.map(|(ty, cell)| change(ty, cell)).filter(|allowed| !allowed).count();
        if refused > 0 {
            self.cells.iter_mut().for_each(|cell| cell.end(sequence));
        }
        Ok(refused == 0)
    }

    /// Takes note of what a run has appended.
    pub(crate) fn grown(&mut self) {
        let last = self.targets.len() - 1;
        for cell in &mut self.cells {
            cell.grown(last);
        }
    }

    /// Undoes what a failed run has appended.
    pub(crate) fn roll_back(&mut self) {
        self.cells.iter_mut().for_each(Cell::roll_back);
    }
}

impl Cell {
    /// Does something to the state. Gives whether it is allowed; a state that fails is lost.
    fn with_state(&mut self, act: impl FnOnce(&mut State) -> Result<(), Failure>) -> bool {
        let Some((_, state)) = &self.held else { return true };
        let done = lock(state).map(|mut state| act(&mut state));
        match done {
            Some(Ok(())) => true,
            // As things are when memory runs out, it has not been done and all else is as it was.
            Some(Err(Failure::Invalid(_) | Failure::OutOfMemory { .. })) => false,
            Some(Err(_)) | None => {
                self.held = None;
                true
            }
        }
    }

    /// Whether a sequence can be cut there: it is as long, and what its window still reaches is known.
    fn reaches(&self, ty: &StateType, sequence: usize, length: u64) -> bool {
        let known = length == 0 || self.floors[sequence] <= reach(ty, length);
        known && length <= self.lengths[sequence]
    }

    fn cut(&mut self, ty: &StateType, sequence: u32, length: u64) -> bool {
        if self.encoded && length > 0 {
            return true;
        }
        let at = sequence as usize;
        if !self.reaches(ty, at, length)
            || !self.with_state(|state| state.truncate(sequence, length))
        {
            return false;
        }
        self.shorten(at, length);
        true
    }

    fn copy(&mut self, ty: &StateType, from: u32, to: u32, length: u64) -> bool {
        let (source, made) = (from as usize, to as usize);
        let length = if self.encoded && length > 0 { self.lengths[source] } else { length };
        if !self.reaches(ty, source, length)
            || !self.with_state(|state| state.copy(from, to, length))
        {
            return false;
        }
        self.floors[made] = self.floors[source];
        if let Some(mirror) = &mut self.mirror {
            mirror.copy(source, made);
        }
        self.shorten(made, length);
        true
    }

    fn end(&mut self, sequence: u32) {
        if !self.with_state(|state| state.truncate(sequence, 0)) {
            self.held = None;
        }
        self.shorten(sequence as usize, 0);
    }

    /// Takes note that a sequence has so many positions now.
    fn shorten(&mut self, sequence: usize, length: u64) {
        self.lengths[sequence] = length;
        if length == 0 {
            self.floors[sequence] = 0;
        }
        if let Some(mirror) = &mut self.mirror {
            mirror.cut(sequence, length);
        }
    }

    /// Reads how long sequences are now, and mirrors what is new unless it is in host memory already.
    fn grown(&mut self, last: usize) {
        let Some((target, state)) = &self.held else { return };
        let on_host = *target == last;
        let read = lock(state).map(|state| -> Result<(), Failure> {
            for (sequence, length) in (0u32..).zip(&mut self.lengths) {
                *length = state.length(sequence)?;
            }
            match &mut self.mirror {
                Some(mirror) if !on_host => mirror.follow(&state, &self.lengths),
                _ => Ok(()),
            }
        });
        if !matches!(read, Some(Ok(()))) {
            self.held = None;
            self.torn = true;
        }
    }

    fn roll_back(&mut self) {
        let Some((_, state)) = &self.held else { return };
        let undone = lock(state).map(|mut state| {
            sequence_names(&self.lengths).try_for_each(|(sequence, length)| {
                let now = state.length(sequence)?;
                if now > length {
                    return state.truncate(sequence, length);
                }
                let shrunk = || Failure::Internal("a sequence has lost positions".to_owned());
                if now < length { Err(shrunk()) } else { Ok(()) }
            })
        });
        if !matches!(undone, Some(Ok(()))) {
            self.held = None;
        }
    }
}
