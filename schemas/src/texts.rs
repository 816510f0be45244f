//! Whether texts are smaller front-coded than with a dictionary: tried on some of
//! them, compressed as they will be.
//!
//! What is compressed here only resembles Parquet's pages (`DELTA_BYTE_ARRAY` and
//! `RLE_DICTIONARY` in
//! <https://parquet.apache.org/docs/file-format/data-pages/encodings/>): the same
//! lengths, bytes and packed indices, without headers.

use std::collections::HashMap;

/// A dictionary is read faster: it may be larger by so many percent.
const WORTH_PERCENT: usize = 25;
/// As segments are compressed while they are recorded.
const LEVEL: i32 = 1;

/// Whether texts should leave out what they begin with like the text before.
pub(crate) fn front_coded(texts: &[&str]) -> bool {
    let (indices, distinct) = indexed(texts);
    // Nothing repeats: no dictionary pays, and nothing need be tried.
    if distinct.len() == texts.len() {
        return !texts.is_empty();
    }
    let dictionary = compressed(&packed(&indices, distinct.len())) + compressed(&plain(&distinct));
    compressed(&front(texts)) * (100 + WORTH_PERCENT) < dictionary * 100
}

/// For each text the number of its value, and the values.
fn indexed<'a>(texts: &[&'a str]) -> (Vec<u32>, Vec<&'a str>) {
    let mut numbers = HashMap::new();
    let mut distinct = Vec::new();
    let mut number = |text: &'a str| {
        *numbers.entry(text).or_insert_with(|| {
            distinct.push(text);
            distinct.len() as u32 - 1
        })
    };
    let indices = texts.iter().map(|text| number(text)).collect();
    (indices, distinct)
}

/// Indices, each with as many bits as the greatest needs.
fn packed(indices: &[u32], distinct: usize) -> Vec<u8> {
    let width = usize::BITS - distinct.saturating_sub(1).leading_zeros();
    let mut bytes = Vec::with_capacity(indices.len() * width as usize / 8 + 8);
    let (mut bits, mut held) = (0_u64, 0);
    for index in indices {
        bits |= u64::from(*index) << held;
        held += width;
        while held >= u8::BITS {
            bytes.push(bits as u8);
            bits >>= u8::BITS;
            held -= u8::BITS;
        }
    }
    bytes.push(bits as u8);
    bytes
}

fn plain(texts: &[&str]) -> Vec<u8> {
    let bytes = |text: &&str| [&(text.len() as u32).to_le_bytes(), text.as_bytes()].concat();
    texts.iter().flat_map(bytes).collect()
}

/// Lengths of what is left out, lengths of what is kept, and that.
fn front(texts: &[&str]) -> Vec<u8> {
    let before = std::iter::once(&"").chain(texts);
    let alike = |(before, text): (&&str, &&str)| {
        let pairs = before.bytes().zip(text.bytes());
        pairs.take_while(|(a, b)| a == b).count()
    };
    let left_out: Vec<usize> = before.zip(texts).map(alike).collect();
    let kept: Vec<&[u8]> = texts
        .iter()
        .zip(&left_out)
        .map(|(text, n)| &text.as_bytes()[*n..])
        .collect();
    let short = |n: usize| (n.min(usize::from(u16::MAX)) as u16).to_le_bytes();
    let mut bytes: Vec<u8> = left_out.iter().flat_map(|n| short(*n)).collect();
    bytes.extend(kept.iter().flat_map(|text| short(text.len())));
    bytes.extend(kept.concat());
    bytes
}

/// Bytes that are left by compression; as many as there are if it fails.
fn compressed(bytes: &[u8]) -> usize {
    zstd::bulk::compress(bytes, LEVEL).map_or(bytes.len(), |small| small.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(texts: impl IntoIterator<Item = String>) -> bool {
        let texts: Vec<String> = texts.into_iter().collect();
        front_coded(&texts.iter().map(String::as_str).collect::<Vec<_>>())
    }

    #[test]
    fn names_that_come_again_and_again_have_a_dictionary() {
        let names = ["bash", "awk", "pgrep", "sleep", "kworker/0:1"];
        let hash = |i: u64| xxhash_rust::xxh3::xxh3_64(&i.to_le_bytes()) as usize;
        assert!(!chosen((0..4096).map(|i| names[hash(i) % 5].to_owned())));
        assert!(!chosen((0..4096).map(|_| "same".to_owned())));
        assert!(!chosen([]));
    }

    #[test]
    fn texts_that_count_are_front_coded_though_every_second_repeats() {
        let argv = |i: u32| ["/usr/bin/worker".to_owned(), format!("job-{i}")];
        assert!(chosen((0..2048).flat_map(argv)));
        assert!(chosen((0..4096).map(|i| format!("worker job-{i}"))));
    }

    #[test]
    fn indices_take_only_the_bits_they_need() {
        assert_eq!(packed(&[0, 1, 1, 0, 1, 0, 0, 1], 2), [0b1001_0110, 0]);
        assert_eq!(packed(&[0; 100], 1), [0]);
    }
}
