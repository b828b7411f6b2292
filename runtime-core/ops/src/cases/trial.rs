//! Cases made ready for somebody else to run: a typed graph, inputs, and what must come of them.
//!
//! The tests of every provider and the conformance kit try providers with these.

use remuda_ir::{Graph, OpDef, Tolerance, Val, infer_graph, verify};

use super::{Case, Check, compare, parse};
use crate::{Ops, TABLE, interpret};

/// A graph with inputs, and what must come of it: nothing where it must be refused.
#[derive(Debug, Clone)]
pub struct Trial {
    /// Verified and typed.
    pub graph: Graph,
    /// One value for each input of the graph.
    pub inputs: Vec<Val>,
    /// What the reference gives.
    pub want: Option<Vec<Val>>,
    /// How far from it others may be.
    pub tolerance: Tolerance,
}

impl Trial {
    /// A case of an operator; none where it is about types alone.
    ///
    /// # Errors
    /// When the graph is refused before a kernel sees it, or the reference fails.
    pub fn new(def: &OpDef, case: &Case) -> Result<Option<Self>, String> {
        let (inputs, want) = match &case.check {
            Check::Run(inputs, want) => (inputs, Some(want.iter().flatten().cloned().collect())),
            Check::Generated(inputs) => {
                let want = interpret(&case.graph, inputs)
                    .map_err(|error| format!("the reference fails: {error}"))?;
                (inputs, Some(want))
            }
            Check::Error(inputs, _) => (inputs, None),
            Check::Infer(_) => return Ok(None),
        };
        let graph = typed(case.graph.clone())?;
        Ok(Some(Self { graph, inputs: inputs.clone(), want, tolerance: def.tolerance }))
    }

    /// The same with all inputs but the first as constants, which kernels may pack in advance; none
    /// where nothing would change or the graph is then refused.
    #[must_use]
    pub fn with_constants(&self) -> Option<Self> {
        let mut graph = self.graph.clone();
        let mut inputs = self.inputs.clone();
        let given = inputs.split_off(inputs.len().min(1));
        let ids = graph.inputs.split_off(inputs.len());
        let mut changed = false;
        for (id, input) in ids.into_iter().zip(given) {
            if let Val::Tensor(tensor) = input {
                graph.set_const(id, tensor);
                changed = true;
            } else {
                graph.inputs.push(id);
                inputs.push(input);
            }
        }
        let graph = changed.then(|| typed(graph).ok())??;
        Some(Self { graph, inputs, want: self.want.clone(), tolerance: self.tolerance })
    }

    /// Compares what somebody else gave with what must come.
    ///
    /// # Errors
    /// The first difference, in words.
    pub fn judge(&self, got: &[Val]) -> Result<(), String> {
        let Some(want) = &self.want else {
            return Err(format!("expected an error, got {got:?}"));
        };
        agree(self.tolerance, got, want)
    }
}

/// Compares all outputs of a graph.
///
/// # Errors
/// The first difference, in words.
pub fn agree(tolerance: Tolerance, got: &[Val], want: &[Val]) -> Result<(), String> {
    if got.len() != want.len() {
        return Err(format!("expected {} outputs, got {}", want.len(), got.len()));
    }
    for (at, (got, want)) in got.iter().zip(want).enumerate() {
        compare(tolerance, got, want).map_err(|error| format!("output {at}: {error}"))?;
    }
    Ok(())
}

fn typed(mut graph: Graph) -> Result<Graph, String> {
    verify(&graph, &Ops).map_err(|error| error.to_string())?;
    infer_graph(&mut graph, &Ops).map_err(|error| error.to_string())?;
    Ok(graph)
}

/// How somebody did who runs a part of all cases.
#[derive(Debug, Default)]
pub struct Tally {
    /// Cases that gave what the reference gives.
    pub agreeing: usize,
    /// Cases that were not taken.
    pub refused: usize,
    /// Cases that failed or gave something else, in words.
    pub differing: Vec<String>,
}

/// Tries somebody with every case that gives an answer, but for those that are `known` to differ, by
/// operator and a part of their line. `run` gives nothing for what it does not take.
pub fn try_all(
    known: &[(&str, &str)],
    mut run: impl FnMut(&Trial) -> Option<Result<Vec<Val>, String>>,
) -> Tally {
    let mut tally = Tally::default();
    for def in TABLE {
        for case in parse(def).unwrap_or_default() {
            let line = def.cases.lines().nth(case.line - 1).unwrap_or_default();
            if known.iter().any(|(op, part)| *op == def.name && line.contains(part)) {
                continue;
            }
            let Ok(Some(trial)) = Trial::new(def, &case) else { continue };
            if trial.want.is_none() {
                continue;
            }
            match run(&trial).map(|ran| ran.and_then(|got| trial.judge(&got))) {
                None => tally.refused += 1,
                Some(Ok(())) => tally.agreeing += 1,
                Some(Err(text)) => {
                    let at = case.line;
                    tally.differing.push(format!("{} line {at}: {text}\n    {line}", def.name));
                }
            }
        }
    }
    tally
}
