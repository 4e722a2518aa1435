package main

import (
	"fmt"

	"imprint/internal/units"

	"golang.org/x/sys/unix"
)

const (
	// leastAddressSpace is how many bytes of address space a build needs: Go reserves some 700 MB for its own tables, every thread a stack, and
	// SQLite the most that a database may take. Little of it becomes memory.
	leastAddressSpace = 3 << 30
	// leastFiles is how many open files a build needs at the very least; every processor takes some more, and reports it when it gets none.
	leastFiles = 32
)

// checkLimits reports limits of the process under which Go's runtime would end the program in the middle of a build, with a trace of its own.
func checkLimits() error {
	if n, ok := limit(unix.RLIMIT_AS, leastAddressSpace); !ok {
		return fmt.Errorf("the address space is limited to %s (ulimit -v %d), at least %s (%d) are needed, little of which is used",
			units.FormatBytes(int64(n)), n>>10, units.FormatBytes(leastAddressSpace), leastAddressSpace>>10)
	}
	if n, ok := limit(unix.RLIMIT_NOFILE, leastFiles); !ok {
		return fmt.Errorf("too many open files: %d are allowed (ulimit -n), at least %d are needed", n, leastFiles)
	}
	return nil
}

// limit returns a limit of the process and whether that is enough. A soft limit is raised first.
func limit(resource int, least uint64) (n uint64, enough bool) {
	var l unix.Rlimit
	if unix.Getrlimit(resource, &l) != nil || l.Cur >= least {
		return l.Cur, true
	}
	n, l.Cur = l.Cur, l.Max
	return n, l.Max >= least && unix.Setrlimit(resource, &l) == nil
}
