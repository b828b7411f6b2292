//! What a device says of a whole region before it compiles it.

use std::ffi::c_void;

use remuda_abi as abi;
use remuda_bridge::{Failure, GraphExport, failure_of, read_text};

use crate::instance::ended;
use crate::{Price, Provider};

/// What a device says of a whole region before it compiles it.
#[derive(Clone, Debug, PartialEq)]
pub enum Proposal {
    /// It takes it.
    Accepted {
        /// What a run costs.
        price: Price,
        /// Device memory beside inputs, outputs and constants.
        workspace_bytes: u64,
    },
    /// It does not.
    Refused {
        /// A node that it cannot take, by index in the region.
        node: Option<u32>,
        /// A short word.
        code: String,
        /// The reason in a sentence.
        text: String,
    },
}

impl Provider {
    /// Asks whether a device takes a region as it stands. A provider that cannot be asked takes it.
    ///
    /// # Errors
    /// What the provider says.
    pub fn propose(&self, device: u32, region: &GraphExport) -> Result<Proposal, Failure> {
        let price = Price { source: abi::COST_UNKNOWN, nanoseconds: 0.0, bytes: 0 };
        let mut said = Proposal::Accepted { price, workspace_bytes: 0 };
        let Some(call) = self.0.table.0.propose else { return Ok(said) };
        // SAFETY: the region and the context live during the call.
        let status = unsafe {
            call(self.0.handle, device, region.as_ptr(), (&raw mut said).cast(), emit_proposal)
        };
        // SAFETY: a status of the provider.
        ended(unsafe { failure_of(status) })?;
        Ok(said)
    }
}

unsafe extern "C" fn emit_proposal(context: *mut c_void, proposal: *const abi::Proposal) {
    // SAFETY: the context is the place that `propose` gave.
    let said = unsafe { &mut *context.cast::<Proposal>() };
    // SAFETY: the provider's struct lives during the call.
    let Some(proposal) = (unsafe { proposal.as_ref() }) else { return };
    if proposal.struct_size < size_of::<abi::Proposal>() {
        return;
    }
    // SAFETY: texts of the provider live during the call.
    let text = |text| unsafe { read_text(text) };
    let cost = proposal.cost;
    *said = if proposal.accepted == 1 {
        Proposal::Accepted {
            price: Price { source: cost.source, nanoseconds: cost.nanoseconds, bytes: cost.bytes },
            workspace_bytes: proposal.workspace_bytes,
        }
    } else {
        let node = (proposal.refused_node != u32::MAX).then_some(proposal.refused_node);
        Proposal::Refused { node, code: text(proposal.code), text: text(proposal.text) }
    };
}
