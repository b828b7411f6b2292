//! A loaded model.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::AtomicBool;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use remuda::{Dim, Model as Inner, Port, RunOptions, RunReport, Tensor, Value, ValueType};

use crate::dtype::onnx_name;
use crate::error::{bad_input, internal, raised};
use crate::interrupt::{self, Pace};
use crate::placement;
use crate::value::{from_python, to_python};

/// A loaded model. Runs may go on in many threads at once.
#[pyclass(module = "remuda._core", frozen)]
#[derive(Debug)]
pub(crate) struct Model {
    inner: Inner,
    /// The process that loaded it: threads do not survive a fork.
    process: u32,
    /// Where runs over inputs of the same sizes take about as long.
    pace: Option<Pace>,
}

/// An input or output of a model.
#[pyclass(module = "remuda", frozen)]
#[derive(Debug)]
pub(crate) struct NodeArg(Port);

impl Model {
    pub(crate) fn new(inner: Inner) -> Self {
        let pace = inner.is_predictable().then(Pace::default);
        Self { inner, process: std::process::id(), pace }
    }
}

#[pymethods]
impl Model {
    /// What runs must be given.
    fn inputs(&self) -> Vec<NodeArg> {
        self.inner.inputs().iter().cloned().map(NodeArg).collect()
    }

    /// What runs give.
    fn outputs(&self) -> Vec<NodeArg> {
        self.inner.outputs().iter().cloned().map(NodeArg).collect()
    }

    /// Runs the model; as numpy arrays, or as tensors.
    fn run<'py>(
        &self,
        py: Python<'py>,
        outputs: Option<Vec<String>>,
        inputs: &Bound<'py, PyDict>,
        as_numpy: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        self.results(py, self.report(py, outputs, inputs, false)?, as_numpy)
    }

    /// Runs the model and tells where the time went, as a Chrome trace.
    fn profile<'py>(
        &self,
        py: Python<'py>,
        outputs: Option<Vec<String>>,
        inputs: &Bound<'py, PyDict>,
        as_numpy: bool,
    ) -> PyResult<(Bound<'py, PyList>, String)> {
        let report = self.report(py, outputs, inputs, true)?;
        let trace = remuda::chrome_trace(&report.steps);
        Ok((self.results(py, report, as_numpy)?, trace))
    }

    /// The graph as text; with `constants` it holds every weight.
    fn graph_text(&self, constants: bool) -> String {
        self.inner.graph_text(constants)
    }

    /// Who runs which node, and why nobody else does.
    fn placement<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        placement::plan(py, &self.inner.placement(), self.inner.trials())
    }

    /// What the placement contract wants the user to know.
    fn placement_warnings(&self) -> Vec<String> {
        self.inner.placement_warnings().to_vec()
    }

    /// The receipt of the run that ended last.
    fn last_receipt<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let receipt = self.inner.last_receipt();
        receipt.map(|receipt| placement::receipt(py, &receipt)).transpose()
    }

    /// What the model is, in numbers.
    fn summary<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let summary = self.inner.summary();
        let dict = PyDict::new(py);
        dict.set_item("producer", &summary.producer)?;
        let opsets = PyDict::new(py);
        for (domain, version) in &summary.opsets {
            opsets.set_item(domain, version)?;
        }
        dict.set_item("opsets", opsets)?;
        dict.set_item("warnings", &summary.warnings)?;
        dict.set_item("operators", &summary.operators)?;
        let rewrites = summary.rewrites.iter().copied();
        dict.set_item("rewrites", rewrites.collect::<BTreeMap<_, _>>())?;
        dict.set_item("parameters", summary.parameters)?;
        dict.set_item("parameter_bytes", summary.parameter_bytes)?;
        Ok(dict)
    }
}

