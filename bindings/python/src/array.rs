//! Numpy arrays to tensors and back, without numpy's headers: through its array interface.

use std::sync::Mutex;

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyDict, PyTuple};
use remuda::{DType, Tensor, packed};

use crate::dtype::{Names, from_interface, from_numpy, names_of};
use crate::error::{bad_input, bad_tensor, unsupported};
use crate::foreign::Foreign;

/// Memory of a result, as the `base` of the numpy array that shows it.
#[pyclass(module = "remuda._core", frozen)]
#[derive(Debug)]
pub(crate) struct Buffer {
    interface: Py<PyDict>,
    /// Keeps the memory; never read again, since whoever holds the array may write to it.
    _tensor: Mutex<Tensor>,
}

#[pymethods]
impl Buffer {
    /// numpy's description of the memory.
    #[getter]
    fn __array_interface__(&self, py: Python<'_>) -> Py<PyDict> {
        self.interface.clone_ref(py)
    }
}

/// The array-interface dictionary of memory at `address`.
pub(crate) fn interface<'py>(
    py: Python<'py>,
    names: &Names,
    dims: &[usize],
    address: usize,
    read_only: bool,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("version", 3)?;
    dict.set_item("shape", PyTuple::new(py, dims)?)?;
    dict.set_item("typestr", names.interface)?;
    dict.set_item("data", (address, read_only))?;
    Ok(dict)
}

/// A numpy array of this tensor: over its own memory if nobody else holds that, else a copy. Either
/// way the array may be written to.
pub(crate) fn to_numpy<'py>(
    numpy: &Bound<'py, PyModule>,
    tensor: Tensor,
) -> PyResult<Bound<'py, PyAny>> {
    let py = numpy.py();
    if tensor.dtype() == DType::String {
        return texts_to_numpy(numpy, &tensor);
    }
    let Some(names) = names_of(tensor.dtype()) else {
        let text = format!("`{}` has no type in numpy; use `run_tensors`", tensor.dtype());
        return Err(unsupported(py, &text));
    };
    let mut tensor = unpacked(py, tensor.into_contiguous())?;
    let address = match writable_address(&mut tensor) {
        Some(address) => address,
        None => {
            tensor = copied(py, &tensor)?;
            writable_address(&mut tensor)
                .ok_or_else(|| bad_input(py, "no memory for the result"))?
        }
    };
    let dict = interface(py, names, tensor.dims(), address, false)?;
    let buffer = Buffer { interface: dict.unbind(), _tensor: Mutex::new(tensor) };
    let array = numpy.call_method1(pyo3::intern!(py, "asarray"), (Py::new(py, buffer)?,))?;
    if !names.is_beyond_numpy() {
        return Ok(array);
    }
    match py.import("ml_dtypes").and_then(|types| types.getattr(names.numpy)) {
        Ok(dtype) => array.call_method1("view", (dtype,)),
        // Without `ml_dtypes`: the bits, or small integers one to a byte.
        Err(_) => Ok(array),
    }
}

fn writable_address(tensor: &mut Tensor) -> Option<usize> {
    if tensor.dtype() == DType::Bool {
        return tensor.as_mut_slice::<bool>().map(|values| values.as_mut_ptr().expose_provenance());
    }
    tensor.bytes_mut().map(|bytes| bytes.as_mut_ptr().expose_provenance())
}

fn copied(py: Python<'_>, tensor: &Tensor) -> PyResult<Tensor> {
    let bytes = tensor.bytes().unwrap_or(&[]);
    Tensor::from_bytes(tensor.dtype(), tensor.dims(), bytes).map_err(|error| bad_tensor(py, error))
}

