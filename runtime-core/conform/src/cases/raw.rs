//! The functions of the table as they are: for what no careful host would do.
//!
//! Whatever is handed over here is a struct of the contract with a tail behind it, as from a host of a
//! later minor version; [`Grown::is_untouched`] tells whether the provider wrote there.

use std::ffi::c_void;

use remuda_abi::{self as abi, InstanceHandle, KeyValue, ProgramHandle, Status, Value};
use remuda_bridge::{Failure, GraphExport, borrow_text, export, failure_of};
use remuda_ir::{Graph, Val};
use remuda_ops::NEWEST_OPSET;

use crate::bench::Bench;

const TAIL: u64 = 0xa5a5_5a5a_dead_beef;

/// A struct of the contract from a host that knows more fields.
#[repr(C)]
pub(crate) struct Grown<T> {
    pub(crate) known: T,
    tail: [u64; 8],
}

impl<T> Grown<T> {
    /// `known` must have the size of `Self` as its `struct_size`.
    pub(crate) fn new(known: T) -> Box<Self> {
        Box::new(Self { known, tail: [TAIL; 8] })
    }

    pub(crate) fn is_untouched(&self) -> bool {
        self.tail == [TAIL; 8]
    }
}

/// How a call ended.
pub(crate) fn ended(status: Status) -> Result<(), Failure> {
    // SAFETY: a status that a provider has just given, read once.
    unsafe { failure_of(status) }.map_or(Ok(()), Err)
}

/// A function of the table.
pub(crate) fn need<T>(function: Option<T>, name: &str) -> Result<T, Failure> {
    function.ok_or_else(|| Failure::Unsupported {
        node: None,
        text: format!("the provider does not offer `{name}`"),
    })
}

/// What the host offers.
pub(crate) fn host() -> Box<Grown<abi::Host>> {
    Grown::new(abi::Host {
        struct_size: size_of::<Grown<abi::Host>>(),
        abi_major: abi::ABI_MAJOR,
        abi_minor: abi::ABI_MINOR + 1,
        context: std::ptr::null_mut(),
        threads: 2,
        reserved: 0,
        log: None,
        parallel: None,
    })
}

/// An open provider.
pub(crate) struct Instance {
    pub(crate) table: &'static abi::Provider,
    pub(crate) handle: *mut InstanceHandle,
    pub(crate) host: Box<Grown<abi::Host>>,
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(close) = self.table.close {
            // SAFETY: the handle came from `open`; the cases free what they made from it first.
            unsafe { close(self.handle) };
        }
    }
}

impl Instance {
    pub(crate) fn open(bench: &Bench) -> Result<Self, String> {
        Self::open_with(bench, &bench.options)
            .map_err(|failure| format!("it cannot be opened: {failure}"))
    }

    pub(crate) fn open_with(bench: &Bench, options: &[(String, String)]) -> Result<Self, Failure> {
        let (table, host) = (bench.table.raw(), host());
        let pairs: Vec<KeyValue> = options
            .iter()
            .map(|(key, value)| KeyValue { key: borrow_text(key), value: borrow_text(value) })
            .collect();
        let open = need(table.open, "open")?;
        let mut handle = std::ptr::null_mut();
        // SAFETY: the host struct lives as long as the instance, the rest during the call.
        let status =
            unsafe { open(&raw const host.known, pairs.as_ptr(), pairs.len(), &raw mut handle) };
        ended(status)?;
        if handle.is_null() {
            return Err(Failure::Internal("it opened and gave no instance".to_owned()));
        }
        Ok(Self { table, handle, host })
    }

    /// Compiles a graph that is handed over with a tail.
    pub(crate) fn compile(
        &self,
        device: u32,
        graph: &Graph,
        how: &Compiling<'_>,
    ) -> Result<Program<'_>, Failure> {
        let region = GraphExport::new(graph.clone(), NEWEST_OPSET);
        let grown = grown_graph(&region);
        let cancel = u8::from(how.cancelled);
        let mut wrong_progress = None;
        let options = Grown::new(abi::CompileOptions {
            struct_size: size_of::<Grown<abi::CompileOptions>>(),
            context: (&raw mut wrong_progress).cast(),
            progress: how
                .watched
                .then_some(note_progress as unsafe extern "C" fn(*mut c_void, f32)),
            cancel: &raw const cancel,
            engine: how.engine.map_or(std::ptr::null(), <[u8]>::as_ptr),
            engine_bytes: how.engine.map_or(0, <[u8]>::len),
        });
        let compile = need(self.table.compile, "compile")?;
        let mut handle = std::ptr::null_mut();
        // SAFETY: everything lives during the call, the constants of `region` as long as the program.
        let status = unsafe {
            compile(
                self.handle,
                device,
                &raw const grown.known,
                &raw const options.known,
                &raw mut handle,
            )
        };
        ended(status)?;
        if !options.is_untouched() || !grown.is_untouched() {
            return Err(Failure::Internal("it wrote behind a struct of the host".to_owned()));
        }
        if handle.is_null() {
            return Err(Failure::Internal("it compiled and gave no program".to_owned()));
        }
        let outputs = graph.outputs.len();
        Ok(Program { instance: self, handle, outputs, wrong_progress, _region: region })
    }
}

