//! How many threads the provider may keep busy.
//!
//! A process in a container or under `taskset` must not start a thread per core of the machine: it
//! would be throttled or its threads would wait for each other.

use remuda_base::knobs::{KnobError, THREADS};

/// The thread count that the user asked for, else [`usable_cores`].
///
/// # Errors
/// When the knob holds anything but a positive number.
pub fn default_threads() -> Result<usize, KnobError> {
    Ok(THREADS.count()?.unwrap_or_else(usable_cores))
}

/// The cores that this process may use: its affinity mask, capped by the CPU quota of its control
/// groups (version 1 or 2, every ancestor, rounded down), at least one.
///
/// The standard library reads exactly these on Linux and their like elsewhere.
#[must_use]
pub fn usable_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::usable_cores;

    #[test]
    fn at_least_one_core_is_usable() {
        assert!(usable_cores() >= 1);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_affinity_mask_bounds_the_count() {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed:")).unwrap();
        let allowed: u32 = mask.chars().filter_map(|c| c.to_digit(16)).map(u32::count_ones).sum();
        assert!(usable_cores() <= usize::try_from(allowed).unwrap());
    }
}
