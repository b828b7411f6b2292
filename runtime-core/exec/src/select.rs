//! From the names that a user gives to targets in order of preference: one meaning everywhere.
//!
//! A name is `auto`, a provider (`fake`), a kind of device (`gpu`), both (`fake:gpu`), or a whole
//! target (`fake:gpu:1`). `auto` means every device whose results mean something. The CPU finishes what nobody
//! else takes and is always the last, asked for or not, unless the contract forbids falling back.
//!
//! One list does for many machines: a backend that is not there, or cannot be used, is left out of the
//! selection, which says so. A name that no backend anywhere has is a mistake and refused.

use remuda_base::nearest;
use remuda_plan::Policy;

use crate::target::Target;

/// Targets in order of preference, the CPU last.
#[derive(Clone, Debug)]
pub struct Selection {
    /// The targets. The last one is the CPU.
    pub targets: Vec<Target>,
    /// Whether the CPU was asked for by name, or everything was by `auto`: then what runs there is
    /// no fallback.
    pub cpu_wanted: bool,
    /// What decides: the order of the list, or cost where the list says `auto`.
    pub policy: Policy,
    /// The backends of the list that cannot be had here.
    pub missing: Vec<SelectError>,
}

/// Names that backends of other machines have: kinds of devices, and the providers that are a library of
/// their own. What is none of these and not here is a spelling mistake.
const ELSEWHERE: [&str; 22] = [
    "cann",
    "coreml",
    "cuda",
    "directml",
    "dml",
    "ggml",
    "gpu",
    "metal",
    "migraphx",
    "nnapi",
    "npu",
    "onnxruntime",
    "opencl",
    "openvino",
    "qnn",
    "rocm",
    "sycl",
    "tensorrt",
    "vulkan",
    "webgpu",
    "wgpu",
    "xnnpack",
];

/// Why a backend, or a list of them, cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// Nothing has this name.
    #[error("backend `{name}` is not available, expected one of: {known}{hint}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
        /// The nearest name, in words.
        hint: String,
    },
    /// It is one that other machines have.
    #[error("backend `{name}` is not available, only: {known}")]
    Absent {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// It is there and cannot be used.
    #[error("backend `{name}` cannot be used: {reason}")]
    Unusable {
        /// What was asked for.
        name: String,
        /// The provider's words.
        reason: String,
    },
    /// The list names nothing.
    #[error("expected at least one backend, got an empty list")]
    Empty,
}

impl Selection {
    /// The targets that `wishes` name among `available`, then `cpu`.
    ///
    /// # Errors
    /// When a name means nothing anywhere, or there is none.
    pub fn new(
        wishes: &[impl AsRef<str>],
        available: &[Target],
        cpu: Target,
    ) -> Result<Self, SelectError> {
        Self::among(wishes, available, &[], cpu)
    }

    /// As [`Self::new`]; `unopened` are providers that cannot be used at all, each with the reason.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn among(
        wishes: &[impl AsRef<str>],
        available: &[Target],
        unopened: &[(String, String)],
        cpu: Target,
    ) -> Result<Self, SelectError> {
        if wishes.is_empty() {
            return Err(SelectError::Empty);
        }
        let mut targets: Vec<Target> = Vec::new();
        let mut auto = false;
        let mut cpu_named = false;
        let mut missing = Vec::new();
        for wish in wishes.iter().map(AsRef::as_ref) {
            if wish.eq_ignore_ascii_case("auto") {
                auto = true;
                let fit = |t: &&Target| t.device.unusable.is_none() && !t.device.no_results;
                add(&mut targets, available.iter().filter(fit));
            } else if cpu.answers_to(wish) {
                cpu_named = true;
            } else {
                match named(wish, available, unopened, &cpu) {
                    Ok(found) => add(&mut targets, found.into_iter()),
                    Err(unknown @ SelectError::Unknown { .. }) => return Err(unknown),
                    Err(reason) => missing.push(reason),
                }
            }
        }
        targets.retain(|target| target.name != cpu.name);
        targets.push(cpu);
        let policy = if auto { Policy::Cost } else { Policy::Priority };
        Ok(Self { targets, cpu_wanted: cpu_named || auto, policy, missing })
    }
}

fn add<'t>(targets: &mut Vec<Target>, more: impl Iterator<Item = &'t Target>) {
    for target in more {
        if !targets.iter().any(|known| known.name == target.name) {
            targets.push(target.clone());
        }
    }
}

/// The usable targets of one name.
fn named<'t>(
    wish: &str,
    available: &'t [Target],
    unopened: &[(String, String)],
    cpu: &Target,
) -> Result<Vec<&'t Target>, SelectError> {
    let found: Vec<&Target> = available.iter().filter(|target| target.answers_to(wish)).collect();
    let usable: Vec<&Target> =
        found.iter().copied().filter(|target| target.device.unusable.is_none()).collect();
    if !usable.is_empty() {
        return Ok(usable);
    }
    let name = wish.to_owned();
    if let Some(reason) = found.first().and_then(|target| target.device.unusable.clone()) {
        return Err(SelectError::Unusable { name, reason });
    }
    let owner = wish.split(':').next().unwrap_or_default();
    if let Some((_, reason)) = unopened.iter().find(|(known, _)| known.eq_ignore_ascii_case(owner))
    {
        return Err(SelectError::Unusable { name, reason: reason.clone() });
    }
    let mut known = vec!["auto".to_owned(), cpu.name.to_string()];
    for target in available {
        known.extend([target.provider.name(), target.device.kind.clone(), target.name.to_string()]);
    }
    known.sort();
    known.dedup();
    if ELSEWHERE.iter().any(|elsewhere| elsewhere.eq_ignore_ascii_case(owner)) {
        return Err(SelectError::Absent { name, known: known.join(", ") });
    }
    let near = nearest(wish, known.iter().map(String::as_str).chain(ELSEWHERE));
    let hint = near.map_or(String::new(), |near| format!(", did you mean `{near}`?"));
    Err(SelectError::Unknown { name, known: known.join(", "), hint })
}
