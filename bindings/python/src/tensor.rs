//! `remuda.Tensor`: a read-only tensor for those who do without numpy.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};
use remuda::{DType, Tensor as Inner};

use crate::dtype::{names_of, onnx_name};
use crate::error::{bad_input, bad_tensor, unsupported};
use crate::foreign::Foreign;
use crate::{array, dlpack};

/// A read-only tensor. Arrays of other libraries and tensors share memory through DLPack.
#[pyclass(module = "remuda", frozen)]
#[derive(Debug)]
pub(crate) struct Tensor(pub(crate) Inner);

#[pymethods]
impl Tensor {
    /// A tensor of anything that has elements: an array, an object with `__dlpack__`, a list.
    #[new]
    #[pyo3(signature = (object, dtype=None))]
    fn new(object: &Bound<'_, PyAny>, dtype: Option<&str>) -> PyResult<Self> {
        let dtype = dtype.map(|name| named(object.py(), name)).transpose()?;
        of_object(object, dtype).map(Self)
    }

    /// A tensor over the little-endian elements in `data`.
    #[staticmethod]
    fn from_bytes(dtype: &str, shape: Vec<usize>, data: &Bound<'_, PyBytes>) -> PyResult<Self> {
        let py = data.py();
        let tensor = Inner::from_memory(named(py, dtype)?, shape, Foreign::of_bytes(data));
        tensor.map(Self).map_err(|error| bad_tensor(py, error))
    }

    /// The element type by its short name, `f32`.
    #[getter]
    fn dtype(&self) -> &'static str {
        self.0.dtype().name()
    }

    /// The element type as ONNX Runtime writes it, `tensor(float)`.
    #[getter]
    fn r#type(&self) -> String {
        format!("tensor({})", onnx_name(self.0.dtype()))
    }

    /// The dimensions.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.0.dims())
    }

    /// Bytes that the elements take.
    #[getter]
    fn nbytes(&self) -> usize {
        self.0.byte_len()
    }

    /// The little-endian bytes of the elements.
    fn tobytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.contiguous().bytes().unwrap_or(&[]))
    }

    /// The elements as nested lists of Python numbers or texts; of no dimensions as one of them.
    fn tolist<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let flat = elements(py, &self.0)?;
        nested(py, self.0.dims(), &mut flat.into_iter())
    }

    /// A numpy array of the elements.
    fn numpy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        array::to_numpy(&py.import("numpy")?, self.0.clone())
    }

    /// numpy's description of the memory.
    #[getter]
    fn __array_interface__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        let (py, tensor) = (slf.py(), &slf.get().0);
        let names = names_of(tensor.dtype()).filter(|names| !names.is_beyond_numpy());
        let (Some(names), Some(bytes)) = (names, tensor.bytes()) else {
            return Err(pyo3::exceptions::PyAttributeError::new_err(
                "numpy cannot describe this memory",
            ));
        };
        array::interface(py, names, tensor.dims(), bytes.as_ptr().expose_provenance(), true)
    }

    /// The memory as a DLPack capsule.
    #[pyo3(signature = (*, stream=None, max_version=None, dl_device=None, copy=None))]
    fn __dlpack__<'py>(
        &self,
        py: Python<'py>,
        stream: Option<&Bound<'py, PyAny>>,
        max_version: Option<(u32, u32)>,
        dl_device: Option<(i32, i32)>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if stream.is_some() || dl_device.is_some_and(|device| device != dlpack::CPU) {
            let text = "the memory is the CPU's: expected no stream and no other device";
            return Err(pyo3::exceptions::PyBufferError::new_err(text));
        }
        let versioned = max_version.is_some_and(|(major, _)| major >= 1);
        if copy == Some(true) {
            let bytes = self.0.contiguous().to_le_bytes();
            let copied = Inner::from_bytes(self.0.dtype(), self.0.dims(), &bytes);
            return dlpack::export(py, &copied.map_err(|error| bad_tensor(py, error))?, versioned);
        }
        dlpack::export(py, &self.0, versioned)
    }

    /// DLPack's number of the device: the CPU.
    fn __dlpack_device__(&self) -> (i32, i32) {
        dlpack::CPU
    }

    fn __len__(&self) -> PyResult<usize> {
        let first = self.0.dims().first().copied();
        first.ok_or_else(|| pyo3::exceptions::PyTypeError::new_err("a scalar has no length"))
    }

    fn __repr__(&self) -> String {
        format!("remuda.Tensor({:?})", self.0)
    }
}

fn named(py: Python<'_>, name: &str) -> PyResult<DType> {
    DType::from_name(name).ok_or_else(|| {
        let known = DType::plain().map(DType::name).collect::<Vec<_>>().join(", ");
        bad_input(py, &format!("`{name}` is no element type, expected one of: {known}"))
    })
}

/// A tensor of an object: shared where it can be.
pub(crate) fn of_object(object: &Bound<'_, PyAny>, expected: Option<DType>) -> PyResult<Inner> {
    if let Ok(tensor) = object.cast::<Tensor>() {
        return Ok(tensor.get().0.clone());
    }
    if let Some(tensor) = array::of_plain_array(object, expected)? {
        return Ok(tensor);
    }
    let py = object.py();
    let has = |name| object.hasattr(name).unwrap_or(false);
    if has(pyo3::intern!(py, "__dlpack__")) && !has(pyo3::intern!(py, "__array_interface__")) {
        return dlpack::import(object);
    }
    array::from_numpy_like(object, expected)
}

fn elements<'py>(py: Python<'py>, tensor: &Inner) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let dtype = tensor.dtype();
    let list = if dtype == DType::String {
        PyList::new(py, tensor.texts())?
    } else if dtype == DType::Bool {
        PyList::new(py, tensor.to_vec::<bool>().map_err(|error| bad_tensor(py, error))?)?
    } else if dtype == DType::U64 {
        PyList::new(py, tensor.to_vec::<u64>().map_err(|error| bad_tensor(py, error))?)?
    } else if dtype.is_int() {
        PyList::new(py, tensor.to_i64_vec().map_err(|error| bad_tensor(py, error))?)?
    } else {
        let numbers = tensor.to_f64_vec();
        PyList::new(py, numbers.map_err(|_| unsupported(py, &format!("no list of `{dtype}`")))?)?
    };
    Ok(list.iter().collect())
}

fn nested<'py>(
    py: Python<'py>,
    dims: &[usize],
    flat: &mut impl Iterator<Item = Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let Some((&count, inner)) = dims.split_first() else {
        return flat.next().ok_or_else(|| bad_input(py, "a scalar without a value"));
    };
    let mut items = Vec::with_capacity(count);
    for _ in 0..count {
        items.push(nested(py, inner, flat)?);
    }
    Ok(PyList::new(py, items)?.into_any())
}
