//! Names of nodes for plans: unique, and the same again for the same graph.

use remuda_base::Set;
use remuda_ir::{Graph, Node};

/// One name per node, in order. A node without one is called by the first value it makes.
pub(crate) fn node_names(graph: &Graph) -> Vec<String> {
    let mut taken = Set::new();
    let names = graph.nodes().enumerate().map(|(at, (_, node))| {
        let wanted = own_name(graph, node);
        let mut name = if wanted.is_empty() { format!("{}#{at}", node.op) } else { wanted };
        if taken.contains(&name) {
            name = format!("{name}#{at}");
        }
        while !taken.insert(name.clone()) {
            name.push('\'');
        }
        name
    });
    names.collect()
}

fn own_name(graph: &Graph, node: &Node) -> String {
    if !node.name.is_empty() {
        return node.name.clone();
    }
    let made = node.outputs.iter().flatten().next();
    made.map_or(String::new(), |&id| graph.value(id).name.clone())
}
