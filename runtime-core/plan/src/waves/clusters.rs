//! Contracts vertices that are in one wave whatever the sequence of providers.
//!
//! Three rules: vertices of one owner with the same predecessors become ready together; a vertex
//! whose only predecessor has its owner runs with it; and so does one whose other predecessors that
//! predecessor waits for too.

use remuda_base::Map;

use crate::graph::Graph;

/// The contracted graph; clusters are numbered in topological order.
#[derive(Debug)]
pub(crate) struct Clusters {
    pub(crate) graph: Graph,
    pub(crate) owner: Vec<u8>,
}

/// Contracts `graph` under the assignment `owner`.
pub(crate) fn contract(graph: &Graph, owner: &[u8]) -> Clusters {
    let mut cluster_of = vec![0u32; graph.len()];
    let mut preds: Vec<Vec<u32>> = Vec::new();
    let mut owners: Vec<u8> = Vec::new();
    let mut known: Map<(u8, Vec<u32>), u32> = Map::new();
    for &vertex in &graph.topo {
        let mine = owner[vertex as usize];
        let mut waits: Vec<u32> =
            graph.preds.of(vertex as usize).iter().map(|&p| cluster_of[p as usize]).collect();
        waits.sort_unstable();
        waits.dedup();
        let host = waits.iter().copied().find(|&host| {
            let others = &preds[host as usize];
            owners[host as usize] == mine
                && waits.iter().all(|w| *w == host || others.binary_search(w).is_ok())
        });
        cluster_of[vertex as usize] = host.unwrap_or_else(|| {
            *known.entry((mine, waits)).or_insert_with_key(|(_, waits)| {
                preds.push(waits.clone());
                owners.push(mine);
                owners.len() as u32 - 1
            })
        });
    }
    let edges = preds
        .iter()
        .zip(0u32..)
        .flat_map(|(waits, cluster)| waits.iter().map(move |&before| (before, cluster)))
        .collect();
    // Every edge goes from a smaller to a larger number, so there is no cycle to report.
    let graph = Graph::new(owners.len(), edges).unwrap_or_else(|_| graph.clone());
    Clusters { graph, owner: owners }
}
