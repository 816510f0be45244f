//! Which processes a report shows where there are more than it may hold: the
//! first runs of every chain of programs before the repetitions of any, and of
//! each one that is shown all its ancestors.

use std::collections::{BTreeMap, HashMap};

use crate::forest::Forest;

/// A process: forest and node.
pub(super) type Place = (usize, u32);

/// The processes of a report, numbered in pre-order: parents come first.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    /// By number.
    pub(super) all: Vec<Place>,
    numbers: HashMap<Place, u32>,
    /// How many processes there are.
    pub(super) total: usize,
}

impl Chosen {
    /// Chooses at most so many.
    pub(super) fn of(forests: &[Forest], most: usize) -> Self {
        let total = forests.iter().map(Forest::len).sum();
        let kept: Option<Vec<Vec<bool>>> = (total > most).then(|| keep(forests, most));
        let is_kept = |(at, node): Place| {
            let kept = kept.as_ref();
            kept.is_none_or(|kept| kept[at][node as usize])
        };
        let all: Vec<Place> = forests
            .iter()
            .enumerate()
            .flat_map(|(at, forest)| forest.order().iter().map(move |node| (at, *node)))
            .filter(|place| is_kept(*place))
            .collect();
        let numbers = all.iter().copied().zip(0..).collect();
        Self {
            all,
            numbers,
            total,
        }
    }

    /// The number of a process, if it is shown.
    pub(super) fn number(&self, forest: usize, node: u32) -> Option<u32> {
        self.numbers.get(&(forest, node)).copied()
    }

    /// How many processes are not shown.
    pub(super) fn left_out(&self) -> usize {
        self.total - self.all.len()
    }
}

/// Marks the nodes of each forest that are shown.
fn keep(forests: &[Forest], most: usize) -> Vec<Vec<bool>> {
    let mut kept: Vec<Vec<bool>> = forests.iter().map(|f| vec![false; f.len()]).collect();
    let mut left = most;
    for (at, node) in by_rank(forests) {
        if left == 0 {
            break;
        }
        let (forest, kept) = (&forests[at], &mut kept[at]);
        if kept[node as usize] {
            continue;
        }
        // A chain that does not fit is not followed further than that.
        let missing = std::iter::once(node)
            .chain(forest.ancestors(node))
            .take_while(|node| !kept[*node as usize])
            .take(left + 1);
        let missing: Vec<u32> = missing.collect();
        if missing.len() > left {
            continue;
        }
        left -= missing.len();
        for node in missing {
            kept[node as usize] = true;
        }
    }
    kept
}

/// All processes: the first of each chain of programs, then the second of each,
/// and so on.
fn by_rank(forests: &[Forest]) -> impl Iterator<Item = Place> {
    let mut ranks: BTreeMap<u32, Vec<Place>> = BTreeMap::new();
    for (at, forest) in forests.iter().enumerate() {
        let mut chains: HashMap<(u32, &str), u32> = HashMap::new();
        let mut of_node = vec![0_u32; forest.len()];
        let mut runs = vec![0_u32];
        for node in forest.order() {
            let above = forest.parent(*node).map_or(0, |p| of_node[p as usize]);
            let next = runs.len() as u32;
            let chain = *chains.entry((above, forest.comm(*node))).or_insert(next);
            if chain == next {
                runs.push(0);
            }
            of_node[*node as usize] = chain;
            let rank = &mut runs[chain as usize];
            ranks.entry(*rank).or_default().push((at, *node));
            *rank += 1;
        }
    }
    ranks.into_values().flatten()
}