/// How to compile.
#[derive(Clone, Copy, Default)]
pub(crate) struct Compiling<'a> {
    /// The host wants it to end.
    pub(crate) cancelled: bool,
    /// The host wants to know how far it is.
    pub(crate) watched: bool,
    pub(crate) engine: Option<&'a [u8]>,
}

unsafe extern "C" fn note_progress(context: *mut c_void, fraction: f32) {
    // SAFETY: the context is the place that `compile` gave.
    let wrong = unsafe { &mut *context.cast::<Option<f32>>() };
    if !(0.0..=1.0).contains(&fraction) {
        *wrong = Some(fraction);
    }
}

/// A graph as a host of a later minor version gives it.
pub(crate) fn grown_graph(export: &GraphExport) -> Box<Grown<abi::Graph>> {
    // SAFETY: the export is alive; the struct is plain data.
    let graph = unsafe { *export.as_ptr() };
    Grown::new(abi::Graph { struct_size: size_of::<Grown<abi::Graph>>(), ..graph })
}

/// A compiled region.
pub(crate) struct Program<'i> {
    instance: &'i Instance,
    pub(crate) handle: *mut ProgramHandle,
    outputs: usize,
    /// A progress that was told and cannot be.
    pub(crate) wrong_progress: Option<f32>,
    _region: GraphExport,
}

impl Drop for Program<'_> {
    fn drop(&mut self) {
        if let Some(free) = self.instance.table.free_program {
            // SAFETY: the handle came from `compile` and is freed once.
            unsafe { free(self.handle) };
        }
    }
}

impl Program<'_> {
    /// Runs it over values of the contract; gives its outputs, each with one reference.
    pub(crate) fn run(&self, inputs: &[Value]) -> Result<Vec<Value>, Failure> {
        self.run_in(std::ptr::null_mut(), inputs)
    }

    /// Runs it with places for its outputs.
    pub(crate) fn run_to(&self, inputs: &[Value], places: &mut [Value]) -> Result<(), Failure> {
        self.call(std::ptr::null_mut(), inputs, places)
    }

    /// Runs it in a stream, or, where that is null, to its end.
    pub(crate) fn run_in(
        &self,
        stream: *mut abi::StreamHandle,
        inputs: &[Value],
    ) -> Result<Vec<Value>, Failure> {
        let mut outputs = vec![Value::none(); self.outputs];
        self.call(stream, inputs, &mut outputs)?;
        Ok(outputs)
    }

    fn call(
        &self,
        stream: *mut abi::StreamHandle,
        inputs: &[Value],
        outputs: &mut [Value],
    ) -> Result<(), Failure> {
        let args = Grown::new(abi::RunArgs {
            struct_size: size_of::<Grown<abi::RunArgs>>(),
            inputs: inputs.as_ptr(),
            input_count: inputs.len(),
            outputs: outputs.as_mut_ptr(),
            output_count: outputs.len(),
            states: std::ptr::null(),
            state_count: 0,
            stream,
            cancel: std::ptr::null(),
            context: std::ptr::null_mut(),
            profile: None,
        });
        let run = need(self.instance.table.run, "run")?;
        // SAFETY: everything lives during the call.
        let status = unsafe { run(self.handle, &raw const args.known) };
        ended(status)?;
        if args.is_untouched() {
            return Ok(());
        }
        Err(Failure::Internal("it wrote behind a struct of the host".to_owned()))
    }
}

/// Values as the contract carries them; their references are given up on drop.
pub(crate) struct Exported(pub(crate) Vec<Value>);

impl Exported {
    pub(crate) fn new(vals: &[Val]) -> Self {
        Self(vals.iter().map(export).collect())
    }
}

impl Drop for Exported {
    fn drop(&mut self) {
        self.0.iter().for_each(release);
    }
}

/// Gives up a reference to a value.
pub(crate) fn release(value: &Value) {
    if let Some(release) = value.release {
        // SAFETY: a reference that the caller has, given up once.
        unsafe { release(value.owner) };
    }
}
