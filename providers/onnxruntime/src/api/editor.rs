//! Weights by reference: a model is loaded without them, then they are put in as constants over memory
//! that stays ours.
//!
//! The loaded model declares each of them as an input, so that types are known; the edit names the
//! inputs that stay inputs.

use std::ffi::CString;

use ort_sys::{OrtGraph, OrtModel, OrtSession, OrtTypeInfo, OrtValueInfo};
use remuda_sdk::tensor::{DType, Tensor};

use super::value::element_type;
use super::{Api, Handle, InputValue, OrtError};

/// An input or output of a model.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    /// Its name in the model.
    pub(crate) name: CString,
    /// Its elements.
    pub(crate) dtype: DType,
    /// Its dimensions, if their number is known: numbers, or names (empty for no name).
    pub(crate) dims: Option<Vec<Result<i64, CString>>>,
}

/// A constant that is read where it lies.
#[derive(Clone, Debug)]
pub(crate) struct Weight {
    /// Its name in the model.
    pub(crate) name: CString,
    /// Its elements, in row-major order.
    pub(crate) tensor: Tensor,
}

impl Api {
    /// Puts weights into a session whose model is loaded and not yet prepared.
    pub(super) fn inject(
        &self,
        session: &Handle<OrtSession>,
        (inputs, outputs): (&[Port], &[Port]),
        weights: &[Weight],
    ) -> Result<Vec<Tensor>, OrtError> {
        let editor = self.editor;
        let graph: Handle<OrtGraph> = self.make(self.raw.ReleaseGraph, |out| {
            // SAFETY: a place to be written.
            unsafe { (editor.CreateGraph)(out) }
        })?;
        let mut ports = self.value_infos(inputs)?;
        // SAFETY: the graph takes the infos over.
        self.check(unsafe { (editor.SetGraphInputs)(graph.raw, ports.as_mut_ptr(), ports.len()) })?;
        let mut ports = self.value_infos(outputs)?;
        // SAFETY: as above.
        self.check(unsafe {
            (editor.SetGraphOutputs)(graph.raw, ports.as_mut_ptr(), ports.len())
        })?;
        let mut kept = Vec::with_capacity(weights.len());
        for weight in weights {
            let InputValue { handle, tensor } = self.input(&weight.tensor)?;
            // SAFETY: graph and value live; the memory outlives the session, which keeps `kept`.
            self.check(unsafe {
                let name = weight.name.as_ptr();
                (editor.AddInitializerToGraph)(graph.raw, name, handle.raw, true)
            })?;
            // The graph has taken it over.
            let _ = handle.into_raw();
            kept.push(tensor);
        }
        let model: Handle<OrtModel> = self.make(self.raw.ReleaseModel, |out| {
            // SAFETY: no domains: those of the loaded model hold.
            unsafe { (editor.CreateModel)(std::ptr::null(), std::ptr::null(), 0, out) }
        })?;
        // SAFETY: the model takes the graph over.
        self.check(unsafe { (editor.AddGraphToModel)(model.raw, graph.into_raw()) })?;
        // SAFETY: session and model live.
        self.check(unsafe { (editor.ApplyModelToModelEditorSession)(session.raw, model.raw) })?;
        Ok(kept)
    }

    /// Descriptions of ports, owned by whoever takes them.
    fn value_infos(&self, ports: &[Port]) -> Result<Vec<*mut OrtValueInfo>, OrtError> {
        let made = ports.iter().map(|port| self.value_info(port)).collect::<Result<Vec<_>, _>>()?;
        Ok(made.into_iter().map(Handle::into_raw).collect())
    }

    fn value_info(&self, port: &Port) -> Result<Handle<OrtValueInfo>, OrtError> {
        let raw = self.raw;
        let unknown =
            || OrtError { code: 9, text: format!("`{}` is not known", port.dtype.name()) };
        let kind = element_type(port.dtype).ok_or_else(unknown)?;
        let shape = self.make(raw.ReleaseTensorTypeAndShapeInfo, |out| {
            // SAFETY: a place to be written.
            unsafe { (raw.CreateTensorTypeAndShapeInfo)(out) }
        })?;
        // SAFETY: the description lives.
        self.check(unsafe { (raw.SetTensorElementType)(shape.raw, kind) })?;
        if let Some(dims) = &port.dims {
            let numbers: Vec<i64> =
                dims.iter().map(|dim| dim.as_ref().map_or(-1, |&number| number)).collect();
            // SAFETY: as many numbers as told.
            self.check(unsafe { (raw.SetDimensions)(shape.raw, numbers.as_ptr(), numbers.len()) })?;
            let name = |dim: &Result<i64, CString>| match dim {
                Ok(_) => c"".as_ptr(),
                Err(name) => name.as_ptr(),
            };
            let mut names: Vec<_> = dims.iter().map(name).collect();
            // SAFETY: as many names as told, which are copied.
            self.check(unsafe {
                (raw.SetSymbolicDimensions)(shape.raw, names.as_mut_ptr(), names.len())
            })?;
        }
        let info: Handle<OrtTypeInfo> = self.make(raw.ReleaseTypeInfo, |out| {
            // SAFETY: the description lives and is copied.
            unsafe { (self.editor.CreateTensorTypeInfo)(shape.raw, out) }
        })?;
        self.make(raw.ReleaseValueInfo, |out| {
            // SAFETY: name and type live and are copied.
            unsafe { (self.editor.CreateValueInfo)(port.name.as_ptr(), info.raw, out) }
        })
    }
}
