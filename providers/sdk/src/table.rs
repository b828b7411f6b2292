//! The table of C functions of a [`Backend`].

mod memory;

use std::ffi::c_void;
use std::marker::PhantomData;
use std::sync::atomic::AtomicBool;

use remuda_abi::{self as abi, InstanceHandle, KeyValue, ProgramHandle, Provider, Status, Str};
use remuda_bridge::{Failure, borrow_text, import_graph, read_text};

use crate::backend::{
    Backend, CompileRequest, Compiled, Cost, CostSource, HostServices, RunRequest, StepTime,
    Support,
};
use crate::fence::{fence, fence_or};
use crate::state;

/// The table of a provider.
#[must_use]
pub fn table<B: Backend>() -> &'static Provider {
    &Shim::<B>::TABLE
}

struct Shim<B>(PhantomData<B>);

impl<B: Backend> Shim<B> {
    const TABLE: Provider = Provider {
        struct_size: size_of::<Provider>(),
        abi_major: abi::ABI_MAJOR,
        abi_minor: abi::ABI_MINOR,
        layout_hash: abi::LAYOUT_HASH,
        name: Str::new(B::NAME),
        version: Str::new(B::VERSION),
        score: Some(score::<B>),
        open: Some(open::<B>),
        close: Some(close::<B>),
        devices: Some(devices::<B>),
        query: Some(query::<B>),
        propose: Some(propose::<B>),
        compile: Some(compile::<B>),
        program_info: Some(program_info),
        export_engine: Some(export_engine),
        free_program: Some(free_program),
        run: Some(run),
        synchronize: Some(synchronize::<B>),
        memory_info: Some(memory_info::<B>),
        allocate: if B::DEVICE_MEMORY { Some(memory::allocate::<B>) } else { None },
        import_host: if B::DEVICE_MEMORY { Some(memory::import_host::<B>) } else { None },
        free_buffer: if B::DEVICE_MEMORY { Some(memory::free_buffer) } else { None },
        upload: if B::DEVICE_MEMORY { Some(memory::upload) } else { None },
        download: if B::DEVICE_MEMORY { Some(memory::download) } else { None },
        copy: if B::DEVICE_MEMORY { Some(memory::copy) } else { None },
        create_stream: None,
        free_stream: None,
        record_event: None,
        wait_event: None,
        free_event: None,
        state_bytes: Some(state::bytes::<B>),
        create_state: Some(state::create::<B>),
        free_state: Some(state::free),
        state_length: Some(state::length),
        truncate_state: Some(state::truncate),
        copy_state: Some(state::copy),
        export_state: Some(state::export),
        import_state: Some(state::import),
    };
}

/// A program handle is a box of this.
type Program = Box<dyn Compiled>;

pub(crate) fn null(what: &str) -> Failure {
    Failure::Invalid(format!("`{what}` is null"))
}

/// The backend behind an instance handle.
///
/// # Safety
/// `instance` must be null or come from `open::<B>` and not be closed.
pub(crate) unsafe fn backend<'a, B: Backend>(
    instance: *mut InstanceHandle,
) -> Result<&'a B, Failure> {
    // SAFETY: handed on to the caller.
    unsafe { instance.cast::<B>().as_ref() }.ok_or_else(|| null("instance"))
}

/// The program behind a handle.
///
/// # Safety
/// `program` must be null or come from `compile` and not be freed.
unsafe fn compiled<'a>(program: *mut ProgramHandle) -> Result<&'a Program, Failure> {
    // SAFETY: handed on to the caller.
    unsafe { program.cast::<Program>().as_ref() }.ok_or_else(|| null("program"))
}

/// The host's flag, as an atomic; `never` where there is none.
///
/// # Safety
/// `flag` must be null or point to a byte that is 0 or 1 and alive during the call.
unsafe fn cancel_flag(flag: *const u8, never: &AtomicBool) -> &AtomicBool {
    if flag.is_null() {
        return never;
    }
    // SAFETY: handed on to the caller; the host writes the byte atomically.
    unsafe { AtomicBool::from_ptr(flag.cast_mut().cast()) }
}

