//! The values of one run, each in every memory that it has reached so far.

use std::sync::Arc;

use remuda_host::{DeviceTensor, Failure, Operand};
use remuda_ir::Val;
use remuda_tensor::DType;

use crate::program::Flow;
use crate::receipt::Moved;
use crate::target::{Place, Target};

/// One value of a run.
#[derive(Debug, Default)]
struct Slot {
    host: Option<Val>,
    /// Copies in memory of devices, by the place of the target.
    devices: Vec<(usize, DeviceTensor)>,
}

/// The values of one run.
pub(crate) struct Slots<'a> {
    slots: Vec<Slot>,
    targets: &'a [Target],
    pub(crate) moved: Moved,
}

fn missing(slot: usize) -> Failure {
    Failure::Internal(format!("the host lost value {slot}"))
}

impl<'a> Slots<'a> {
    pub(crate) fn new(flow: &Flow, inputs: &[Val], targets: &'a [Target]) -> Self {
        let mut slots: Vec<Slot> =
            (0..flow.slots.max(inputs.len())).map(|_| Slot::default()).collect();
        let constants = flow.constants.iter().map(|(slot, val)| (*slot, val));
        for (slot, val) in inputs.iter().enumerate().chain(constants) {
            slots[slot].host = Some(val.clone());
        }
        Self { slots, targets, moved: Moved::default() }
    }

    /// The value where a target can use it.
    pub(crate) fn fetch(&mut self, slot: usize, target: usize) -> Result<Operand, Failure> {
        let owner = &self.targets[target];
        if owner.place() != Place::Own {
            return self.host(slot).map(Operand::Host);
        }
        let held = self.slots[slot].devices.iter().find(|(at, _)| *at == target);
        if let Some((_, tensor)) = held {
            return Ok(Operand::Device(tensor.clone()));
        }
        if let Some(tensor) = self.copied(slot, target) {
            return Ok(Operand::Device(tensor));
        }
        let tensor = match self.host(slot)? {
            Val::Tensor(tensor) if tensor.dtype() != DType::String => tensor,
            other => return Ok(Operand::Host(other)),
        };
        let tensor = DeviceTensor::upload(&owner.provider, owner.device.index, &tensor)?;
        self.moved.uploaded += tensor.bytes();
        self.slots[slot].devices.push((target, tensor.clone()));
        Ok(Operand::Device(tensor))
    }

    /// Bytes that have to be copied before a target can use the value.
    pub(crate) fn missing_bytes(&self, slot: usize, target: usize) -> u64 {
        let Slot { host, devices } = &self.slots[slot];
        let is_there = if self.targets[target].place() == Place::Own {
            devices.iter().any(|(at, _)| *at == target)
        } else {
            host.is_some()
        };
        match (is_there, host, devices.first()) {
            (true, ..) => 0,
            (_, Some(Val::Tensor(tensor)), _) => tensor.byte_len() as u64,
            (_, _, Some((_, tensor))) => tensor.bytes(),
            _ => 0,
        }
    }

    /// A copy made without the host, if another device of the same provider has the value and the
    /// provider can do that.
    fn copied(&mut self, slot: usize, target: usize) -> Option<DeviceTensor> {
        let owner = &self.targets[target];
        let near = self.slots[slot].devices.iter().find(|(at, _)| {
            *at != target && self.targets[*at].provider.name() == owner.provider.name()
        });
        let tensor = near?.1.copy_to(owner.device.index).ok()?;
        self.moved.between += tensor.bytes();
        self.slots[slot].devices.push((target, tensor.clone()));
        Some(tensor)
    }

    /// The value in host memory.
    pub(crate) fn host(&mut self, slot: usize) -> Result<Val, Failure> {
        if let Some(val) = &self.slots[slot].host {
            return Ok(val.clone());
        }
        let (_, tensor) = self.slots[slot].devices.first().ok_or_else(|| missing(slot))?;
        let val = Val::from(tensor.to_host()?);
        self.moved.downloaded += tensor.bytes();
        self.slots[slot].host = Some(val.clone());
        Ok(val)
    }

    /// Which target holds a value that is not in host memory.
    pub(crate) fn holder(&self, slot: usize) -> Option<(usize, Arc<str>)> {
        let slot = self.slots.get(slot).filter(|slot| slot.host.is_none())?;
        slot.devices.first().map(|(at, _)| (*at, Arc::clone(&self.targets[*at].name)))
    }

    pub(crate) fn put(&mut self, slot: usize, target: usize, made: Operand) {
        match made {
            Operand::Host(val) => self.slots[slot].host = Some(val),
            Operand::Device(tensor) => self.slots[slot].devices.push((target, tensor)),
        }
    }

    pub(crate) fn free(&mut self, slot: usize) {
        self.slots[slot] = Slot::default();
    }
}
