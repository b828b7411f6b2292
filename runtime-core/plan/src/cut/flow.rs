//! Minimum cuts in small networks: Dinic's algorithm, iterative, with a bound on its work.

const FIRST: u32 = 0;
const SECOND: u32 = 1;
/// More than any sum of costs.
const FORCED: i64 = i64::MAX / 4;

/// A network between two ends whose minimum cut is wanted.
#[derive(Debug)]
pub(super) struct Network {
    vertices: u32,
    /// Costs of being on the first and on the second side, per vertex.
    sides: Vec<(i64, i64)>,
    /// From, to, capacity; the reverse edge follows with capacity 0.
    edges: Vec<(u32, i64)>,
    tails: Vec<u32>,
}

impl Network {
    pub(super) fn new() -> Self {
        Self { vertices: 2, sides: vec![(0, 0); 2], edges: Vec::new(), tails: Vec::new() }
    }

    pub(super) fn vertex(&mut self) -> u32 {
        self.vertices += 1;
        self.sides.push((0, 0));
        self.vertices - 1
    }

    fn edge(&mut self, from: u32, to: u32, capacity: i64) {
        self.edges.extend([(to, capacity), (from, 0)]);
        self.tails.extend([from, to]);
    }

    /// `vertex` costs `first` on the first side and `second` on the second.
    pub(super) fn unary(&mut self, vertex: u32, first: i64, second: i64) {
        let sides = &mut self.sides[vertex as usize];
        *sides = (sides.0 + first, sides.1 + second);
    }

    /// `fee` is due if any of `readers` is on the first side.
    pub(super) fn if_any_first(&mut self, readers: &[u32], fee: i64) {
        if fee > 0 {
            let helper = self.pulled_first(readers);
            self.edge(helper, SECOND, fee);
        }
    }

    /// `fee` is due if any of `readers` is on the second side.
    pub(super) fn if_any_second(&mut self, readers: &[u32], fee: i64) {
        if fee > 0 {
            let helper = self.pulled_second(readers);
            self.edge(FIRST, helper, fee);
        }
    }

    /// `fee` is due if `maker` is on the first side and any of `readers` on the second.
    pub(super) fn across(&mut self, maker: u32, readers: &[u32], fee: i64) {
        if fee > 0 {
            let helper = self.pulled_second(readers);
            self.edge(maker, helper, fee);
        }
    }

    /// `fee` is due if `maker` is on the second side and any of `readers` on the first.
    pub(super) fn back(&mut self, maker: u32, readers: &[u32], fee: i64) {
        if fee > 0 {
            let helper = self.pulled_first(readers);
            self.edge(helper, maker, fee);
        }
    }

    fn pulled_first(&mut self, readers: &[u32]) -> u32 {
        let helper = self.vertex();
        for &reader in readers {
            self.edge(reader, helper, FORCED);
        }
        helper
    }

    fn pulled_second(&mut self, readers: &[u32]) -> u32 {
        let helper = self.vertex();
        for &reader in readers {
            self.edge(helper, reader, FORCED);
        }
        helper
    }

    /// Per vertex whether it is on the first side, and the edges visited; none past `limit` visits.
    /// Of several minimum cuts the one with the largest first side.
    pub(super) fn minimum(mut self, limit: u64) -> Option<(Vec<bool>, u64)> {
        for vertex in 2..self.vertices {
            let (first, second) = self.sides[vertex as usize];
            if second > first {
                self.edge(FIRST, vertex, second - first);
            } else if first > second {
                self.edge(vertex, SECOND, first - second);
            }
        }
        let mut dinic = Dinic::new(self);
        while dinic.levels() {
            dinic.saturate();
            if dinic.work > limit {
                return None;
            }
        }
        let sides = dinic.first_side();
        Some((sides, dinic.work))
    }
}

struct Dinic {
    edges: Vec<(u32, i64)>,
    /// Edges grouped by tail.
    starts: Vec<u32>,
    leaving: Vec<u32>,
    level: Vec<u32>,
    next: Vec<u32>,
    work: u64,
}

impl Dinic {
    fn new(network: Network) -> Self {
        let count = network.vertices as usize;
        let mut starts = vec![0u32; count + 1];
        for &tail in &network.tails {
            starts[tail as usize + 1] += 1;
        }
        for at in 0..count {
            starts[at + 1] += starts[at];
        }
        let mut next = starts.clone();
        let mut leaving = vec![0; network.tails.len()];
        for (edge, &tail) in network.tails.iter().enumerate() {
            leaving[next[tail as usize] as usize] = edge as u32;
            next[tail as usize] += 1;
        }
        Self { edges: network.edges, starts, leaving, level: vec![0; count], next, work: 0 }
    }

    fn range(&self, vertex: u32) -> std::ops::Range<usize> {
        self.starts[vertex as usize] as usize..self.starts[vertex as usize + 1] as usize
    }

