//! The table of a provider and what its functions take and give.

use core::ffi::c_void;

use crate::{Graph, Host, Status, Str, Value};

macro_rules! handles {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[repr(C)]
        #[derive(Debug)]
        pub struct $name {
            _opaque: [u8; 0],
        }
    )*};
}

handles! {
    /// An open provider.
    InstanceHandle,
    /// A compiled region.
    ProgramHandle,
    /// Memory of a device.
    BufferHandle,
    /// An order of work on a device.
    StreamHandle,
    /// A point in a stream.
    EventHandle,
    /// State that outlives runs: a key/value cache.
    StateHandle,
}

/// An option: text to text. Frozen within a major version.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct KeyValue {
    /// The name.
    pub key: Str,
    /// The value.
    pub value: Str,
}

/// Its memory is the host's: values in host memory are used and made without copies.
pub const DEVICE_HOST_MEMORY: u64 = 1;
/// It has streams and events.
pub const DEVICE_STREAMS: u64 = 1 << 1;
/// It can use host memory in place through `import_host`.
pub const DEVICE_IMPORTS_HOST: u64 = 1 << 2;
/// Its results mean nothing: it is there to try or to measure the way to it. The host expects nothing of
/// what it computes, and uses it only where the user names it.
pub const DEVICE_NO_RESULTS: u64 = 1 << 3;

/// A device, or the reason why there is none.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct DeviceInfo {
    /// Bytes of this struct as the provider knows it.
    pub struct_size: usize,
    /// How calls name it.
    pub index: u32,
    /// 1 if it can be used; 0 if `reason` says why not.
    pub usable: u32,
    /// `cpu`, `cuda`, `metal`, `rocm`, `vulkan`, …
    pub kind: Str,
    /// Its name, for people.
    pub name: Str,
    /// What stays the same over restarts and tells it from its twins.
    pub unique_id: Str,
    /// The driver and its version, or empty.
    pub driver: Str,
    /// Why it cannot be used, in words that a user can act on.
    pub reason: Str,
    /// Bytes of memory.
    pub total_bytes: u64,
    /// [`DEVICE_HOST_MEMORY`], …
    pub flags: u64,
}

/// Nobody knows.
pub const COST_UNKNOWN: u32 = 0;
/// It was measured on this device.
pub const COST_MEASURED: u32 = 1;
/// The provider's author says so.
pub const COST_DECLARED: u32 = 2;
/// Computed from sizes and speeds.
pub const COST_MODELLED: u32 = 3;

/// What something costs. Frozen within a major version.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// [`COST_UNKNOWN`], …: unknown is a legal answer.
    pub source: u32,
    /// Zero.
    pub reserved: u32,
    /// Time of one run.
    pub nanoseconds: f64,
    /// Bytes read and written.
    pub bytes: u64,
}

/// It can run the node.
pub const SUPPORT_YES: u32 = 1;
/// It cannot; `code` and `text` say why.
pub const SUPPORT_NO: u32 = 2;
/// It can when the dimensions stay within `bounds`.
pub const SUPPORT_IF: u32 = 3;

/// Whether a device can run a node.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Support {
    /// Bytes of this struct as the provider knows it.
    pub struct_size: usize,
    /// [`SUPPORT_YES`], …; the host takes anything else as [`SUPPORT_NO`].
    pub answer: u32,
    /// Zero.
    pub reserved: u32,
    /// What a run of the node costs.
    pub cost: Cost,
    /// A short word for the reason: `op-unsupported`, `dtype`, `rank`, `shape-dynamic`, `attribute`,
    /// `memory`, …
    pub code: Str,
    /// The reason in a sentence.
    pub text: Str,
    /// For [`SUPPORT_IF`]: symbol bounds as text, `batch<=8, tokens<=512`.
    pub bounds: Str,
}

/// What a device says of a whole region.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Proposal {
    /// Bytes of this struct as the provider knows it.
    pub struct_size: usize,
    /// 1 if it takes the region as it stands.
    pub accepted: u32,
    /// If not: a node that it cannot take, or `u32::MAX`.
    pub refused_node: u32,
    /// What a run of the region costs.
    pub cost: Cost,
    /// Device memory beside inputs, outputs and constants.
    pub workspace_bytes: u64,
    /// How long compiling will take, about.
    pub compile_nanoseconds: f64,
    /// Why not: code and sentence.
    pub code: Str,
    /// Why not: code and sentence.
    pub text: Str,
}

