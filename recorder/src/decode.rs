//! Reads ring records. Pure: no libbpf, no clock, no allocation but for paths,
//! no panic whatever the bytes are.

use whence_bpf::wire::{self, ImageFlag, Kind, SampleFlag};

use crate::entry::{Entry, Origin};

/// A record that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It ends before its fields do.
    #[error("record of kind {kind} is too short")]
    Short {
        /// Its kind; 0 if not even that could be read.
        kind: u32,
    },
    /// Its kind is not known.
    #[error("record has the unknown kind {kind}")]
    Kind {
        /// Its kind.
        kind: u32,
    },
}

/// An event of the kernel.
#[derive(Debug)]
pub enum Event<'a> {
    /// A process was created.
    Fork(Fork<'a>),
    /// A program was executed, or was tried to be.
    Exec(Image<'a>),
    /// A process was there already.
    Snapshot(Image<'a>),
    /// The stacks of the next exec's caller.
    Caller(Caller<'a>),
    /// A process ended.
    Exit(wire::Exit),
    /// A CPU sample or the hit of a probe.
    Sample(Sample<'a>),
    /// A process has this executable mapping.
    Mapping(Mapping<'a>),
}

/// Addresses of a stack, leaf first, as bytes from the ring.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stack<'a>(pub &'a [u8]);

impl<'a> Stack<'a> {
    /// The addresses.
    pub fn addresses(self) -> impl Iterator<Item = u64> + 'a {
        self.0
            .as_chunks::<8>()
            .0
            .iter()
            .map(|bytes| u64::from_ne_bytes(*bytes))
    }

    /// How many there are.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.len() / 8
    }

    /// The bytes of whole addresses.
    #[must_use]
    pub fn whole(self) -> &'a [u8] {
        self.0.as_chunks::<8>().0.as_flattened()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.len() < 8
    }
}

/// Where user code was, and what its call path is found from.
#[derive(Clone, Copy, Debug)]
pub struct UserStack<'a> {
    /// Registers.
    pub wire: wire::User,
    /// Addresses by frame pointers; empty if memory was taken.
    pub by_frame_pointers: Stack<'a>,
    /// Memory from the stack pointer upward; empty if it was not taken.
    pub memory: &'a [u8],
    /// The function of the program that is being entered, if one is.
    pub entry: Option<Entry>,
}

impl UserStack<'_> {
    /// Where user code was; `None` if there was none.
    #[must_use]
    pub fn leaf(&self) -> Option<u64> {
        match self.memory.is_empty() {
            true => self.by_frame_pointers.addresses().next(),
            false => Some(self.wire.ip),
        }
    }
}

/// See [`wire::Fork`].
#[derive(Debug)]
pub struct Fork<'a> {
    /// Fixed part.
    pub wire: wire::Fork,
    /// User stack of the parent.
    pub user_stack: UserStack<'a>,
}

/// See [`wire::Caller`].
#[derive(Debug)]
pub struct Caller<'a> {
    /// Fixed part.
    pub wire: wire::Caller,
    /// Kernel stack at the system call.
    pub kernel_stack: Stack<'a>,
    /// User stack in the old image.
    pub user_stack: UserStack<'a>,
}

/// See [`wire::Sample`].
#[derive(Debug)]
pub struct Sample<'a> {
    /// Fixed part.
    pub wire: wire::Sample,
    /// How the kernel stack was taken.
    pub origin: Origin,
    /// Kernel stack.
    pub kernel_stack: Stack<'a>,
    /// User stack.
    pub user_stack: UserStack<'a>,
    /// How it ended, if it is a wait.
    pub wait: Option<Wait>,
}

/// The end of a wait.
#[derive(Clone, Debug)]
pub struct Wait {
    /// The thread that ran where it was ended.
    pub waker: wire::Process,
    /// Kernel stack where it was ended; empty if that is not known.
    pub waker_stack: Vec<u64>,
}

impl Wait {
    fn of(wire: &wire::Wait) -> Self {
        Self {
            waker: wire.waker,
            waker_stack: {
                let frames = wire.waker_stack_bytes as usize / 8;
                wire.waker_stack.iter().copied().take(frames).collect()
            },
        }
    }
}

