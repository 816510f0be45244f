//! Some processes among many: nearly all others are told by a bit.

use hashbrown::HashSet;

/// Bits that are looked at first: they fit in the second cache of a CPU.
const BITS: u32 = 22;
const WORD: usize = u64::BITS as usize;

/// Identities of processes.
#[derive(Clone, Debug, Default)]
pub struct Upids {
    all: HashSet<i64>,
    /// A bit for each of many hashes; none while there is no process.
    bits: Vec<u64>,
}

impl Upids {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Adds one.
    pub fn insert(&mut self, upid: i64) {
        if self.bits.is_empty() {
            self.bits = vec![0; (1 << BITS) / WORD];
        }
        let bit = bit(upid);
        self.bits[bit / WORD] |= 1 << (bit % WORD);
        self.all.insert(upid);
    }

    /// `false` if it is none of them, and mostly only then.
    #[must_use]
    pub fn may_contain(&self, upid: i64) -> bool {
        let bit = bit(upid);
        let word = self.bits.get(bit / WORD);
        word.is_some_and(|word| word >> (bit % WORD) & 1 == 1)
    }

    /// Whether it is one of them.
    #[must_use]
    pub fn contains(&self, upid: i64) -> bool {
        self.may_contain(upid) && self.all.contains(&upid)
    }
}

impl FromIterator<i64> for Upids {
    fn from_iter<T: IntoIterator<Item = i64>>(upids: T) -> Self {
        let mut this = Self::default();
        upids.into_iter().for_each(|upid| this.insert(upid));
        this
    }
}

/// A hash of few instructions, after Fibonacci: a stranger's file that aims at it only
/// makes more be looked up.
const fn bit(upid: i64) -> usize {
    ((upid as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - BITS)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_contains_what_was_put_in_and_nothing_else() {
        let upids: Upids = (0..10_000).map(|n| n * 3).collect();
        assert!((0..30_000).all(|n| upids.contains(n) == (n % 3 == 0)));
        let mistaken = (30_000..1_030_000).filter(|n| upids.may_contain(*n));
        assert!(mistaken.count() < 10_000);
        assert!(!Upids::default().contains(0));
    }
}