/// What compiling is told.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct CompileOptions {
    /// Bytes of this struct as the host knows it.
    pub struct_size: usize,
    /// Handed to the callbacks.
    pub context: *mut c_void,
    /// Told how far compiling is, 0 to 1. May be null.
    pub progress: Option<unsafe extern "C" fn(context: *mut c_void, fraction: f32)>,
    /// Not zero once the host wants the call to end. May be null.
    pub cancel: *const u8,
    /// An engine that `export_engine` gave for the same region on the same device, or null.
    pub engine: *const u8,
    /// Bytes at `engine`.
    pub engine_bytes: usize,
}

/// What is known of a program.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ProgramInfo {
    /// Bytes of this struct as the host knows it; the provider writes no further.
    pub struct_size: usize,
    /// Device memory that it holds between runs: packed weights, engines.
    pub resident_bytes: u64,
    /// Device memory that one run needs beside inputs, outputs and states.
    pub workspace_bytes: u64,
}

/// What a run takes and gives.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct RunArgs {
    /// Bytes of this struct as the host knows it.
    pub struct_size: usize,
    /// Inputs, in the order of the region's.
    pub inputs: *const Value,
    /// How many inputs.
    pub input_count: usize,
    /// Outputs, in the order of the region's: see [`Value`] for who owns what.
    pub outputs: *mut Value,
    /// How many outputs.
    pub output_count: usize,
    /// States, in the order of the region's.
    pub states: *const *mut StateHandle,
    /// How many states.
    pub state_count: usize,
    /// The stream to run in, or null: then the outputs are there when the call returns.
    pub stream: *mut StreamHandle,
    /// Not zero once the host wants the run to end. May be null.
    pub cancel: *const u8,
    /// Handed to `profile`.
    pub context: *mut c_void,
    /// Told of each step as it ends. May be null: then no times need be taken.
    pub profile: Option<unsafe extern "C" fn(context: *mut c_void, step: *const StepTime)>,
}

/// The time of one step of a run.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct StepTime {
    /// Bytes of this struct as the provider knows it.
    pub struct_size: usize,
    /// The node's name, or what was made of several.
    pub name: Str,
    /// Its operator.
    pub op: Str,
    /// The kernel that ran, in the provider's words.
    pub kernel: Str,
    /// How many dimensions its first output has.
    pub rank: usize,
    /// Dimensions of its first output.
    pub dims: *const i64,
    /// When it started, in nanoseconds from the start of the run.
    pub start_nanoseconds: u64,
    /// How long it took.
    pub nanoseconds: u64,
}

/// A state to be made: a key/value cache.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct StateDesc {
    /// Bytes of this struct as the host knows it.
    pub struct_size: usize,
    /// How cached elements are stored.
    pub dtype: u32,
    /// Key/value heads.
    pub heads: u32,
    /// Elements of a key.
    pub key_dim: u32,
    /// Elements of a value.
    pub value_dim: u32,
    /// Sequences that may be alive at once, named from 0 on.
    pub sequences: u32,
    /// Zero.
    pub reserved: u32,
    /// Positions in all, over all sequences.
    pub capacity: u64,
    /// Only so many last positions are read; 0 for all.
    pub window: u64,
}

/// Takes bytes that a provider gives out, piece by piece; returns 0 to go on.
pub type WriteFn = unsafe extern "C" fn(context: *mut c_void, bytes: *const u8, len: usize) -> u32;

