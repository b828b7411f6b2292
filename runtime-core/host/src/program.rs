//! A compiled region.

use std::ffi::c_void;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use remuda_abi::{self as abi, ProgramHandle, Value};
use remuda_bridge::{Failure, GraphExport, failure_of, import_owned, read_text};
use remuda_ir::{Graph, OpError, Val};

use crate::instance::{ended, lacks};
use crate::memory::{Arguments, Operand, take_output};
use crate::{Provider, State};

/// A compiled region. Runs may go on in many threads at once.
#[derive(Debug)]
pub struct Program {
    handle: *mut ProgramHandle,
    outputs: usize,
    provider: Provider,
    /// Constants that the provider may read until the program is freed.
    _region: GraphExport,
}

// SAFETY: the contract lets functions be called from any thread.
unsafe impl Send for Program {}
// SAFETY: as above.
unsafe impl Sync for Program {}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(free) = self.provider.0.table.0.free_program {
            // SAFETY: the handle came from `compile` and is freed once.
            unsafe { free(self.handle) };
        }
    }
}

impl Program {
    pub(crate) fn compile(
        provider: &Provider,
        device: u32,
        region: Graph,
        opset: u32,
        engine: Option<&[u8]>,
    ) -> Result<Self, Failure> {
        let outputs = region.outputs.len();
        let region = GraphExport::new(region, opset);
        let options = abi::CompileOptions {
            struct_size: size_of::<abi::CompileOptions>(),
            context: std::ptr::null_mut(),
            progress: None,
            cancel: std::ptr::null(),
            engine: engine.map_or(std::ptr::null(), <[u8]>::as_ptr),
            engine_bytes: engine.map_or(0, <[u8]>::len),
        };
        let instance = &provider.0;
        let call = instance.table.0.compile.ok_or_else(|| lacks("compile"))?;
        let mut handle = std::ptr::null_mut();
        // SAFETY: the pointers live during the call, the constants as long as the program.
        let status = unsafe {
            call(instance.handle, device, region.as_ptr(), &raw const options, &raw mut handle)
        };
        // SAFETY: a status of the provider.
        ended(unsafe { failure_of(status) })?;
        if handle.is_null() {
            return Err(Failure::Internal("it compiled and gave no program".into()));
        }
        Ok(Self { handle, outputs, provider: provider.clone(), _region: region })
    }

    pub(crate) fn handle(&self) -> *mut ProgramHandle {
        self.handle
    }

    pub(crate) fn provider(&self) -> &Provider {
        &self.provider
    }

    /// What the program holds between runs and needs for one: resident and workspace bytes.
    ///
    /// # Errors
    /// What the provider says.
    pub fn memory(&self) -> Result<(u64, u64), Failure> {
        let Some(call) = self.provider.0.table.0.program_info else { return Ok((0, 0)) };
        let mut info = abi::ProgramInfo {
            struct_size: size_of::<abi::ProgramInfo>(),
            resident_bytes: 0,
            workspace_bytes: 0,
        };
        // SAFETY: the handle is alive, the struct ours.
        let status = unsafe { call(self.handle, &raw mut info) };
        // SAFETY: a status of the provider.
        ended(unsafe { failure_of(status) })?;
        Ok((info.resident_bytes, info.workspace_bytes))
    }

    /// Runs the program. Inputs and outputs are in the order of the region's.
    ///
    /// # Errors
    /// What the provider says, or that its outputs contradict themselves.
    pub fn run(&self, inputs: &[Val], options: &RunOptions<'_>) -> Result<Vec<Val>, Failure> {
        let outputs = self.made(&Arguments::of_vals(inputs), options)?;
        // SAFETY: after a good end every output is a value with one reference.
        readable(outputs.iter().map(|value| unsafe { import_owned(value) }).collect())
    }

    /// Runs the program over values in host memory or in memory of its own provider.
    ///
    /// # Errors
    /// What the provider says, or that its outputs contradict themselves.
    pub fn run_operands(
        &self,
        inputs: &[Operand],
        options: &RunOptions<'_>,
    ) -> Result<Vec<Operand>, Failure> {
        let outputs = self.made(&Arguments::of_operands(inputs, &self.provider)?, options)?;
        let provider = &self.provider;
        // SAFETY: after a good end every output is a value with one reference.
        readable(outputs.iter().map(|value| unsafe { take_output(value, provider) }).collect())
    }

