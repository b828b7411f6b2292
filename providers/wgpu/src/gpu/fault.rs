//! What a device tells of itself beside the calls: that it is lost, that something failed.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use remuda_sdk::Failure;

/// What was told so far.
#[derive(Debug, Default)]
pub(super) struct Faults {
    lost: OnceLock<String>,
    /// An error that no scope caught, until somebody is told.
    stray: Mutex<Option<String>>,
}

impl Faults {
    /// Listens to a device.
    pub(super) fn watch(self: &Arc<Self>, device: &wgpu::Device) {
        let faults = Arc::clone(self);
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            faults.note(error.to_string());
        }));
        let faults = Arc::clone(self);
        device.set_device_lost_callback(move |reason, text| {
            // The first reason is the cause of all others.
            let _ = faults.lost.set(format!("{reason:?}: {text}"));
        });
    }

    fn note(&self, text: String) {
        let mut stray = self.stray.lock().unwrap_or_else(PoisonError::into_inner);
        *stray = stray.take().or(Some(text));
    }

    pub(super) fn lost(&self) -> Option<String> {
        self.lost.get().cloned()
    }

    /// Says what went wrong since the last time.
    pub(super) fn expect_alive(&self) -> Result<(), Failure> {
        if let Some(text) = self.lost() {
            return Err(Failure::DeviceLost(text));
        }
        match self.stray.lock().unwrap_or_else(PoisonError::into_inner).take() {
            None => Ok(()),
            Some(text) => Err(Failure::Internal(format!("wgpu reports: {text}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Faults;
    use remuda_sdk::Failure;

    #[test]
    fn a_stray_error_is_told_once_and_a_loss_for_ever() {
        let faults = Faults::default();
        faults.note("first".to_owned());
        faults.note("second".to_owned());
        let Err(Failure::Internal(text)) = faults.expect_alive() else { panic!("no fault") };
        assert!(text.contains("first"), "{text}");
        assert_eq!(faults.expect_alive(), Ok(()));
        faults.lost.set("gone".to_owned()).unwrap();
        for _ in 0..2 {
            assert_eq!(faults.expect_alive(), Err(Failure::DeviceLost("gone".to_owned())));
        }
    }
}
