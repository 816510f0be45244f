//! ELF notes (elf(5), "Notes"): of the kernel, of modules, of files.

/// A note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note<'a> {
    /// Who defines what it means, with a NUL.
    pub name: &'a [u8],
    /// Its type, as `name` counts them.
    pub kind: u32,
    /// What it says.
    pub desc: &'a [u8],
}

/// The notes that stand one behind the other, up to the first that is cut off.
pub fn notes(mut bytes: &[u8]) -> impl Iterator<Item = Note<'_>> {
    std::iter::from_fn(move || {
        let (header, rest) = bytes.split_first_chunk::<12>()?;
        let field =
            |i: usize| u32::from_ne_bytes([header[i], header[i + 1], header[i + 2], header[i + 3]]);
        let (name_len, desc_len) = (field(0) as usize, field(4) as usize);
        let padded = |n: usize| n.checked_next_multiple_of(4);
        let (name, rest) = rest.split_at_checked(padded(name_len)?)?;
        // The last one need not be padded.
        let (desc, rest) = rest.split_at_checked(padded(desc_len)?.min(rest.len()))?;
        bytes = rest;
        Some(Note {
            name: name.get(..name_len)?,
            kind: field(8),
            desc: desc.get(..desc_len)?,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_read_up_to_one_that_is_cut_off() {
        let mut bytes = Vec::new();
        for (kind, desc) in [(1u32, &b"abcde"[..]), (3, b"xyz")] {
            bytes.extend(4u32.to_ne_bytes());
            bytes.extend((desc.len() as u32).to_ne_bytes());
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(b"GNU\0");
            bytes.extend(desc);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        let found: Vec<_> = notes(&bytes).map(|n| (n.kind, n.desc)).collect();
        assert_eq!(found, [(1, &b"abcde"[..]), (3, b"xyz")]);
        for end in 0..bytes.len() {
            assert!(notes(&bytes[..end]).count() <= 2);
        }
        assert_eq!(notes(&[0xff; 40]).count(), 0);
    }
}
