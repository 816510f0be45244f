//! Numbers a forest in pre-order. Plain arrays, linear, no recursion: a chain
//! a million deep and a node with a million children are as fast as any.

/// A forest numbered in pre-order, by node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Numbering {
    /// Distance from the root.
    pub depth: Vec<u32>,
    /// Position in pre-order.
    pub first: Vec<u32>,
    /// Position of the last node of the subtree.
    pub last: Vec<u32>,
    /// Nodes whose parent link was dropped since it closed a cycle, one for
    /// each cycle.
    pub cut: Vec<u32>,
}

/// In the place of a parent: there is none.
pub const NONE: u32 = u32::MAX;

impl Numbering {
    /// The nodes in pre-order.
    #[must_use]
    pub fn order(&self) -> Vec<u32> {
        let mut order = vec![0; self.first.len()];
        for (node, at) in self.first.iter().enumerate() {
            order[*at as usize] = node as u32;
        }
        order
    }
}

/// Numbers the forest given by the parent of each node, [`NONE`] for a root.
/// Children are visited in the order of their index. A parent out of range
/// counts as none. Where parents form a cycle, its lowest node becomes a root
/// and is reported.
///
/// ```
/// use whence_schemas::tree::{NONE, number};
/// // 0 has the children 1 and 2; 1 has the child 3.
/// let n = number(&[NONE, 0, 0, 1]);
/// assert_eq!(n.first, [0, 1, 3, 2]);
/// assert_eq!(n.last, [3, 2, 3, 2]);
/// assert_eq!(n.depth, [0, 1, 1, 2]);
/// ```
#[must_use]
pub fn number(parents: &[u32]) -> Numbering {
    let is_below = |(node, parent): (usize, &u32)| (*parent as usize) < node || *parent == NONE;
    if parents.iter().enumerate().all(is_below) {
        return number_ordered(parents);
    }
    let n = parents.len();
    let mut parents = parents.to_vec();
    for parent in &mut parents {
        if *parent as usize >= n {
            *parent = NONE;
        }
    }
    let cut = cut_cycles(&mut parents);
    // Where a child comes before its parent, the nodes are put in an order that
    // has parents first, and siblings as they were.
    let order = parents_first(&parents);
    let mut place = vec![0; n];
    for (at, node) in order.iter().enumerate() {
        place[*node as usize] = at as u32;
    }
    let parent = |node: &u32| match parents[*node as usize] {
        NONE => NONE,
        parent => place[parent as usize],
    };
    let ordered: Vec<u32> = order.iter().map(parent).collect();
    let ordered = number_ordered(&ordered);
    let back = |values: &[u32]| place.iter().map(|at| values[*at as usize]).collect();
    Numbering {
        depth: back(&ordered.depth),
        first: back(&ordered.first),
        last: back(&ordered.last),
        cut,
    }
}

/// Numbers a forest in which each parent comes before its children: processes in
/// order of their starts. Backwards, a subtree is complete when its root is
/// reached; forwards, a node takes the next free range of its parent's.
fn number_ordered(parents: &[u32]) -> Numbering {
    let n = parents.len();
    let mut size = vec![1_u32; n];
    for node in (0..n).rev() {
        if let Some(parent) = index(parents[node]) {
            size[parent] += size[node];
        }
    }
    let (mut depth, mut first) = (vec![0; n], vec![0; n]);
    let (mut free, mut free_root) = (vec![0; n], 0);
    for node in 0..n {
        let of_parent = match index(parents[node]) {
            Some(parent) => {
                depth[node] = depth[parent] + 1;
                &mut free[parent]
            }
            None => &mut free_root,
        };
        first[node] = *of_parent;
        *of_parent += size[node];
        free[node] = first[node] + 1;
    }
    let mut last = size;
    for (last, first) in last.iter_mut().zip(&first) {
        *last = first + (*last - 1);
    }
    Numbering {
        depth,
        first,
        last,
        cut: Vec::new(),
    }
}

const fn index(parent: u32) -> Option<usize> {
    match parent {
        NONE => None,
        parent => Some(parent as usize),
    }
}

/// All nodes of a forest without cycles by level, and in their order in each.
fn parents_first(parents: &[u32]) -> Vec<u32> {
    let children = Children::of(parents);
    let roots = (0..parents.len() as u32).filter(|node| parents[*node as usize] == NONE);
    let mut order: Vec<u32> = roots.collect();
    let mut at = 0;
    while let Some(node) = order.get(at) {
        order.extend_from_slice(children.of_node(*node));
        at += 1;
    }
    order
}

