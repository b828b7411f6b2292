//! Devices that may run nodes, by the names that users give and reports show.

use std::sync::Arc;

use remuda_base::Map;
use remuda_host::{Device, Failure, Provider};

/// Where a target keeps what it works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In host memory: values are used and made without copies.
    Host,
    /// In memory of its own that the host fills and reads.
    Own,
    /// In memory of its own that it fills and reads itself: it takes and gives host values.
    Hidden,
}

/// How closely a name means a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Closeness {
    /// It means all devices of a provider, or all of a kind.
    ProviderOrKind,
    /// It means all devices of a kind that a provider has.
    KindOfProvider,
    /// It is the whole name.
    Device,
}

/// A device that may run nodes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Target {
    /// How it is called: `cpu`, `fake:gpu`, and with a number where there are several of a kind.
    pub name: Arc<str>,
    /// Whose it is.
    pub provider: Provider,
    /// The device.
    pub device: Device,
}

impl Target {
    /// Every device of a provider, usable or not.
    ///
    /// # Errors
    /// When the provider cannot say.
    pub fn all_of(provider: &Provider) -> Result<Vec<Self>, Failure> {
        let devices = provider.devices()?;
        let owner = provider.name();
        let mut of_kind: Map<String, usize> = Map::new();
        let mut targets = Vec::with_capacity(devices.len());
        for device in devices {
            let number = of_kind.entry(device.kind.clone()).or_insert(0);
            let mut name = if device.kind == owner {
                owner.clone()
            } else {
                format!("{owner}:{}", device.kind)
            };
            if *number > 0 {
                name.push_str(&format!(":{number}"));
            }
            *number += 1;
            targets.push(Self { name: name.into(), provider: provider.clone(), device });
        }
        Ok(targets)
    }

    /// Where it keeps what it works on.
    #[must_use]
    pub fn place(&self) -> Place {
        match (self.device.host_memory, self.provider.has_device_memory()) {
            (true, _) => Place::Host,
            (false, true) => Place::Own,
            (false, false) => Place::Hidden,
        }
    }

    /// Whether it computes on the processor, in this very process: it does not hang as a driver or another
    /// process may.
    pub(crate) fn is_processor(&self) -> bool {
        self.device.kind == "cpu" && !self.provider.is_in_worker()
    }

    /// Whether `wish` names it: by provider, by kind, by both, or by its whole name.
    #[must_use]
    pub fn answers_to(&self, wish: &str) -> bool {
        self.closeness(wish).is_some()
    }

    /// How closely `wish` names it, if it does.
    pub(crate) fn closeness(&self, wish: &str) -> Option<Closeness> {
        let (owner, kind) = (self.provider.name(), self.device.kind.as_str());
        let both = format!("{owner}:{kind}");
        let is = |known: &str| known.eq_ignore_ascii_case(wish);
        // The first of several goes without a number.
        let is_first = *self.name == both && is(&format!("{both}:0"));
        if is(&self.name) || is_first {
            Some(Closeness::Device)
        } else if is(&both) {
            Some(Closeness::KindOfProvider)
        } else {
            (is(&owner) || is(kind)).then_some(Closeness::ProviderOrKind)
        }
    }
}
