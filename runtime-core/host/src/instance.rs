//! An open provider.

use std::ffi::c_void;
use std::sync::Arc;

use remuda_abi::{self as abi, InstanceHandle, KeyValue};
use remuda_bridge::{Failure, GraphExport, borrow_text, failure_of, read_text};
use remuda_ir::Graph;

use crate::{Program, Table};

/// An open provider. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Provider(pub(crate) Arc<Instance>);

#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) table: Table,
    pub(crate) handle: *mut InstanceHandle,
    /// What it was opened with.
    options: Vec<(String, String)>,
    /// Which build it is, beside its version; empty if that is all there is to say.
    build: String,
    /// What the provider was given; it may look at it as long as it is open.
    _host: Box<abi::Host>,
}

// SAFETY: the contract lets functions be called from any thread.
unsafe impl Send for Instance {}
// SAFETY: as above.
unsafe impl Sync for Instance {}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(close) = self.table.0.close {
            // SAFETY: everything made from the instance holds it, so nothing is left.
            unsafe { close(self.handle) };
        }
    }
}

/// A device of a provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    /// How calls name it.
    pub index: u32,
    /// `cpu`, `cuda`, …
    pub kind: String,
    /// Its name, for people.
    pub name: String,
    /// What tells it from its twins and stays the same over restarts.
    pub unique_id: String,
    /// The driver and its version.
    pub driver: String,
    /// Why it cannot be used, if it cannot.
    pub unusable: Option<String>,
    /// Bytes of memory.
    pub total_bytes: u64,
    /// Whether its memory is the host's.
    pub host_memory: bool,
    /// Whether its results mean nothing: it is used only where the user names it.
    pub no_results: bool,
}

/// What a provider says a node costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Price {
    /// One of the contract's `COST_…` numbers.
    pub source: u32,
    /// Time of one run.
    pub nanoseconds: f64,
    /// Bytes read and written.
    pub bytes: u64,
}

/// Whether a device can run a node.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It can.
    Yes(Price),
    /// It cannot.
    No {
        /// A short word.
        code: String,
        /// The reason in a sentence.
        text: String,
    },
    /// It can while symbols stay within bounds.
    If {
        /// The bounds, as the provider wrote them.
        bounds: String,
        /// What it then costs.
        price: Price,
    },
}

impl Provider {
    /// Opens a provider.
    ///
    /// # Errors
    /// What the provider says.
    pub fn open(table: Table, threads: usize, options: &[(&str, &str)]) -> Result<Self, Failure> {
        let host = Box::new(abi::Host {
            struct_size: size_of::<abi::Host>(),
            abi_major: abi::ABI_MAJOR,
            abi_minor: abi::ABI_MINOR,
            context: std::ptr::null_mut(),
            threads: u32::try_from(threads).unwrap_or(u32::MAX),
            reserved: 0,
            log: None,
            parallel: None,
        });
        let pairs: Vec<KeyValue> = options
            .iter()
            .map(|(key, value)| KeyValue { key: borrow_text(key), value: borrow_text(value) })
            .collect();
        let mut handle = std::ptr::null_mut();
        let open = table.0.open.ok_or_else(|| lacks("open"))?;
        // SAFETY: the pointers live during the call, the host struct as long as the instance.
        let status =
            unsafe { open(&raw const *host, pairs.as_ptr(), pairs.len(), &raw mut handle) };
        // SAFETY: a status of the provider.
        ended(unsafe { failure_of(status) })?;
        if handle.is_null() {
            return Err(Failure::Internal("it opened and gave no instance".into()));
        }
        let own = |text: &&str| (*text).to_owned();
        let options = options.iter().map(|(key, value)| (own(key), own(value))).collect();
        Ok(Self(Arc::new(Instance { table, handle, options, build: String::new(), _host: host })))
    }

    /// The same, known to be of this build, of which several may have one version.
    #[must_use]
    pub fn of_build(mut self, build: String) -> Self {
        // Nobody shares it yet.
        if let Some(instance) = Arc::get_mut(&mut self.0) {
            instance.build = build;
        }
        self
    }

    /// Which build it is, beside its version.
    #[must_use]
    pub fn build(&self) -> &str {
        &self.0.build
    }

    /// Whether it works in a process of its own.
    #[must_use]
    pub fn is_in_worker(&self) -> bool {
        self.0.table.is_in_worker()
    }

    /// The provider's name.
    #[must_use]
    pub fn name(&self) -> String {
        self.0.table.name()
    }

    /// The options that it was opened with.
    #[must_use]
    pub fn options(&self) -> &[(String, String)] {
        &self.0.options
    }

    /// The provider's version.
    #[must_use]
    pub fn version(&self) -> String {
        self.0.table.version()
    }

