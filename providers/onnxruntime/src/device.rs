//! The execution providers as devices: which there are, and whether they open.

use std::sync::Arc;

use remuda_sdk::ir::{Graph, Node, OpName};
use remuda_sdk::tensor::{DType, TensorType};

use crate::api::{Append, Environment, OrtError, Session, SessionSettings};
use crate::find::Library;
use crate::lower::{Cut, Lowered, Settings, lower};

/// An execution provider that this crate knows how to add to a session.
#[derive(Debug)]
struct Known {
    /// Its name in the library.
    name: &'static str,
    /// The kind of its device.
    kind: &'static str,
    append: Append,
}

const fn by_name(name: &'static str, kind: &'static str, short: &'static str) -> Known {
    Known { name, kind, append: Append::ByName(short) }
}

const KNOWN: &[Known] = &[
    Known { name: "CPUExecutionProvider", kind: "cpu", append: Append::Builtin },
    Known { name: "CUDAExecutionProvider", kind: "cuda", append: Append::Cuda },
    Known { name: "TensorrtExecutionProvider", kind: "tensorrt", append: Append::TensorRt },
    by_name("MIGraphXExecutionProvider", "rocm", "MIGraphX"),
    by_name("CoreMLExecutionProvider", "coreml", "CoreML"),
    by_name("OpenVINOExecutionProvider", "openvino", "OpenVINO"),
    by_name("QNNExecutionProvider", "qnn", "QNN"),
    by_name("DmlExecutionProvider", "directml", "DML"),
    by_name("XnnpackExecutionProvider", "xnnpack", "XNNPACK"),
    by_name("WebGpuExecutionProvider", "webgpu", "WebGPU"),
];

/// A device.
pub(crate) struct OrtDevice {
    /// The kind: `cpu`, `cuda`, …
    pub(crate) kind: &'static str,
    /// Its name in the library.
    pub(crate) name: String,
    /// How its sessions are made.
    pub(crate) session: SessionSettings,
    /// How its models are written.
    pub(crate) writing: Settings,
    /// What its sessions share with those of the other devices.
    environment: Arc<Environment>,
    /// Why it cannot be used.
    pub(crate) unusable: Option<String>,
}

/// Every execution provider that the library has and this crate knows. Options go to the one whose kind
/// stands before a stop in their name.
pub(crate) fn devices(
    library: &'static Library,
    threads: usize,
    dequantize: bool,
    options: &[(String, String)],
) -> Result<Vec<OrtDevice>, OrtError> {
    let environment = Arc::new(library.environments.get(&library.api, threads)?);
    let writing = writing(library, &environment, dequantize);
    let mut devices = Vec::new();
    for name in library.api.providers()? {
        let Some(known) = KNOWN.iter().find(|known| known.name == name) else { continue };
        let own = |(key, value): &(String, String)| {
            let key = key.strip_prefix(known.kind)?.strip_prefix('.')?;
            Some((key.to_owned(), value.clone()))
        };
        let options = options.iter().filter_map(own).collect();
        let session = SessionSettings { append: known.append, options, threads, probe: false };
        let environment = Arc::clone(&environment);
        let mut device =
            OrtDevice { kind: known.kind, name, session, writing, environment, unusable: None };
        device.unusable = opens(library, &device).err().map(|error| error.sentence());
        devices.push(device);
    }
    // The CPU first: it is there in every build, and so the index of the others changes least.
    devices.sort_by_key(|device| device.kind != "cpu");
    Ok(devices)
}

/// The kinds of all devices that could be there.
pub(crate) fn kinds() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().map(|known| known.kind)
}

/// One addition of two numbers, which every execution provider can run.
fn smallest(op: OpName) -> Graph {
    let mut graph = Graph::new("smallest");
    let ty = TensorType::new(DType::F32, [2i64.into()]);
    let x = graph.add_input("x", Some(ty.clone().into()));
    let inputs = vec![Some(x), Some(x)];
    let y = graph.add_pending("y");
    graph.set_type(y, ty.into());
    graph.push(Node::new(op, inputs, vec![Some(y)]));
    graph.outputs.push(y);
    graph
}

fn opens(library: &'static Library, device: &OrtDevice) -> Result<(), OrtError> {
    let graph = smallest(OpName::onnx("Add"));
    let model = lower(&Cut::whole(&graph), device.writing);
    let model = model.map_err(|(_, why)| OrtError { code: 1, text: why.text })?;
    session(library, device, &model, true).map(drop)
}

/// A session of a model on a device.
pub(crate) fn session(
    library: &'static Library,
    device: &OrtDevice,
    model: &Lowered,
    probe: bool,
) -> Result<Session, OrtError> {
    let settings = SessionSettings { probe, ..device.session.clone() };
    let ports = (&model.inputs[..], &model.outputs[..]);
    Session::new(&library.api, &device.environment, &settings, &model.model, ports, &model.weights)
}

/// The newest opsets that the library takes, found by trying.
fn writing(
    library: &'static Library,
    environment: &Arc<Environment>,
    dequantize: bool,
) -> Settings {
    /// Every library with the interface that is needed takes these.
    const OLDEST: Settings = Settings { onnx: 21, ml: 4, dequantize: false, probe: false };
    const NEWEST_ML: u32 = 5;
    let base = Settings { dequantize, ..OLDEST };
    let cpu = |writing: Settings| {
        let session = SessionSettings {
            append: Append::Builtin,
            options: Vec::new(),
            threads: 1,
            probe: true,
        };
        let name = "CPUExecutionProvider".to_owned();
        let environment = Arc::clone(environment);
        let device = OrtDevice { kind: "cpu", name, session, writing, environment, unusable: None };
        opens(library, &device).is_ok()
    };
    let onnx = (base.onnx..=remuda_ops::NEWEST_OPSET).rev();
    let onnx = onnx.map(|onnx| Settings { onnx, ..base }).find(|&writing| cpu(writing));
    let base = onnx.unwrap_or(base);
    let ml = (base.ml..=NEWEST_ML).rev().map(|ml| Settings { ml, ..base });
    ml.into_iter().find(|&writing| cpu(writing)).unwrap_or(base)
}