    /// Distances from the first end over edges with room; false if the second end is cut off.
    fn levels(&mut self) -> bool {
        self.level.fill(u32::MAX);
        self.level[FIRST as usize] = 0;
        let mut queue = vec![FIRST];
        let mut at = 0;
        while let Some(&vertex) = queue.get(at) {
            at += 1;
            for place in self.range(vertex) {
                self.work += 1;
                let (to, room) = self.edges[self.leaving[place] as usize];
                if room > 0 && self.level[to as usize] == u32::MAX {
                    self.level[to as usize] = self.level[vertex as usize] + 1;
                    queue.push(to);
                }
            }
        }
        self.level[SECOND as usize] != u32::MAX
    }

    /// Pushes along shortest paths until each has a full edge.
    fn saturate(&mut self) {
        self.next.copy_from_slice(&self.starts);
        let mut path: Vec<u32> = Vec::new();
        let mut vertex = FIRST;
        loop {
            if vertex == SECOND {
                vertex = self.push(&mut path);
                continue;
            }
            match self.step(vertex) {
                Some(edge) => {
                    path.push(edge);
                    vertex = self.edges[edge as usize].0;
                }
                None => {
                    let Some(edge) = path.pop() else { return };
                    vertex = self.edges[edge as usize ^ 1].0;
                    self.next[vertex as usize] += 1;
                }
            }
        }
    }

    /// The next edge from `vertex` with room that leads one level on.
    fn step(&mut self, vertex: u32) -> Option<u32> {
        let end = self.starts[vertex as usize + 1];
        while self.next[vertex as usize] < end {
            self.work += 1;
            let edge = self.leaving[self.next[vertex as usize] as usize];
            let (to, room) = self.edges[edge as usize];
            if room > 0 && self.level[to as usize] == self.level[vertex as usize] + 1 {
                return Some(edge);
            }
            self.next[vertex as usize] += 1;
        }
        None
    }

    /// Fills `path`, cuts it before its first full edge, and returns where it ends now.
    fn push(&mut self, path: &mut Vec<u32>) -> u32 {
        let room = path.iter().map(|&edge| self.edges[edge as usize].1).min().unwrap_or(0);
        for &edge in path.iter() {
            self.edges[edge as usize].1 -= room;
            self.edges[edge as usize ^ 1].1 += room;
        }
        self.work += path.len() as u64;
        let full = path.iter().position(|&edge| self.edges[edge as usize].1 == 0).unwrap_or(0);
        let back = self.edges[path[full] as usize ^ 1].0;
        path.truncate(full);
        back
    }

    /// Everything that cannot reach the second end any more.
    fn first_side(&mut self) -> Vec<bool> {
        let mut first = vec![true; self.level.len()];
        first[SECOND as usize] = false;
        let mut queue = vec![SECOND];
        while let Some(vertex) = queue.pop() {
            for place in self.range(vertex) {
                self.work += 1;
                let edge = self.leaving[place] as usize;
                let (from, room) = (self.edges[edge].0, self.edges[edge ^ 1].1);
                if room > 0 && std::mem::replace(&mut first[from as usize], false) {
                    queue.push(from);
                }
            }
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Network;

    type Rule = (usize, Vec<usize>, i64, u8);

    /// The cost of an assignment of sides, by the definition of each rule.
    fn cost(first: &[bool], own: &[(i64, i64)], rules: &[Rule]) -> i64 {
        let own = own.iter().zip(first).map(|(own, &first)| if first { own.0 } else { own.1 });
        let due = rules.iter().filter(|(maker, readers, _, kind)| match kind {
            0 => readers.iter().any(|&r| first[r]),
            1 => readers.iter().any(|&r| !first[r]),
            2 => first[*maker] && readers.iter().any(|&r| !first[r]),
            _ => !first[*maker] && readers.iter().any(|&r| first[r]),
        });
        own.sum::<i64>() + due.map(|rule| rule.2).sum::<i64>()
    }

    fn minimum(own: &[(i64, i64)], rules: &[Rule]) -> Vec<bool> {
        let mut network = Network::new();
        let at: Vec<u32> = own.iter().map(|_| network.vertex()).collect();
        for (&vertex, &(first, second)) in at.iter().zip(own) {
            network.unary(vertex, first, second);
        }
        for (maker, readers, fee, kind) in rules {
            let readers: Vec<u32> = readers.iter().map(|&r| at[r]).collect();
            match kind {
                0 => network.if_any_first(&readers, *fee),
                1 => network.if_any_second(&readers, *fee),
                2 => network.across(at[*maker], &readers, *fee),
                _ => network.back(at[*maker], &readers, *fee),
            }
        }
        let (sides, _) = network.minimum(u64::MAX).unwrap();
        at.iter().map(|&vertex| sides[vertex as usize]).collect()
    }

    proptest! {
        #[test]
        fn no_assignment_of_sides_is_cheaper(
            own in proptest::collection::vec((0i64..50, 0i64..50), 6),
            rules in proptest::collection::vec(
                (0usize..6, proptest::collection::vec(0usize..6, 1..4), 0i64..40, 0u8..4), 0..8),
        ) {
            let found = cost(&minimum(&own, &rules), &own, &rules);
            for sides in 0u32..64 {
                let first: Vec<bool> = (0..6).map(|v| sides >> v & 1 == 1).collect();
                prop_assert!(found <= cost(&first, &own, &rules));
            }
        }
    }
}