impl Sample<'_> {
    /// Whether it is the hit of a probe. Event 0 is the CPU sampler.
    #[must_use]
    pub fn is_hit(&self) -> bool {
        self.wire.event != 0 && self.wait.is_none()
    }

    /// Whether the CPU ran a virtual machine.
    #[must_use]
    pub fn in_guest(&self) -> bool {
        self.wire.flags & SampleFlag::WIRE_IN_GUEST.0 != 0
    }
}

/// See [`wire::Mapping`].
#[derive(Debug)]
pub struct Mapping<'a> {
    /// Fixed part.
    pub wire: wire::Mapping,
    /// Components of the file's path, leaf first, a NUL after each.
    path: &'a [u8],
}

impl Mapping<'_> {
    /// Path of the file, as `/proc/PID/maps` shows it; `None` for the vdso.
    #[must_use]
    pub fn path(&self) -> Option<String> {
        let has = |flag: ImageFlag| self.wire.flags & flag.0 != 0;
        let deleted = has(ImageFlag::WIRE_EXE_DELETED);
        let truncated = has(ImageFlag::WIRE_EXE_TRUNCATED);
        (!self.path.is_empty()).then(|| path(self.path, deleted, truncated))
    }
}

/// See [`wire::Image`].
#[derive(Debug)]
pub struct Image<'a> {
    /// Fixed part.
    pub wire: wire::Image,
    /// As given to exec, without the NUL.
    pub filename: &'a [u8],
    /// Without the NUL; empty if it is the file itself.
    pub interpreter: &'a [u8],
    /// Components of the executable's path, leaf first, a NUL after each.
    exe: &'a [u8],
    /// Components of the working directory's path, likewise.
    cwd: &'a [u8],
    /// Arguments, a NUL after each.
    pub argv: &'a [u8],
    /// Variables of the environment, a NUL after each.
    pub env: &'a [u8],
}

impl Image<'_> {
    fn has(&self, flag: ImageFlag) -> bool {
        self.wire.flags & flag.0 != 0
    }

    /// Path of the executable, as `/proc/PID/exe` shows it.
    #[must_use]
    pub fn exe(&self) -> Option<String> {
        let deleted = self.has(ImageFlag::WIRE_EXE_DELETED);
        let truncated = self.has(ImageFlag::WIRE_EXE_TRUNCATED);
        (!self.exe.is_empty()).then(|| path(self.exe, deleted, truncated))
    }

    /// Working directory, as `/proc/PID/cwd` shows it. No components: the root.
    #[must_use]
    pub fn cwd(&self) -> Option<String> {
        let deleted = self.has(ImageFlag::WIRE_CWD_DELETED);
        let truncated = self.has(ImageFlag::WIRE_CWD_TRUNCATED);
        (!self.is_kernel_thread()).then(|| path(self.cwd, deleted, truncated))
    }

    /// Whether it is a thread of the kernel, without a program.
    #[must_use]
    pub fn is_kernel_thread(&self) -> bool {
        self.has(ImageFlag::WIRE_KERNEL_THREAD)
    }

    /// `complete`, `truncated` or `unreadable`.
    #[must_use]
    pub fn argv_state(&self) -> &'static str {
        let read = u64::from(self.wire.argv_bytes.saturating_sub(self.wire.argv_unread));
        match read {
            n if n == self.wire.argv_total => "complete",
            0 => "unreadable",
            _ => "truncated",
        }
    }
}

/// Cuts arguments with a NUL after each.
///
/// What a process has written over its arguments need not end with a NUL; what
/// an exec has made always does.
pub fn arguments(argv: &[u8]) -> impl Iterator<Item = &[u8]> {
    let none = argv.is_empty();
    let argv = argv.strip_suffix(b"\0").unwrap_or(argv);
    argv.split(|byte| *byte == 0).filter(move |_| !none)
}

