/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * Paths, by walking dentries and mounts up to the root that the process has.
 *
 * bpf_d_path() is not allowed where these are needed. Components are written
 * leaf first with a NUL after each; user space turns them round.
 */

#define PATH_COMPONENTS 2048 /* no path of PATH_MAX has more */

struct path_buffer {
	u8 bytes[WIRE_PATH + WIRE_NAME];
};

struct path_walk {
	struct path_buffer *out;
	struct dentry *dentry;
	struct vfsmount *mnt;
	struct dentry *mnt_root;
	struct dentry *root_dentry;
	struct vfsmount *root_mnt;
	u32 bytes;
	u32 truncated;
};

static long walk_component(u32 i, struct path_walk *walk)
{
	struct dentry *dentry = walk->dentry;
	struct vfsmount *mnt = walk->mnt;
	struct dentry *parent;
	long n;

	if (!dentry || (dentry == walk->root_dentry && mnt == walk->root_mnt))
		return 1;
	if (dentry == walk->mnt_root) {
		struct mount *mount = (void *)mnt -
				      bpf_core_field_offset(struct mount, mnt);
		struct mount *above = BPF_CORE_READ(mount, mnt_parent);

		if (!above || above == mount)
			return 1;
		walk->dentry = BPF_CORE_READ(mount, mnt_mountpoint);
		mnt = (void *)above + bpf_core_field_offset(struct mount, mnt);
		walk->mnt = mnt;
		walk->mnt_root = BPF_CORE_READ(mnt, mnt_root);
		return 0;
	}
	if (walk->bytes >= WIRE_PATH) {
		walk->truncated = 1;
		return 1;
	}
	n = bpf_probe_read_kernel_str(walk->out->bytes + walk->bytes, WIRE_NAME,
				      BPF_CORE_READ(dentry, d_name.name));
	if (n <= 0) {
		walk->truncated = 1;
		return 1;
	}
	walk->bytes += n;
	parent = BPF_CORE_READ(dentry, d_parent);
	/* Its own parent but no root: it never had a place in a folder. */
	walk->dentry = dentry == parent ? NULL : parent;
	return 0;
}

/* Returns the bytes written; sets `deleted` or `truncated` in `flags`. */
static __always_inline u32 write_path(struct path_buffer *out, struct path *path,
				      struct path *root, u32 *flags, u32 deleted,
				      u32 truncated)
{
	struct dentry *dentry = BPF_CORE_READ(path, dentry);
	struct vfsmount *mnt = BPF_CORE_READ(path, mnt);
	struct path_walk walk = {
		.out = out,
		.dentry = dentry,
		.mnt = mnt,
		.mnt_root = BPF_CORE_READ(mnt, mnt_root),
		.root_dentry = BPF_CORE_READ(root, dentry),
		.root_mnt = BPF_CORE_READ(root, mnt),
	};

	if (!dentry)
		return 0;
	/* d_unlinked(): out of the hash, and not a root. */
	if (!BPF_CORE_READ(dentry, d_hash.pprev) && dentry != walk.mnt_root)
		*flags |= deleted;
	bpf_loop(PATH_COMPONENTS, walk_component, &walk, 0);
	if (walk.truncated)
		*flags |= truncated;
	return walk.bytes;
}
