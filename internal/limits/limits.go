// Package limits checks the limits of the process that a build would run into.
package limits

import (
	"fmt"

	"imprint/internal/units"

	"golang.org/x/sys/unix"
)

const (
	// LeastAddressSpace is the address space that a build needs, in bytes: Go reserves some 700 MB for its tables, each thread
	// needs a stack, and SQLite maps up to the size of a database. Little of it becomes memory.
	LeastAddressSpace = 3 << 30
	// leastFiles is the minimum of open files for a build. Each processor takes some more, and reports an error if it gets none.
	leastFiles = 32
)

// Check reports process limits under which Go's runtime would crash in the middle of a build.
func Check() error {
	if n, ok := limit(unix.RLIMIT_AS, LeastAddressSpace); !ok {
		return fmt.Errorf("the address space is limited to %s (ulimit -v %d), but at least %s (%d) is needed, although little of it is used",
			units.FormatBytes(int64(n)), n>>10, units.FormatBytes(LeastAddressSpace), LeastAddressSpace>>10)
	}
	if n, ok := limit(unix.RLIMIT_NOFILE, leastFiles); !ok {
		return fmt.Errorf("too many open files: %d are allowed (ulimit -n), but at least %d are needed", n, leastFiles)
	}
	return nil
}

// limit returns a limit of the process, and whether it suffices. It raises the soft limit first.
func limit(resource int, least uint64) (n uint64, enough bool) {
	var l unix.Rlimit
	if unix.Getrlimit(resource, &l) != nil || l.Cur >= least {
		return l.Cur, true
	}
	n, l.Cur = l.Cur, l.Max
	return n, l.Max >= least && unix.Setrlimit(resource, &l) == nil
}
