//! Numbers as people read them.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, StringArray};
use arrow::datatypes::Int64Type;
use datafusion::error::Result;

use crate::functions::Shared;
use crate::render::text;

/// Names of errors as Linux numbers them, from 1; a dash for what it leaves out.
const ERRNOS: &str = "\
    EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES \
    EFAULT ENOTBLK EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY \
    ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOLCK \
    ENOSYS ENOTEMPTY ELOOP - ENOMSG EIDRM ECHRNG EL2NSYNC EL3HLT EL3RST ELNRNG EUNATCH \
    ENOCSI EL2HLT EBADE EBADR EXFULL ENOANO EBADRQC EBADSLT - EBFONT ENOSTR ENODATA ETIME \
    ENOSR ENONET ENOPKG EREMOTE ENOLINK EADV ESRMNT ECOMM EPROTO EMULTIHOP EDOTDOT EBADMSG \
    EOVERFLOW ENOTUNIQ EBADFD EREMCHG ELIBACC ELIBBAD ELIBSCN ELIBMAX ELIBEXEC EILSEQ \
    ERESTART ESTRPIPE EUSERS ENOTSOCK EDESTADDRREQ EMSGSIZE EPROTOTYPE ENOPROTOOPT \
    EPROTONOSUPPORT ESOCKTNOSUPPORT EOPNOTSUPP EPFNOSUPPORT EAFNOSUPPORT EADDRINUSE \
    EADDRNOTAVAIL ENETDOWN ENETUNREACH ENETRESET ECONNABORTED ECONNRESET ENOBUFS EISCONN \
    ENOTCONN ESHUTDOWN ETOOMANYREFS ETIMEDOUT ECONNREFUSED EHOSTDOWN EHOSTUNREACH EALREADY \
    EINPROGRESS ESTALE EUCLEAN ENOTNAM ENAVAIL EISNAM EREMOTEIO EDQUOT ENOMEDIUM \
    EMEDIUMTYPE ECANCELED ENOKEY EKEYEXPIRED EKEYREVOKED EKEYREJECTED EOWNERDEAD \
    ENOTRECOVERABLE ERFKILL";

/// Names of signals as Linux numbers them, from 1, without `SIG`.
const SIGNALS: &str = "\
    HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT \
    STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS";

/// The first signal that programs may use as they like.
const REAL_TIME: i64 = 34;
/// The last.
const LAST: i64 = 64;

/// `format_duration(ns)`: with the unit that fits.
pub(super) fn format_duration(_: &Shared, args: &[ArrayRef]) -> Result<ArrayRef> {
    each(args, |ns| Some(text::duration(ns)))
}

/// `format_bytes(bytes)`: with the unit that fits.
pub(super) fn format_bytes(_: &Shared, args: &[ArrayRef]) -> Result<ArrayRef> {
    each(args, |bytes| {
        let sign = if bytes < 0 { "-" } else { "" };
        Some(format!("{sign}{}", text::bytes(bytes.unsigned_abs())))
    })
}

/// `errno_name(errno)`: `ENOENT` for 2; NULL for 0, which is no error.
pub(super) fn errno_name(_: &Shared, args: &[ArrayRef]) -> Result<ArrayRef> {
    each(args, |errno| match errno {
        0 => None,
        _ => Some(name(ERRNOS, errno).unwrap_or_else(|| errno.to_string())),
    })
}

/// `signal_name(signal)`: `SIGKILL` for 9; NULL for 0, which is no signal.
pub(super) fn signal_name(_: &Shared, args: &[ArrayRef]) -> Result<ArrayRef> {
    each(args, |signal| match signal {
        0 => None,
        REAL_TIME..=LAST => Some(format!("SIGRTMIN+{}", signal - REAL_TIME)),
        _ => Some(match name(SIGNALS, signal) {
            Some(name) => format!("SIG{name}"),
            None => signal.to_string(),
        }),
    })
}

fn name(names: &str, number: i64) -> Option<String> {
    let at = usize::try_from(number).ok()?.checked_sub(1)?;
    let name = names.split(' ').nth(at).filter(|name| *name != "-")?;
    Some(name.to_owned())
}

fn each(args: &[ArrayRef], of: impl Fn(i64) -> Option<String>) -> Result<ArrayRef> {
    let numbers = args[0].as_primitive::<Int64Type>();
    let texts: StringArray = numbers.iter().map(|n| n.and_then(&of)).collect();
    Ok(Arc::new(texts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_and_signals_have_the_names_of_linux() {
        let errno = |n| name(ERRNOS, n).unwrap_or_default();
        let known = [
            (2, "ENOENT"),
            (13, "EACCES"),
            (40, "ELOOP"),
            (116, "ESTALE"),
        ];
        for (number, name) in known {
            assert_eq!(errno(number), name);
        }
        assert_eq!(errno(i64::from(libc::ENOTRECOVERABLE)), "ENOTRECOVERABLE");
        assert_eq!(errno(i64::from(libc::ERFKILL)), "ERFKILL");
        for number in [i64::MIN, -1, 0, 41, 1_000, i64::MAX] {
            assert_eq!(name(ERRNOS, number), None);
        }
        let signal = |n| name(SIGNALS, i64::from(n)).unwrap_or_default();
        assert_eq!(signal(libc::SIGSEGV), "SEGV");
        assert_eq!(signal(libc::SIGSYS), "SYS");
    }
}
