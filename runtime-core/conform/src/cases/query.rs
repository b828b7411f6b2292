//! What a provider says of devices and nodes.

use remuda_host::Answer;
use remuda_ir::{Graph, Node, OpName, ValueType};
use remuda_tensor::{DType, Dim, TensorType};

use crate::Outcome;
use crate::bench::{Bench, Sample, Verdict, claimed};

/// An operator that no provider can have.
const MADE_UP: &str = "NoSuchOperatorOfAnyProvider";
/// The largest number of a cost's source.
const MAX_SOURCE: u32 = remuda_host::COST_MODELLED;

/// Devices have names, each its own number, and memory that can be reached.
pub(super) fn devices(bench: &Bench) -> Verdict {
    let provider = bench.provider()?;
    let devices = provider.devices().map_err(|failure| failure.to_string())?;
    if devices.is_empty() {
        return Err("it tells of no device, and of no reason why".to_owned());
    }
    for (at, device) in devices.iter().enumerate() {
        let index = device.index;
        if device.kind.trim().is_empty() || device.name.trim().is_empty() {
            return Err(format!("device {index} has no kind or no name"));
        }
        if devices[..at].iter().any(|other| other.index == index) {
            return Err(format!("two devices have the number {index}"));
        }
        let id = &device.unique_id;
        if devices[..at].iter().any(|other| !id.is_empty() && other.unique_id == *id) {
            return Err(format!("two devices have the unique id `{id}`"));
        }
        if device.unusable.as_deref() == Some("the provider gives no reason") {
            return Err(format!("device {index} cannot be used, and it gives no reason"));
        }
    }
    let again = provider.devices().map_err(|failure| failure.to_string())?;
    if again.len() != devices.len() {
        return Err(format!("first it told of {} devices, then of {}", devices.len(), again.len()));
    }
    Ok(Outcome::Passed)
}

/// A graph with a node of an operator that does not exist after the first node.
fn with_made_up_node(sample: &Sample) -> Result<Graph, String> {
    let mut graph = sample.graph.clone();
    let output = *graph.outputs.first().ok_or("a sample has an output")?;
    let ty = graph.value(output).ty.clone().ok_or("a sample has types")?;
    let made = graph.add_pending("made_up");
    graph.set_type(made, ty);
    graph.push(Node::new(OpName::onnx(MADE_UP), vec![Some(output)], vec![Some(made)]));
    graph.outputs = vec![made];
    Ok(graph)
}

/// What does not exist is refused with a reason.
pub(super) fn made_up_operator(bench: &Bench, device: u32) -> Verdict {
    let bed = bench.device(device)?;
    let matrix = ValueType::from(TensorType::new(DType::F32, [Dim::Known(2), Dim::Known(2)]));
    let mut graph = Graph::new("made up");
    let input = graph.add_input("x", Some(matrix.clone()));
    let output = graph.add_pending("y");
    graph.set_type(output, matrix);
    graph.push(Node::new(OpName::onnx(MADE_UP), vec![Some(input)], vec![Some(output)]));
    graph.outputs = vec![output];
    match bed.ask(&graph)?.into_iter().next() {
        Some(Answer::No { code, text }) if code.trim().is_empty() || text.trim().is_empty() => {
            Err(format!("it says no without a reason: code `{code}`, text `{text}`"))
        }
        Some(Answer::No { .. }) => Ok(Outcome::Passed),
        _ => Err(format!("it says that it can run `{MADE_UP}`, which does not exist")),
    }
}

/// Every node of a graph is answered for, each by itself.
pub(super) fn every_node(bench: &Bench, device: u32) -> Verdict {
    claimed(|| {
        let bed = bench.device(device)?;
        let sample = Sample::find(&bed, 2, 3)?;
        let answers = bed.ask(&with_made_up_node(&sample)?)?;
        for (at, answer) in answers.iter().enumerate() {
            let taken = matches!(answer, Answer::Yes(_) | Answer::If { .. });
            if taken != (at < 3) {
                let operator = if at < 3 { sample.operator } else { MADE_UP };
                return Err(format!(
                    "in a graph of 4 nodes it says {answer:?} to node {at}, `{operator}`"
                )
                .into());
            }
        }
        Ok(())
    })
}

/// The same question gets the same answer.
pub(super) fn repeated(bench: &Bench, device: u32) -> Verdict {
    claimed(|| {
        let bed = bench.device(device)?;
        let sample = Sample::find(&bed, 2, 2)?;
        let graph = with_made_up_node(&sample)?;
        let kinds = |answers: Vec<Answer>| -> Vec<std::mem::Discriminant<Answer>> {
            answers.iter().map(std::mem::discriminant).collect()
        };
        let first = kinds(bed.ask(&graph)?);
        if kinds(bed.ask(&graph)?) != first {
            return Err("asked twice, it gave two answers".to_owned().into());
        }
        Ok(())
    })
}

/// Costs are numbers, or unknown.
pub(super) fn costs(bench: &Bench, device: u32) -> Verdict {
    claimed(|| {
        let bed = bench.device(device)?;
        let sample = Sample::find(&bed, 8, 2)?;
        for answer in bed.ask(&sample.graph)? {
            let (Answer::Yes(price) | Answer::If { price, .. }) = answer else { continue };
            if price.source > MAX_SOURCE
                || !price.nanoseconds.is_finite()
                || price.nanoseconds < 0.0
            {
                let (time, source) = (price.nanoseconds, price.source);
                return Err(format!("its cost is {time} ns of source {source}").into());
            }
        }
        Ok(())
    })
}
