//! Command lines, paths and units.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, StringArray, StringBuilder};
use datafusion::common::cast::{as_list_array, as_string_array};
use datafusion::error::Result;
use whence_schemas::quote;

use crate::functions::Shared;

/// `cmdline(argv)`: the arguments quoted as a shell needs them.
pub(super) fn cmdline(_: &Shared, args: &[ArrayRef]) -> Result<ArrayRef> {
    let lists = as_list_array(&args[0])?;
    let mut lines = StringBuilder::new();
    for row in 0..lists.len() {
        if lists.is_null(row) {
            lines.append_null();
            continue;
        }
        let argv = lists.value(row);
        let argv = as_string_array(&argv)?;
        let argv = argv.iter().flatten().map(str::as_bytes);
        lines.append_value(quote::command_line(argv));
    }
    Ok(Arc::new(lines.finish()))
}

/// `basename(path)`: what follows the last slash.
pub(super) fn basename(_: &Shared, args: &[ArrayRef]) -> Result<ArrayRef> {
    each(args, |path| Some(path.rsplit('/').next().unwrap_or(path)))
}

/// `systemd_unit(cgroup_path)`: the unit that the processes of a cgroup belong
/// to.
pub(super) fn systemd_unit(_: &Shared, args: &[ArrayRef]) -> Result<ArrayRef> {
    each(args, unit)
}

/// The innermost service, scope, mount, swap or socket of a path of cgroups;
/// else its innermost slice.
fn unit(path: &str) -> Option<&str> {
    const KINDS: &[&str] = &["service", "scope", "mount", "swap", "socket"];
    let has = |name: &str, kinds: &[&str]| {
        let kind = name.rsplit_once('.').map_or("", |(_, kind)| kind);
        kinds.contains(&kind)
    };
    let innermost = |kinds: &[&str]| path.rsplit('/').find(|name| has(name, kinds));
    innermost(KINDS).or_else(|| innermost(&["slice"]))
}

fn each(args: &[ArrayRef], of: impl Fn(&str) -> Option<&str>) -> Result<ArrayRef> {
    let texts = as_string_array(&args[0])?;
    let found: StringArray = texts.iter().map(|text| text.and_then(&of)).collect();
    Ok(Arc::new(found))
}

#[cfg(test)]
mod tests {
    use super::unit;

    #[test]
    fn the_innermost_unit_counts_and_slices_only_without_one() {
        let cases = [
            ("/system.slice/cron.service", Some("cron.service")),
            (
                "/user.slice/user-0.slice/user@0.service/app.slice/x.scope",
                Some("x.scope"),
            ),
            (
                "/system.slice/docker-1f.scope/init",
                Some("docker-1f.scope"),
            ),
            (
                "/kubepods.slice/kubepods-pod1.slice",
                Some("kubepods-pod1.slice"),
            ),
            ("/", None),
            ("/a.b", None),
        ];
        for (path, found) in cases {
            assert_eq!(unit(path), found, "{path}");
        }
    }
}
