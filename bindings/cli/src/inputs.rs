//! Inputs from arguments: files, literal values, random numbers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use remuda::samples::{Random, random_tensor, value_from_protobuf};
use remuda::{DType, Dim, Memory, Model, Port, Tensor, TensorType, Value, ValueType};

use crate::failure::Failure;
use crate::npy;

mod literal;

/// Random inputs repeat themselves: a figure that is told can be told again.
const SEED: u64 = 1;

/// How inputs are given.
#[derive(Debug, clap::Args)]
pub(crate) struct InputArgs {
    /// An input: `name=@file.npy`, `name=@file.pb`, or a value such as `name=3`, `name=1,2,3`, `name=[[1,2],[3,4]]`
    #[arg(short, long = "input", value_name = "NAME=VALUE")]
    inputs: Vec<String>,
    /// Fill inputs that are not given with random values; sizes of named dimensions as `batch=8,tokens=16`, else 1
    #[arg(long, value_name = "DIM=SIZE,…", num_args = 0..=1, default_missing_value = "")]
    random_inputs: Option<String>,
}

impl InputArgs {
    /// Whether nothing was given.
    pub(crate) fn are_empty(&self) -> bool {
        self.inputs.is_empty() && !self.are_random()
    }

    /// Whether random ones are asked for.
    pub(crate) fn are_random(&self) -> bool {
        self.random_inputs.is_some()
    }

    /// The values for a model, random where nothing was given.
    pub(crate) fn or_random(&self, model: &Model) -> Result<Vec<(String, Value)>, Failure> {
        let random_inputs = self.random_inputs.clone().or_else(|| Some(String::new()));
        Self { inputs: self.inputs.clone(), random_inputs }.values(model)
    }

    /// The values for a model.
    pub(crate) fn values(&self, model: &Model) -> Result<Vec<(String, Value)>, Failure> {
        let mut values = Vec::new();
        for argument in &self.inputs {
            let (name, text) = argument.split_once('=').ok_or_else(|| {
                Failure::usage_hint(
                    format!("expected `NAME=VALUE` after `--input`, got `{argument}`"),
                    "a file is given as `--input name=@file.npy`",
                )
            })?;
            let port = model.inputs().iter().find(|port| port.name == name);
            values.push((
                name.to_owned(),
                given(name, text, port.and_then(|port| port.ty.as_ref()))?,
            ));
        }
        if let Some(sizes) = &self.random_inputs {
            let sizes = parse_sizes(sizes, model)?;
            let mut random = Random::new(SEED);
            for port in model
                .inputs()
                .iter()
                .filter(|port| !values.iter().any(|(name, _)| *name == port.name))
                .cloned()
                .collect::<Vec<_>>()
            {
                let value = random_value(&port, &sizes, &mut random)?;
                values.push((port.name, value));
            }
        }
        Ok(values)
    }
}

fn given(name: &str, text: &str, ty: Option<&ValueType>) -> Result<Value, Failure> {
    match text.strip_prefix('@') {
        Some(path) => from_file(name, Path::new(path), ty),
        None => literal::parse(name, text, ty),
    }
}

struct Whole(Vec<u8>);

impl Memory for Whole {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

fn from_file(name: &str, path: &Path, ty: Option<&ValueType>) -> Result<Value, Failure> {
    let bytes = std::fs::read(path).map_err(|source| Failure::File {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    if path.extension().is_some_and(|extension| extension == "pb") {
        let unknown = || {
            Failure::usage(format!(
                "input `{name}` has no type in the model, which a `.pb` file needs"
            ))
        };
        let value = value_from_protobuf(Arc::new(Whole(bytes)), ty.ok_or_else(unknown)?);
        return value.map_err(|error| Failure::loading(path, error));
    }
    let read = npy::read(&bytes);
    Ok(read
        .map_err(|source| Failure::Npy { action: "read", path: PathBuf::from(path), source })?
        .into())
}

fn parse_sizes(text: &str, model: &Model) -> Result<BTreeMap<String, usize>, Failure> {
    let mut sizes = BTreeMap::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let parsed = part.split_once('=').and_then(|(name, size)| Some((name, size.parse().ok()?)));
        let (name, size) = parsed.ok_or_else(|| {
            Failure::usage_hint(
                format!("expected `DIM=SIZE` after `--random-inputs`, got `{part}`"),
                "for example `--random-inputs batch=8,tokens=16`",
            )
        })?;
        sizes.insert(name.to_owned(), size);
    }
    let known = symbols(model);
    match sizes.keys().find(|name| !known.contains(name)) {
        None => Ok(sizes),
        Some(name) if known.is_empty() => Err(Failure::usage(format!(
            "no input of the model has a dimension `{name}`: all sizes are fixed"
        ))),
        Some(name) => Err(Failure::usage(format!(
            "no input of the model has a dimension `{name}`, only: {}",
            known.join(", ")
        ))),
    }
}

/// The names of the inputs' dimensions, in order of appearance.
fn symbols(model: &Model) -> Vec<String> {
    let types = model.inputs().iter().filter_map(|port| port.ty.as_ref()?.as_tensor());
    let mut names = Vec::new();
    for dim in types.flat_map(|ty| ty.dims.iter().flatten()) {
        let name = dim.to_string();
        if matches!(dim, Dim::Expr(_)) && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn random_value(
    port: &Port,
    sizes: &BTreeMap<String, usize>,
    random: &mut Random,
) -> Result<Value, Failure> {
    let ty = port.ty.as_ref().and_then(ValueType::as_tensor);
    let Some(TensorType { dtype, dims: Some(dims) }) = ty else {
        return Err(Failure::usage_hint(
            format!(
                "input `{}` is no tensor of known rank: it cannot be filled with random values",
                port.name
            ),
            format!("give it with `--input {}=…`", port.name),
        ));
    };
    let size =
        |dim: &Dim| dim.as_usize().or_else(|| sizes.get(&dim.to_string()).copied()).unwrap_or(1);
    let dims: Vec<usize> = dims.iter().map(size).collect();
    let tensor = match dtype.element_bytes() {
        Some(width) if dtype.is_int() => zeros_and_ones(random, *dtype, width, &dims),
        _ => random_tensor(random, *dtype, &dims),
    };
    Ok(tensor.map_err(remuda::Error::from)?.into())
}

/// Integers that are valid as ids of words and classes, as masks and as lengths.
fn zeros_and_ones(
    random: &mut Random,
    dtype: DType,
    width: usize,
    dims: &[usize],
) -> Result<Tensor, remuda::TensorError> {
    let mut tensor = Tensor::zeros(dtype, dims)?;
    for element in tensor.bytes_mut().into_iter().flat_map(|bytes| bytes.chunks_exact_mut(width)) {
        element[0] = u8::from(random.below(2) == 1);
    }
    Ok(tensor)
}
