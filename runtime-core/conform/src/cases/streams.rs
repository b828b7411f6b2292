//! Streams and events, for devices that have them.
//!
//! What is put into a stream may be done at any time until the stream is waited for; an event orders two
//! streams. What copies speak of outlives the streams here, so that none of them can be done too late.

use std::ffi::c_void;
use std::ptr::null_mut;

use remuda_abi::{BufferHandle, EventHandle, StreamHandle};
use remuda_host::Failure;

use super::abi::read_all;
use super::memory::Raw;
use super::raw::{Compiling, Exported, Instance, ended, need, release};
use crate::bench::{Bench, Refused, Sample, Verdict, claimed, told};

const BYTES: u64 = 4096;

/// A stream of the table, freed when it is dropped.
struct Stream<'i> {
    instance: &'i Instance,
    device: u32,
    handle: *mut StreamHandle,
}

impl<'i> Stream<'i> {
    fn new(instance: &'i Instance, device: u32) -> Result<Self, Refused> {
        let none = || Refused::NotTaken("it has no streams".to_owned());
        let create = instance.table.create_stream.ok_or_else(none)?;
        let mut handle = null_mut();
        // SAFETY: the place is ours.
        match ended(unsafe { create(instance.handle, device, &raw mut handle) }) {
            Ok(()) if handle.is_null() => Err("it makes a stream and gives none".to_owned().into()),
            Ok(()) => Ok(Self { instance, device, handle }),
            Err(Failure::Unsupported { .. }) => Err(none()),
            Err(failure) => Err(format!("it makes no stream: {failure}").into()),
        }
    }

    fn upload(&self, buffer: *mut BufferHandle, data: &[u8]) -> Result<(), Failure> {
        let call = need(self.instance.table.upload, "upload")?;
        let (from, len) = (data.as_ptr().cast::<c_void>(), data.len() as u64);
        // SAFETY: the buffer is alive; callers keep the bytes until the stream is waited for.
        ended(unsafe { call(buffer, 0, from, len, self.handle) })
    }

    fn download(&self, buffer: *mut BufferHandle, into: &mut [u8]) -> Result<(), Failure> {
        let call = need(self.instance.table.download, "download")?;
        let (to, len) = (into.as_mut_ptr().cast::<c_void>(), into.len() as u64);
        // SAFETY: as above.
        ended(unsafe { call(buffer, 0, to, len, self.handle) })
    }

    fn wait(&self) -> Result<(), Failure> {
        let call = need(self.instance.table.synchronize, "synchronize")?;
        // SAFETY: the stream is alive.
        ended(unsafe { call(self.instance.handle, self.device, self.handle) })
    }

    /// Marks its present end.
    fn record(&self) -> Result<Event<'i>, Failure> {
        let call = need(self.instance.table.record_event, "record_event")?;
        let mut handle = null_mut();
        // SAFETY: the stream is alive, the place is ours.
        ended(unsafe { call(self.handle, &raw mut handle) })?;
        if handle.is_null() {
            return Err(Failure::Internal("it records an event and gives none".to_owned()));
        }
        Ok(Event { instance: self.instance, handle })
    }

    fn wait_for(&self, event: &Event<'_>) -> Result<(), Failure> {
        let call = need(self.instance.table.wait_event, "wait_event")?;
        // SAFETY: both are alive.
        ended(unsafe { call(self.handle, event.handle) })
    }
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        if let Some(free) = self.instance.table.free_stream {
            // SAFETY: the handle came from `create_stream` and is freed once.
            unsafe { free(self.handle) };
        }
    }
}

/// An event of the table, freed when it is dropped.
struct Event<'i> {
    instance: &'i Instance,
    handle: *mut EventHandle,
}

impl Drop for Event<'_> {
    fn drop(&mut self) {
        if let Some(free) = self.instance.table.free_event {
            // SAFETY: the handle came from `record_event` and is freed once.
            unsafe { free(self.handle) };
        }
    }
}

fn pattern(step: usize) -> Vec<u8> {
    (0..=255).cycle().step_by(step).take(4096).collect()
}

