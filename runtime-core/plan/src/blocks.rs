//! Recognises repeated blocks, so that what is learnt in one is tried in all.
//!
//! Two blocks are equal if their vertices have the same operators, as many weights, the same choice of
//! providers and the same dependencies inside. Costs may differ: measurements of equal layers never
//! agree to the last digit. Bytes of weights may: files pack some layers into more bits than others.

use remuda_base::{Map, Set};

use crate::model::Model;
use crate::problem::Problem;

/// Fills in the blocks, roles and chains of `model`.
pub(crate) fn find(problem: &Problem, model: &mut Model) {
    let blocks = members(problem, model);
    let mut ops = Map::new();
    let mut kinds: Map<Vec<u64>, Vec<u32>> = Map::new();
    for (&block, vertices) in &blocks {
        kinds.entry(signature(problem, model, vertices, &mut ops)).or_default().push(block);
    }
    let mut repeated: Vec<Vec<u32>> = kinds.into_values().filter(|same| same.len() > 1).collect();
    repeated.sort();
    let mut known = Set::new();
    for same in repeated {
        let copies: Vec<&Vec<u32>> = same.iter().map(|block| &blocks[block]).collect();
        for place in 0..copies[0].len() {
            for class in 0..model.classes() {
                let unit = |vertices: &&Vec<u32>| model.unit_of[class][vertices[place] as usize];
                let role: Vec<u32> = copies.iter().map(unit).collect();
                if known.insert(role.clone()) {
                    model.roles.push(role);
                }
            }
        }
        let chain = copies.iter().map(|vertices| units_of(model, vertices)).collect();
        model.chains.push(chain);
    }
    model.blocks = blocks.into_values().collect();
}

/// The vertices of each block in order of their first node; a vertex that lies in two blocks is in
/// none.
fn members(problem: &Problem, model: &Model) -> Map<u32, Vec<u32>> {
    let mut blocks: Map<u32, Vec<u32>> = Map::new();
    for (vertex, nodes) in model.vertex_nodes.iter().enumerate() {
        let block = problem.nodes[nodes[0] as usize].block;
        let whole = nodes.iter().all(|&node| problem.nodes[node as usize].block == block);
        if let (Some(block), true) = (block, whole) {
            blocks.entry(block).or_default().push(vertex as u32);
        }
    }
    let first = |vertex: &u32| model.vertex_nodes[*vertex as usize].iter().min().copied();
    for vertices in blocks.values_mut() {
        vertices.sort_by_key(first);
    }
    blocks
}

/// Equal for equal blocks and different for different ones.
fn signature<'p>(
    problem: &'p Problem,
    model: &Model,
    vertices: &[u32],
    ops: &mut Map<&'p str, u64>,
) -> Vec<u64> {
    let place: Map<u32, u64> = vertices.iter().copied().zip(0..).collect();
    let mut words = Vec::new();
    for &vertex in vertices {
        let nodes = &model.vertex_nodes[vertex as usize];
        words.push(nodes.len() as u64);
        for &node in nodes {
            let node = &problem.nodes[node as usize];
            let fresh = ops.len() as u64;
            words.push(*ops.entry(node.op.as_str()).or_insert(fresh));
            words.push(node.weights.len() as u64);
        }
        for class in 0..model.classes() {
            let unit = &model.units[model.unit_of[class][vertex as usize] as usize];
            words.extend([unit.allowed, unit.members.len() as u64]);
        }
        let inside = model.graph.preds.of(vertex as usize).iter().filter_map(|p| place.get(p));
        let before = words.len();
        words.extend(inside);
        words.push((words.len() - before) as u64);
    }
    words
}

fn units_of(model: &Model, vertices: &[u32]) -> Vec<u32> {
    let mut units: Vec<u32> = (0..model.classes())
        .flat_map(|class| vertices.iter().map(move |&v| model.unit_of[class][v as usize]))
        .collect();
    units.sort_unstable();
    units.dedup();
    units
}