/// Elements that share bytes, one to a byte: how `ml_dtypes` keeps them.
fn unpacked(py: Python<'_>, tensor: Tensor) -> PyResult<Tensor> {
    if !tensor.dtype().is_packed() {
        return Ok(tensor);
    }
    let values = packed::unpack(tensor.dtype(), tensor.bytes().unwrap_or(&[]), tensor.len());
    let bytes: Vec<u8> = values.into_iter().map(i8::cast_unsigned).collect();
    Tensor::from_bytes(DType::U8, tensor.dims(), &bytes).map_err(|error| bad_tensor(py, error))
}

fn texts_to_numpy<'py>(
    numpy: &Bound<'py, PyModule>,
    tensor: &Tensor,
) -> PyResult<Bound<'py, PyAny>> {
    let py = numpy.py();
    let kwargs = PyDict::new(py);
    kwargs.set_item("dtype", "object")?;
    let flat = numpy.call_method("array", (tensor.texts(),), Some(&kwargs))?;
    flat.call_method1("reshape", (PyTuple::new(py, tensor.dims())?,))
}

/// A tensor over the memory of an array that needs no change, asked for with as few words to Python as can be:
/// its elements lie together in the machine's byte order, and numpy has their type.
pub(crate) fn of_plain_array(
    object: &Bound<'_, PyAny>,
    expected: Option<DType>,
) -> PyResult<Option<Tensor>> {
    let py = object.py();
    if !is_ndarray(object)? {
        return Ok(None);
    }
    let interface = object.getattr(pyo3::intern!(py, "__array_interface__"))?;
    let code: PyBackedStr = interface.get_item(pyo3::intern!(py, "typestr"))?.extract()?;
    let strided = !interface.get_item(pyo3::intern!(py, "strides"))?.is_none();
    let Some(dtype) = from_interface(&code).filter(|_| !strided) else { return Ok(None) };
    let dtype = expected.filter(|&expected| are_bits_of(dtype, expected)).unwrap_or(dtype);
    let dims: Vec<usize> = interface.get_item(pyo3::intern!(py, "shape"))?.extract()?;
    let count = dims.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim));
    let bytes = count.filter(|_| !dtype.is_packed()).and_then(|count| dtype.bytes_for(count));
    let Some(bytes) = bytes else { return Ok(None) };
    let memory = Foreign::of_array(object, &interface, bytes)?;
    let tensor = Tensor::from_memory(dtype, dims, std::sync::Arc::new(memory));
    tensor.map(Some).map_err(|error| bad_tensor(py, error))
}

/// Whether an object is numpy's own array and of no class made from it.
fn is_ndarray(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = object.py();
    let class = object.get_type();
    if class.name()? != "ndarray" {
        return Ok(false);
    }
    let numpy = py.import(pyo3::intern!(py, "numpy"));
    Ok(numpy.is_ok_and(|numpy| {
        let ndarray = numpy.getattr(pyo3::intern!(py, "ndarray"));
        ndarray.is_ok_and(|ndarray| class.is(&ndarray))
    }))
}

