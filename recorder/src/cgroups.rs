//! Paths of cgroups by id, and the container that a path belongs to.
//!
//! The id of a cgroup is a file handle of its folder in the unified hierarchy,
//! so its path is found without looking through the tree.

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Paths seen so far.
#[derive(Debug, Default)]
pub struct Cgroups {
    root: Option<(PathBuf, File)>,
    paths: HashMap<i64, Option<String>>,
}

/// A cgroup that is to be recorded, with all below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subtree {
    /// Its id.
    pub id: u64,
    /// Its depth; the root has 0.
    pub level: u32,
}

/// Paths kept; more are looked up again.
const MAX_PATHS: usize = 10_000;

impl Cgroups {
    /// Opens the unified hierarchy, if it is mounted.
    #[must_use]
    pub fn open() -> Self {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let root =
            mount_point(&mounts).and_then(|path| Some((path.clone(), File::open(path).ok()?)));
        Self {
            root,
            paths: HashMap::new(),
        }
    }

    /// The path of a cgroup, `/` for the root; `None` if it is gone.
    pub fn path(&mut self, id: i64) -> Option<&str> {
        if self.paths.len() >= MAX_PATHS && !self.paths.contains_key(&id) {
            self.paths.clear();
        }
        let (root, paths) = (&self.root, &mut self.paths);
        let known = paths.entry(id).or_insert_with(|| {
            let (mount, folder) = root.as_ref()?;
            let path = fs::read_link(proc_path(&open_by_id(folder, id)?)).ok()?;
            let relative = path.strip_prefix(mount).ok()?;
            Some(format!("/{}", relative.display()))
        });
        known.as_deref()
    }

    /// The cgroup at a path, which begins with `/` or is that of its folder.
    ///
    /// # Errors
    /// If there is none.
    pub fn subtree(&self, path: &Path) -> anyhow::Result<Subtree> {
        let Some((mount, _)) = &self.root else {
            anyhow::bail!("the unified cgroup hierarchy is not mounted; mount it to use --cgroup");
        };
        let relative = path.strip_prefix(mount).unwrap_or(path);
        let relative = relative.strip_prefix("/").unwrap_or(relative);
        let folder = mount.join(relative);
        let metadata = fs::metadata(&folder)
            .map_err(|_| anyhow::anyhow!("{} is not a cgroup", folder.display()))?;
        Ok(Subtree {
            id: metadata.ino(),
            level: relative.components().count() as u32,
        })
    }
}

fn proc_path(file: &File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// Opens the folder of a cgroup by its id (open_by_handle_at(2)).
fn open_by_id(mount: &File, id: i64) -> Option<File> {
    /// `struct file_handle` with the eight bytes that kernfs uses.
    #[repr(C)]
    struct Handle {
        bytes: u32,
        kind: i32,
        id: u64,
    }
    /// `FILEID_KERNFS` in `include/linux/exportfs.h`.
    const KERNFS: i32 = 0xfe;
    let mut handle = Handle {
        bytes: 8,
        kind: KERNFS,
        id: id.cast_unsigned(),
    };
    let flags = libc::O_PATH | libc::O_CLOEXEC;
    let at = (&raw mut handle).cast();
    // SAFETY: `handle` is laid out as the kernel expects and says its length.
    let fd = unsafe { libc::open_by_handle_at(mount.as_raw_fd(), at, flags) };
    // SAFETY: a descriptor that the kernel has just given belongs to us alone.
    (fd >= 0).then(|| unsafe { File::from_raw_fd(fd) })
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
    fn the_root_is_found_by_its_id() {
        let mut cgroups = Cgroups::open();
        let Some((mount, _)) = &cgroups.root else {
            eprintln!("skipped: the unified cgroup hierarchy is not mounted");
            return;
        };
        let root = cgroups.subtree(mount).unwrap();
        assert_eq!(root.level, 0);
        // Only root may open by handle.
        if let Some(path) = cgroups.path(root.id.cast_signed()) {
            assert_eq!(path, "/");
        }
        assert!(cgroups.subtree(Path::new("/no/such/cgroup")).is_err());
    }

    #[test]
    fn the_unified_hierarchy_is_found_among_mounts() {
        let mounts = "cgroup /sys/fs/cgroup/cpu cgroup rw 0 0\n\
                      cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        assert_eq!(mount_point(mounts), Some("/sys/fs/cgroup/unified".into()));
        assert_eq!(mount_point(""), None);
    }
}