/// Reads one record.
///
/// # Errors
/// If it is too short or of no known kind.
pub fn decode(record: &[u8]) -> Result<Event<'_>, DecodeError> {
    let (header, _) = wire::split::<wire::Header>(record).ok_or(DecodeError::Short { kind: 0 })?;
    let kind = header.kind;
    let short = DecodeError::Short { kind };
    match Kind(kind) {
        Kind::WIRE_FORK => {
            let (wire, rest) = wire::split::<wire::Fork>(record).ok_or(short)?;
            let user_stack = user_stack(wire.user, rest).ok_or(short)?;
            Ok(Event::Fork(Fork { wire, user_stack }))
        }
        Kind::WIRE_EXEC | Kind::WIRE_EXEC_FAILED => Ok(Event::Exec(image(record).ok_or(short)?)),
        Kind::WIRE_SNAPSHOT => Ok(Event::Snapshot(image(record).ok_or(short)?)),
        Kind::WIRE_CALLER => {
            let (wire, rest) = wire::split::<wire::Caller>(record).ok_or(short)?;
            let kernel = wire.kernel_stack_bytes as usize;
            let (kernel, rest) = rest.split_at_checked(kernel).ok_or(short)?;
            Ok(Event::Caller(Caller {
                wire,
                kernel_stack: Stack(kernel),
                user_stack: user_stack(wire.user, rest).ok_or(short)?,
            }))
        }
        Kind::WIRE_EXIT => {
            let (wire, _) = wire::split::<wire::Exit>(record).ok_or(short)?;
            Ok(Event::Exit(wire))
        }
        Kind::WIRE_SAMPLE => {
            let (wire, rest) = wire::split::<wire::Sample>(record).ok_or(short)?;
            let sample = sample(wire, Origin::Interrupt, None, rest);
            Ok(Event::Sample(sample.ok_or(short)?))
        }
        Kind::WIRE_WAIT => {
            let (wire, rest) = wire::split::<wire::Wait>(record).ok_or(short)?;
            let sample = sample(wire.sample, Origin::Interrupt, None, rest).ok_or(short)?;
            let wait = Some(Wait::of(&wire));
            Ok(Event::Sample(Sample { wait, ..sample }))
        }
        Kind::WIRE_HIT => {
            let (wire, rest) = wire::split::<wire::Hit>(record).ok_or(short)?;
            let (origin, entry) = entered(&wire);
            let sample = sample(wire.sample, origin, entry, rest);
            Ok(Event::Sample(sample.ok_or(short)?))
        }
        Kind::WIRE_MAPPING => {
            let (wire, rest) = wire::split::<wire::Mapping>(record).ok_or(short)?;
            let [path] = parts(rest, [wire.path_bytes]).ok_or(short)?;
            Ok(Event::Mapping(Mapping { wire, path }))
        }
        _ => Err(DecodeError::Kind { kind }),
    }
}

/// A name as the kernel keeps it: up to the first NUL.
#[must_use]
pub fn comm(bytes: &[u8; 16]) -> std::borrow::Cow<'_, str> {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end])
}

fn image(record: &[u8]) -> Option<Image<'_>> {
    let (wire, rest) = wire::split::<wire::Image>(record)?;
    let lengths = [
        wire.filename_bytes,
        wire.interpreter_bytes,
        wire.exe_bytes,
        wire.cwd_bytes,
        wire.argv_bytes,
        wire.env_bytes,
    ];
    let [filename, interpreter, exe, cwd, argv, env] = parts(rest, lengths)?;
    Some(Image {
        wire,
        filename: filename.strip_suffix(b"\0").unwrap_or(filename),
        interpreter: interpreter.strip_suffix(b"\0").unwrap_or(interpreter),
        exe,
        cwd,
        argv,
        env,
    })
}

/// Addresses from here on are the kernel's.
const KERNEL_HALF: u64 = 1 << 63;

/// How the kernel stack of a hit was taken, and the function of a program that
/// was entered, if one was.
fn entered(wire: &wire::Hit) -> (Origin, Option<Entry>) {
    let entry = Entry {
        function: wire.function,
        caller: wire.caller,
    };
    match entry.function {
        0 => (Origin::Called, None),
        KERNEL_HALF.. => (Origin::Entry(entry), None),
        _ => (Origin::Called, Some(entry)),
    }
}