/// Copies of one stream are done in their order, and are done when it has been waited for.
pub(super) fn order(bench: &Bench, device: u32) -> Verdict {
    claimed(|| {
        let instance = Instance::open(bench)?;
        let (first, second) = (pattern(3), pattern(7));
        let (mut got, mut again) = (pattern(1), pattern(1));
        let buffer = buffer(&instance, device)?;
        let stream = Stream::new(&instance, device)?;
        let failed = told("a copy in a stream fails");
        stream.upload(buffer.handle(), &first).map_err(&failed)?;
        stream.download(buffer.handle(), &mut got).map_err(&failed)?;
        stream.upload(buffer.handle(), &second).map_err(&failed)?;
        stream.download(buffer.handle(), &mut again).map_err(&failed)?;
        stream.wait().map_err(told("a stream cannot be waited for"))?;
        if got == first && again == second {
            return Ok(());
        }
        Err("copies of one stream are not done in their order".to_owned().into())
    })
}

/// What waits for an event comes after what was in the other stream when it was recorded.
pub(super) fn events(bench: &Bench, device: u32) -> Verdict {
    claimed(|| {
        let instance = Instance::open(bench)?;
        [3, 5, 7, 11].into_iter().try_for_each(|step| event(&instance, device, step))
    })
}

fn event(instance: &Instance, device: u32, step: usize) -> Result<(), Refused> {
    let (given, mut got) = (pattern(step), pattern(1));
    let buffer = buffer(instance, device)?;
    let (one, other) = (Stream::new(instance, device)?, Stream::new(instance, device)?);
    let failed = told("a call on streams and events fails");
    one.upload(buffer.handle(), &given).map_err(&failed)?;
    let event = one.record().map_err(&failed)?;
    other.wait_for(&event).map_err(&failed)?;
    other.download(buffer.handle(), &mut got).map_err(&failed)?;
    other.wait().map_err(&failed)?;
    one.wait().map_err(&failed)?;
    if got == given {
        return Ok(());
    }
    Err("a stream does not wait for an event of another".to_owned().into())
}

/// A buffer on a device that has memory of its own.
fn buffer(instance: &Instance, device: u32) -> Result<Raw<'_>, Refused> {
    if instance.table.allocate.is_none() {
        return Err(Refused::NotTaken("it has no memory of its own".to_owned()));
    }
    Ok(Raw::new(instance, device, BYTES).map_err(told("it does not allocate"))?)
}

/// A run in a stream is right once the stream has been waited for.
pub(super) fn runs(bench: &Bench, device: u32) -> Verdict {
    claimed(|| {
        let sample = Sample::find(&bench.device(device)?, 24, 3)?;
        let instance = Instance::open(bench)?;
        let stream = Stream::new(&instance, device)?;
        let program = instance.compile(device, &sample.graph, &Compiling::default());
        let program = program.map_err(told("it does not compile"))?;
        let inputs = Exported::new(&sample.inputs);
        let outputs = program.run_in(stream.handle, &inputs.0).map_err(told("a run fails"))?;
        stream.wait().map_err(told("a stream cannot be waited for"))?;
        sample.check(&read_all(&instance, &outputs)?)?;
        outputs.iter().for_each(release);
        Ok(())
    })
}

/// Handles that are null are refused where something must be, and freeing them does nothing.
pub(super) fn null_handles(bench: &Bench, device: u32) -> Verdict {
    claimed(|| {
        let instance = Instance::open(bench)?;
        let stream = Stream::new(&instance, device)?;
        let refused = |what: &str, ended: Result<(), Failure>| match ended {
            Err(Failure::Invalid(_)) => Ok(()),
            Err(failure) => Err(format!("{what} ends with: {failure}")),
            Ok(()) => Err(format!("{what} succeeds")),
        };
        let event = stream.record().map_err(told("it records no event"))?;
        let record = need(instance.table.record_event, "record_event").map_err(told("streams"))?;
        let wait = need(instance.table.wait_event, "wait_event").map_err(told("streams"))?;
        let mut place = null_mut();
        // SAFETY: the contract has null answered; what is not null is alive.
        unsafe {
            refused("`record_event` of a null stream", ended(record(null_mut(), &raw mut place)))?;
            refused("`record_event` with a null `out`", ended(record(stream.handle, null_mut())))?;
            refused("`wait_event` of a null stream", ended(wait(null_mut(), event.handle)))?;
            refused("`wait_event` for a null event", ended(wait(stream.handle, null_mut())))?;
            instance.table.free_stream.into_iter().for_each(|free| free(null_mut()));
            instance.table.free_event.into_iter().for_each(|free| free(null_mut()));
        }
        Ok(())
    })
}
