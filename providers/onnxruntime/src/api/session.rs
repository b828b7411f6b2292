//! Sessions and their runs.

use std::ffi::{CStr, CString};
use std::sync::Arc;

use ort_sys::{OrtRunOptions, OrtSession};
use remuda_sdk::tensor::Tensor;

use super::{Api, Environment, Handle, OrtError, Port, SessionSettings, Weight};

/// A model that is ready to run, and the weights that it reads in place.
pub(crate) struct Session {
    handle: Handle<OrtSession>,
    api: &'static Api,
    inputs: Vec<CString>,
    outputs: Vec<CString>,
    _weights: Vec<Tensor>,
    /// Outlives the session.
    _environment: Arc<Environment>,
}

/// What ends a run early.
pub(crate) struct RunOptions {
    handle: Handle<OrtRunOptions>,
    api: &'static Api,
}

impl RunOptions {
    pub(crate) fn new(api: &'static Api) -> Result<Self, OrtError> {
        let handle = api.make(api.raw.ReleaseRunOptions, |out| {
            // SAFETY: a place to be written.
            unsafe { (api.raw.CreateRunOptions)(out) }
        })?;
        Ok(Self { handle, api })
    }

    /// Ends the runs that were given these options, as soon as the operator at work is done.
    pub(crate) fn terminate(&self) {
        // SAFETY: may be called while a run is under way.
        let status = unsafe { (self.api.raw.RunOptionsSetTerminate)(self.handle.raw) };
        // There is nobody to tell: the run then ends by itself.
        let _ = self.api.check(status);
    }
}

impl Session {
    /// Loads a serialised model. `inputs` and `outputs` are its own, `weights` further inputs of it
    /// that become constants, read where they lie.
    pub(crate) fn new(
        api: &'static Api,
        environment: &Arc<Environment>,
        settings: &SessionSettings,
        model: &[u8],
        ports: (&[Port], &[Port]),
        weights: &[Weight],
    ) -> Result<Self, OrtError> {
        let raw = api.raw;
        let options = api.session_options(environment, settings)?;
        let (data, len) = (model.as_ptr().cast(), model.len());
        let (handle, kept) = if weights.is_empty() {
            // SAFETY: the bytes and options live; the library copies what it keeps.
            let handle = api.make(raw.ReleaseSession, |out| unsafe {
                (raw.CreateSessionFromArray)(environment.raw, data, len, options.raw, out)
            })?;
            (handle, Vec::new())
        } else {
            // SAFETY: as above.
            let handle = api.make(raw.ReleaseSession, |out| unsafe {
                (api.editor.CreateModelEditorSessionFromArray)(
                    environment.raw,
                    data,
                    len,
                    options.raw,
                    out,
                )
            })?;
            let kept = api.inject(&handle, ports, weights)?;
            // SAFETY: the session and options live; packed weights are not shared.
            api.check(unsafe {
                (api.editor.FinalizeModelEditorSession)(handle.raw, options.raw, std::ptr::null())
            })?;
            (handle, kept)
        };
        let names = |ports: &[Port]| ports.iter().map(|port| port.name.clone()).collect();
        Ok(Self {
            handle,
            api,
            inputs: names(ports.0),
            outputs: names(ports.1),
            _weights: kept,
            _environment: Arc::clone(environment),
        })
    }

    /// Runs it. Inputs and outputs are in the order of the ports.
    pub(crate) fn run(
        &self,
        inputs: &[Tensor],
        options: &RunOptions,
    ) -> Result<Vec<Tensor>, OrtError> {
        let api = self.api;
        if inputs.len() != self.inputs.len() {
            let text = format!("expected {} inputs, got {}", self.inputs.len(), inputs.len());
            return Err(OrtError { code: 2, text });
        }
        let inputs =
            inputs.iter().map(|tensor| api.input(tensor)).collect::<Result<Vec<_>, _>>()?;
        let values: Vec<_> = inputs.iter().map(|input| input.handle.raw.cast_const()).collect();
        let pointers = |names: &[CString]| names.iter().map(|name| name.as_ptr()).collect();
        let (input_names, output_names): (Vec<_>, Vec<_>) =
            (pointers(&self.inputs), pointers(&self.outputs));
        let mut made = vec![std::ptr::null_mut(); self.outputs.len()];
        // SAFETY: names, values and places are as many as told and live during the call.
        let status = unsafe {
            (api.raw.Run)(
                self.handle.raw,
                options.handle.raw,
                input_names.as_ptr(),
                values.as_ptr(),
                values.len(),
                output_names.as_ptr(),
                output_names.len(),
                made.as_mut_ptr(),
            )
        };
        let made: Vec<_> =
            made.into_iter().map(|raw| Handle { raw, release: api.raw.ReleaseValue }).collect();
        api.check(status)?;
        made.into_iter().zip(&self.outputs).map(|(value, name)| self.tensor(value, name)).collect()
    }

    fn tensor(&self, value: Handle<ort_sys::OrtValue>, name: &CStr) -> Result<Tensor, OrtError> {
        if value.raw.is_null() {
            return Err(OrtError { code: 1, text: format!("output {name:?} was not made") });
        }
        self.api.output(value)
    }
}
