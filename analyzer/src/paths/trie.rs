//! Call paths merged from their root. Plain arrays; nothing recurses on the
//! depth of a stack.

use hashbrown::HashMap;

use super::add_up;
use crate::stacks::Function;

/// No node.
const NONE: u32 = u32::MAX;

/// A forest of functions, merged from the root of each path.
#[derive(Debug, Default)]
pub struct Trie {
    nodes: Vec<Node>,
    by_edge: HashMap<(u32, Function), u32>,
    roots: Vec<u32>,
    /// The path that was added last, with its nodes: the next one often begins
    /// as it did.
    last: Vec<(Function, u32)>,
}

/// A function as it is reached by one path.
#[derive(Debug)]
pub struct Node {
    /// The function.
    pub function: Function,
    /// Weight of all paths through here.
    pub weight: i64,
    /// Weight of the paths that end here.
    pub own: i64,
    /// Events on paths that end here.
    pub samples: i64,
    /// What it calls, the heaviest first once sorted.
    pub children: Vec<u32>,
    parent: u32,
}

impl Trie {
    /// Adds a path, root first.
    pub fn add(&mut self, path: &[Function], weight: i64, samples: i64) {
        let same = self.last.iter().zip(path);
        let same = same.take_while(|((last, _), function)| last == *function);
        let same = same.count();
        self.last.truncate(same);
        let mut at = NONE;
        for (depth, function) in path.iter().enumerate() {
            at = match self.last.get(depth) {
                Some((_, node)) => *node,
                None => {
                    let node = self.step(at, *function);
                    self.last.push((*function, node));
                    node
                }
            };
            let node = &mut self.nodes[at as usize];
            node.weight = node.weight.saturating_add(weight);
        }
        if let Some(node) = self.nodes.get_mut(at as usize) {
            node.own = node.own.saturating_add(weight);
            node.samples = node.samples.saturating_add(samples);
        }
    }

    fn step(&mut self, parent: u32, function: Function) -> u32 {
        let next = self.nodes.len() as u32;
        let node = *self.by_edge.entry((parent, function)).or_insert(next);
        if node == next {
            self.nodes.push(Node {
                function,
                weight: 0,
                own: 0,
                samples: 0,
                children: Vec::new(),
                parent,
            });
            match self.nodes.get_mut(parent as usize) {
                Some(parent) => parent.children.push(node),
                None => self.roots.push(node),
            }
        }
        node
    }

    /// Puts the heaviest first everywhere, by name where weights are equal.
    pub fn sort<'a>(&mut self, name: impl Fn(Function) -> &'a str) {
        let key: Vec<(i64, Function)> = self.nodes.iter().map(|n| (n.weight, n.function)).collect();
        let order = |a: &u32, b: &u32| {
            let (a, b) = (key[*a as usize], key[*b as usize]);
            b.0.cmp(&a.0).then_with(|| name(a.1).cmp(name(b.1)))
        };
        self.roots.sort_by(order);
        for node in &mut self.nodes {
            node.children.sort_by(order);
        }
    }

    /// Where paths begin.
    #[must_use]
    pub fn roots(&self) -> &[u32] {
        &self.roots
    }

    /// A node.
    #[must_use]
    pub fn node(&self, node: u32) -> &Node {
        &self.nodes[node as usize]
    }

    /// Weight of all paths.
    #[must_use]
    pub fn weight(&self) -> i64 {
        add_up(self.roots.iter().map(|root| self.node(*root).weight))
    }

    /// The functions from a node down to where paths part or end, with the node
    /// that they part at.
    #[must_use]
    pub fn chain(&self, node: u32) -> (Vec<Function>, u32) {
        let mut at = node;
        let mut functions = vec![self.node(at).function];
        while let ([only], 0) = (&self.node(at).children[..], self.node(at).own) {
            at = *only;
            functions.push(self.node(at).function);
        }
        (functions, at)
    }

    /// Each distinct path with the node where it ends, the heaviest first.
    #[must_use]
    pub fn ends(&self) -> Vec<u32> {
        let mut ends: Vec<u32> = (0..self.nodes.len() as u32)
            .filter(|node| self.node(*node).samples > 0)
            .collect();
        ends.sort_by_key(|node| std::cmp::Reverse(self.node(*node).own));
        ends
    }

    /// The functions down to a node, root first.
    #[must_use]
    pub fn path(&self, node: u32) -> Vec<Function> {
        let up = std::iter::successors(self.nodes.get(node as usize), |node| {
            self.nodes.get(node.parent as usize)
        });
        let mut path: Vec<Function> = up.map(|node| node.function).collect();
        path.reverse();
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_merged_from_the_root_and_parted_where_they_differ() {
        let mut trie = Trie::default();
        trie.add(&[1, 2, 3], 5, 5);
        trie.add(&[1, 2, 4], 7, 7);
        trie.add(&[9], 1, 1);
        trie.sort(|_| "");
        assert_eq!(trie.weight(), 13);
        let (chain, at) = trie.chain(trie.roots()[0]);
        assert_eq!(chain, [1, 2]);
        let weights: Vec<i64> = trie
            .node(at)
            .children
            .iter()
            .map(|c| trie.node(*c).weight)
            .collect();
        assert_eq!(weights, [7, 5]);
        assert_eq!(trie.path(trie.ends()[0]), [1, 2, 4]);
    }

    #[test]
    fn a_path_that_ends_inside_another_is_not_swallowed() {
        let mut trie = Trie::default();
        trie.add(&[1, 2, 3], 5, 5);
        trie.add(&[1, 2], 1, 1);
        let (chain, at) = trie.chain(trie.roots()[0]);
        assert_eq!(chain, [1, 2]);
        assert_eq!(trie.node(at).own, 1);
        assert_eq!(trie.ends().len(), 2);
    }

    #[test]
    fn a_path_a_million_deep_needs_no_stack() {
        let mut trie = Trie::default();
        let deep: Vec<Function> = (0..1_000_000).collect();
        trie.add(&deep, 1, 1);
        assert_eq!(trie.chain(trie.roots()[0]).0.len(), 1_000_000);
        assert_eq!(trie.path(trie.ends()[0]).len(), 1_000_000);
    }
}
