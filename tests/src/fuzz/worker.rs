//! Tries one input after the other, and ends at the first that breaks a promise.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use crate::mutate::Inputs;
use crate::targets::Target;
use crate::{Args, bounds, targets};

/// The number of the input that is tried.
pub(crate) const AT: &str = "at";
/// What the worker and the commands in it print.
pub(crate) const SAID: &str = "said";
/// Why it ended early.
pub(crate) const FAILURE: &str = "failure";
/// What it did, once it is done.
pub(crate) const DONE: &str = "done";

/// The last panic, and whether it was of this project's own code.
static PANIC: Mutex<Option<(bool, String)>> = Mutex::new(None);

/// Where an input is tried.
#[derive(Debug)]
pub(crate) struct Bench {
    /// The only folder that may be written to.
    pub(crate) work: PathBuf,
    /// A sound recording beside it, which nothing may touch.
    pub(crate) sound: PathBuf,
    said: PathBuf,
}

impl Bench {
    fn new(args: &Args, scratch: &Path) -> Result<Self, String> {
        let house = scratch.join("house");
        let this = Self {
            work: house.join("work"),
            sound: house.join("sound.whence"),
            said: scratch.join(SAID),
        };
        fs::create_dir_all(&this.work).map_err(|e| e.to_string())?;
        fs::write(house.join("canary"), "sings").map_err(|e| e.to_string())?;
        targets::unpack(&args.corpus.join("bundle/host.zip"), &this.sound)?;
        Ok(this)
    }

    /// An empty folder to work in.
    fn clear(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.work)? {
            let path = entry?.path();
            match path.symlink_metadata()?.is_dir() {
                true => fs::remove_dir_all(&path)?,
                false => fs::remove_file(&path)?,
            }
        }
        Ok(())
    }

    /// What lies around the folder to work in.
    fn around(&self) -> io::Result<BTreeMap<PathBuf, (u64, SystemTime)>> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.work.with_file_name("")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                let metadata = path.symlink_metadata()?;
                if path == self.work {
                    continue;
                }
                if metadata.is_dir() {
                    folders.push(path.clone());
                }
                found.insert(path, (metadata.len(), metadata.modified()?));
            }
        }
        Ok(found)
    }

    /// What was printed since it was asked last: as harmless as text can be?
    ///
    /// # Errors
    /// If it has characters that a terminal would obey.
    pub(crate) fn inert(&self) -> Result<(), String> {
        let said = fs::read(&self.said).map_err(|e| e.to_string())?;
        let emptied = File::options().write(true).open(&self.said);
        emptied
            .and_then(|file| file.set_len(0))
            .map_err(|e| e.to_string())?;
        obeyed(&said).map_or(Ok(()), |line| {
            Err(format!("it printed what a terminal obeys: {line}"))
        })
    }
}

/// The first line with a character that changes how a terminal shows others.
pub(crate) fn obeyed(text: &[u8]) -> Option<String> {
    let acts = |c: char| {
        c.is_control() && c != '\n' && c != '\t'
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let harmless = |line: &[u8]| std::str::from_utf8(line).is_ok_and(|line| !line.contains(acts));
    let mut lines = text.split(|byte| *byte == b'\n');
    let line = lines.find(|line| !harmless(line))?;
    Some(line.escape_ascii().to_string())
}

/// Tries the inputs from number `first` on.
///
/// # Errors
/// If the worker cannot be set up; what is wrong with an input is told in a file.
pub(crate) fn run(args: &Args, first: u64, scratch: &Path) -> Result<String, String> {
    let target = targets::named(&args.target)?;
    let inputs = Inputs::of(args, target.words).map_err(|e| e.to_string())?;
    let bench = Bench::new(args, scratch)?;
    let io = |e: io::Error| e.to_string();
    let progress = File::create(scratch.join(AT)).map_err(io)?;
    std::env::set_current_dir(&bench.work).map_err(io)?;
    listen();
    bounds::address_space();
    let confined = bounds::write_only_below(scratch).is_ok();
    let around = bench.around().map_err(io)?;
    let begin = Instant::now();
    let mut n = first;
    while n < inputs.count(args.runs) && begin.elapsed() < Duration::from_secs(args.seconds) {
        progress.write_all_at(&n.to_ne_bytes(), 0).map_err(io)?;
        bench.clear().map_err(io)?;
        let tried = attempt(target, &bench, &inputs.get(n));
        let tried = tried.and_then(|()| match bench.around().map_err(io)? == around {
            true => Ok(()),
            false => Err("it wrote outside of its output".into()),
        });
        if let Err(reason) = tried {
            fs::write(scratch.join(FAILURE), &reason).map_err(io)?;
            return Err(reason);
        }
        n += 1;
    }
    let confined = match confined {
        true => "",
        false => "; this kernel does not confine writes, so only the folders around were watched",
    };
    let said = format!(
        "{}: {} inputs in {} s{confined}",
        args.target,
        n - first,
        begin.elapsed().as_secs()
    );
    fs::write(scratch.join(DONE), &said).map_err(io)?;
    Ok(said)
}

/// Tries one input within the bounds.
fn attempt(target: &Target, bench: &Bench, input: &[u8]) -> Result<(), String> {
    bounds::begin();
    let ended = catch_unwind(AssertUnwindSafe(|| (target.run)(bench, input)));
    bounds::end();
    let panic = PANIC.lock().map_or(None, |mut panic| panic.take());
    match (ended, panic) {
        (Err(_), panic) => Err(format!("it panicked: {}", panic.unwrap_or_default().1)),
        (_, Some((true, panic))) => Err(format!("it panicked, which was caught: {panic}")),
        // The kernel refused to write where the worker has no business.
        (Ok(Err(e)), _) if e.contains("ermission denied") => Err(e),
        (Ok(Err(e)), _) if e.starts_with(targets::BROKEN) => Err(e),
        (Ok(_), _) => bench.inert(),
    }
}

/// Remembers panics of this project's code. Decoders of others may panic at a
/// damaged file, if that is caught and told as damage.
fn listen() {
    std::panic::set_hook(Box::new(|panic| {
        let is_own = panic
            .location()
            .is_some_and(|at| !at.file().starts_with('/'));
        let name = std::thread::current().name().map(str::to_owned);
        if let Ok(mut last) = PANIC.lock()
            && !matches!(*last, Some((true, _)))
        {
            *last = Some((is_own, format!("{panic} in thread {name:?}")));
        }
    }));
}
