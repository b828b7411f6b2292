//! The order of nodes: every name is made before it is used. Files should have it, not all do.

use std::collections::BTreeSet;

use remuda_base::Map;

use crate::error::{ImportError, Result};
use crate::proto::NodeProto;

/// The places of the nodes in an order in which every name is made before it is used; the given
/// order is kept where it can be.
///
/// # Errors
/// When a name is made twice or nodes need each other in a circle.
pub(crate) fn sorted(nodes: &[NodeProto<'_>]) -> Result<Vec<usize>> {
    let makers = makers(nodes)?;
    let needs = |node: &NodeProto<'_>| -> Vec<usize> {
        node.uses().filter_map(|name| makers.get(name).copied()).collect()
    };
    let in_order = |(at, node): (usize, &NodeProto<'_>)| needs(node).iter().all(|&need| need < at);
    if nodes.iter().enumerate().all(in_order) {
        return Ok((0..nodes.len()).collect());
    }
    let mut users: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    let mut waits = Vec::with_capacity(nodes.len());
    for (at, node) in nodes.iter().enumerate() {
        let needs = needs(node);
        waits.push(needs.len());
        for need in needs {
            if let Some(users) = users.get_mut(need) {
                users.push(at);
            }
        }
    }
    let mut ready: BTreeSet<usize> =
        waits.iter().enumerate().filter(|(_, waits)| **waits == 0).map(|(at, _)| at).collect();
    let mut order = Vec::with_capacity(nodes.len());
    while let Some(at) = ready.pop_first() {
        order.push(at);
        for &user in users.get(at).into_iter().flatten() {
            let Some(wait) = waits.get_mut(user) else { continue };
            *wait = wait.saturating_sub(1);
            if *wait == 0 {
                ready.insert(user);
            }
        }
    }
    if order.len() == nodes.len() {
        return Ok(order);
    }
    let stuck = nodes.iter().zip(&waits).find(|(_, waits)| **waits > 0);
    let label = stuck.map_or_else(String::new, |(node, _)| node.label());
    Err(ImportError::invalid("it needs its own outputs: the nodes form a cycle").at(label))
}

fn makers<'a>(nodes: &[NodeProto<'a>]) -> Result<Map<&'a str, usize>> {
    let mut makers = Map::new();
    for (at, node) in nodes.iter().enumerate() {
        for &output in node.outputs.iter().filter(|output| !output.is_empty()) {
            let Some(other) = makers.insert(output, at) else { continue };
            let other = nodes.get(other).map_or_else(String::new, NodeProto::label);
            let message = format!("output `{output}` is also made by {other}");
            return Err(ImportError::invalid(message).at(node.label()));
        }
    }
    Ok(makers)
}
