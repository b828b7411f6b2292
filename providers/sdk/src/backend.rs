//! The traits of a provider.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use remuda_abi as abi;
use remuda_bridge::{Failure, borrow_text};
use remuda_ir::{Graph, Node, OpName, StateRef, Val};

use crate::StateRequest;

use crate::memory::{Allocator, Buffer, Operand};

/// A provider.
pub trait Backend: Send + Sync + Sized + 'static {
    /// Its name: `cpu`, `ggml`, …
    const NAME: &'static str;
    /// Its version.
    const VERSION: &'static str;
    /// Whether devices have memory of their own, which [`Backend::allocator`] gives out.
    const DEVICE_MEMORY: bool = false;

    /// How well this build fits this machine: 0 not at all; the highest of several builds wins.
    #[must_use]
    fn score() -> u32 {
        1
    }

    /// Opens it.
    ///
    /// # Errors
    /// When it cannot work at all; a device that cannot be used is told by [`Backend::devices`].
    fn open(host: HostServices, options: &[(String, String)]) -> Result<Self, Failure>;

    /// Its name.
    fn name(&self) -> &'static str {
        Self::NAME
    }

    /// Every device, usable or not. The place in the list is its index.
    fn devices(&self) -> Vec<Device>;

    /// Whether a device can be used, or why not.
    ///
    /// # Errors
    /// The reason, in words that a user can act on.
    fn is_available(&self, device: u32) -> Result<(), String> {
        match self.devices().get(device as usize) {
            Some(Device { unusable: None, .. }) => Ok(()),
            Some(Device { unusable: Some(reason), .. }) => Err(reason.clone()),
            None => Err(format!("there is no device {device}")),
        }
    }

    /// The operators that it has kernels for, whatever the types.
    fn supported_ops(&self) -> Vec<OpName>;

    /// Whether a device can run a node.
    fn supports_operation(&self, device: u32, graph: &Graph, node: &Node) -> Support;

    /// Whether a device can run each node of a graph, in order. By default they are asked about one by
    /// one.
    fn supports_operations(&self, device: u32, graph: &Graph) -> Vec<Support> {
        graph.nodes().map(|(_, node)| self.supports_operation(device, graph, node)).collect()
    }

    /// Whether a device takes a region as it stands, and what that costs. By default it does.
    fn propose(&self, _device: u32, _region: &Graph) -> Proposal {
        Proposal::default()
    }

    /// Compiles a region, whose nodes the device has all said yes to.
    ///
    /// # Errors
    /// [`Failure::Unsupported`] with the node that it cannot take after all, or another failure.
    fn compile_subgraph(
        &self,
        device: u32,
        region: Graph,
        request: &CompileRequest<'_>,
    ) -> Result<Box<dyn Compiled>, Failure>;

    /// How many bytes [`Backend::create_state`] would take.
    ///
    /// # Errors
    /// [`Failure::Unsupported`] when it offers no states, or none like this.
    fn state_bytes(&self, _device: u32, request: &StateRequest) -> Result<u64, Failure> {
        Err(no_states(request))
    }

    /// Makes a state on a device: a key/value cache, addressed by sequence and position.
    ///
    /// # Errors
    /// As for [`Backend::state_bytes`], or when memory does not suffice.
    fn create_state(&self, _device: u32, request: &StateRequest) -> Result<StateRef, Failure> {
        Err(no_states(request))
    }

    /// The memory of a device.
    ///
    /// # Errors
    /// When the device cannot say.
    fn memory_info(&self, device: u32) -> Result<MemoryInfo, Failure>;

    /// What allocates memory of a device; none for a device that works in host memory.
    fn allocator(&self, _device: u32) -> Option<&dyn Allocator> {
        None
    }

    /// Allocates memory of a device.
    ///
    /// # Errors
    /// When the device has no memory of its own, or not enough.
    fn allocate(&self, device: u32, bytes: u64, align: u64) -> Result<Arc<dyn Buffer>, Failure> {
        let none = || Failure::Unsupported {
            node: None,
            text: format!("device {device} has no memory to allocate from"),
        };
        self.allocator(device).ok_or_else(none)?.allocate(bytes, align)
    }

    /// Waits until everything on a device is done.
    ///
    /// # Errors
    /// When something of it failed.
    fn synchronize(&self, _device: u32) -> Result<(), Failure> {
        Ok(())
    }
}

fn no_states(request: &StateRequest) -> Failure {
    let dtype = request.ty.dtype;
    Failure::Unsupported { node: None, text: format!("it keeps no states (of `{dtype}`)") }
}

/// Refuses the first option: for [`Backend::open`] of a provider that has none.
///
/// # Errors
/// [`Failure::Invalid`] with the option's name.
pub fn no_options(options: &[(String, String)]) -> Result<(), Failure> {
    match options.first() {
        None => Ok(()),
        Some((key, _)) => Err(Failure::Invalid(format!("unknown option `{key}`"))),
    }
}

/// A compiled region.
pub trait Compiled: Send + Sync + 'static {
    /// Runs it. Inputs and outputs are in the order of the region's.
    ///
    /// # Errors
    /// When it fails; inputs and states are then as they were.
    fn execute(&self, inputs: Vec<Val>, request: &RunRequest<'_>) -> Result<Vec<Val>, Failure>;

    /// As [`Compiled::execute`], for programs that read and make values in memory of the device. By
    /// default inputs are brought to host memory.
    ///
    /// # Errors
    /// When it fails; the inputs are then as they were.
    fn execute_on_device(
        &self,
        inputs: Vec<Operand>,
        request: &RunRequest<'_>,
    ) -> Result<Vec<Operand>, Failure> {
        let inputs = inputs.into_iter().map(Operand::into_host).collect::<Result<_, _>>()?;
        Ok(self.execute(inputs, request)?.into_iter().map(Operand::Host).collect())
    }

    /// What it needs.
    fn info(&self) -> ProgramInfo {
        ProgramInfo::default()
    }

    /// An engine that makes the next compilation of the same region faster, if there is such a thing.
    fn export_engine(&self) -> Option<Vec<u8>> {
        None
    }
}

