//! Distinct texts, each with a number.

use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};

/// Distinct texts, by number.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// One after the other.
    text: String,
    ends: Vec<usize>,
    numbers: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Names {
    /// Number of a text, a new one if it has none.
    pub(crate) fn intern(&mut self, name: &str) -> u32 {
        if let Some(known) = self.find(name) {
            return known;
        }
        let number = self.ends.len() as u32;
        self.text.push_str(name);
        self.ends.push(self.text.len());
        let hash = |number: &u32| self.hasher.hash_one(text(&self.text, &self.ends, *number));
        self.numbers.insert_unique(hash(&number), number, hash);
        number
    }

    /// Number of a text, if it has one.
    pub(crate) fn find(&self, name: &str) -> Option<u32> {
        let is_it = |number: &u32| self.name(*number) == name;
        let hash = self.hasher.hash_one(name);
        self.numbers.find(hash, is_it).copied()
    }

    /// The text with that number; empty if there is none.
    pub(crate) fn name(&self, number: u32) -> &str {
        text(&self.text, &self.ends, number)
    }

    /// How many there are.
    pub(crate) const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes of all texts.
    pub(crate) const fn bytes(&self) -> usize {
        self.text.len()
    }

    /// All of them, in order of their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len() as u32).map(|number| self.name(number))
    }
}

fn text<'a>(all: &'a str, ends: &[usize], number: u32) -> &'a str {
    let number = number as usize;
    let start = number
        .checked_sub(1)
        .map_or(Some(0), |n| ends.get(n).copied());
    let end = ends.get(number).copied();
    start.zip(end).map_or("", |(start, end)| &all[start..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_one_number_and_a_number_one_text() {
        let mut names = Names::default();
        let numbers = ["cron", "", "awk", "cron", ""].map(|name| names.intern(name));
        assert_eq!(numbers, [0, 1, 2, 0, 1]);
        assert_eq!(names.iter().collect::<Vec<_>>(), ["cron", "", "awk"]);
        assert_eq!(names.find("awk"), Some(2));
        assert_eq!(names.find("gawk"), None);
        assert_eq!(names.name(3), "");
    }
}