/// The table of a provider. Functions may be called from any thread, several at once, but never two
/// on one stream or one state. A null function is one that the provider does not offer; those marked
/// *required* must be there.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Provider {
    /// Bytes of this struct as the provider knows it.
    pub struct_size: usize,
    /// The provider's [`crate::ABI_MAJOR`].
    pub abi_major: u32,
    /// The provider's [`crate::ABI_MINOR`].
    pub abi_minor: u32,
    /// The provider's [`crate::LAYOUT_HASH`].
    pub layout_hash: u64,
    /// Its name: `cpu`, `ggml`, …
    pub name: Str,
    /// Its version.
    pub version: Str,

    /// *Required.* How well this build fits this machine: 0 not at all, else the highest wins among
    /// builds of one provider.
    pub score: Option<unsafe extern "C" fn() -> u32>,
    /// *Required.* Opens an instance.
    pub open: Option<
        unsafe extern "C" fn(
            host: *const Host,
            options: *const KeyValue,
            option_count: usize,
            out: *mut *mut InstanceHandle,
        ) -> Status,
    >,
    /// *Required.* Closes an instance after everything made from it was freed.
    pub close: Option<unsafe extern "C" fn(instance: *mut InstanceHandle)>,
    /// *Required.* Tells of each device.
    pub devices: Option<
        unsafe extern "C" fn(
            instance: *mut InstanceHandle,
            context: *mut c_void,
            emit: unsafe extern "C" fn(context: *mut c_void, device: *const DeviceInfo),
        ) -> Status,
    >,

    /// *Required.* Tells for each node whether the device can run it.
    pub query: Option<
        unsafe extern "C" fn(
            instance: *mut InstanceHandle,
            device: u32,
            graph: *const Graph,
            context: *mut c_void,
            emit: unsafe extern "C" fn(context: *mut c_void, node: u32, support: *const Support),
        ) -> Status,
    >,
    /// Says whether the device takes a region, and what it would cost.
    pub propose: Option<
        unsafe extern "C" fn(
            instance: *mut InstanceHandle,
            device: u32,
            region: *const Graph,
            context: *mut c_void,
            emit: unsafe extern "C" fn(context: *mut c_void, proposal: *const Proposal),
        ) -> Status,
    >,
    /// *Required.* Compiles a region.
    pub compile: Option<
        unsafe extern "C" fn(
            instance: *mut InstanceHandle,
            device: u32,
            region: *const Graph,
            options: *const CompileOptions,
            out: *mut *mut ProgramHandle,
        ) -> Status,
    >,
    /// Tells what is known of a program.
    pub program_info:
        Option<unsafe extern "C" fn(program: *mut ProgramHandle, out: *mut ProgramInfo) -> Status>,
    /// Gives out the engine of a program, to be compiled faster next time.
    pub export_engine: Option<
        unsafe extern "C" fn(
            program: *mut ProgramHandle,
            context: *mut c_void,
            write: WriteFn,
        ) -> Status,
    >,
    /// *Required.* Frees a program.
    pub free_program: Option<unsafe extern "C" fn(program: *mut ProgramHandle)>,
    /// *Required.* Runs a program. A failed run leaves inputs and states unmodified.
    pub run:
        Option<unsafe extern "C" fn(program: *mut ProgramHandle, args: *const RunArgs) -> Status>,
    /// *Required.* Waits until everything in the stream (null: in all streams) is done.
    pub synchronize: Option<
        unsafe extern "C" fn(
            instance: *mut InstanceHandle,
            device: u32,
            stream: *mut StreamHandle,
        ) -> Status,
    >,

    /// *Required.* How much memory the device has and how much is free now.
    pub memory_info: Option<
        unsafe extern "C" fn(
            instance: *mut InstanceHandle,
            device: u32,
            out: *mut MemoryInfo,
        ) -> Status,
    >,
    /// Allocates device memory.
    pub allocate: Option<
        unsafe extern "C" fn(
            instance: *mut InstanceHandle,
            device: u32,
            bytes: u64,
            align: u64,
            out: *mut *mut BufferHandle,
        ) -> Status,
    >,
    /// Makes host memory usable by the device, without a copy; it outlives the buffer.
    pub import_host: Option<
        unsafe extern "C" fn(
            instance: *mut InstanceHandle,
            device: u32,
            data: *mut c_void,
            bytes: u64,
            out: *mut *mut BufferHandle,
        ) -> Status,
    >,
    /// Frees a buffer.
    pub free_buffer: Option<unsafe extern "C" fn(buffer: *mut BufferHandle)>,
    /// Copies from host memory to a buffer.
    pub upload: Option<
        unsafe extern "C" fn(
            buffer: *mut BufferHandle,
            offset: u64,
            data: *const c_void,
            bytes: u64,
            stream: *mut StreamHandle,
        ) -> Status,
    >,
    /// Copies from a buffer to host memory.
    pub download: Option<
        unsafe extern "C" fn(
            buffer: *mut BufferHandle,
            offset: u64,
            data: *mut c_void,
            bytes: u64,
            stream: *mut StreamHandle,
        ) -> Status,
    >,
    /// Copies between two buffers of this provider, on the same device or not.
    pub copy: Option<
        unsafe extern "C" fn(
            from: *mut BufferHandle,
            from_offset: u64,
            to: *mut BufferHandle,
            to_offset: u64,
            bytes: u64,
            stream: *mut StreamHandle,
        ) -> Status,
    >,

    /// Makes a stream.
    pub create_stream: Option<
        unsafe extern "C" fn(
            instance: *mut InstanceHandle,
            device: u32,
            out: *mut *mut StreamHandle,
        ) -> Status,
    >,
    /// Frees a stream.
    pub free_stream: Option<unsafe extern "C" fn(stream: *mut StreamHandle)>,
    /// Marks the present end of a stream.
    pub record_event: Option<
        unsafe extern "C" fn(stream: *mut StreamHandle, out: *mut *mut EventHandle) -> Status,
    >,
    /// Lets a stream wait for an event.
    pub wait_event:
        Option<unsafe extern "C" fn(stream: *mut StreamHandle, event: *mut EventHandle) -> Status>,
    /// Frees an event.
    pub free_event: Option<unsafe extern "C" fn(event: *mut EventHandle)>,

    /// Tells how many bytes a state would hold.
    pub state_bytes: Option<
        unsafe extern "C" fn(
            instance: *mut InstanceHandle,
            device: u32,
            desc: *const StateDesc,
            out: *mut u64,
        ) -> Status,
    >,
    /// Makes a state.
    pub create_state: Option<
        unsafe extern "C" fn(
            instance: *mut InstanceHandle,
            device: u32,
            desc: *const StateDesc,
            out: *mut *mut StateHandle,
        ) -> Status,
    >,
    /// Frees a state.
    pub free_state: Option<unsafe extern "C" fn(state: *mut StateHandle)>,
    /// How many positions a sequence has.
    pub state_length: Option<
        unsafe extern "C" fn(state: *mut StateHandle, sequence: u32, out: *mut u64) -> Status,
    >,
    /// Cuts a sequence to so many positions; 0 ends it. Fails when the sequence is shorter, or when
    /// positions that its window still reaches were given up.
    pub truncate_state:
        Option<unsafe extern "C" fn(state: *mut StateHandle, sequence: u32, length: u64) -> Status>,
    /// Makes sequence `to` a copy of the first `length` positions of `from`; memory may be shared.
    pub copy_state: Option<
        unsafe extern "C" fn(state: *mut StateHandle, from: u32, to: u32, length: u64) -> Status,
    >,
    /// Gives out positions of a sequence in the neutral form: for each position its keys, then its
    /// values, head by head, as little-endian f32.
    pub export_state: Option<
        unsafe extern "C" fn(
            state: *mut StateHandle,
            sequence: u32,
            start: u64,
            end: u64,
            context: *mut c_void,
            write: WriteFn,
        ) -> Status,
    >,
    /// Appends positions in the neutral form to a sequence.
    pub import_state: Option<
        unsafe extern "C" fn(
            state: *mut StateHandle,
            sequence: u32,
            positions: u64,
            data: *const u8,
            bytes: usize,
        ) -> Status,
    >,
}

/// Memory of a device.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct MemoryInfo {
    /// Bytes of this struct as the host knows it; the provider writes no further.
    pub struct_size: usize,
    /// Bytes of memory.
    pub total_bytes: u64,
    /// Bytes that are free now.
    pub free_bytes: u64,
}

impl Provider {
    /// Whether every required function is there; the first that is not.
    #[must_use]
    pub fn missing(&self) -> Option<&'static str> {
        let required = [
            ("score", self.score.is_some()),
            ("open", self.open.is_some()),
            ("close", self.close.is_some()),
            ("devices", self.devices.is_some()),
            ("query", self.query.is_some()),
            ("compile", self.compile.is_some()),
            ("free_program", self.free_program.is_some()),
            ("run", self.run.is_some()),
            ("synchronize", self.synchronize.is_some()),
            ("memory_info", self.memory_info.is_some()),
        ];
        required.into_iter().find(|(_, there)| !there).map(|(name, _)| name)
    }
}