/// A tensor over the memory of whatever numpy makes an array of. `expected` guides what has no type of
/// its own: numbers and lists, and bits where `ml_dtypes` is not there.
pub(crate) fn from_numpy_like(
    object: &Bound<'_, PyAny>,
    expected: Option<DType>,
) -> PyResult<Tensor> {
    let py = object.py();
    let Ok(numpy) = py.import(pyo3::intern!(py, "numpy")) else {
        let text = format!(
            "expected a `remuda.Tensor` or an object with `__dlpack__`, got `{}` (numpy is not installed)",
            object.get_type().name()?
        );
        return Err(bad_input(py, &text));
    };
    let array = as_array(&numpy, object, expected)?;
    let dims: Vec<usize> = array.getattr(pyo3::intern!(py, "shape"))?.extract()?;
    let described = array.getattr(pyo3::intern!(py, "dtype"))?;
    let kind: String = described.getattr(pyo3::intern!(py, "kind"))?.extract()?;
    if matches!(kind.as_str(), "O" | "U" | "S" | "T") {
        return texts_from_numpy(&array, dims);
    }
    let name: String = described.getattr(pyo3::intern!(py, "name"))?.extract()?;
    let dtype = from_numpy(&name)
        .ok_or_else(|| unsupported(py, &format!("arrays of `{name}` are not supported")))?;
    let dtype = expected.filter(|&expected| are_bits_of(dtype, expected)).unwrap_or(dtype);
    let array = plain(&numpy, &array)?;
    let interface = array.getattr(pyo3::intern!(py, "__array_interface__"))?;
    let bytes = array.getattr(pyo3::intern!(py, "nbytes"))?.extract()?;
    let memory = Foreign::of_array(&array, &interface, bytes)?;
    let tensor = if dtype.is_packed() {
        let bytes = remuda::Memory::bytes(&memory);
        let values: Vec<i8> = bytes.iter().map(|byte| byte.cast_signed()).collect();
        Tensor::from_bytes(dtype, dims, &packed::pack(dtype, &values))
    } else {
        Tensor::from_memory(dtype, dims, std::sync::Arc::new(memory))
    };
    tensor.map_err(|error| bad_tensor(py, error))
}

fn as_array<'py>(
    numpy: &Bound<'py, PyModule>,
    object: &Bound<'py, PyAny>,
    expected: Option<DType>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = numpy.py();
    let has_type = ["__array_interface__", "__array__"]
        .iter()
        .any(|name| object.hasattr(*name).unwrap_or(false));
    let wanted = match expected {
        Some(DType::String) => Some("object"),
        Some(dtype) => {
            names_of(dtype).filter(|names| !names.is_beyond_numpy()).map(|names| names.numpy)
        }
        None => None,
    };
    let kwargs = PyDict::new(py);
    if let Some(wanted) = wanted.filter(|_| !has_type) {
        kwargs.set_item("dtype", wanted)?;
    }
    numpy
        .call_method("asarray", (object,), Some(&kwargs))
        .map_err(|error| bad_input(py, &format!("numpy makes no array of it: {error}")))
}

/// Whether an integer type carries the bits of one that numpy lacks.
fn are_bits_of(got: DType, expected: DType) -> bool {
    let Some(names) = names_of(expected).filter(|names| names.is_beyond_numpy()) else {
        return false;
    };
    names_of(got).is_some_and(|got| !got.is_beyond_numpy() && got.interface == names.interface)
}

/// The array with its elements together, aligned and in the machine's byte order: itself if it is so.
fn plain<'py>(
    numpy: &Bound<'py, PyModule>,
    array: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = numpy.py();
    let described = array.getattr("dtype")?;
    let dtype = match described.getattr(pyo3::intern!(py, "isnative"))?.extract()? {
        true => described,
        false => described.call_method1("newbyteorder", ("=",))?,
    };
    let kwargs = PyDict::new(py);
    kwargs.set_item("dtype", dtype)?;
    kwargs.set_item("requirements", ["C", "A", "E"])?;
    numpy.call_method("require", (array,), Some(&kwargs))
}

fn texts_from_numpy(array: &Bound<'_, PyAny>, dims: Vec<usize>) -> PyResult<Tensor> {
    let py = array.py();
    let mut texts = Vec::new();
    for item in array.call_method0("ravel")?.call_method0("tolist")?.try_iter()? {
        texts.push(text_of(&item?)?);
    }
    Tensor::from_strings(dims, texts).map_err(|error| bad_tensor(py, error))
}

fn text_of(item: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Ok(text) = item.extract() {
        return Ok(text);
    }
    let py = item.py();
    let bytes: Vec<u8> = item.extract().map_err(|_| {
        let class = item.get_type().name().map_or_else(|_| "?".to_owned(), |name| name.to_string());
        bad_input(py, &format!("expected texts, got an element of type `{class}`"))
    })?;
    String::from_utf8(bytes).map_err(|_| bad_input(py, "a text is not valid UTF-8"))
}
