//! What the system tells of this machine, for `remuda doctor`.
//!
//! Everything comes from files of the system; what a system does not have is left out.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// A graphics card or accelerator that the system sees, whether a provider uses it or not.
#[derive(Debug)]
pub(crate) struct Card {
    /// Its name, or its numbers.
    pub(crate) name: String,
    /// The driver that the system has for it.
    pub(crate) driver: Option<String>,
}

impl Card {
    pub(crate) fn json(&self) -> Value {
        json!({ "name": self.name, "driver": self.driver })
    }
}

/// What the system tells of this machine.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) caches: Vec<String>,
    pub(crate) numa_nodes: Option<usize>,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) available_bytes: Option<u64>,
    pub(crate) cards: Vec<Card>,
}

impl Machine {
    pub(crate) fn look() -> Self {
        let cpu = proc_line("/proc/cpuinfo", "model name");
        let limit = cgroup_limit();
        let within = |bytes: u64| limit.map_or(bytes, |limit| bytes.min(limit));
        Self {
            cpu: cpu.unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            caches: caches(),
            numa_nodes: entries("/sys/devices/system/node", "node").map(|nodes| nodes.len()),
            memory_bytes: memory("MemTotal").map(within),
            available_bytes: memory("MemAvailable").map(within),
            cards: nvidia_cards().into_iter().chain(drm_cards()).collect(),
        }
    }
}

fn line(path: impl AsRef<Path>) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn proc_line(file: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn memory(key: &str) -> Option<u64> {
    let kilobytes: u64 =
        proc_line("/proc/meminfo", key)?.split_whitespace().next()?.parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// The limit of this process's control group.
fn cgroup_limit() -> Option<u64> {
    line("/sys/fs/cgroup/memory.max")?.parse().ok()
}

/// The entries of a folder that are called `prefix` and a number, sorted.
fn entries(folder: &str, prefix: &str) -> Option<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).ok()?;
    let is_one = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.strip_prefix(prefix)
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let mut found: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_one).collect();
    found.sort();
    Some(found)
}

/// `L1 data 32K`, `L2 1024K`, …
fn caches() -> Vec<String> {
    let folders = entries("/sys/devices/system/cpu/cpu0/cache", "index").unwrap_or_default();
    let cache = |folder: &PathBuf| {
        let (level, size) = (line(folder.join("level"))?, line(folder.join("size"))?);
        let kind = line(folder.join("type"))?.to_lowercase();
        let kind = if kind == "unified" { String::new() } else { format!(" {kind}") };
        Some(format!("L{level}{kind} {size}"))
    };
    folders.iter().filter_map(cache).collect()
}

/// Cards of NVIDIA's own driver, which may have no place among the system's.
fn nvidia_cards() -> Vec<Card> {
    let Ok(folders) = fs::read_dir("/proc/driver/nvidia/gpus") else { return Vec::new() };
    let version = line("/sys/module/nvidia/version").unwrap_or_default();
    let card = |folder: PathBuf| {
        let name = proc_line(&folder.join("information").to_string_lossy(), "Model")?;
        Some(Card { name, driver: Some(format!("nvidia {version}").trim().to_owned()) })
    };
    folders.filter_map(|entry| card(entry.ok()?.path())).collect()
}

fn drm_cards() -> Vec<Card> {
    let folders = entries("/sys/class/drm", "card").unwrap_or_default();
    let card = |folder: &PathBuf| {
        let device = folder.join("device");
        let vendor = line(device.join("vendor"))?;
        let driver = fs::canonicalize(device.join("driver")).ok();
        let driver = driver.and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
        // NVIDIA's own driver tells more of its cards above.
        if driver.as_deref() == Some("nvidia") {
            return None;
        }
        let maker = match vendor.as_str() {
            "0x10de" => "NVIDIA",
            "0x1002" => "AMD",
            "0x8086" => "Intel",
            other => other,
        };
        let number = line(device.join("device")).unwrap_or_default();
        Some(Card { name: format!("{maker} {number}"), driver })
    };
    folders.iter().filter_map(card).collect()
}
