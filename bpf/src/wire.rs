//! The records of `wire.h` under Rust names, and how to read one from bytes.

pub use crate::recorder::types::{
    budget as Budget, wire_caller as Caller, wire_counter as Counter, wire_exit as Exit,
    wire_fork as Fork, wire_header as Header, wire_hit as Hit, wire_image as Image,
    wire_image_flag as ImageFlag, wire_kind as Kind, wire_mapping as Mapping,
    wire_process as Process, wire_sample as Sample, wire_sample_flag as SampleFlag,
    wire_stream as Stream, wire_user as User, wire_wait as Wait,
};

/// A record, or part of one, that is valid whatever its bytes are.
///
/// # Safety
/// The type consists of integers and arrays of integers only, without padding.
pub unsafe trait Plain: Copy {}

// SAFETY: fixed-width integers and byte arrays only; `wire.h` asserts the sizes.
unsafe impl Plain for Header {}
// SAFETY: as above.
unsafe impl Plain for Fork {}
// SAFETY: as above.
unsafe impl Plain for Image {}
// SAFETY: as above.
unsafe impl Plain for Caller {}
// SAFETY: as above.
unsafe impl Plain for Exit {}
// SAFETY: as above.
unsafe impl Plain for Sample {}
// SAFETY: as above.
unsafe impl Plain for Mapping {}
// SAFETY: as above.
unsafe impl Plain for Hit {}
// SAFETY: as above.
unsafe impl Plain for Wait {}
// SAFETY: as above.
unsafe impl Plain for Counter {}
// SAFETY: as above.
unsafe impl Plain for Budget {}

/// Reads a record from the begin of `bytes`, which need not be aligned, and
/// gives what follows it. `None` if there are too few bytes.
#[must_use]
pub fn split<T: Plain>(bytes: &[u8]) -> Option<(T, &[u8])> {
    let (record, rest) = bytes.split_at_checked(size_of::<T>())?;
    // SAFETY: there are enough bytes, and any bytes are a valid `T` (`Plain`).
    let record = unsafe { record.as_ptr().cast::<T>().read_unaligned() };
    Some((record, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The generated types must have the layout that `wire.h` asserts, with no
    /// padding that the generator would have had to invent.
    #[test]
    fn generated_types_have_the_layout_of_the_header() {
        assert_eq!(size_of::<Header>(), 24);
        assert_eq!(size_of::<Fork>(), 112);
        assert_eq!(size_of::<Image>(), 192);
        assert_eq!(size_of::<Caller>(), 80);
        assert_eq!(size_of::<Exit>(), 144);
        assert_eq!(size_of::<Sample>(), 112);
        assert_eq!(size_of::<Mapping>(), 96);
        assert_eq!(size_of::<Hit>(), 128);
        assert_eq!(size_of::<Wait>(), 392);
        assert_eq!(std::mem::offset_of!(Image, argv_bytes), 180);
        assert_eq!(std::mem::offset_of!(Sample, kernel_stack_bytes), 100);
    }

    #[test]
    fn a_short_record_is_none_and_an_unaligned_one_is_read() {
        let mut bytes = vec![0u8; 1 + size_of::<Header>()];
        bytes[1] = 7;
        assert!(split::<Header>(&bytes[..23]).is_none());
        let (header, rest) = split::<Header>(&bytes[1..]).unwrap();
        assert_eq!(header.ts_ns, 7);
        assert!(rest.is_empty());
    }
}
