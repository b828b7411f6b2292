//! Plans, contracts and receipts as Python sees them: plain dictionaries.

use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use remuda::placement::{Demands, Failover, Moved, Plan, Policy, Receipt, Strictness, Trial};
use remuda::{Builder, StepFailover};

use crate::error::bad_input;

/// What a dictionary demands of placements.
pub(crate) fn demand(mut builder: Builder, contract: &Bound<'_, PyDict>) -> PyResult<Builder> {
    let mut demands = Demands::default();
    for (key, value) in contract.iter() {
        let key: String = key.extract()?;
        match key.as_str() {
            "fallback" => demands.fallback = Some(word(&key, &value, Strictness::parse)?),
            "require" => demands.require = Some(read(&key, &value)?),
            "max_cpu_share" => demands.max_cpu_share = Some(read(&key, &value)?),
            "max_parts" => demands.max_parts = Some(read(&key, &value)?),
            "policy" => builder = builder.policy(word(&key, &value, Policy::parse)?),
            "deadline" => {
                let seconds = Duration::try_from_secs_f64(read(&key, &value)?);
                builder = builder.deadline(seconds.map_err(|_| wrong(&key, &value))?);
            }
            other => {
                let known = DEMANDS.map(|(name, _)| name).join("`, `");
                let message = format!("a contract has no `{other}`, expected one of: `{known}`");
                return Err(bad_input(contract.py(), &message));
            }
        }
    }
    Ok(builder.demand(demands))
}

/// What may be demanded, and what each expects.
const DEMANDS: [(&str, &str); 6] = [
    ("fallback", "allow, warn or error"),
    ("require", "a list of names"),
    ("max_cpu_share", "a number from 0 to 1"),
    ("max_parts", "a whole number"),
    ("policy", "cost or priority"),
    ("deadline", "a number of seconds"),
];

fn wrong(key: &str, value: &Bound<'_, PyAny>) -> PyErr {
    let expected = DEMANDS.iter().find(|(name, _)| *name == key).map_or("", |(_, what)| *what);
    bad_input(value.py(), &format!("expected `{key}` to be {expected}, got `{value}`"))
}

fn read<'py, T: FromPyObjectOwned<'py>>(key: &str, value: &Bound<'py, PyAny>) -> PyResult<T> {
    value.extract().map_err(|_| wrong(key, value))
}

fn word<T>(key: &str, value: &Bound<'_, PyAny>, parse: fn(&str) -> Option<T>) -> PyResult<T> {
    let text: String = read(key, value)?;
    parse(&text).ok_or_else(|| wrong(key, value))
}