unsafe extern "C" fn score<B: Backend>() -> u32 {
    fence_or(0, B::score)
}

unsafe extern "C" fn open<B: Backend>(
    host: *const abi::Host,
    options: *const KeyValue,
    option_count: usize,
    out: *mut *mut InstanceHandle,
) -> Status {
    fence(|| {
        if host.is_null() || out.is_null() {
            return Err(null("host"));
        }
        // SAFETY: the contract: `host` is alive as long as the instance, `options` during the call.
        let (host, options) = unsafe {
            let pairs = if options.is_null() {
                &[]
            } else {
                std::slice::from_raw_parts(options, option_count)
            };
            let text = |pair: &KeyValue| (read_text(pair.key), read_text(pair.value));
            (*host, pairs.iter().map(text).collect::<Vec<_>>())
        };
        let backend = Box::new(B::open(HostServices(host), &options)?);
        // SAFETY: `out` is not null and the host's to be written.
        unsafe { *out = Box::into_raw(backend).cast() };
        Ok(())
    })
}

unsafe extern "C" fn close<B: Backend>(instance: *mut InstanceHandle) {
    if !instance.is_null() {
        // SAFETY: the handle is the box of `open` and is closed once.
        fence_or((), || drop(unsafe { Box::from_raw(instance.cast::<B>()) }));
    }
}

unsafe extern "C" fn devices<B: Backend>(
    instance: *mut InstanceHandle,
    context: *mut c_void,
    emit: unsafe extern "C" fn(context: *mut c_void, device: *const abi::DeviceInfo),
) -> Status {
    fence(|| {
        // SAFETY: the contract.
        let backend = unsafe { backend::<B>(instance) }?;
        for (index, device) in (0u32..).zip(backend.devices()) {
            let reason = device.unusable.as_deref();
            let info = abi::DeviceInfo {
                struct_size: size_of::<abi::DeviceInfo>(),
                index,
                usable: u32::from(reason.is_none()),
                kind: borrow_text(&device.kind),
                name: borrow_text(&device.name),
                unique_id: borrow_text(&device.unique_id),
                driver: borrow_text(&device.driver),
                reason: borrow_text(reason.unwrap_or("")),
                total_bytes: device.total_bytes,
                flags: device.flags(),
            };
            // SAFETY: the host's callback; `info` lives during the call.
            unsafe { emit(context, &raw const info) };
        }
        Ok(())
    })
}

fn cost(cost: Cost) -> abi::Cost {
    let source = match cost.source {
        CostSource::Unknown => abi::COST_UNKNOWN,
        CostSource::Measured => abi::COST_MEASURED,
        CostSource::Declared => abi::COST_DECLARED,
        CostSource::Modelled => abi::COST_MODELLED,
    };
    abi::Cost { source, reserved: 0, nanoseconds: cost.nanoseconds, bytes: cost.bytes }
}

unsafe extern "C" fn query<B: Backend>(
    instance: *mut InstanceHandle,
    device: u32,
    graph: *const abi::Graph,
    context: *mut c_void,
    emit: unsafe extern "C" fn(context: *mut c_void, node: u32, support: *const abi::Support),
) -> Status {
    fence(|| {
        // SAFETY: the contract.
        let backend = unsafe { backend::<B>(instance) }?;
        // SAFETY: the contract.
        let graph = unsafe { import_graph(graph.as_ref().ok_or_else(|| null("graph"))?) }?;
        for (at, answer) in (0u32..).zip(backend.supports_operations(device, &graph)) {
            let mut support = abi::Support {
                struct_size: size_of::<abi::Support>(),
                answer: abi::SUPPORT_YES,
                reserved: 0,
                cost: cost(Cost::default()),
                code: Str::empty(),
                text: Str::empty(),
                bounds: Str::empty(),
            };
            match &answer {
                Support::Yes(price) => support.cost = cost(*price),
                Support::No { code, text } => {
                    support.answer = abi::SUPPORT_NO;
                    support.code = borrow_text(code);
                    support.text = borrow_text(text);
                }
                Support::If { bounds, cost: price } => {
                    support.answer = abi::SUPPORT_IF;
                    support.bounds = borrow_text(bounds);
                    support.cost = cost(*price);
                }
            }
            // SAFETY: the host's callback; `support` lives during the call.
            unsafe { emit(context, at, &raw const support) };
        }
        Ok(())
    })
}

