package sandbox

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Confinement is what a command may not do, although it is root of its namespace: use system calls that widen the attack on the kernel, change mounts, use
// more than the limits. Syncing does nothing, since nobody reads what was written if the host fails.
type Confinement struct {
	UID, GID  uint32 // of the command, in the sandbox
	Memory    int64  // bytes of address space of each process, 0 for no limit
	FileSize  int64  // bytes of the largest file, 0 for no limit
	Processes int64  // of the user, 0 for no limit; root has none
}

// confine confines the calling thread, which then becomes the command.
func (c *Confinement) confine() error {
	for _, l := range []struct {
		what  int
		limit int64
	}{{unix.RLIMIT_AS, c.Memory}, {unix.RLIMIT_FSIZE, c.FileSize}, {unix.RLIMIT_NPROC, c.Processes}} {
		if l.limit == 0 {
			continue
		}
		if err := limit(l.what, l.limit); err != nil {
			return err
		}
	}
	if err := limit(unix.RLIMIT_CORE, 0); err != nil {
		return err
	}
	if err := dropCapabilities(); err != nil {
		return err
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0); errno != 0 && errno != unix.EPERM { // the kernel keeps the groups of those with one ID
		return fmt.Errorf("set no groups: %w", errno)
	}
	if err := own(c.UID, c.GID); err != nil {
		return err
	}
	return filter()
}

// limit sets a limit of the process, as far as the host lets it.
func limit(what int, n int64) error {
	var now unix.Rlimit
	if err := unix.Getrlimit(what, &now); err != nil {
		return fmt.Errorf("read a limit: %w", err)
	}
	most := min(uint64(n), now.Max)
	if err := unix.Setrlimit(what, &unix.Rlimit{Cur: most, Max: most}); err != nil {
		return fmt.Errorf("set a limit: %w", err)
	}
	return nil
}

// capabilities are those that a command may have: what installing files takes (capabilities(7)).
var capabilities = []int{
	unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_DAC_READ_SEARCH, unix.CAP_FOWNER, unix.CAP_FSETID, unix.CAP_KILL, unix.CAP_SETGID, unix.CAP_SETUID, unix.CAP_SETPCAP,
	unix.CAP_NET_BIND_SERVICE, unix.CAP_SYS_CHROOT, unix.CAP_SETFCAP,
}

// dropCapabilities removes the others from those that a program can get.
func dropCapabilities() error {
	for c := 0; c <= unix.CAP_LAST_CAP; c++ {
		if slices.Contains(capabilities, c) {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) { // one that the kernel does not know
			return fmt.Errorf("drop capability %d: %w", c, err)
		}
	}
	return nil
}

// refusedCalls fail with EPERM: they are about mounts, namespaces, keys, modules, other processes' memory, and the clock of the host.
var refusedCalls = []uint32{
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE, unix.SYS_FSOPEN, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK,
	unix.SYS_MOUNT_SETATTR, unix.SYS_SETNS, unix.SYS_UNSHARE,
	unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL,
	unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_IO_URING_SETUP, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_NAME_TO_HANDLE_AT, unix.SYS_FANOTIFY_INIT,
	unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_KEXEC_LOAD, unix.SYS_REBOOT, unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT,
	unix.SYS_QUOTACTL, unix.SYS_SYSLOG, unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_KCMP,
	unix.SYS_CLOCK_SETTIME, unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_ADJTIME, unix.SYS_ADJTIMEX, unix.SYS_VHANGUP,
}

// idleCalls succeed without effect.
var idleCalls = []uint32{unix.SYS_SYNC, unix.SYS_SYNCFS, unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_SYNC_FILE_RANGE, unix.SYS_MSYNC}

var architectures = map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64, "riscv64": unix.AUDIT_ARCH_RISCV64}

// Offsets in struct seccomp_data of linux/seccomp.h, and the bit of the calls of x32.
const (
	dataNumber, dataArch, dataArg0 = 0, 4, 16
	x32Bit                         = 0x40000000
)

// fails is the action that makes a call fail, or succeed with 0.
func fails(errno unix.Errno) uint32 { return unix.SECCOMP_RET_ERRNO | uint32(errno) }

// program returns the filter of system calls, in the language of bpf(4). Calls of other architectures do not exist for it, so that their numbers are not
// taken for ours.
func program(arch uint32) []unix.SockFilter {
	op := func(code int, k uint32) unix.SockFilter { return unix.SockFilter{Code: uint16(code), K: k} }
	load := func(at uint32) unix.SockFilter { return op(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, at) }
	ret := func(action uint32) unix.SockFilter { return op(unix.BPF_RET|unix.BPF_K, action) }
	unless := func(test int, k uint32) unix.SockFilter { // skips the next instruction if the test fails
		f := op(unix.BPF_JMP|unix.BPF_K|test, k)
		f.Jf = 1
		return f
	}
	p := []unix.SockFilter{load(dataArch), {Code: unix.BPF_JMP | unix.BPF_K | unix.BPF_JEQ, K: arch, Jt: 1}, ret(fails(unix.ENOSYS)),
		load(dataNumber), unless(unix.BPF_JGE, x32Bit), ret(fails(unix.ENOSYS))}
	for _, n := range refusedCalls {
		p = append(p, unless(unix.BPF_JEQ, n), ret(fails(unix.EPERM)))
	}
	for _, n := range idleCalls {
		p = append(p, unless(unix.BPF_JEQ, n), ret(fails(0)))
	}
	// The flags of clone3 are in memory, where a filter cannot look; a C library then calls clone.
	p = append(p, unless(unix.BPF_JEQ, unix.SYS_CLONE3), ret(fails(unix.ENOSYS)))
	isClone := unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_K | unix.BPF_JEQ, K: unix.SYS_CLONE, Jf: 3}
	p = append(p, isClone, load(dataArg0), unless(unix.BPF_JSET, unix.CLONE_NEWUSER), ret(fails(unix.EPERM)))
	return append(p, ret(unix.SECCOMP_RET_ALLOW))
}

// filter installs the filter for the calling thread.
func filter() error {
	arch, known := architectures[runtime.GOARCH]
	if !known {
		return nil
	}
	p := program(arch)
	prog := unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]}
	_, _, errno := unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)))
	if errno == unix.EINVAL { // a kernel without it
		return nil
	}
	if errno != 0 {
		return fmt.Errorf("filter system calls: %w", errno)
	}
	return nil
}
