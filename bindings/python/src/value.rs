//! Values of the runtime as Python objects: tensors as arrays, sequences as lists, optionals as `None`
//! or what they hold.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use remuda::{Value, ValueType};

use crate::array::to_numpy;
use crate::error::bad_input;
use crate::tensor::{Tensor, of_object};

/// The value that a caller gives for something of this type.
pub(crate) fn from_python(object: &Bound<'_, PyAny>, ty: Option<&ValueType>) -> PyResult<Value> {
    match ty {
        Some(ValueType::Optional(_)) if object.is_none() => Ok(Value::Optional(None)),
        Some(ValueType::Optional(item)) => {
            Ok(Value::Optional(Some(Arc::new(from_python(object, Some(item))?))))
        }
        Some(ValueType::Sequence(item)) => sequence(object, Some(item)),
        Some(ValueType::Tensor(tensor)) => Ok(of_object(object, Some(tensor.dtype))?.into()),
        _ if object.is_none() => Ok(Value::Optional(None)),
        _ if object.is_instance_of::<PyList>() => sequence(object, None),
        _ => Ok(of_object(object, None)?.into()),
    }
}

fn sequence(object: &Bound<'_, PyAny>, item: Option<&ValueType>) -> PyResult<Value> {
    if !object.is_instance_of::<PyList>() && !object.is_instance_of::<PyTuple>() {
        let text = format!("expected a list, got `{}`", object.get_type().name()?);
        return Err(bad_input(object.py(), &text));
    }
    let items = object.try_iter()?.map(|object| from_python(&object?, item));
    Ok(Value::sequence(items.collect::<PyResult<_>>()?))
}

/// What a result becomes: numpy arrays where `numpy` is given, tensors otherwise.
pub(crate) fn to_python<'py>(
    py: Python<'py>,
    value: Value,
    numpy: Option<&Bound<'py, PyModule>>,
) -> PyResult<Bound<'py, PyAny>> {
    match value {
        Value::Tensor(tensor) => match numpy {
            Some(numpy) => to_numpy(numpy, tensor),
            None => Ok(Bound::new(py, Tensor(tensor))?.into_any()),
        },
        Value::Sequence(items) => {
            let items = Arc::unwrap_or_clone(items).into_iter();
            let items =
                items.map(|item| to_python(py, item, numpy)).collect::<PyResult<Vec<_>>>()?;
            Ok(PyList::new(py, items)?.into_any())
        }
        Value::Optional(None) | Value::State(_) => Ok(py.None().into_bound(py)),
        Value::Optional(Some(item)) => to_python(py, Arc::unwrap_or_clone(item), numpy),
    }
}
