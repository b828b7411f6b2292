//! A cheap sequence of waves for graphs too large to search exactly: a beam over the sets of
//! clusters that are done, one wave at a time.

use remuda_base::Set;

use super::clusters::Clusters;
use super::{Front, Waves, chains};

/// States kept after each wave.
const WIDTH: usize = 16;

#[derive(Clone)]
struct State {
    front: Front,
    cost: i64,
    sequence: Vec<u8>,
    /// Identifies the set of clusters that are done.
    mark: u64,
    left: Vec<u32>,
}

/// About how many counters a search copies, judging by waves that are known.
pub(crate) fn work(clusters: &Clusters, known: &Waves) -> u64 {
    (clusters.owner.len() * known.sequence.len() * WIDTH) as u64
}

/// The best sequence that the beam finds.
pub(crate) fn search(clusters: &Clusters, launch: &[i64]) -> Vec<u8> {
    let chain = chains(&clusters.graph, &clusters.owner, launch);
    let mut left = vec![0; launch.len()];
    for &owner in &clusters.owner {
        left[owner as usize] += 1;
    }
    let front = Front::new(&clusters.graph, &clusters.owner, launch.len());
    let mut beam = vec![State { front, cost: 0, sequence: Vec::new(), mark: 0, left }];
    let mut finished: Option<State> = None;
    while !beam.is_empty() {
        let mut next: Vec<(i64, usize, State)> = Vec::new();
        let mut seen = Set::new();
        for state in &beam {
            for provider in 0..launch.len() as u8 {
                let Some(state) = after(clusters, launch, state, provider) else { continue };
                let estimate = state.cost + least(&state, launch, &chain);
                if finished.as_ref().is_some_and(|best| best.cost <= estimate) {
                    continue;
                }
                if state.front.left == 0 {
                    finished = Some(state);
                } else if seen.insert((state.mark, state.cost)) {
                    next.push((estimate, state.front.left, state));
                }
            }
        }
        next.sort_by(|a, b| (a.0, a.1, &a.2.sequence).cmp(&(b.0, b.1, &b.2.sequence)));
        next.truncate(WIDTH);
        beam = next.into_iter().map(|(_, _, state)| state).collect();
    }
    finished.map(|state| state.sequence).unwrap_or_default()
}

fn after(clusters: &Clusters, launch: &[i64], state: &State, provider: u8) -> Option<State> {
    if state.front.ready[provider as usize].is_empty() {
        return None;
    }
    let mut state = state.clone();
    let (mark, left) = (&mut state.mark, &mut state.left[provider as usize]);
    state.front.wave(&clusters.graph, &clusters.owner, provider, |cluster| {
        *mark ^= scramble(u64::from(cluster));
        *left -= 1;
    });
    state.cost += launch[provider as usize];
    state.sequence.push(provider);
    Some(state)
}

fn least(state: &State, launch: &[i64], chain: &[i64]) -> i64 {
    let each: i64 =
        launch.iter().zip(&state.left).map(|(&ns, &left)| if left > 0 { ns } else { 0 }).sum();
    let ready = state.front.ready.iter().flatten();
    each.max(ready.map(|&cluster| chain[cluster as usize]).max().unwrap_or(0))
}

/// Spreads a small number over 64 bits, so that sums of them tell sets apart.
fn scramble(value: u64) -> u64 {
    let mut x = value.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
