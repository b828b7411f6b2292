//! A region on a made-up device: the CPU's program, with copies, costs and faults around it.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use remuda_cpu::{Profile, Program, RunOptions};
use remuda_sdk::ir::Val;
use remuda_sdk::tensor::{DType, Tensor};
use remuda_sdk::{Compiled, DeviceTensor, Failure, Operand, ProgramInfo, RunRequest};

use crate::clock::worked;
use crate::config::FaultKind;
use crate::device::FakeDevice;
use crate::memory::FakeBuffer;

/// A hanging run looks at the host's wish this often.
const HANG_STEP: Duration = Duration::from_millis(1);
/// A hanging run that nobody cancels ends after all, so that no test waits forever.
const HANG_STEPS: usize = 60_000;

/// A region on a made-up device.
pub(crate) struct FakeProgram {
    program: Program,
    device: Arc<FakeDevice>,
    /// Bytes of its constants, charged to the device while it lives.
    resident: u64,
    limits: Vec<Limit>,
    engine: Option<Vec<u8>>,
}

/// How long an axis of an input may be.
pub(crate) struct Limit {
    pub(crate) input: usize,
    pub(crate) axis: usize,
    pub(crate) most: usize,
}

impl FakeProgram {
    pub(crate) fn new(
        program: Program,
        device: &Arc<FakeDevice>,
        resident: u64,
        limits: Vec<Limit>,
    ) -> Result<Self, Failure> {
        device.reserve(resident)?;
        Ok(Self { program, device: Arc::clone(device), resident, limits, engine: None })
    }

    pub(crate) fn with_engine(mut self, engine: Option<Vec<u8>>) -> Self {
        self.engine = engine;
        self
    }

    fn run(&self, inputs: Vec<Val>, request: &RunRequest<'_>) -> Result<Vec<Val>, Failure> {
        for Limit { input, axis, most } in &self.limits {
            if let Some(Val::Tensor(tensor)) = inputs.get(*input)
                && tensor.dims().get(*axis).is_some_and(|size| size > most)
            {
                let text = format!("axis {axis} of input {input} is beyond its bound of {most}");
                return Err(Failure::Internal(text));
            }
        }
        let fault = self.device.next_run()?;
        self.device.launch_takes();
        self.device.meet_others()?;
        match fault {
            Some(FaultKind::Hang) => hang(request)?,
            #[expect(clippy::panic, reason = "the fault that was asked for")]
            Some(FaultKind::Panic) => panic!("as configured"),
            Some(FaultKind::Error) => return Err(Failure::Internal("as configured".to_owned())),
            _ => {}
        }
        let options = RunOptions {
            cancel: Some(request.cancel),
            profile: request.profile.map(Profile::new),
            states: request.states,
        };
        let before = worked();
        let mut outputs = self.program.run(inputs, &options)?;
        self.device.run_takes(worked().saturating_sub(before));
        match fault {
            Some(FaultKind::Count) => drop(outputs.pop()),
            Some(FaultKind::Type) => {
                outputs.iter_mut().for_each(|val| *val = Tensor::scalar(false).into());
            }
            _ => {}
        }
        Ok(outputs)
    }

    fn to_device(&self, val: Val) -> Result<Operand, Failure> {
        match val {
            Val::Tensor(tensor) if tensor.dtype() != DType::String => {
                let tensor = tensor.contiguous();
                let bytes = tensor.bytes().unwrap_or(&[]);
                let copy = Tensor::from_bytes(DType::U8, [bytes.len()], bytes);
                let copy = copy.map_err(|error| Failure::Internal(error.to_string()))?;
                let buffer = Arc::new(FakeBuffer::new(&self.device, copy)?);
                let (dtype, dims) = (tensor.dtype(), tensor.dims().to_vec());
                Ok(Operand::Device(DeviceTensor { dtype, dims, buffer, offset: 0 }))
            }
            other => Ok(Operand::Host(other)),
        }
    }
}

impl Drop for FakeProgram {
    fn drop(&mut self) {
        self.device.give_back(self.resident);
    }
}

fn hang(request: &RunRequest<'_>) -> Result<(), Failure> {
    for _ in 0..HANG_STEPS {
        if request.cancel.load(Ordering::Relaxed) {
            return Err(Failure::Cancelled);
        }
        std::thread::sleep(HANG_STEP);
    }
    Err(Failure::Internal("it hung".to_owned()))
}

fn from_device(operand: Operand) -> Result<Val, Failure> {
    let Operand::Device(tensor) = operand else { return operand.into_host() };
    let buffer: &dyn Any = &*tensor.buffer;
    match buffer.downcast_ref::<FakeBuffer>() {
        Some(buffer) => Ok(buffer.view(&tensor)?.into()),
        None => Err(Failure::Invalid("a buffer is of another provider".to_owned())),
    }
}

impl Compiled for FakeProgram {
    fn execute(&self, inputs: Vec<Val>, request: &RunRequest<'_>) -> Result<Vec<Val>, Failure> {
        self.run(inputs, request)
    }

    fn execute_on_device(
        &self,
        inputs: Vec<Operand>,
        request: &RunRequest<'_>,
    ) -> Result<Vec<Operand>, Failure> {
        let inputs = inputs.into_iter().map(from_device).collect::<Result<_, _>>()?;
        let outputs = self.run(inputs, request)?.into_iter();
        if self.device.config.own_memory {
            outputs.map(|val| self.to_device(val)).collect()
        } else {
            Ok(outputs.map(Operand::Host).collect())
        }
    }

    fn export_engine(&self) -> Option<Vec<u8>> {
        self.engine.clone()
    }

    fn info(&self) -> ProgramInfo {
        ProgramInfo { resident_bytes: self.resident, workspace_bytes: 0 }
    }
}
