//! A region as a session.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use remuda_sdk::ir::{Graph, Val};
use remuda_sdk::tensor::Tensor;
use remuda_sdk::{Compiled, Failure, RunRequest, StepTime};

use crate::api::{OrtError, RunOptions, Session};
use crate::ask::opsets;
use crate::device::{OrtDevice, session};
use crate::find::Library;
use crate::lower::{Cut, Settings, lower};
use crate::watch::Watcher;

/// A region as a session.
pub(crate) struct OrtProgram {
    session: Session,
    library: &'static Library,
    watcher: Arc<Watcher>,
    kernel: String,
}

impl OrtProgram {
    pub(crate) fn new(
        library: &'static Library,
        device: &OrtDevice,
        region: &Graph,
        watcher: &Arc<Watcher>,
    ) -> Result<Self, Failure> {
        let cut = Cut::whole(region);
        let mut made = Err(OrtError { code: 1, text: "there is no opset to write".to_owned() });
        for onnx in opsets(&cut, device.writing.onnx) {
            let model =
                lower(&cut, Settings { onnx, ..device.writing }).map_err(|(node, why)| {
                    let node = node.and_then(|node| u32::try_from(node).ok());
                    Failure::Unsupported { node, text: why.text }
                })?;
            made = session(library, device, &model, false);
            if made.is_ok() {
                break;
            }
        }
        let session = made.map_err(|error| match Failure::from(error.clone()) {
            failure @ Failure::OutOfMemory { .. } => failure,
            _ => Failure::Unsupported { node: named(&error.text), text: error.sentence() },
        })?;
        let kernel = device.name.clone();
        Ok(Self { session, library, watcher: Arc::clone(watcher), kernel })
    }
}

/// The node that a message is about: nodes of regions are called `n` and their place.
fn named(text: &str) -> Option<u32> {
    let place = |sign: &str| {
        let rest = &text[text.find(sign)? + sign.len()..];
        let end = rest.find(|letter: char| !letter.is_ascii_digit())?;
        rest[..end].parse().ok()
    };
    place("'n").or_else(|| place("(n")).or_else(|| place("Name:n"))
}

impl Compiled for OrtProgram {
    fn execute(&self, inputs: Vec<Val>, request: &RunRequest<'_>) -> Result<Vec<Val>, Failure> {
        let inputs: Vec<Tensor> =
            inputs.iter().map(|val| val.tensor().cloned()).collect::<Result<_, _>>()?;
        if request.cancel.load(Ordering::Relaxed) {
            return Err(Failure::Cancelled);
        }
        let options = Arc::new(RunOptions::new(&self.library.api)?);
        let watched = self.watcher.watch(request.cancel, Arc::clone(&options));
        let started = Instant::now();
        let made = self.session.run(&inputs, &options);
        drop(watched);
        if made.is_err() && request.cancel.load(Ordering::Relaxed) {
            return Err(Failure::Cancelled);
        }
        let made = made?;
        if let Some(report) = request.profile {
            report(&StepTime {
                name: "region".to_owned(),
                op: "session".to_owned(),
                kernel: self.kernel.clone(),
                dims: made.first().map(|tensor| tensor.dims().to_vec()).unwrap_or_default(),
                start: Duration::ZERO,
                time: started.elapsed(),
            });
        }
        Ok(made.into_iter().map(Val::from).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn messages_name_nodes() {
        assert_eq!(named("no implementation for Adam(1) node with name 'n31'"), Some(31));
        assert_eq!(named("Node (n7) Op (Conv) [ShapeInferenceError] no"), Some(7));
        assert_eq!(named("while running Conv node. Name:n12 Status Message"), Some(12));
        assert_eq!(named("'name' is unknown (no)"), None);
    }
}
