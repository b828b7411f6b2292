//! The adapters of this machine, or why there is none.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use remuda_sdk::{Failure, MemoryInfo};

use super::{Gpu, block_on, limits_of};

/// An adapter; its device is opened when it is first used.
#[derive(Debug)]
pub(crate) struct Found {
    adapter: wgpu::Adapter,
    pub(crate) info: wgpu::AdapterInfo,
    /// What the user lets kernels see of a buffer.
    most: Option<u64>,
    open: Mutex<Option<Arc<Gpu>>>,
}

impl Found {
    /// `vulkan`, `metal` or `dx12`.
    pub(crate) fn kind(&self) -> &'static str {
        self.info.backend.to_str()
    }

    /// What says which of several like adapters this is, also after a restart.
    pub(crate) fn unique_id(&self) -> String {
        let wgpu::AdapterInfo { vendor, device, device_pci_bus_id: place, .. } = &self.info;
        let place = if place.is_empty() { "0" } else { place };
        format!("{}-{vendor:04x}-{device:04x}-{place}", self.kind())
    }

    /// The machine's memory where the adapter uses that; nothing else is known of.
    pub(crate) fn memory(&self) -> MemoryInfo {
        if !shares_host(&self.info) {
            return MemoryInfo::default();
        }
        let (total_bytes, free_bytes) = remuda_base::memory::total_and_available();
        MemoryInfo { total_bytes, free_bytes }
    }

    /// Why it cannot be used.
    pub(crate) fn unusable(&self) -> Option<String> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lost) = open.as_ref().and_then(|gpu| gpu.lost()) {
            return Some(format!("the device was lost: {lost}"));
        }
        limits_of(&self.adapter, self.most).err()
    }

    /// The device, opened if it is not.
    pub(crate) fn open(&self) -> Result<Arc<Gpu>, Failure> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gpu) = &*open {
            return match gpu.lost() {
                Some(lost) => Err(Failure::DeviceLost(lost)),
                None => Ok(Arc::clone(gpu)),
            };
        }
        let unsupported = |text| Failure::Unsupported { node: None, text };
        let gpu = Arc::new(Gpu::open(&self.adapter, self.most).map_err(unsupported)?);
        *open = Some(Arc::clone(&gpu));
        Ok(gpu)
    }
}

/// Whether an adapter's memory is the machine's.
pub(super) fn shares_host(info: &wgpu::AdapterInfo) -> bool {
    matches!(info.device_type, wgpu::DeviceType::Cpu | wgpu::DeviceType::IntegratedGpu)
}

/// The adapters: those with memory of their own first, those in software last. Their kernels are to see so much of a
/// buffer at most.
pub(crate) fn find(most: Option<u64>) -> Result<Vec<Found>, String> {
    let backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends,
        flags: wgpu::InstanceFlags::empty(),
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    let mut adapters = block_on(instance.enumerate_adapters(backends));
    adapters.sort_by_key(|adapter| match adapter.get_info().device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    });
    if adapters.is_empty() {
        return Err(Missing::here().to_string());
    }
    let found = |adapter: wgpu::Adapter| {
        let info = adapter.get_info();
        Found { adapter, info, most, open: Mutex::new(None) }
    };
    Ok(adapters.into_iter().map(found).collect())
}

/// What of Vulkan lies where it is looked for.
struct Missing {
    loader: Option<PathBuf>,
    drivers: Vec<PathBuf>,
}

/// Folders of libraries.
const LIBRARIES: &[&str] = &[
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
];
const LOADER: &str = "libvulkan.so.1";
/// Folders in which drivers are announced to the loader.
const DRIVERS: &[&str] =
    &["/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/etc/vulkan/icd.d"];

impl Missing {
    fn here() -> Self {
        let loader = LIBRARIES.iter().map(|folder| Path::new(folder).join(LOADER));
        let announced = |folder: &&str| {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            entries.map(|entry| entry.path()).collect::<Vec<_>>()
        };
        let mut drivers: Vec<PathBuf> = DRIVERS.iter().flat_map(announced).collect();
        drivers.sort();
        Self { loader: loader.into_iter().find(|path| path.exists()), drivers }
    }
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no adapter was found")?;
        if cfg!(any(windows, target_vendor = "apple")) {
            return f.write_str(": install the driver of the graphics card");
        }
        match (&self.loader, &self.drivers[..]) {
            (None, _) => write!(
                f,
                ": the Vulkan loader `{LOADER}` is not there; install it (`libvulkan1` on Debian \
                 and Ubuntu) and the driver of the graphics card, or `mesa-vulkan-drivers`"
            ),
            (Some(loader), []) => write!(
                f,
                ": the Vulkan loader is `{}`, but no driver is announced in {}; install the \
                 driver of the graphics card, or `mesa-vulkan-drivers`",
                loader.display(),
                DRIVERS.join(", ")
            ),
            (Some(_), drivers) => {
                let names: Vec<_> = drivers.iter().map(|path| path.display().to_string()).collect();
                write!(
                    f,
                    " by any driver ({}); see what `vulkaninfo --summary` says, or install \
                     `mesa-vulkan-drivers`, which computes on the processor",
                    names.join(", ")
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Missing;

    #[test]
    fn the_reason_names_what_is_missing_and_what_to_install() {
        let reason = |loader: Option<&str>, drivers: &[&str]| {
            let drivers = drivers.iter().map(Into::into).collect();
            Missing { loader: loader.map(Into::into), drivers }.to_string()
        };
        let none = reason(None, &[]);
        assert!(none.contains("libvulkan.so.1") && none.contains("libvulkan1"), "{none}");
        let bare = reason(Some("/usr/lib/libvulkan.so.1"), &[]);
        assert!(bare.contains("no driver") && bare.contains("mesa-vulkan-drivers"), "{bare}");
        let broken = reason(Some("/usr/lib/libvulkan.so.1"), &["/etc/vulkan/icd.d/x.json"]);
        assert!(broken.contains("x.json") && broken.contains("vulkaninfo"), "{broken}");
    }
}