fn sample(
    wire: wire::Sample,
    origin: Origin,
    entry: Option<Entry>,
    rest: &[u8],
) -> Option<Sample<'_>> {
    let (kernel, rest) = rest.split_at_checked(wire.kernel_stack_bytes as usize)?;
    Some(Sample {
        wire,
        origin,
        kernel_stack: Stack(kernel),
        user_stack: UserStack {
            entry,
            ..user_stack(wire.user, rest)?
        },
        wait: None,
    })
}

fn user_stack(wire: wire::User, rest: &[u8]) -> Option<UserStack<'_>> {
    let [addresses, memory] = parts(rest, [wire.stack_bytes, wire.memory_bytes])?;
    Some(UserStack {
        wire,
        by_frame_pointers: Stack(addresses),
        memory,
        entry: None,
    })
}

/// Cuts the variable part of a record by its lengths.
fn parts<const N: usize>(mut rest: &[u8], lengths: [u32; N]) -> Option<[&[u8]; N]> {
    let mut parts = [[].as_slice(); N];
    for (part, length) in parts.iter_mut().zip(lengths) {
        (*part, rest) = rest.split_at_checked(length as usize)?;
    }
    Some(parts)
}

/// Turns components, leaf first, into a path.
fn path(components: &[u8], deleted: bool, truncated: bool) -> String {
    let components = components.strip_suffix(b"\0").unwrap_or(components);
    let mut path = String::new();
    if truncated {
        path.push_str("...");
    }
    for component in components.rsplit(|byte| *byte == 0) {
        path.push('/');
        path.push_str(&String::from_utf8_lossy(component));
    }
    if deleted {
        path.push_str(" (deleted)");
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image_record(exe: &[u8], argv: &[u8], total: u64) -> Vec<u8> {
        let mut wire = wire::Image::default();
        wire.header.kind = Kind::WIRE_EXEC.0;
        wire.exe_bytes = exe.len() as u32;
        wire.argv_bytes = argv.len() as u32;
        wire.argv_total = total;
        // SAFETY: any `Plain` value can be seen as its bytes.
        let fixed = unsafe {
            std::slice::from_raw_parts((&raw const wire).cast::<u8>(), size_of_val(&wire))
        };
        [fixed, exe, argv].concat()
    }

    fn exec(record: &[u8]) -> Image<'_> {
        match decode(record) {
            Ok(Event::Exec(image)) => image,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn arguments_keep_their_boundaries_and_empty_ones() {
        let record = image_record(b"awk\0bin\0usr\0", b"awk\0\0a b\0", 9);
        let image = exec(&record);
        let args: Vec<_> = arguments(image.argv).collect();
        assert_eq!(args, [b"awk".as_slice(), b"", b"a b"]);
        assert_eq!(image.argv_state(), "complete");
        assert_eq!(image.exe().as_deref(), Some("/usr/bin/awk"));
        assert_eq!(image.cwd().as_deref(), Some("/"));
    }

    #[test]
    fn an_empty_argv_is_not_one_empty_argument() {
        let none = image_record(b"", b"", 0);
        assert_eq!(arguments(exec(&none).argv).count(), 0);
        let one = image_record(b"", b"\0", 1);
        assert_eq!(arguments(exec(&one).argv).count(), 1);
    }

    #[test]
    fn an_argv_cut_short_says_so() {
        assert_eq!(
            exec(&image_record(b"", b"awk", 9)).argv_state(),
            "truncated"
        );
        assert_eq!(exec(&image_record(b"", b"", 9)).argv_state(), "unreadable");
    }

    /// Whatever a damaged ring gives, decoding it ends in an event or an error.
    #[test]
    fn no_prefix_and_no_length_panics() {
        let record = image_record(b"awk\0", b"awk\0x\0", 6);
        for end in 0..record.len() {
            assert!(decode(&record[..end]).is_err(), "{end}");
        }
        for kind in 0..=u8::MAX {
            let mut record = record.clone();
            record[16] = kind;
            record[140..152].fill(0xff);
            let _ = decode(&record);
        }
    }
}
