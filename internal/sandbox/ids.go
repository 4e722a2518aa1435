package sandbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"imprint/internal/hosttool"

	"golang.org/x/sys/unix"
)

// An Identity is what the caller is on the host, which decides the owners that a sandbox has.
type Identity struct {
	Root     bool // the caller has all IDs of the host, and so has the sandbox: see [HasIDs]
	UID, GID int  // the caller's, which are root's in the sandbox without Root

	// Sub are IDs that the caller may use besides its own, which are those from 1 on in the sandbox; nil if there are none. See [Subordinates].
	Sub *Sub

	same bool // without Root the caller is itself in the namespace, and not root
}

// Many reports whether files in a sandbox may have several owners.
func (i Identity) Many() bool { return i.Root || i.Sub != nil }

// A Sub has the subordinate IDs of a user (subuid(5), subgid(5)).
type Sub struct{ UIDs, GIDs Range }

// A Range has count IDs from first on.
type Range struct{ First, Count int }

// mostIDs bounds how many IDs a sandbox uses: the highest one that a distribution gives to anybody is 65534.
const mostIDs = 65535

// OneIDHint says what gives a user many IDs.
const OneIDHint = "to give files to other users here, install newuidmap (Debian: uidmap) and let root give this user IDs: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 NAME"

// Subordinates returns the IDs that a user may use besides its own, or nil if there are none, or no program that maps them.
func Subordinates(uid int) *Sub {
	for _, program := range mappers {
		if _, err := hosttool.Find(program); err != nil {
			return nil
		}
	}
	names := []string{strconv.Itoa(uid)}
	if name := nameOf(uid); name != "" {
		names = append(names, name)
	}
	users, groups := rangeOf("/etc/subuid", names), rangeOf("/etc/subgid", names)
	if !users.mapped("uid") || !groups.mapped("gid") {
		return nil
	}
	return &Sub{users, groups}
}

// mapped reports whether a range has IDs, all of which the caller's own namespace has.
func (r Range) mapped(what string) bool {
	list, err := ownMap(what)
	return err == nil && r.Count > 0 && slices.ContainsFunc(list, func(m syscall.SysProcIDMap) bool {
		return m.ContainerID <= r.First && r.First+r.Count <= m.ContainerID+m.Size
	})
}

var mappers = map[string]string{"uid": "newuidmap", "gid": "newgidmap"}

// nameOf returns the name of a user in /etc/passwd, "" if it has none.
func nameOf(uid int) (name string) {
	lines("/etc/passwd", func(f []string) {
		if len(f) > 2 && f[2] == strconv.Itoa(uid) && name == "" {
			name = f[0]
		}
	})
	return name
}

// rangeOf returns the largest range that a file gives to one of the names.
func rangeOf(file string, names []string) (best Range) {
	lines(file, func(f []string) {
		if len(f) != 3 || f[0] != names[0] && f[0] != names[len(names)-1] {
			return
		}
		first, err1 := strconv.Atoi(f[1])
		count, err2 := strconv.Atoi(f[2])
		if err1 == nil && err2 == nil && first > 0 && count > best.Count {
			best = Range{first, min(count, mostIDs)}
		}
	})
	return best
}

// lines calls take with the fields of each line of a file; a file that cannot be read has none.
func lines(file string, take func(fields []string)) {
	f, err := os.Open(file)
	if err != nil {
		return
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		take(strings.Split(s.Text(), ":"))
	}
}

// mapIDs maps the IDs of a child that waits for that.
func (s *Sub) mapIDs(ctx context.Context, pid int, own Identity) error {
	for _, m := range []struct {
		program string
		own     int
		r       Range
	}{{mappers["uid"], own.UID, s.UIDs}, {mappers["gid"], own.GID, s.GIDs}} {
		list := []string{strconv.Itoa(pid)}
		for _, n := range []int{0, m.own, 1, 1, m.r.First, m.r.Count} {
			list = append(list, strconv.Itoa(n))
		}
		if _, err := hosttool.Run(ctx, hosttool.Command{Name: m.program, Args: list}); err != nil {
			return err
		}
	}
	return nil
}

// waitArg is the argument of a child whose IDs are not mapped yet. It has no capabilities, and gets them by starting the program again.
const waitArg = "sandbox-wait"

// wait waits until the IDs are mapped, and starts the program again.
func wait(told, _ *os.File) error {
	if n, err := told.Read(make([]byte, 1)); n != 1 {
		return errors.Join(err, errors.New("the IDs of the sandbox were not mapped"))
	}
	if err := own(0, 0); err != nil {
		return err
	}
	return fmt.Errorf("start the sandbox: %w", unix.Exec("/proc/self/exe", []string{os.Args[0], childArg}, []string{}))
}

// own makes the calling thread, which starts another program next, the user with an ID. Other threads end then.
func own(uid, gid uint32) error {
	for _, c := range []struct {
		call uintptr
		id   uint32
	}{{unix.SYS_SETRESGID, gid}, {unix.SYS_SETRESUID, uid}} {
		if _, _, errno := unix.RawSyscall(c.call, uintptr(c.id), uintptr(c.id), uintptr(c.id)); errno != 0 {
			return fmt.Errorf("become user %d, group %d: %w", uid, gid, errno)
		}
	}
	return nil
}

// mappings sets the IDs of the namespace that a program starts in: all those that the caller has, or the caller's own as root's. With subordinate IDs they are
// mapped later.
func (i Identity) mappings(cmd *exec.Cmd) (err error) {
	if i.Sub != nil && !i.Root {
		cmd.Args[1] = waitArg
		return nil
	}
	a := cmd.SysProcAttr
	if a.UidMappings, err = mappings("uid", i.Root, i.UID, i.same); err != nil {
		return err
	}
	a.GidMappingsEnableSetgroups = i.Root
	a.GidMappings, err = mappings("gid", i.Root, i.GID, i.same)
	return err
}
