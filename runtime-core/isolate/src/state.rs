//! States that live in a worker.

use std::any::Any;
use std::ops::Range;
use std::sync::Arc;

use remuda_ir::{OpError, State, StateType, Val};
use remuda_tensor::Tensor;

use crate::link::{Link, astray};
use crate::message::{Call, Reply};
use crate::share::pack;

/// A state in a worker.
pub(crate) struct RemoteState {
    pub(crate) link: Arc<Link>,
    pub(crate) state: u64,
    pub(crate) ty: StateType,
}

impl Drop for RemoteState {
    fn drop(&mut self) {
        // A worker that is gone has freed everything.
        let _ = self.link.done(Call::FreeState(self.state));
    }
}

impl State for RemoteState {
    fn ty(&self) -> &StateType {
        &self.ty
    }

    fn length(&self, sequence: u32) -> Result<usize, OpError> {
        let call = Call::Length { state: self.state, sequence };
        match self.link.call(call, None)? {
            Reply::Number(length) => Ok(usize::try_from(length).unwrap_or(usize::MAX)),
            reply => Err(astray(&reply).into()),
        }
    }

    fn truncate(&self, sequence: u32, length: usize) -> Result<(), OpError> {
        let length = length as u64;
        self.link
            .done(Call::Truncate { state: self.state, sequence, length })
            .map_err(OpError::from)
    }

    fn copy(&self, from: u32, to: u32, length: usize) -> Result<(), OpError> {
        let length = length as u64;
        self.link.done(Call::Copy { state: self.state, from, to, length }).map_err(OpError::from)
    }

    fn export(
        &self,
        sequence: u32,
        positions: Range<usize>,
        read: &mut dyn FnMut(&[f32]),
    ) -> Result<(), OpError> {
        let (start, end) = (positions.start as u64, positions.end as u64);
        let call = Call::Export { state: self.state, sequence, start, end };
        match self.link.call(call, None)? {
            Reply::Values(values) => {
                for val in values.take()? {
                    let numbers = val.tensor()?.to_vec::<f32>()?;
                    numbers.chunks(self.ty.position_len().max(1)).for_each(&mut *read);
                }
                Ok(())
            }
            reply => Err(astray(&reply).into()),
        }
    }

    fn append(&self, sequence: u32, positions: &[f32]) -> Result<(), OpError> {
        let numbers = Val::from(Tensor::vector(positions.to_vec()));
        let (positions, _lent) = pack(&[numbers])?;
        self.link
            .done(Call::Append { state: self.state, sequence, positions })
            .map_err(OpError::from)
    }

    fn bytes(&self) -> u64 {
        0 // they are the worker's
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