/// A device, or the reason why there is none.
#[derive(Clone, Debug, Default)]
pub struct Device {
    /// `cpu`, `cuda`, …
    pub kind: String,
    /// Its name, for people.
    pub name: String,
    /// What tells it from its twins and stays the same over restarts.
    pub unique_id: String,
    /// The driver and its version, or empty.
    pub driver: String,
    /// Why it cannot be used.
    pub unusable: Option<String>,
    /// Bytes of memory.
    pub total_bytes: u64,
    /// Whether its memory is the host's.
    pub host_memory: bool,
    /// Whether its results mean nothing: the host then uses it only where the user names it.
    pub no_results: bool,
}

impl Device {
    /// What the contract's flags say of it.
    pub(crate) fn flags(&self) -> u64 {
        let flag = |set: bool, flag: u64| if set { flag } else { 0 };
        flag(self.host_memory, abi::DEVICE_HOST_MEMORY)
            | flag(self.no_results, abi::DEVICE_NO_RESULTS)
    }
}

/// Where a cost comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CostSource {
    /// Nobody knows: a legal answer.
    #[default]
    Unknown,
    /// Measured on this device.
    Measured,
    /// The author says so.
    Declared,
    /// Computed from sizes and speeds.
    Modelled,
}

/// What something costs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Where it comes from.
    pub source: CostSource,
    /// Time of one run.
    pub nanoseconds: f64,
    /// Bytes read and written.
    pub bytes: u64,
}

/// Whether a device can run a node.
#[derive(Clone, Debug, PartialEq)]
pub enum Support {
    /// It can.
    Yes(Cost),
    /// It cannot.
    No {
        /// A short word: `op-unsupported`, `dtype`, `rank`, `shape-dynamic`, `attribute`, `memory`, …
        code: &'static str,
        /// The reason in a sentence.
        text: String,
    },
    /// It can while symbols stay within bounds.
    If {
        /// `batch<=8, tokens<=512`.
        bounds: String,
        /// What it then costs.
        cost: Cost,
    },
}

/// What a device says of a region.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Proposal {
    /// If it does not take the region: a node that it cannot take, if it is about one, and why.
    pub refused: Option<(Option<u32>, &'static str, String)>,
    /// What a run costs.
    pub cost: Cost,
    /// Device memory beside inputs, outputs and constants.
    pub workspace_bytes: u64,
    /// How long compiling will take, about.
    pub compile_nanoseconds: f64,
}

/// What compiling is told.
pub struct CompileRequest<'a> {
    /// Set once the host wants the call to end.
    pub cancel: &'a AtomicBool,
    /// Told how far compiling is, 0 to 1.
    pub progress: &'a dyn Fn(f32),
    /// An engine of the same region on the same device.
    pub engine: Option<&'a [u8]>,
}

impl std::fmt::Debug for CompileRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CompileRequest").field("cancel", &self.cancel).finish_non_exhaustive()
    }
}

/// What a run is told.
pub struct RunRequest<'a> {
    /// Set once the host wants the run to end.
    pub cancel: &'a AtomicBool,
    /// Told of each step as it ends; absent where nobody asks for times.
    pub profile: Option<&'a dyn Fn(&StepTime)>,
    /// The region's states, in the order of its values.
    pub states: &'a [StateRef],
}

impl std::fmt::Debug for RunRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunRequest").field("cancel", &self.cancel).finish_non_exhaustive()
    }
}

/// The time of one step of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepTime {
    /// The node's name, or what was made of several.
    pub name: String,
    /// Its operator.
    pub op: String,
    /// The kernel that ran, in the provider's words.
    pub kernel: String,
    /// The dimensions of its first output.
    pub dims: Vec<usize>,
    /// When it started, from the start of the run.
    pub start: Duration,
    /// How long it took.
    pub time: Duration,
}

/// What is known of a compiled region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProgramInfo {
    /// Device memory held between runs.
    pub resident_bytes: u64,
    /// Device memory that one run needs beside inputs and outputs.
    pub workspace_bytes: u64,
}

/// Memory of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryInfo {
    /// Bytes of memory.
    pub total_bytes: u64,
    /// Bytes that are free now.
    pub free_bytes: u64,
}

/// How much a log line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Something failed.
    Error,
    /// The user should know.
    Warn,
    /// It may interest the user.
    Info,
    /// For the provider's author.
    Debug,
}

/// What the host offers.
#[derive(Clone, Copy, Debug)]
pub struct HostServices(pub(crate) abi::Host);

// SAFETY: the contract lets every function be called from any thread.
unsafe impl Send for HostServices {}
// SAFETY: as above.
unsafe impl Sync for HostServices {}

impl HostServices {
    /// Threads that the provider may keep busy at once, its own included.
    #[must_use]
    pub fn threads(&self) -> usize {
        (self.0.threads as usize).max(1)
    }

    /// Gives the host a log line.
    pub fn log(&self, level: Level, text: &str) {
        let level = match level {
            Level::Error => abi::LOG_ERROR,
            Level::Warn => abi::LOG_WARN,
            Level::Info => abi::LOG_INFO,
            Level::Debug => abi::LOG_DEBUG,
        };
        if let Some(log) = self.0.log {
            // SAFETY: the host's function and context live as long as the instance.
            unsafe { log(self.0.context, level, borrow_text(text)) };
        }
    }
}