    /// Every device, usable or not.
    ///
    /// # Errors
    /// What the provider says.
    pub fn devices(&self) -> Result<Vec<Device>, Failure> {
        let mut found: Vec<Device> = Vec::new();
        let call = self.0.table.0.devices.ok_or_else(|| lacks("devices"))?;
        // SAFETY: the context is ours and lives during the call.
        let status = unsafe { call(self.0.handle, (&raw mut found).cast(), emit_device) };
        // SAFETY: a status of the provider.
        ended(unsafe { failure_of(status) })?;
        Ok(found)
    }

    /// Asks about every node of a graph, in order. A node that the provider does not answer for is
    /// one that it cannot run.
    ///
    /// # Errors
    /// What the provider says.
    pub fn query(
        &self,
        device: u32,
        graph: &GraphExport,
        nodes: usize,
    ) -> Result<Vec<Answer>, Failure> {
        let silent =
            Answer::No { code: "silent".into(), text: "the provider did not answer".into() };
        let mut answers = vec![silent; nodes];
        let call = self.0.table.0.query.ok_or_else(|| lacks("query"))?;
        // SAFETY: the graph and the context live during the call.
        let status = unsafe {
            call(self.0.handle, device, graph.as_ptr(), (&raw mut answers).cast(), emit_support)
        };
        // SAFETY: a status of the provider.
        ended(unsafe { failure_of(status) })?;
        Ok(answers)
    }

    /// Compiles a region whose operators are of this opset.
    ///
    /// # Errors
    /// What the provider says.
    pub fn compile(&self, device: u32, region: Graph, opset: u32) -> Result<Program, Failure> {
        self.compile_with(device, region, opset, None)
    }

    /// Compiles a region, from an engine that [`Program::engine`] gave for the same region on the same
    /// device.
    ///
    /// # Errors
    /// What the provider says.
    pub fn compile_with(
        &self,
        device: u32,
        region: Graph,
        opset: u32,
        engine: Option<&[u8]>,
    ) -> Result<Program, Failure> {
        Program::compile(self, device, region, opset, engine)
    }
}

/// What a call came to.
pub(crate) fn ended(failure: Option<Failure>) -> Result<(), Failure> {
    failure.map_or(Ok(()), Err)
}

pub(crate) fn lacks(function: &str) -> Failure {
    Failure::Unsupported { node: None, text: format!("the provider does not offer `{function}`") }
}

unsafe extern "C" fn emit_device(context: *mut c_void, device: *const abi::DeviceInfo) {
    // SAFETY: the context is the list that `devices` gave.
    let found = unsafe { &mut *context.cast::<Vec<Device>>() };
    // SAFETY: the provider's struct lives during the call.
    let Some(info) = (unsafe { device.as_ref() }) else { return };
    if info.struct_size < size_of::<abi::DeviceInfo>() || found.len() >= MAX_DEVICES {
        return;
    }
    // SAFETY: texts of the provider live during the call.
    let text = |text| unsafe { read_text(text) };
    let reason = text(info.reason);
    found.push(Device {
        index: info.index,
        kind: text(info.kind),
        name: text(info.name),
        unique_id: text(info.unique_id),
        driver: text(info.driver),
        unusable: (info.usable != 1).then(|| {
            if reason.is_empty() { "the provider gives no reason".to_owned() } else { reason }
        }),
        total_bytes: info.total_bytes,
        host_memory: info.flags & abi::DEVICE_HOST_MEMORY != 0,
        no_results: info.flags & abi::DEVICE_NO_RESULTS != 0,
    });
}

/// More devices than any machine has: a provider that tells of more is not believed.
const MAX_DEVICES: usize = 1024;

unsafe extern "C" fn emit_support(context: *mut c_void, node: u32, support: *const abi::Support) {
    // SAFETY: the context is the list that `query` gave.
    let answers = unsafe { &mut *context.cast::<Vec<Answer>>() };
    // SAFETY: the provider's struct lives during the call.
    let (Some(place), Some(support)) =
        (answers.get_mut(node as usize), unsafe { support.as_ref() })
    else {
        return;
    };
    if support.struct_size < size_of::<abi::Support>() {
        return;
    }
    // SAFETY: texts of the provider live during the call.
    let text = |text| unsafe { read_text(text) };
    let cost = support.cost;
    let price = Price { source: cost.source, nanoseconds: cost.nanoseconds, bytes: cost.bytes };
    *place = match support.answer {
        abi::SUPPORT_YES => Answer::Yes(price),
        abi::SUPPORT_IF => Answer::If { bounds: text(support.bounds), price },
        _ => Answer::No { code: text(support.code), text: text(support.text) },
    };
}
