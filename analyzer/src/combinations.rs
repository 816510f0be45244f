//! Texts of several columns as one number: what is the same in all of them has the
//! same one. Rows come as numbers into the distinct texts of a row group, so that a
//! row costs a look-up in an array, and texts are looked at once a row group.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, DictionaryArray};
use arrow::datatypes::Int32Type;
use hashbrown::HashMap;

/// Columns of text as they are read.
pub(crate) type Texts = DictionaryArray<Int32Type>;

/// Combinations of the distinct texts of a row group up to which each has a place in
/// an array; of one column, each has one.
const MOST_PLACES: usize = 1 << 16;
/// No number yet.
const UNKNOWN: u32 = u32::MAX;

/// The numbers of combinations by the keys of a row group's dictionaries.
#[derive(Debug)]
pub(crate) struct Combinations {
    /// The distinct texts, which keys mean as long as they are the same.
    dictionaries: Vec<ArrayRef>,
    /// Numbers by the keys as one number, if these are few.
    few: Vec<u32>,
    many: HashMap<usize, u32>,
    /// Whether there are more combinations than one number can tell apart.
    are_too_many: bool,
    /// By row of the batch.
    places: Vec<usize>,
}

impl Combinations {
    pub(crate) fn new(columns: &[&Texts]) -> Self {
        let mut sizes = columns.iter().map(|column| column.values().len() + 1);
        let all = sizes.try_fold(1_usize, usize::checked_mul);
        let places = all.unwrap_or(usize::MAX);
        let is_few = places <= MOST_PLACES || columns.len() == 1;
        Self {
            dictionaries: columns.iter().map(|c| Arc::clone(c.values())).collect(),
            few: vec![UNKNOWN; if is_few { places } else { 0 }],
            many: HashMap::new(),
            are_too_many: all.is_none(),
            places: Vec::new(),
        }
    }

    /// Whether keys of these columns mean what they did.
    pub(crate) fn is_of(&self, columns: &[&Texts]) -> bool {
        let known = self.dictionaries.iter().zip(columns);
        self.dictionaries.len() == columns.len()
            && known.fold(true, |all, (a, b)| all && Arc::ptr_eq(a, b.values()))
    }

    /// Gives the number of each row of columns that are as long. `number` is asked
    /// for that of a combination that is new.
    pub(crate) fn each<E>(
        &mut self,
        columns: &[&Texts],
        mut number: impl FnMut(&[Option<&str>]) -> Result<u32, E>,
        mut visit: impl FnMut(usize, u32),
    ) -> Result<(), E> {
        if self.are_too_many {
            let rows = columns.first().map_or(0, |column| column.len());
            for row in 0..rows {
                let texts: Vec<_> = columns.iter().map(|column| text(column, row)).collect();
                visit(row, number(&texts)?);
            }
            return Ok(());
        }
        self.place(columns);
        let sizes: Vec<usize> = columns.iter().map(|c| c.values().len() + 1).collect();
        let mut new = |place: usize| {
            let mut texts = vec![None; columns.len()];
            let mut rest = place;
            for (at, size) in sizes.iter().enumerate().rev() {
                let key = (rest % size).checked_sub(1);
                texts[at] = key.map(|key| columns[at].values().as_string::<i32>().value(key));
                rest /= size;
            }
            number(&texts)
        };
        for (row, place) in self.places.iter().enumerate() {
            let number = match self.few.get_mut(*place) {
                Some(known) if *known != UNKNOWN => *known,
                Some(known) => {
                    *known = new(*place)?;
                    *known
                }
                None => match self.many.get(place) {
                    Some(known) => *known,
                    None => *self.many.entry(*place).insert(new(*place)?).get(),
                },
            };
            visit(row, number);
        }
        Ok(())
    }

    /// The keys of each row as one number; 0 stands for no text.
    fn place(&mut self, columns: &[&Texts]) {
        let rows = columns.first().map_or(0, |column| column.len());
        self.places.clear();
        self.places.resize(rows, 0);
        for column in columns {
            let size = column.values().len() + 1;
            let keys = column.keys();
            let each = self.places.iter_mut().zip(keys.values());
            if keys.null_count() == 0 {
                for (place, key) in each {
                    *place = *place * size + *key as usize + 1;
                }
                continue;
            }
            for (row, (place, key)) in each.enumerate() {
                let key = if keys.is_valid(row) {
                    *key as usize + 1
                } else {
                    0
                };
                *place = *place * size + key;
            }
        }
    }
}

fn text(column: &Texts, row: usize) -> Option<&str> {
    let key = column.key(row)?;
    Some(column.values().as_string::<i32>().value(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(columns: &[&Texts], known: &mut Vec<Vec<Option<String>>>) -> Vec<u32> {
        let mut numbers = Vec::new();
        let number = |texts: &[Option<&str>]| {
            let texts: Vec<_> = texts.iter().map(|t| t.map(str::to_owned)).collect();
            let at = known.iter().position(|k| *k == texts).unwrap_or_else(|| {
                known.push(texts);
                known.len() - 1
            });
            Ok::<_, ()>(at as u32)
        };
        let visit = |_, number| numbers.push(number);
        Combinations::new(columns)
            .each(columns, number, visit)
            .unwrap();
        numbers
    }

    #[test]
    fn what_is_the_same_in_all_columns_has_one_number() {
        let a: Texts = vec![Some("x"), Some("y"), None, Some("x"), None]
            .into_iter()
            .collect();
        let b: Texts = vec![Some("1"), Some("1"), Some("1"), Some("1"), None]
            .into_iter()
            .collect();
        let mut known = Vec::new();
        assert_eq!(numbers(&[&a, &b], &mut known), [0, 1, 2, 0, 3]);
        assert_eq!(known[2], [None, Some("1".to_owned())]);
        // Other dictionaries, the same texts.
        let c: Texts = vec![Some("y"), Some("x")].into_iter().collect();
        let d: Texts = vec![Some("1"), Some("1")].into_iter().collect();
        assert_eq!(numbers(&[&c, &d], &mut known), [1, 0]);
    }

    /// Six columns of 2^11 texts: 2^66 combinations, more than a number has values.
    #[test]
    fn combinations_that_no_number_tells_apart_are_not_mixed_up() {
        let texts: Vec<String> = (0..(1 << 11)).map(|i| i.to_string()).collect();
        let all: Texts = texts.iter().map(|t| Some(t.as_str())).collect();
        let mut columns = vec![&all; 6];
        // Only the first column differs: its part of the number would be cut off.
        let keys = arrow::array::Int32Array::from(vec![7; texts.len()]);
        let same = Texts::try_new(keys, Arc::clone(all.values())).unwrap();
        columns[1..].fill(&same);
        let numbers = numbers(&columns, &mut Vec::new());
        assert_eq!(numbers, (0..texts.len() as u32).collect::<Vec<_>>());
    }

    #[test]
    fn many_combinations_are_numbered_too() {
        let texts: Vec<String> = (0..1_000).map(|i| i.to_string()).collect();
        let a: Texts = texts.iter().map(|t| Some(t.as_str())).collect();
        let b: Texts = texts.iter().rev().map(|t| Some(t.as_str())).collect();
        let all = numbers(&[&a, &b], &mut Vec::new());
        assert_eq!(all, (0..1_000).collect::<Vec<_>>());
    }
}
