//! The codes of texts, and of no text. Texts come as numbers into the distinct ones of
//! a row group, so that a row costs a look-up in an array.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, StringBuilder};
use datafusion::error::{DataFusionError, Result};

use super::memo::Memo;
use crate::combinations::Texts;
use crate::names::Names;

/// No code.
const UNKNOWN: u32 = u32::MAX;
/// Bytes that a text takes beside itself.
const TEXT_BYTES: usize = 24;

/// The codes of texts.
#[derive(Debug, Default)]
pub(super) struct TextCodes {
    /// By key; the last one is that of no text.
    seen: Memo<Vec<u32>>,
    names: NullableNames,
}

impl TextCodes {
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// About how much memory they take.
    pub(super) fn bytes(&self) -> usize {
        self.names.names.bytes() + self.len() * TEXT_BYTES
    }

    /// Adds the code of each row.
    pub(super) fn of(&mut self, column: &Texts, codes: &mut Vec<u32>) -> Result<()> {
        let values = column.values();
        let unknown = || Ok(vec![UNKNOWN; values.len() + 1]);
        let known = self.seen.of(values, unknown)?;
        let names = &mut self.names;
        let texts = values.as_string::<i32>();
        let mut code = |key: usize| match known[key] {
            UNKNOWN => {
                known[key] = names.intern((key < texts.len()).then(|| texts.value(key)));
                known[key]
            }
            code => code,
        };
        let keys = column.keys();
        match keys.null_count() {
            0 => codes.extend(keys.values().iter().map(|key| code(*key as usize))),
            _ => codes.extend(
                keys.iter()
                    .map(|key| code(key.map_or(texts.len(), |k| k as usize))),
            ),
        }
        Ok(())
    }

    /// The texts of these codes.
    pub(super) fn values(&self, codes: &[u32]) -> Result<ArrayRef> {
        let texts = || codes.iter().map(|code| self.names.name(*code));
        let bytes = texts()
            .flatten()
            .map(str::len)
            .fold(0, usize::saturating_add);
        // More does not fit in an array.
        if i32::try_from(bytes).is_err() {
            let text = format!("{bytes} bytes of text do not fit in a batch of rows");
            return Err(DataFusionError::ResourcesExhausted(text));
        }
        let mut array = StringBuilder::with_capacity(codes.len(), bytes);
        texts().for_each(|text| array.append_option(text));
        Ok(Arc::new(array.finish()))
    }
}

/// Distinct texts, no text among them.
#[derive(Debug, Default)]
struct NullableNames {
    names: Names,
    /// Code of no text, if it has one.
    null: Option<u32>,
}

impl NullableNames {
    fn len(&self) -> usize {
        self.names.len() + usize::from(self.null.is_some())
    }

    /// Codes are the numbers of names, but that one of them stands for no text.
    fn intern(&mut self, text: Option<&str>) -> u32 {
        let Some(text) = text else {
            return *self.null.get_or_insert(self.names.len() as u32);
        };
        let number = self.names.intern(text);
        number + u32::from(self.null.is_some_and(|null| null <= number))
    }

    fn name(&self, code: u32) -> Option<&str> {
        match self.null {
            Some(null) if null == code => None,
            Some(null) if null < code => Some(self.names.name(code - 1)),
            _ => Some(self.names.name(code)),
        }
    }
}
