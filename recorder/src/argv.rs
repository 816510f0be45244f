//! Arguments and environment, from the bytes of a process to the forms in which
//! they are stored.

use std::borrow::Cow;

use whence_schemas::quote::command_line;

use crate::decode::arguments;

/// Arguments in the forms in which they are stored.
#[derive(Clone, Debug)]
pub struct Argv<'a> {
    /// As text; what is not UTF-8 is replaced.
    pub args: Vec<Cow<'a, str>>,
    /// A NUL after each, only where they are not UTF-8.
    pub raw: Option<Vec<u8>>,
    /// Quoted as a shell would need them.
    pub cmdline: String,
}

impl<'a> Argv<'a> {
    /// From arguments with a NUL after each.
    #[must_use]
    pub fn of(bytes: &'a [u8]) -> Self {
        let args: Vec<_> = arguments(bytes).map(String::from_utf8_lossy).collect();
        let exact = args.iter().all(|a| matches!(a, Cow::Borrowed(_)));
        let raw = (!exact).then(|| {
            let mut raw = bytes.to_vec();
            if raw.last() != Some(&0) {
                raw.push(0);
            }
            raw
        });
        Self {
            args,
            raw,
            cmdline: command_line(arguments(bytes)),
        }
    }

    /// As they go into a list.
    #[must_use]
    pub fn texts(&self) -> Vec<&str> {
        texts(&self.args)
    }
}

/// Strings as they go into a list.
#[must_use]
pub fn texts<'a>(strings: &'a [Cow<'_, str>]) -> Vec<&'a str> {
    strings.iter().map(AsRef::as_ref).collect()
}

/// The variables of an environment that have these names.
#[must_use]
pub fn wanted_env<'a>(env: &'a [u8], names: &[String]) -> Vec<Cow<'a, str>> {
    let wanted = |variable: &&[u8]| {
        let end = variable.iter().position(|byte| *byte == b'=');
        let name = end.map(|end| &variable[..end]);
        names.iter().any(|n| Some(n.as_bytes()) == name)
    };
    let kept = arguments(env).filter(wanted);
    kept.map(String::from_utf8_lossy).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_variables_that_were_asked_for_are_kept() {
        let env = b"PATH=/bin\0TOKEN=secret\0PATHS=x\0odd\0";
        assert_eq!(wanted_env(env, &["PATH".into()]), ["PATH=/bin"]);
        assert!(wanted_env(env, &[]).is_empty());
    }

    #[test]
    fn raw_bytes_are_kept_only_where_text_would_lose_them() {
        assert!(Argv::of(b"awk\0x\0").raw.is_none());
        let odd = Argv::of(b"awk\0\xff");
        assert_eq!(odd.raw.as_deref(), Some(b"awk\0\xff\0".as_slice()));
        assert_eq!(odd.cmdline, "awk $'\\xff'");
    }
}
