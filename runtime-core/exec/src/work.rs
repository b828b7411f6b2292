//! The memory that a run takes beside weights, caches, inputs and outputs: as the device says.

use remuda_base::Map;
use remuda_host::{Failure, GraphExport, Proposal, Provider};
use remuda_ir::{Graph, ValueType};
use remuda_tensor::Dim;

/// Bytes that a run of a typed graph takes on a device, with named dimensions of these sizes. A device
/// that does not say takes none.
///
/// # Errors
/// What the provider says.
pub fn work_bytes(
    graph: &Graph,
    sizes: &Map<String, usize>,
    (provider, device): (&Provider, u32),
    opset: u32,
) -> Result<u64, Failure> {
    let region = GraphExport::new(sized(graph, sizes), opset);
    Ok(match provider.propose(device, &region)? {
        Proposal::Accepted { workspace_bytes, .. } => workspace_bytes,
        Proposal::Refused { .. } => 0,
    })
}

/// The graph with numbers for named dimensions.
fn sized(graph: &Graph, sizes: &Map<String, usize>) -> Graph {
    let mut sized = graph.clone();
    for (id, value) in graph.values() {
        let Some(ValueType::Tensor(ty)) = &value.ty else { continue };
        let Some(dims) = &ty.dims else { continue };
        let known = |name: &str| sizes.get(name).copied().map(Dim::from);
        let dims = dims.iter().map(|dim| dim.substitute(&known)).collect();
        let mut ty = ty.clone();
        ty.dims = Some(dims);
        sized.set_type(id, ty.into());
    }
    sized
}
