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

/// Numbers the forest given by the parent of each node. Children are visited in
/// the order of their index. A parent out of range counts as none. Where
/// parents form a cycle, its lowest node becomes a root and is reported.
///
/// ```
/// // 0 has the children 1 and 2; 1 has the child 3.
/// let n = whence_schemas::tree::number(&[None, Some(0), Some(0), Some(1)]);
/// assert_eq!(n.first, [0, 1, 3, 2]);
/// assert_eq!(n.last, [3, 2, 3, 2]);
/// assert_eq!(n.depth, [0, 1, 1, 2]);
/// ```
#[must_use]
pub fn number(parents: &[Option<u32>]) -> Numbering {
    let n = parents.len();
    let mut parents = parents.to_vec();
    for parent in &mut parents {
        *parent = parent.filter(|p| (*p as usize) < n);
    }
    let cut = cut_cycles(&mut parents);
    let children = Children::of(&parents);
    let mut numbering = Numbering {
        depth: vec![0; n],
        first: vec![0; n],
        last: vec![0; n],
        cut,
    };
    let mut next = 0;
    let mut stack: Vec<u32> = (0..n as u32)
        .rev()
        .filter(|i| parents[*i as usize].is_none())
        .collect();
    let mut order = Vec::with_capacity(n);
    while let Some(node) = stack.pop() {
        let i = node as usize;
        numbering.first[i] = next;
        numbering.last[i] = next;
        next += 1;
        if let Some(parent) = parents[i] {
            numbering.depth[i] = numbering.depth[parent as usize] + 1;
        }
        order.push(node);
        stack.extend(children.of_node(node).iter().rev());
    }
    // Backwards in pre-order, a node's subtree is complete when it is reached.
    for node in order.into_iter().rev() {
        if let Some(parent) = parents[node as usize] {
            let last = numbering.last[node as usize];
            let of_parent = &mut numbering.last[parent as usize];
            *of_parent = last.max(*of_parent);
        }
    }
    numbering
}

/// Makes a root of the lowest node of each cycle; returns those nodes.
fn cut_cycles(parents: &mut [Option<u32>]) -> Vec<u32> {
    const NEW: u32 = u32::MAX;
    let mut walk_of = vec![NEW; parents.len()];
    let mut cut = Vec::new();
    for start in 0..parents.len() as u32 {
        let mut node = start;
        while walk_of[node as usize] == NEW {
            walk_of[node as usize] = start;
            match parents[node as usize] {
                Some(parent) => node = parent,
                None => break,
            }
        }
        let closes = walk_of[node as usize] == start && parents[node as usize].is_some();
        if closes && let Some(lowest) = lowest_of_cycle(parents, node) {
            parents[lowest as usize] = None;
            cut.push(lowest);
        }
    }
    cut
}

/// The lowest node of the cycle that `node` leads into, if the walk that ended
/// at `node` came back to it.
fn lowest_of_cycle(parents: &[Option<u32>], node: u32) -> Option<u32> {
    let mut lowest = node;
    let mut at = parents[node as usize]?;
    while at != node {
        lowest = lowest.min(at);
        at = parents[at as usize]?;
    }
    Some(lowest)
}

/// Children by parent, in the order of their index, as one array with offsets.
struct Children {
    offsets: Vec<u32>,
    nodes: Vec<u32>,
}

impl Children {
    fn of(parents: &[Option<u32>]) -> Self {
        let mut offsets = vec![0u32; parents.len() + 1];
        for parent in parents.iter().flatten() {
            offsets[*parent as usize + 1] += 1;
        }
        for i in 0..parents.len() {
            offsets[i + 1] += offsets[i];
        }
        let mut at = offsets.clone();
        let mut nodes = vec![0u32; parents.iter().flatten().count()];
        for (node, parent) in parents.iter().enumerate() {
            if let Some(parent) = parent {
                let slot = &mut at[*parent as usize];
                nodes[*slot as usize] = node as u32;
                *slot += 1;
            }
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
        let n = number(&[Some(2), Some(2), Some(3), Some(1)]);
        assert_eq!(n.cut, [1]);
        assert_eq!(n.depth[1], 0);
        assert!(n.first.iter().all(|f| *f < 4));
        assert_eq!((n.first[1], n.last[1]), (0, 3));
        let itself = number(&[Some(0)]);
        assert_eq!(itself.cut, [0]);
    }

    #[test]
    fn a_parent_out_of_range_is_none() {
        assert_eq!(number(&[Some(7)]).depth, [0]);
    }

    #[test]
    fn a_chain_a_million_deep_needs_no_stack() {
        let parents: Vec<_> = (0..1_000_000u32).map(|i| i.checked_sub(1)).collect();
        let n = number(&parents);
        assert_eq!(n.depth[999_999], 999_999);
        assert_eq!(n.last[0], 999_999);
    }

    /// The promise that makes `BETWEEN` work: the range holds exactly the
    /// descendants.
    #[test]
    fn ranges_hold_exactly_the_descendants() {
        let mut seed = 1u64;
        let parents: Vec<Option<u32>> = (0..500u32)
            .map(|i| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (i > 3).then(|| (seed >> 33) as u32 % i)
            })
            .collect();
        let n = number(&parents);
        let descends = |mut x: u32, of: u32| loop {
            if x == of {
                break true;
            }
            match parents[x as usize] {
                Some(p) => x = p,
                None => break false,
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
