//! From offsets in a file to addresses, by its loadable segments.
//!
//! A separate debug file keeps the addresses and sizes of the segments but not
//! their place in the file that was run, since it holds nothing of them. Linkers
//! lay segments one after the other, each at the first offset that agrees with
//! its address modulo its alignment, so that the places can be told.

/// A loadable segment, as a program header says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Header {
    pub(super) offset: u64,
    pub(super) address: u64,
    pub(super) file_bytes: u64,
    pub(super) memory_bytes: u64,
    pub(super) align: u64,
    pub(super) is_code: bool,
}

/// Where code of a file lies in memory, relative to its base.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Offset, address and size of each segment of code.
    code: Vec<(u64, u64, u64)>,
}

impl Layout {
    pub(super) fn of(headers: &[Header]) -> Self {
        let holds_code = |h: &Header| h.is_code && h.file_bytes > 0;
        let code = if headers.iter().any(holds_code) {
            let code = headers.iter().filter(|h| holds_code(h));
            code.map(|h| (h.offset, h.address, h.file_bytes)).collect()
        } else {
            inferred(headers)
        };
        Self { code }
    }

    /// The address of what lies at an offset, if it is code.
    pub(super) fn address(&self, offset: u64) -> Option<u64> {
        self.code.iter().find_map(|(from, address, bytes)| {
            let at = offset.checked_sub(*from).filter(|at| at < bytes)?;
            address.checked_add(at)
        })
    }
}

fn inferred(headers: &[Header]) -> Vec<(u64, u64, u64)> {
    let mut headers = headers.to_vec();
    headers.sort_by_key(|h| h.address);
    let mut code = Vec::new();
    // The first segment begins with the header of the file.
    let mut end = 0_u64;
    for (i, header) in headers.iter().enumerate() {
        let align = header.align.max(1);
        let offset = match i {
            0 => 0,
            _ => end + (header.address % align + align - end % align) % align,
        };
        if header.is_code {
            code.push((offset, header.address, header.memory_bytes));
        }
        let Some(next) = offset.checked_add(header.memory_bytes) else {
            break;
        };
        // Beyond this, sums with an alignment could overflow.
        if next > u64::MAX / 4 || align > u64::MAX / 4 {
            break;
        }
        end = next;
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(address: u64, memory_bytes: u64, align: u64, is_code: bool) -> Header {
        Header {
            address,
            memory_bytes,
            align,
            is_code,
            ..Header::default()
        }
    }

    /// What `readelf -lW` says of programs of GNU ld and of lld before and after
    /// `objcopy --only-keep-debug`.
    #[test]
    fn places_are_told_from_addresses_as_linkers_choose_them() {
        let gnu = Layout::of(&[
            header(0, 0x618, 0x1000, false),
            header(0x1000, 0x175, 0x1000, true),
            header(0x2000, 0xf8, 0x1000, false),
            header(0x3dd0, 0x250, 0x1000, false),
        ]);
        assert_eq!(gnu.address(0x1050), Some(0x1050));
        assert_eq!(gnu.address(0x2000), None);
        let lld = Layout::of(&[
            header(0x20_0000, 0x5c4, 0x1000, false),
            header(0x20_15d0, 0x1b0, 0x1000, true),
        ]);
        assert_eq!(lld.address(0x5d0), Some(0x20_15d0));
    }

    #[test]
    fn a_whole_program_says_its_places_itself() {
        let whole = Header {
            offset: 0x3000,
            file_bytes: 0x100,
            ..header(0x40_0000, 0x100, 0x1000, true)
        };
        let layout = Layout::of(&[whole]);
        assert_eq!(layout.address(0x3010), Some(0x40_0010));
        assert_eq!(layout.address(0x3100), None);
        assert_eq!(layout.address(0), None);
    }

    #[test]
    fn headers_of_nonsense_overflow_nothing() {
        let odd = [0, 1, 0x1000, u64::MAX / 2, u64::MAX];
        for address in odd {
            for bytes in odd {
                for align in odd {
                    let one = header(address, bytes, align, true);
                    let layout = Layout::of(&[one, one, one]);
                    for offset in odd {
                        layout.address(offset);
                    }
                }
            }
        }
    }
}