/// Makes a root of the lowest node of each cycle; returns those nodes.
fn cut_cycles(parents: &mut [u32]) -> Vec<u32> {
    const NEW: u32 = u32::MAX;
    let mut walk_of = vec![NEW; parents.len()];
    let mut cut = Vec::new();
    for start in 0..parents.len() as u32 {
        let mut node = start;
        while walk_of[node as usize] == NEW {
            walk_of[node as usize] = start;
            match parents[node as usize] {
                NONE => break,
                parent => node = parent,
            }
        }
        if walk_of[node as usize] == start && parents[node as usize] != NONE {
            let lowest = lowest_of_cycle(parents, node);
            parents[lowest as usize] = NONE;
            cut.push(lowest);
        }
    }
    cut
}

/// The lowest node of the cycle that `node` is in.
fn lowest_of_cycle(parents: &[u32], node: u32) -> u32 {
    let mut lowest = node;
    let mut at = parents[node as usize];
    while at != node {
        lowest = lowest.min(at);
        at = parents[at as usize];
    }
    lowest
}

/// Children by parent, in the order of their index, as one array with offsets.
struct Children {
    offsets: Vec<u32>,
    nodes: Vec<u32>,
}

impl Children {
    fn of(parents: &[u32]) -> Self {
        let mut offsets = vec![0u32; parents.len() + 1];
        for parent in parents.iter().filter(|p| **p != NONE) {
            offsets[*parent as usize + 1] += 1;
        }
        for i in 0..parents.len() {
            offsets[i + 1] += offsets[i];
        }
        let mut at = offsets.clone();
        let mut nodes = vec![0u32; offsets[parents.len()] as usize];
        for (node, parent) in parents.iter().enumerate().filter(|(_, p)| **p != NONE) {
            let slot = &mut at[*parent as usize];
            nodes[*slot as usize] = node as u32;
            *slot += 1;
        }
        Self { offsets, nodes }
    }

    fn of_node(&self, node: u32) -> &[u32] {
        let i = node as usize;
        &self.nodes[self.offsets[i] as usize..self.offsets[i + 1] as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_numbers_to_nothing() {
        assert_eq!(number(&[]), Numbering::default());
    }

    #[test]
    fn a_cycle_is_cut_at_its_lowest_node_and_reported() {
        // 3 -> 1 -> 2 -> 3, and 0 hangs below 2.
        let n = number(&[2, 2, 3, 1]);
        assert_eq!(n.cut, [1]);
        assert_eq!(n.depth[1], 0);
        assert!(n.first.iter().all(|f| *f < 4));
        assert_eq!((n.first[1], n.last[1]), (0, 3));
        let itself = number(&[0]);
        assert_eq!(itself.cut, [0]);
    }

    #[test]
    fn a_parent_out_of_range_is_none() {
        assert_eq!(number(&[7]).depth, [0]);
    }

    #[test]
    fn a_chain_a_million_deep_needs_no_stack() {
        let parents: Vec<_> = (0..1_000_000u32)
            .map(|i| i.checked_sub(1).unwrap_or(NONE))
            .collect();
        let n = number(&parents);
        assert_eq!(n.depth[999_999], 999_999);
        assert_eq!(n.last[0], 999_999);
    }

    /// The promise that makes `BETWEEN` work: the range holds exactly the
    /// descendants.
    #[test]
    fn ranges_hold_exactly_the_descendants() {
        let mut seed = 1u64;
        let mut random = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) as u32
        };
        let ordered: Vec<u32> = (0..500u32)
            .map(|i| if i > 3 { random() % i } else { NONE })
            .collect();
        assert_ranges(&ordered);
        // The same forest with its nodes in any order.
        let mut name: Vec<u32> = (0..500).collect();
        for i in (1..500).rev() {
            name.swap(i, random() as usize % (i + 1));
        }
        let mut mixed = vec![NONE; 500];
        for (node, parent) in ordered.iter().enumerate().filter(|(_, p)| **p != NONE) {
            mixed[name[node] as usize] = name[*parent as usize];
        }
        assert_ranges(&mixed);
    }

    fn assert_ranges(parents: &[u32]) {
        let n = number(parents);
        let descends = |mut x: u32, of: u32| loop {
            if x == of {
                break true;
            }
            match parents[x as usize] {
                NONE => break false,
                p => x = p,
            }
        };
        for a in 0..500u32 {
            for b in 0..500u32 {
                let within =
                    (n.first[a as usize]..=n.last[a as usize]).contains(&n.first[b as usize]);
                assert_eq!(within, descends(b, a), "{b} below {a}");
            }
        }
    }
}
