//! Where handlers of signals return to: a few instructions that ask the kernel to
//! restore what was interrupted. Unwind tables tell that by expressions that read
//! memory; here they only serve to find the place. What lies on the stack above it
//! is fixed by the kernel.

use std::collections::HashSet;
use std::ops::Range;

/// The registers that were interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interrupted {
    pub(super) ip: u64,
    pub(super) sp: u64,
    pub(super) bp: u64,
}

impl Interrupted {
    /// Reads them above the stack pointer of a trampoline (`struct rt_sigframe` of
    /// arch/x86/include/asm/sigframe.h, from behind its return address).
    pub(super) fn read(sp: u64, read: impl Fn(u64) -> Result<u64, ()>) -> Option<Self> {
        let at = |offset: u64| read(sp.checked_add(offset)?).ok();
        Some(Self {
            bp: at(120)?,
            sp: at(160)?,
            ip: at(168)?,
        })
    }
}

/// The trampolines among what a section `.eh_frame` describes, which lies at an
/// address: their addresses, as linked.
pub(super) fn find(section: &[u8], address: u64) -> Vec<Range<u64>> {
    let mut of_signals = HashSet::new();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some((length, body)) = u32_at(section, at).zip(section.get(at + 4..)) {
        let Some(body) = body.get(..length as usize).filter(|body| body.len() >= 4) else {
            break;
        };
        match u32_at(body, 0) {
            Some(0) if is_of_signals(body) => {
                of_signals.insert(at);
            }
            // How far back its common part is.
            Some(back) if of_signals.contains(&(at + 4).wrapping_sub(back as usize)) => {
                found.extend(range(body, address.wrapping_add(at as u64 + 4)));
            }
            _ => {}
        }
        at += 4 + length as usize;
    }
    found
}

/// Whether a common part is of trampolines, with addresses relative to where they
/// stand: augmentation `zRS` and encoding `DW_EH_PE_pcrel | DW_EH_PE_sdata4`.
fn is_of_signals(body: &[u8]) -> bool {
    const HEAD: &[u8] = b"\x01zRS\0";
    // Behind it alignments and the return address, a byte each, and a length.
    body[4..].starts_with(HEAD) && body.get(4 + HEAD.len() + 4) == Some(&0x1b)
}

/// The addresses that an entry at an address is about.
fn range(body: &[u8], address: u64) -> Option<Range<u64>> {
    let relative = i64::from(u32_at(body, 4)?.cast_signed());
    let start = address.wrapping_add(4).wrapping_add_signed(relative);
    Some(start..start.checked_add(u64::from(u32_at(body, 8)?))?)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A common part as glibc has it, and an entry of ten bytes of code.
    fn section(augmentation: &[u8; 3]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(20u32.to_ne_bytes());
        bytes.extend(0u32.to_ne_bytes());
        bytes.push(1);
        bytes.extend(augmentation);
        bytes.extend([0, 1, 0x78, 16, 1, 0x1b]);
        bytes.resize(24, 0);
        bytes.extend(16u32.to_ne_bytes());
        bytes.extend(28u32.to_ne_bytes());
        bytes.extend((-0x20i32).to_ne_bytes());
        bytes.extend(10u32.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes
    }

    #[test]
    fn only_what_is_of_signals_is_found() {
        // The entry's address field is 32 bytes behind the beginning.
        let found = find(&section(b"zRS"), 0x1000);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0], 0x1000..0x100a);
        assert!(find(&section(b"zRX"), 0x1000).is_empty());
    }

    #[test]
    fn a_section_that_is_cut_off_is_read_up_to_there() {
        let whole = section(b"zRS");
        for end in 0..whole.len() {
            assert!(find(&whole[..end], 0).len() <= 1);
        }
        assert!(find(&[0xff; 64], 0).is_empty());
        // An address that a file can claim, and no section has.
        find(&whole, u64::MAX - 8);
    }
}
