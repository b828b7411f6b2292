//! From the names that a user gives to targets in order of preference: one meaning everywhere.
//!
//! A name is `auto`, a provider (`fake`), a kind of device (`gpu`), both (`fake:gpu`), or a whole
//! target (`fake:gpu:1`). `auto` means every device whose results mean something. The CPU finishes what nobody else takes and is always the last, asked for
//! or not, unless the contract forbids falling back.

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
}

/// Why a list of backends cannot be had.
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
    /// When a name means nothing here or everything it means cannot be used.
    pub fn new(
        wishes: &[impl AsRef<str>],
        available: &[Target],
        cpu: Target,
    ) -> Result<Self, SelectError> {
        if wishes.is_empty() {
            return Err(SelectError::Empty);
        }
        let mut targets: Vec<Target> = Vec::new();
        let mut auto = false;
        let mut cpu_named = false;
        for wish in wishes.iter().map(AsRef::as_ref) {
            if wish.eq_ignore_ascii_case("auto") {
                auto = true;
                let fit = |t: &&Target| t.device.unusable.is_none() && !t.device.no_results;
                add(&mut targets, available.iter().filter(fit));
            } else if cpu.answers_to(wish) {
                cpu_named = true;
            } else {
                add(&mut targets, named(wish, available, &cpu)?.into_iter());
            }
        }
        targets.retain(|target| target.name != cpu.name);
        targets.push(cpu);
        let policy = if auto { Policy::Cost } else { Policy::Priority };
        Ok(Self { targets, cpu_wanted: cpu_named || auto, policy })
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
    cpu: &Target,
) -> Result<Vec<&'t Target>, SelectError> {
    let found: Vec<&Target> = available.iter().filter(|target| target.answers_to(wish)).collect();
    let usable: Vec<&Target> =
        found.iter().copied().filter(|target| target.device.unusable.is_none()).collect();
    if !usable.is_empty() {
        return Ok(usable);
    }
    if let Some(reason) = found.first().and_then(|target| target.device.unusable.clone()) {
        return Err(SelectError::Unusable { name: wish.to_owned(), reason });
    }
    let mut known = vec!["auto".to_owned(), cpu.name.to_string()];
    for target in available {
        known.extend([target.provider.name(), target.device.kind.clone(), target.name.to_string()]);
    }
    known.sort();
    known.dedup();
    let near = nearest(wish, known.iter().map(String::as_str));
    let hint = near.map_or(String::new(), |near| format!(", did you mean `{near}`?"));
    Err(SelectError::Unknown { name: wish.to_owned(), known: known.join(", "), hint })
}
