package series

import (
	"context"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Print identifies a file of the host and its state. It changes when somebody writes to the file. Times are in nanoseconds since 1970.
type Print struct {
	Device, Inode     uint64
	Size              int64
	Modified, Changed int64
}

// String returns the numbers of the print.
func (p Print) String() string {
	return fmt.Sprintf("%d %d %d %d %d", p.Device, p.Inode, p.Size, p.Modified, p.Changed)
}

// A File is a file of the host that holds a generation as it is.
type File struct {
	Generation int
	Print      Print
}

// A Pending is an update of a file in place from one generation to another one that has begun. The file may hold a part of each.
type Pending struct {
	From, To      int
	Device, Inode uint64
	Born          int64 // nanoseconds since 1970, since another file may get the inode later; 0 where the file system does not say
}

// bornAt returns the time at which an open file was made.
func bornAt(f *os.File) int64 {
	var st unix.Statx_t
	if unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_BTIME, &st) != nil || st.Mask&unix.STATX_BTIME == 0 {
		return 0
	}
	return st.Btime.Sec*1e9 + int64(st.Btime.Nsec)
}

// PrintOf returns the print of an open file.
func PrintOf(f *os.File) (Print, error) {
	info, err := f.Stat()
	if err != nil {
		return Print{}, err
	}
	st := info.Sys().(*syscall.Stat_t)
	return Print{uint64(st.Dev), st.Ino, st.Size, st.Mtim.Nano(), st.Ctim.Nano()}, nil
}

// mostFiles is the number of files, and of updates that have not ended, that a series remembers. What it has forgotten is written as a whole.
const mostFiles = 16

// Note records that a file, which nobody writes to, holds a generation, and that no update of it is pending. It waits until the clock of the file
// system has moved on, since a write in the same tick would not change the print, and otherwise records nothing.
func (s *Store) Note(ctx context.Context, name string, number int, f *os.File) error {
	p, err := PrintOf(f)
	if err != nil {
		return err
	}
	if settled, err := settle(ctx, p); !settled {
		return err
	}
	return s.all.Edit(ctx, name, func(e *Series) error {
		e.forget(p.Device, p.Inode)
		if _, has := e.number(number); has {
			e.Files = append(e.Files, File{number, p})
		}
		e.Files = e.Files[max(0, len(e.Files)-mostFiles):]
		return nil
	})
}

// settle waits until the kernel's coarse clock, from which files get their times, is after a print's. It gives up on a clock of another machine, or
// one that was set back.
func settle(ctx context.Context, p Print) (settled bool, err error) {
	for range 100 {
		var now unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &now); err != nil || now.Nano() > max(p.Changed, p.Modified) {
			return err == nil, err
		}
		select {
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case <-time.After(time.Millisecond):
		}
	}
	return false, nil
}

// forget removes what is known of a file.
func (e *Series) forget(device, inode uint64) {
	e.Files = slices.DeleteFunc(e.Files, func(f File) bool { return f.Print.Device == device && f.Print.Inode == inode })
	e.Pending = slices.DeleteFunc(e.Pending, func(p Pending) bool { return p.Device == device && p.Inode == inode })
}

// Holds returns the generation that an open file holds, if that is known and the file has not changed since.
func (e *Series) Holds(f *os.File) (g Generation, known bool) {
	p, err := PrintOf(f)
	if err != nil {
		return g, false
	}
	for _, file := range e.Files {
		if file.Print == p {
			return e.number(file.Generation)
		}
	}
	return g, false
}

// Begin records that an update of an open file in place begins, before anything is written to it. Earlier ones that were interrupted stay recorded
// until [Store.Note]: the file may have parts of all of them.
func (s *Store) Begin(ctx context.Context, name string, f *os.File, from, to int) error {
	p, err := PrintOf(f)
	if err != nil {
		return err
	}
	return s.all.Edit(ctx, name, func(e *Series) error {
		e.Files = slices.DeleteFunc(e.Files, func(f File) bool { return f.Print.Device == p.Device && f.Print.Inode == p.Inode })
		e.Pending = append(e.Pending, Pending{from, to, p.Device, p.Inode, bornAt(f)})
		e.Pending = e.Pending[max(0, len(e.Pending)-mostFiles):]
		return nil
	})
}

// Interrupted returns the generations of which an open file may hold a part each, because updates of it in place were interrupted; none if that is
// not so, or not known.
func (e *Series) Interrupted(f *os.File) (list []Generation) {
	p, err := PrintOf(f)
	if err != nil {
		return nil
	}
	born := bornAt(f)
	for _, o := range e.Pending {
		if o.Device != p.Device || o.Inode != p.Inode || o.Born != born {
			continue
		}
		for _, n := range []int{o.From, o.To} {
			g, has := e.number(n)
			if !has {
				return nil
			}
			if !slices.Contains(list, g) {
				list = append(list, g)
			}
		}
	}
	return list
}