/// A plan: its parts, and for every node who runs it and why nobody else does.
pub(crate) fn plan<'py>(
    py: Python<'py>,
    plan: &Plan,
    trials: &[Trial],
) -> PyResult<Bound<'py, PyDict>> {
    let name = |at: usize| plan.providers.get(at).map_or("", |provider| provider.name.as_str());
    let (parts, nodes) = (PyList::empty(py), PyDict::new(py));
    for class in &plan.classes {
        for part in &class.parts {
            let dict = PyDict::new(py);
            dict.set_item("class", &class.name)?;
            dict.set_item("backend", name(part.provider.index()))?;
            let own: Vec<&str> =
                part.nodes.iter().map(|node| plan.nodes[node.index()].as_str()).collect();
            dict.set_item("nodes", own)?;
            dict.set_item("predicted_ns", part.compute_ns + part.launch_ns)?;
            parts.append(dict)?;
        }
        for (node, placement) in plan.nodes.iter().zip(&class.placements) {
            let dict = PyDict::new(py);
            dict.set_item("backend", name(placement.provider.index()))?;
            dict.set_item("cost_ns", placement.cost_ns)?;
            dict.set_item("source", placement.source.as_str())?;
            let reasons = PyDict::new(py);
            for reason in &placement.reasons {
                let provider = name(reason.provider.index());
                reasons.set_item(provider, reason.sentence(provider))?;
            }
            dict.set_item("why_not", reasons)?;
            nodes.set_item(node, dict)?;
        }
    }
    let instead = PyDict::new(py);
    for rule in &plan.instead {
        let dict = PyDict::new(py);
        dict.set_item("predicted_ns", rule.cost_ns)?;
        dict.set_item("parts", rule.parts)?;
        instead.set_item(rule.rule.as_str(), dict)?;
    }
    let dict = PyDict::new(py);
    dict.set_item("plan", plan.id.to_string())?;
    dict.set_item("instead", instead)?;
    dict.set_item("policy", plan.policy.as_str())?;
    dict.set_item("predicted_ns", plan.cost_ns)?;
    dict.set_item("parts", parts)?;
    dict.set_item("nodes", nodes)?;
    let tried = trials.iter().map(|tried| trial(py, tried)).collect::<PyResult<Vec<_>>>()?;
    dict.set_item("tried", tried)?;
    Ok(dict)
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// What a plan took that the first run tried.
fn trial<'py>(py: Python<'py>, trial: &Trial) -> PyResult<Bound<'py, PyDict>> {
    let classes = trial.classes.iter().map(|class| {
        let dict = PyDict::new(py);
        dict.set_item("class", &class.name)?;
        dict.set_item("predicted_ns", nanoseconds(class.predicted))?;
        dict.set_item("measured_ns", nanoseconds(class.measured))?;
        Ok(dict)
    });
    let dict = PyDict::new(py);
    dict.set_item("backends", trial.targets.iter().map(|name| &**name).collect::<Vec<_>>())?;
    dict.set_item("plan", trial.plan.to_string())?;
    dict.set_item("classes", classes.collect::<PyResult<Vec<_>>>()?)?;
    dict.set_item("kept", trial.kept)?;
    dict.set_item("remembered", trial.remembered)?;
    Ok(dict)
}

fn moved<'py>(py: Python<'py>, moved: Moved) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("uploaded", moved.uploaded)?;
    dict.set_item("downloaded", moved.downloaded)?;
    dict.set_item("between", moved.between)?;
    Ok(dict)
}

fn failed<'py>(py: Python<'py>, failover: &Failover) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("backend", &*failover.target)?;
    dict.set_item("part", failover.part)?;
    dict.set_item("code", failover.code)?;
    dict.set_item("reason", &failover.reason)?;
    Ok(dict)
}

/// Devices that failed in steps of a language model, and where it went on.
pub(crate) fn step_failovers<'py>(
    py: Python<'py>,
    failovers: &[StepFailover],
) -> PyResult<Vec<Bound<'py, PyDict>>> {
    let one = |StepFailover { step, failover, onto }: &StepFailover| {
        let dict = failed(py, failover)?;
        dict.set_item("step", step)?;
        dict.set_item("went_on_with", onto)?;
        Ok(dict)
    };
    failovers.iter().map(one).collect()
}

/// A receipt: who really ran what, what failed, what was copied.
pub(crate) fn receipt<'py>(py: Python<'py>, receipt: &Receipt) -> PyResult<Bound<'py, PyDict>> {
    let parts = receipt.parts.iter().map(|part| {
        let dict = PyDict::new(py);
        dict.set_item("backend", &*part.target)?;
        dict.set_item("nodes", part.nodes)?;
        dict.set_item("turn", part.turn)?;
        dict.set_item("seconds", part.time.as_secs_f64())?;
        dict.set_item("moved", moved(py, part.moved)?)?;
        Ok(dict)
    });
    let failovers = receipt.failovers.iter().map(|failover| failed(py, failover));
    let dict = PyDict::new(py);
    dict.set_item("plan", receipt.plan.to_string())?;
    dict.set_item("parts", parts.collect::<PyResult<Vec<_>>>()?)?;
    dict.set_item("outside", receipt.outside.as_deref())?;
    dict.set_item("failovers", failovers.collect::<PyResult<Vec<_>>>()?)?;
    dict.set_item("warnings", receipt.warnings.to_vec())?;
    dict.set_item("moved", moved(py, receipt.moved)?)?;
    dict.set_item("seconds", receipt.time.as_secs_f64())?;
    Ok(dict)
}