unsafe extern "C" fn propose<B: Backend>(
    instance: *mut InstanceHandle,
    device: u32,
    region: *const abi::Graph,
    context: *mut c_void,
    emit: unsafe extern "C" fn(context: *mut c_void, proposal: *const abi::Proposal),
) -> Status {
    fence(|| {
        // SAFETY: the contract.
        let backend = unsafe { backend::<B>(instance) }?;
        // SAFETY: the contract.
        let region = unsafe { import_graph(region.as_ref().ok_or_else(|| null("region"))?) }?;
        let answer = backend.propose(device, &region);
        let (node, code, text) = match &answer.refused {
            Some((node, code, text)) => (*node, *code, text.as_str()),
            None => (None, "", ""),
        };
        let proposal = abi::Proposal {
            struct_size: size_of::<abi::Proposal>(),
            accepted: u32::from(answer.refused.is_none()),
            refused_node: node.unwrap_or(u32::MAX),
            cost: cost(answer.cost),
            workspace_bytes: answer.workspace_bytes,
            compile_nanoseconds: answer.compile_nanoseconds,
            code: borrow_text(code),
            text: borrow_text(text),
        };
        // SAFETY: the host's callback; `proposal` lives during the call.
        unsafe { emit(context, &raw const proposal) };
        Ok(())
    })
}

unsafe extern "C" fn compile<B: Backend>(
    instance: *mut InstanceHandle,
    device: u32,
    region: *const abi::Graph,
    options: *const abi::CompileOptions,
    out: *mut *mut ProgramHandle,
) -> Status {
    fence(|| {
        if out.is_null() {
            return Err(null("out"));
        }
        // SAFETY: the contract.
        let backend = unsafe { backend::<B>(instance) }?;
        // SAFETY: the contract; constants are held by reference.
        let region = unsafe { import_graph(region.as_ref().ok_or_else(|| null("region"))?) }?;
        // SAFETY: the contract.
        let options = unsafe { options.as_ref() }.ok_or_else(|| null("options"))?;
        let never = AtomicBool::new(false);
        let progress = |fraction: f32| {
            if let Some(progress) = options.progress {
                // SAFETY: the host's callback and context.
                unsafe { progress(options.context, fraction) };
            }
        };
        let engine = (!options.engine.is_null()).then(|| {
            // SAFETY: the contract: `engine_bytes` readable bytes.
            unsafe { std::slice::from_raw_parts(options.engine, options.engine_bytes) }
        });
        // SAFETY: the contract.
        let cancel = unsafe { cancel_flag(options.cancel, &never) };
        let request = CompileRequest { cancel, progress: &progress, engine };
        let program: Program = backend.compile_subgraph(device, region, &request)?;
        // SAFETY: `out` is not null and the host's to be written.
        unsafe { *out = Box::into_raw(Box::new(program)).cast() };
        Ok(())
    })
}

unsafe extern "C" fn program_info(
    program: *mut ProgramHandle,
    out: *mut abi::ProgramInfo,
) -> Status {
    fence(|| {
        // SAFETY: the contract.
        let info = unsafe { compiled(program) }?.info();
        // SAFETY: the contract.
        let out = unsafe { out.as_mut() }.ok_or_else(|| null("out"))?;
        out.resident_bytes = info.resident_bytes;
        out.workspace_bytes = info.workspace_bytes;
        Ok(())
    })
}

unsafe extern "C" fn export_engine(
    program: *mut ProgramHandle,
    context: *mut c_void,
    write: unsafe extern "C" fn(context: *mut c_void, bytes: *const u8, len: usize) -> u32,
) -> Status {
    fence(|| {
        // SAFETY: the contract.
        let engine = unsafe { compiled(program) }?.export_engine();
        let unsupported =
            || Failure::Unsupported { node: None, text: "there is no engine to export".into() };
        let engine = engine.ok_or_else(unsupported)?;
        // SAFETY: the host's callback; the bytes live during the call.
        unsafe { write(context, engine.as_ptr(), engine.len()) };
        Ok(())
    })
}

