package hosttree

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// pseudo names the file systems whose files the kernel makes while they are read (linux/magic.h): their sizes say nothing.
var pseudo = map[int64]string{
	unix.PROC_SUPER_MAGIC: "proc", unix.SYSFS_MAGIC: "sysfs", unix.DEBUGFS_MAGIC: "debugfs", unix.TRACEFS_MAGIC: "tracefs",
	unix.SECURITYFS_MAGIC: "securityfs", unix.CGROUP_SUPER_MAGIC: "cgroup", unix.CGROUP2_SUPER_MAGIC: "cgroup2", unix.DEVPTS_SUPER_MAGIC: "devpts",
	unix.EFIVARFS_MAGIC: "efivarfs", unix.BPF_FS_MAGIC: "bpf", unix.PSTOREFS_MAGIC: "pstore", unix.SELINUX_MAGIC: "selinuxfs",
	unix.BINFMTFS_MAGIC: "binfmt_misc",
}

// refusePseudo returns an error for a path on such a file system.
func refusePseudo(path string) error {
	var st unix.Statfs_t
	for {
		switch err := unix.Statfs(path, &st); {
		case err == unix.EINTR:
			continue
		case err == nil && pseudo[int64(st.Type)] != "":
			return fmt.Errorf("is on %s, where the kernel makes files while they are read: nothing there has a fixed size", pseudo[int64(st.Type)])
		}
		return nil
	}
}