    /// Runs the program and has it write its outputs, tensors all of them, to memory of the caller's.
    /// Gives the bytes of each output.
    ///
    /// # Errors
    /// What the provider says: that a place is too small, or that an output cannot lie in one.
    pub fn run_into(
        &self,
        inputs: &[Operand],
        places: &mut [&mut [u8]],
        options: &RunOptions<'_>,
    ) -> Result<Vec<u64>, Failure> {
        if places.len() != self.outputs {
            let text = format!("there are {} places for {} outputs", places.len(), self.outputs);
            return Err(Failure::Invalid(text));
        }
        let place = |place: &mut &mut [u8]| Value {
            kind: abi::KIND_TENSOR,
            data: place.as_mut_ptr().cast(),
            bytes: place.len() as u64,
            ..Value::none()
        };
        let outputs: Vec<Value> = places.iter_mut().map(place).collect();
        let inputs = Arguments::of_operands(inputs, &self.provider)?;
        let written = self.call(&inputs, outputs.clone(), options)?;
        for (at, (value, place)) in written.iter().zip(&outputs).enumerate() {
            if value.data != place.data || value.bytes > place.bytes {
                let text = format!("it did not write output {at} where it was told to");
                return Err(Failure::Internal(text));
            }
        }
        Ok(written.iter().map(|value| value.bytes).collect())
    }

    fn made(&self, inputs: &Arguments, options: &RunOptions<'_>) -> Result<Vec<Value>, Failure> {
        self.call(inputs, vec![Value::none(); self.outputs], options)
    }

    /// `outputs` are places to write to, or nothing where the provider makes the value.
    fn call(
        &self,
        inputs: &Arguments,
        mut outputs: Vec<Value>,
        options: &RunOptions<'_>,
    ) -> Result<Vec<Value>, Failure> {
        if options.states.iter().any(|state| !state.is_of(&self.provider)) {
            return Err(Failure::Invalid("a state was made by another provider".into()));
        }
        let states: Vec<_> = options.states.iter().map(|state| state.handle()).collect();
        let args = abi::RunArgs {
            struct_size: size_of::<abi::RunArgs>(),
            inputs: inputs.values.as_ptr(),
            input_count: inputs.values.len(),
            outputs: outputs.as_mut_ptr(),
            output_count: outputs.len(),
            states: states.as_ptr(),
            state_count: states.len(),
            stream: std::ptr::null_mut(),
            cancel: options
                .cancel
                .map_or(std::ptr::null(), |flag| flag.as_ptr().cast_const().cast()),
            context: (&raw const options.profile).cast_mut().cast(),
            profile: options
                .profile
                .map(|_| emit_step as unsafe extern "C" fn(*mut c_void, *const abi::StepTime)),
        };
        let call = self.provider.0.table.0.run.ok_or_else(|| lacks("run"))?;
        // SAFETY: the pointers live during the call.
        let status = unsafe { call(self.handle, &raw const args) };
        // SAFETY: a status of the provider.
        ended(unsafe { failure_of(status) })?;
        Ok(outputs)
    }
}

/// Every output, or that one cannot be read. All were taken over before: none is lost.
fn readable<T>(taken: Vec<Result<T, OpError>>) -> Result<Vec<T>, Failure> {
    let checked = taken.into_iter().enumerate().map(|(at, val)| {
        val.map_err(|error| Failure::Internal(format!("its output {at} cannot be read: {error}")))
    });
    checked.collect()
}

/// What one run is told.
#[derive(Clone, Copy, Default)]
pub struct RunOptions<'a> {
    /// Set it to true, from any thread, to end the run.
    pub cancel: Option<&'a AtomicBool>,
    /// Told of each step as it ends.
    pub profile: Option<&'a dyn Fn(StepTime)>,
    /// The region's states, in the order of its values.
    pub states: &'a [&'a State],
}

impl std::fmt::Debug for RunOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunOptions").field("cancel", &self.cancel).finish_non_exhaustive()
    }
}

/// The time of one step of a run, as the provider tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepTime {
    /// The node's name, or what was made of several.
    pub name: String,
    /// Its operator.
    pub op: String,
    /// The kernel that ran, in the provider's words.
    pub kernel: String,
    /// The dimensions of its first output.
    pub dims: Vec<i64>,
    /// When it started, from the start of the run.
    pub start: Duration,
    /// How long it took.
    pub time: Duration,
}

/// More dimensions than any tensor has.
const MAX_RANK: usize = 64;

unsafe extern "C" fn emit_step(context: *mut c_void, step: *const abi::StepTime) {
    // SAFETY: the context is the field that `run` pointed to.
    let profile = unsafe { *context.cast::<Option<&dyn Fn(StepTime)>>() };
    // SAFETY: the provider's struct lives during the call.
    let (Some(profile), Some(step)) = (profile, unsafe { step.as_ref() }) else { return };
    if step.struct_size < size_of::<abi::StepTime>() || step.rank > MAX_RANK {
        return;
    }
    // SAFETY: texts and dimensions of the provider live during the call.
    let text = |text| unsafe { read_text(text) };
    let dims = if step.rank == 0 || step.dims.is_null() {
        Vec::new()
    } else {
        // SAFETY: the contract: `rank` dimensions.
        unsafe { std::slice::from_raw_parts(step.dims, step.rank) }.to_vec()
    };
    profile(StepTime {
        name: text(step.name),
        op: text(step.op),
        kernel: text(step.kernel),
        dims,
        start: Duration::from_nanos(step.start_nanoseconds),
        time: Duration::from_nanos(step.nanoseconds),
    });
}