unsafe extern "C" fn free_program(program: *mut ProgramHandle) {
    if !program.is_null() {
        // SAFETY: the handle is the box of `compile` and is freed once.
        fence_or((), || drop(unsafe { Box::from_raw(program.cast::<Program>()) }));
    }
}

unsafe extern "C" fn run(program: *mut ProgramHandle, args: *const abi::RunArgs) -> Status {
    fence(|| {
        // SAFETY: the contract.
        let (program, args) =
            unsafe { (compiled(program)?, args.as_ref().ok_or_else(|| null("args"))?) };
        if (args.inputs.is_null() && args.input_count > 0)
            || (args.outputs.is_null() && args.output_count > 0)
        {
            return Err(null("inputs or outputs"));
        }
        let mut inputs = Vec::with_capacity(args.input_count);
        for at in 0..args.input_count {
            // SAFETY: the contract: there are `input_count` values.
            inputs.push(unsafe { memory::take(&*args.inputs.add(at)) }?);
        }
        // SAFETY: the contract.
        let states = unsafe { state::states_of(args) }?;
        let never = AtomicBool::new(false);
        // SAFETY: the contract.
        let cancel = unsafe { cancel_flag(args.cancel, &never) };
        let report = |step: &StepTime| {
            if let Some(profile) = args.profile {
                emit_step(step, |step| {
                    // SAFETY: the host's callback and context; the struct lives during the call.
                    unsafe { profile(args.context, step) }
                });
            }
        };
        let profile: Option<&dyn Fn(&StepTime)> =
            if args.profile.is_some() { Some(&report) } else { None };
        let request = RunRequest { cancel, profile, states: &states };
        let outputs = program.execute_on_device(inputs, &request)?;
        if outputs.len() != args.output_count {
            let text = format!("it made {} outputs of {}", outputs.len(), args.output_count);
            return Err(Failure::Internal(text));
        }
        for (at, operand) in outputs.into_iter().enumerate() {
            // SAFETY: the contract: there are `output_count` places to be written.
            unsafe { memory::give(operand, &mut *args.outputs.add(at)) }?;
        }
        Ok(())
    })
}

/// Shows a step as the contract carries it.
fn emit_step(step: &StepTime, emit: impl FnOnce(*const abi::StepTime)) {
    let dims: Vec<i64> =
        step.dims.iter().map(|&dim| i64::try_from(dim).unwrap_or(i64::MAX)).collect();
    let nanoseconds =
        |time: std::time::Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let step = abi::StepTime {
        struct_size: size_of::<abi::StepTime>(),
        name: borrow_text(&step.name),
        op: borrow_text(&step.op),
        kernel: borrow_text(&step.kernel),
        rank: dims.len(),
        dims: dims.as_ptr(),
        start_nanoseconds: nanoseconds(step.start),
        nanoseconds: nanoseconds(step.time),
    };
    emit(&raw const step);
}

unsafe extern "C" fn synchronize<B: Backend>(
    instance: *mut InstanceHandle,
    device: u32,
    _stream: *mut abi::StreamHandle,
) -> Status {
    // SAFETY: the contract.
    fence(|| unsafe { backend::<B>(instance) }?.synchronize(device))
}

unsafe extern "C" fn memory_info<B: Backend>(
    instance: *mut InstanceHandle,
    device: u32,
    out: *mut abi::MemoryInfo,
) -> Status {
    fence(|| {
        // SAFETY: the contract.
        let info = unsafe { backend::<B>(instance) }?.memory_info(device)?;
        // SAFETY: the contract.
        let out = unsafe { out.as_mut() }.ok_or_else(|| null("out"))?;
        out.total_bytes = info.total_bytes;
        out.free_bytes = info.free_bytes;
        Ok(())
    })
}
