//! Paths of cgroups by id, and the container that a path belongs to.
//!
//! The id of a cgroup is the inode number of its folder in the unified
//! hierarchy, wherever that is mounted.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Paths seen so far.
#[derive(Debug, Default)]
pub struct Cgroups {
    paths: HashMap<i64, String>,
}

/// Folders that are looked at, at most.
const MAX_FOLDERS: usize = 100_000;

impl Cgroups {
    /// Reads the tree of the unified hierarchy, if it is mounted.
    #[must_use]
    pub fn read() -> Self {
        let mut this = Self::default();
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        if let Some(root) = mount_point(&mounts) {
            this.read_below(&root);
        }
        this
    }

    /// The path of a cgroup, `/` for the root.
    #[must_use]
    pub fn path(&self, id: i64) -> Option<&str> {
        self.paths.get(&id).map(String::as_str)
    }

    fn read_below(&mut self, root: &Path) {
        let mut folders = vec![root.to_path_buf()];
        while let Some(folder) = folders.pop() {
            if self.paths.len() >= MAX_FOLDERS {
                return;
            }
            let Ok(metadata) = fs::metadata(&folder) else {
                continue;
            };
            let relative = folder.strip_prefix(root).unwrap_or(&folder);
            let path = format!("/{}", relative.display());
            self.paths.insert(metadata.ino().cast_signed(), path);
            let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
            folders.extend(
                entries
                    .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()))
                    .map(|e| e.path()),
            );
        }
    }
}

/// Where the unified hierarchy is mounted, from the text of `/proc/self/mounts`.
fn mount_point(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let point = fields.next()?;
        (fields.next()? == "cgroup2").then(|| point.into())
    })
}

/// The container id in a cgroup's path: 64 hexadecimal digits, as Docker,
/// containerd, CRI-O and Podman name them.
#[must_use]
pub fn container_id(path: &str) -> Option<&str> {
    path.rsplit('/').find_map(|component| {
        component
            .split(['-', '.', ':'])
            .find(|part| part.len() == 64 && part.bytes().all(|b| b.is_ascii_hexdigit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn container_ids_are_found_in_the_names_of_all_runtimes() {
        let id = "0123456789abcdef".repeat(4);
        for path in [
            format!("/docker/{id}"),
            format!("/system.slice/docker-{id}.scope"),
            format!("/kubepods.slice/cri-containerd-{id}.scope/init"),
            format!("/machine.slice/libpod-{id}.scope/container"),
        ] {
            assert_eq!(container_id(&path), Some(id.as_str()), "{path}");
        }
        assert_eq!(container_id("/user.slice/session-1.scope"), None);
    }

    #[test]
    fn the_unified_hierarchy_is_found_among_mounts() {
        let mounts = "cgroup /sys/fs/cgroup/cpu cgroup rw 0 0\n\
                      cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        assert_eq!(mount_point(mounts), Some("/sys/fs/cgroup/unified".into()));
        assert_eq!(mount_point(""), None);
    }
}
