//! Inputs: the corpus as it is, then what mutations make of it. Input `n` of a
//! seed is always the same.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use fastrand::Rng;

use crate::Args;

/// An input does not get longer by more than this.
const MAX_GROWTH: usize = 64 << 10;
/// Integers at which readers err.
const INTEGERS: &[u64] = &[
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    u64::MAX,
];

/// The inputs of a run.
#[derive(Debug)]
pub(crate) struct Inputs {
    seeds: Vec<Vec<u8>>,
    /// Texts that mean something to the reader.
    words: &'static [&'static [u8]],
    seed: u64,
    /// Whether the seeds are all there is.
    only_seeds: bool,
}

impl Inputs {
    /// Those that the options ask for.
    ///
    /// # Errors
    /// If files cannot be read, or there are none.
    pub(crate) fn of(args: &Args, words: &'static [&'static [u8]]) -> io::Result<Self> {
        let files = match args.files.is_empty() {
            true => sorted(&args.corpus.join(&args.target))?,
            false => args.files.clone(),
        };
        let seeds: Vec<Vec<u8>> = files.iter().map(fs::read).collect::<io::Result<_>>()?;
        if seeds.is_empty() {
            let reason = format!("there is no corpus of {}", args.target);
            return Err(io::Error::other(reason));
        }
        Ok(Self {
            seeds,
            words,
            seed: args.seed,
            only_seeds: !args.files.is_empty(),
        })
    }

    /// How many there are: the seeds, and `runs` more.
    pub(crate) fn count(&self, runs: u64) -> u64 {
        let seeds = self.seeds.len() as u64;
        match self.only_seeds {
            true => seeds,
            false => seeds.saturating_add(runs),
        }
    }

    /// Input `n`.
    pub(crate) fn get(&self, n: u64) -> Vec<u8> {
        if let Some(seed) = usize::try_from(n).ok().and_then(|n| self.seeds.get(n)) {
            return seed.clone();
        }
        // Neighbouring seeds of the generator give unlike sequences only after
        // they were spread.
        let spread = (self.seed ^ n.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut rng = Rng::with_seed(spread);
        let mut bytes = self.seeds[rng.usize(..self.seeds.len())].clone();
        let longest = bytes.len() + MAX_GROWTH;
        loop {
            self.mutate(&mut bytes, &mut rng);
            bytes.truncate(longest);
            if rng.u8(..) < 96 {
                return bytes;
            }
        }
    }

    fn mutate(&self, bytes: &mut Vec<u8>, rng: &mut Rng) {
        let len = bytes.len();
        let at = rng.usize(..=len);
        let part = at..len.min(at + 1 + rng.usize(..64));
        match rng.u8(..12) {
            _ if len == 0 => bytes.push(rng.u8(..)),
            0 => flip(bytes, rng),
            1 | 2 => integer(bytes, rng),
            3 => count(bytes, rng),
            4 => drop(bytes.drain(part)),
            5 => {
                let copy = bytes[part].to_vec();
                insert(bytes, at, &copy);
            }
            6 => {
                let other = &self.seeds[rng.usize(..self.seeds.len())];
                let from = rng.usize(..=other.len());
                let to = other.len().min(from + rng.usize(..256));
                insert(bytes, at, &other[from..to]);
            }
            7 => bytes.truncate(at),
            8 => {
                // One byte again and again: deep nesting, long names.
                let byte = bytes[at.min(len - 1)];
                let copies = 1 << rng.u32(..14);
                insert(bytes, at, &vec![byte; copies]);
            }
            9 => bytes[part].fill_with(|| rng.u8(..)),
            _ => self.word(bytes, at, rng),
        }
    }

    fn word(&self, bytes: &mut Vec<u8>, at: usize, rng: &mut Rng) {
        let Some(word) = rng.choice(self.words) else {
            return flip(bytes, rng);
        };
        if rng.bool() {
            return insert(bytes, at, word);
        }
        let end = bytes.len().min(at + word.len());
        bytes.splice(at..end, word.iter().copied());
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, more: &[u8]) {
    bytes.splice(at..at, more.iter().copied());
}

fn flip(bytes: &mut [u8], rng: &mut Rng) {
    let at = rng.usize(..bytes.len());
    bytes[at] ^= 1 << rng.u8(..8);
}

/// Writes an integer of some width, as machines or as people do.
fn integer(bytes: &mut Vec<u8>, rng: &mut Rng) {
    let value = INTEGERS[rng.usize(..INTEGERS.len())];
    let at = rng.usize(..bytes.len());
    let digits = bytes[at..].iter().take_while(|b| b.is_ascii_digit());
    match digits.count() {
        0 => {
            let width = (1 << rng.u32(..4)).min(bytes.len() - at);
            bytes[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
        }
        digits => drop(bytes.splice(at..at + digits, value.to_string().into_bytes())),
    }
}

/// Adds a little to an integer of some width.
fn count(bytes: &mut [u8], rng: &mut Rng) {
    let at = rng.usize(..bytes.len());
    let width = (1 << rng.u32(..4)).min(bytes.len() - at);
    let mut value = [0; 8];
    value[..width].copy_from_slice(&bytes[at..at + width]);
    let by = rng.u64(1..=16);
    let value = match rng.bool() {
        true => u64::from_le_bytes(value).wrapping_add(by),
        false => u64::from_le_bytes(value).wrapping_sub(by),
    };
    bytes[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
}

fn sorted(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", dir.display()));
    let entries = fs::read_dir(dir).map_err(named)?;
    let mut files: Vec<PathBuf> = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<_>>()?;
    files.sort();
    Ok(files)
}
