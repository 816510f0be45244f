//! The group of each row: a number below how many groups there are.
//!
//! Each column has a code for each of its distinct values. Codes of several columns
//! are made one number pair by pair, in an array while there are few.

use arrow::array::{Array as _, ArrayRef, AsArray as _};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
};
use datafusion::error::{DataFusionError, Result};
use hashbrown::HashMap;

use super::ints::IntCodes;
use super::texts::TextCodes;

/// No number yet.
const UNKNOWN: u32 = u32::MAX;
/// Places for pairs up to which they lie in an array.
const DIRECT_PAIRS: usize = 1 << 18;
/// Bytes that a pair takes.
const PAIR_BYTES: usize = 32;

/// Whether values of a type can be told apart here.
pub(super) const fn has_codes(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8
            | DataType::Boolean
            | DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32
            | DataType::Timestamp(_, _)
    )
}

/// The groups of rows that were seen.
#[derive(Debug)]
pub(super) struct Groups {
    columns: Vec<Codes>,
    /// How the code of each column but the first goes with those before.
    pairs: Vec<Pairs>,
    /// By row of the batch.
    numbers: Vec<u32>,
    codes: Vec<u32>,
}

impl Groups {
    /// None yet, of columns with these types; at least one.
    pub(super) fn new(types: &[DataType]) -> Self {
        let pairs = types.iter().skip(1);
        Self {
            columns: types.iter().map(Codes::new).collect(),
            pairs: pairs.map(|_| Pairs::default()).collect(),
            numbers: Vec::new(),
            codes: Vec::new(),
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        match (self.pairs.last(), self.columns.first()) {
            (Some(pairs), _) => pairs.of.len(),
            (None, Some(codes)) => codes.len(),
            (None, None) => 0,
        }
    }

    /// About how much memory they take.
    pub(super) fn bytes(&self) -> usize {
        let columns = self.columns.iter().map(Codes::bytes);
        let pairs = self.pairs.iter().map(|pairs| pairs.of.len() * PAIR_BYTES);
        columns.chain(pairs).sum()
    }

    /// Finds the group of each row of columns that are as long.
    ///
    /// # Errors
    /// If a column is of another type.
    pub(super) fn find(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let mut known = 0;
        for (at, (codes, column)) in self.columns.iter_mut().zip(columns).enumerate() {
            let Some(before) = at.checked_sub(1) else {
                codes.of(column, &mut self.numbers)?;
                known = codes.len();
                continue;
            };
            codes.of(column, &mut self.codes)?;
            let pairs = &mut self.pairs[before];
            pairs.of(&mut self.numbers, known, &self.codes, codes.len());
            known = pairs.of.len();
        }
        Ok(())
    }

    /// What was found last, by row.
    pub(super) fn of_rows(&self) -> &[u32] {
        &self.numbers
    }

    /// The values of some groups, a column each.
    ///
    /// # Errors
    /// If the texts do not fit in an array.
    pub(super) fn values(
        &self,
        groups: std::ops::Range<usize>,
        types: &[DataType],
    ) -> Result<Vec<ArrayRef>> {
        let mut codes: Vec<u32> = groups.map(|group| group as u32).collect();
        let mut columns = Vec::new();
        for (at, (column, of)) in self.columns.iter().zip(types).enumerate().rev() {
            let mut own = codes.clone();
            if let Some(pairs) = at.checked_sub(1).map(|before| &self.pairs[before]) {
                for (code, own) in codes.iter_mut().zip(&mut own) {
                    (*code, *own) = pairs.of[*code as usize];
                }
            }
            columns.push(cast(&column.values(&own)?, of)?);
        }
        columns.reverse();
        Ok(columns)
    }
}

/// The codes of a column.
#[derive(Debug)]
enum Codes {
    Texts(TextCodes),
    Ints(IntCodes),
}

impl Codes {
    fn new(of: &DataType) -> Self {
        match of {
            DataType::Utf8 => Self::Texts(TextCodes::default()),
            _ => Self::Ints(IntCodes::default()),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.len(),
            Self::Ints(ints) => ints.len(),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.bytes(),
            Self::Ints(ints) => ints.bytes(),
        }
    }

    fn of(&mut self, column: &ArrayRef, codes: &mut Vec<u32>) -> Result<()> {
        codes.clear();
        match self {
            Self::Texts(texts) => match column.as_dictionary_opt() {
                Some(column) => texts.of(column, codes)?,
                None => return Err(other_type(column)),
            },
            Self::Ints(ints) => match column.data_type() {
                DataType::Int8 => ints.of::<Int8Type>(column, codes),
                DataType::Int16 => ints.of::<Int16Type>(column, codes),
                DataType::Int32 => ints.of::<Int32Type>(column, codes),
                DataType::Int64 => ints.of::<Int64Type>(column, codes),
                DataType::UInt8 => ints.of::<UInt8Type>(column, codes),
                DataType::UInt16 => ints.of::<UInt16Type>(column, codes),
                DataType::UInt32 => ints.of::<UInt32Type>(column, codes),
                _ => ints.of::<Int64Type>(&cast(column, &DataType::Int64)?, codes),
            },
        }
        Ok(())
    }