impl Model {
    fn report(
        &self,
        py: Python<'_>,
        outputs: Option<Vec<String>>,
        inputs: &Bound<'_, PyDict>,
        profile: bool,
    ) -> PyResult<RunReport> {
        if self.process != std::process::id() {
            let text = "the process was forked after the model was loaded: load it in the child, or use the \
                        start method `spawn`";
            return Err(bad_input(py, text));
        }
        let mut given = Vec::with_capacity(inputs.len());
        for (name, object) in inputs.iter() {
            let name: String = name.extract()?;
            let port = self.inner.inputs().iter().find(|port| port.name == name);
            let value = from_python(&object, port.and_then(|port| port.ty.as_ref()));
            let value = value.map_err(|error| at_input(py, &name, error))?;
            given.push((name, value));
        }
        let model = self.inner.clone();
        let kind = kind_of(&given);
        let work = move |cancel: &AtomicBool| {
            let names: Option<Vec<&str>> =
                outputs.as_ref().map(|names| names.iter().map(String::as_str).collect());
            let options = RunOptions { outputs: names.as_deref(), cancel: Some(cancel), profile };
            model.run_with(given, &options)
        };
        let result = match &self.pace {
            Some(pace) => pace.run(py, kind, work),
            None => interrupt::run(py, work),
        }?;
        result.map_err(|error| raised(py, &error))
    }

    fn results<'py>(
        &self,
        py: Python<'py>,
        report: RunReport,
        as_numpy: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        let numpy = as_numpy.then(|| py.import(pyo3::intern!(py, "numpy"))).transpose()?;
        let values = report.outputs.into_iter();
        let values = values.map(|(_, value)| to_python(py, value, numpy.as_ref()));
        PyList::new(py, values.collect::<PyResult<Vec<_>>>()?)
    }
}

/// A number that tells inputs of other sizes apart: runs of the same take about as long.
fn kind_of(given: &[(String, Value)]) -> u64 {
    let mut kind = DefaultHasher::new();
    for (name, value) in given {
        (name, value.tensor().map_or(&[][..], Tensor::dims)).hash(&mut kind);
    }
    kind.finish()
}

/// An exception of ours with the name of the input in front.
fn at_input(py: Python<'_>, name: &str, error: PyErr) -> PyErr {
    let exception = error.value(py);
    let ours = py.import("remuda._errors").and_then(|module| module.getattr("Error"));
    if !ours.is_ok_and(|class| exception.is_instance(&class).unwrap_or(false)) {
        return error;
    }
    let hint = exception.getattr("hint").ok();
    let text = format!(
        "input `{name}`: {}",
        exception.getattr("message").map_or(String::new(), |text| text.to_string())
    );
    match exception.get_type().call1((text, hint)) {
        Ok(renamed) => PyErr::from_value(renamed),
        Err(_) => internal(py, "an exception cannot be made"),
    }
}

#[pymethods]
impl NodeArg {
    /// Its name.
    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    /// Its type as ONNX Runtime writes it: `tensor(float)`, `seq(tensor(int64))`.
    #[getter]
    fn r#type(&self) -> String {
        self.0.ty.as_ref().map_or_else(|| "tensor()".to_owned(), type_text)
    }

    /// Its dimensions: numbers, names, or `None` where nothing is known. Empty unless it is a tensor.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let dims = self
            .0
            .ty
            .as_ref()
            .and_then(ValueType::as_tensor)
            .and_then(|tensor| tensor.dims.as_deref());
        let dims = dims.unwrap_or(&[]).iter().map(|dim| match dim {
            Dim::Known(size) => size.into_pyobject(py).map(Bound::into_any).map_err(PyErr::from),
            Dim::Expr(_) => Ok(dim.to_string().into_pyobject(py)?.into_any()),
            Dim::Unknown => Ok(py.None().into_bound(py)),
        });
        PyList::new(py, dims.collect::<PyResult<Vec<_>>>()?)
    }

    fn __repr__(&self) -> String {
        let ty = self.0.ty.as_ref().map_or_else(|| "?".to_owned(), ToString::to_string);
        format!("NodeArg(name='{}', type='{}', {ty})", self.0.name, self.r#type())
    }
}

fn type_text(ty: &ValueType) -> String {
    match ty {
        ValueType::Tensor(tensor) => format!("tensor({})", onnx_name(tensor.dtype)),
        ValueType::Sequence(item) => format!("seq({})", type_text(item)),
        ValueType::Optional(item) => format!("optional({})", type_text(item)),
        ValueType::State(_) => ty.to_string(),
    }
}