    fn values(&self, codes: &[u32]) -> Result<ArrayRef> {
        match self {
            Self::Texts(texts) => texts.values(codes),
            Self::Ints(ints) => Ok(ints.values(codes)),
        }
    }
}

fn other_type(column: &ArrayRef) -> DataFusionError {
    DataFusionError::Internal(format!("{} is not texts as numbers", column.data_type()))
}

/// Pairs of numbers as one number.
#[derive(Debug, Default)]
struct Pairs {
    /// By number.
    of: Vec<(u32, u32)>,
    /// By the first times `stride` and the second, while there are few places.
    direct: Vec<u32>,
    stride: usize,
    /// Else.
    many: HashMap<(u32, u32), u32>,
}

impl Pairs {
    /// Replaces each number by that of the pair with the one of `seconds`. There are
    /// so many distinct ones of each.
    fn of(&mut self, numbers: &mut [u32], firsts: usize, seconds: &[u32], of_seconds: usize) {
        let is_direct = self.many.is_empty() && self.make_room(firsts, of_seconds);
        for (number, second) in numbers.iter_mut().zip(seconds) {
            let pair = (*number, *second);
            *number = match is_direct {
                true => {
                    let place = pair.0 as usize * self.stride + pair.1 as usize;
                    if self.direct[place] == UNKNOWN {
                        self.direct[place] = self.of.len() as u32;
                        self.of.push(pair);
                    }
                    self.direct[place]
                }
                false => *self.many.entry(pair).or_insert_with(|| {
                    self.of.push(pair);
                    self.of.len() as u32 - 1
                }),
            };
        }
    }

    /// Makes the array as large as it must be; `false` if that is too large.
    fn make_room(&mut self, firsts: usize, seconds: usize) -> bool {
        let stride = seconds.next_power_of_two().max(self.stride);
        let places = firsts.next_power_of_two().saturating_mul(stride);
        let numbered = self.of.iter().zip(0..);
        if places > DIRECT_PAIRS {
            self.many = numbered.map(|(pair, number)| (*pair, number)).collect();
            self.direct = Vec::new();
            return false;
        }
        if stride == self.stride && places <= self.direct.len() {
            return true;
        }
        self.stride = stride;
        self.direct = vec![UNKNOWN; places];
        for ((first, second), number) in numbered {
            self.direct[*first as usize * stride + *second as usize] = number;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int32Array, Int64Array};

    use super::*;
    use crate::combinations::Texts;

    /// The groups of columns in two batches, by their values as text.
    fn grouped(types: &[DataType], batches: &[Vec<ArrayRef>]) -> Vec<Vec<u32>> {
        let mut groups = Groups::new(types);
        let find = |batch: &Vec<ArrayRef>| {
            groups.find(batch).unwrap();
            groups.of_rows().to_vec()
        };
        let numbers: Vec<_> = batches.iter().map(find).collect();
        let values = groups.values(0..groups.len(), types).unwrap();
        for (batch, numbers) in batches.iter().zip(&numbers) {
            for (column, (values, of)) in batch.iter().zip(values.iter().zip(types)) {
                let column = cast(column, of).unwrap();
                for (row, number) in numbers.iter().enumerate() {
                    let value = values.slice(*number as usize, 1);
                    assert_eq!(&column.slice(row, 1), &value);
                }
            }
        }
        numbers
    }

    fn texts(texts: &[Option<&str>]) -> ArrayRef {
        Arc::new(texts.iter().copied().collect::<Texts>())
    }

    #[test]
    fn what_is_the_same_in_all_columns_is_one_group() {
        let a = texts(&[Some("x"), Some("y"), None, Some("x"), None]);
        let b = texts(&[Some("1"), Some("1"), Some("1"), Some("1"), None]);
        let n: ArrayRef = Arc::new(Int32Array::from(vec![
            Some(-1),
            Some(7),
            None,
            Some(-1),
            None,
        ]));
        // Other dictionaries, and texts after that of none.
        let c = texts(&[Some("z"), Some("x")]);
        let d = texts(&[Some("1"), Some("1")]);
        let m: ArrayRef = Arc::new(Int32Array::from(vec![1 << 30, -1]));
        let batches = [vec![a, b, n], vec![c, d, m]];
        let types = [DataType::Utf8, DataType::Utf8, DataType::Int32];
        assert_eq!(grouped(&types, &batches), [vec![0, 1, 2, 0, 3], vec![4, 0]]);
    }

    #[test]
    fn many_integers_are_told_apart() {
        let mut random = fastrand::Rng::with_seed(5);
        let mut value = |_| match random.u8(..) {
            0 => None,
            1..100 => Some(random.i64(-3..100_000)),
            100..200 => Some(random.i64(..)),
            _ => Some(1 << 40),
        };
        let mut column = |rows| Arc::new((0..rows).map(&mut value).collect::<Int64Array>());
        let batches: Vec<Vec<ArrayRef>> = (0..40).map(|i| vec![column(i * 100) as _]).collect();
        let numbers = grouped(&[DataType::Int64], &batches);
        let mut groups = HashMap::new();
        for (batch, numbers) in batches.iter().zip(&numbers) {
            let values = batch[0].as_primitive::<Int64Type>();
            for (value, number) in values.iter().zip(numbers) {
                assert_eq!(groups.entry(value).or_insert(number), &number, "{value:?}");
            }
        }
    }

    #[test]
    fn many_pairs_are_told_apart_too() {
        let n = 2_000;
        let column = |of: fn(i32) -> i32| Arc::new((0..n).map(of).collect::<Int32Array>());
        let first: Vec<ArrayRef> = vec![column(|i| i % 10), column(|i| i % 10)];
        let all: Vec<ArrayRef> = vec![column(|i| i), column(|i| i * 7 - 300)];
        let types = [DataType::Int32, DataType::Int32];
        let numbers = grouped(&types, &[first.clone(), all, first]);
        assert_eq!(numbers[0], numbers[2]);
        assert!(numbers[1].is_sorted_by(|a, b| a < b));
    }
}
