// Package locks takes the locks by which programs share a store on a disk (local-store.cc, gc.cc and pathlocks.cc of Nix, and the same of Guix).
// Temporary roots keep items from the garbage collector for as long as a program needs them; the lock of a path keeps others from writing an item
// at the same time.
//
// Nix locks files with flock, Guix with the locks of fcntl. The two do not see each other, so each lock here is both.
package locks

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// TempRoots are the temporary roots of a program, in the file temproots/PID of the state directory, which is locked while the program needs them. A
// program has one such file for each store.
type TempRoots struct {
	state string
	file  *os.File
	users int

	mu   sync.Mutex
	held map[string]bool
}

// open are the files of this program, by state directory.
var open = struct {
	sync.Mutex
	files map[string]*TempRoots
}{files: map[string]*TempRoots{}}

// OpenTempRoots creates the file, without roots, or returns the one that there is. state is the state directory on this machine. The error matches
// [fs.ErrPermission] if the user may not write there, and [fs.ErrNotExist] if there is no store.
func OpenTempRoots(ctx context.Context, state string) (*TempRoots, error) {
	state, err := filepath.Abs(state)
	if err != nil {
		return nil, err
	}
	open.Lock()
	defer open.Unlock()
	if r := open.files[state]; r != nil {
		r.users++
		return r, nil
	}
	f, err := create(ctx, filepath.Join(state, "temproots", strconv.Itoa(os.Getpid())))
	if err != nil {
		return nil, err
	}
	r := &TempRoots{state: state, file: f, users: 1, held: map[string]bool{}}
	open.files[state] = r
	return r, nil
}

// create creates and locks a file.
func create(ctx context.Context, path string) (*os.File, error) {
	for {
		// The file of a process that has ended and had the same number is of no use to anybody.
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND|unix.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, err
		}
		if err := lock(ctx, f, exclusive); err != nil {
			f.Close()
			return nil, err
		}
		if info, err := f.Stat(); err == nil && info.Size() == 0 {
			return f, nil
		}
		f.Close() // the collector took it for that of a process that has ended, and marked it
	}
}

// Add makes store paths roots. A collection that is running is told of them, or waited for. Whether the paths are still there has to be looked up
// after that.
func (r *TempRoots) Add(ctx context.Context, paths []string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var more []string
	for _, p := range paths {
		if !r.held[p] {
			more = append(more, p)
		}
	}
	if len(more) == 0 {
		return nil
	}
	done, err := r.announce(ctx, more)
	if err != nil {
		return err
	}
	defer done()
	return r.write(more)
}

// Announce makes sure that a collection that is running takes none of some paths for which there are GC roots now: it may have looked for roots before.
func (r *TempRoots) Announce(ctx context.Context, paths []string) error {
	done, err := r.announce(ctx, paths)
	if err == nil {
		done()
	}
	return err
}

// announce tells a collection that is running of roots, or waits for its end. No other begins before done, unless it was told.
func (r *TempRoots) announce(ctx context.Context, paths []string) (done func() error, err error) {
	gc, err := os.OpenFile(filepath.Join(r.state, "gc.lock"), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	for try(gc, shared) != nil {
		if err := tell(ctx, r.state, paths); err == nil {
			break
		}
		if err := pause(ctx); err != nil {
			gc.Close()
			return nil, err
		}
	}
	return gc.Close, nil
}

// write adds paths to the file, in one write, and lets Guix's collector read it: that waits for the end of a writer's lock, where Nix's does not.
func (r *TempRoots) write(paths []string) error {
	if err := control(r.file, unix.F_WRLCK); err != nil {
		return err
	}
	if _, err := r.file.WriteString(strings.Join(paths, "\x00") + "\x00"); err != nil {
		return err
	}
	for _, p := range paths {
		r.held[p] = true
	}
	return control(r.file, unix.F_RDLCK)
}

// tell sends paths to the collector that is running, which listens on a socket, and waits until it has taken note of each.
func tell(ctx context.Context, state string, paths []string) error {
	socket, err := net.DialUnix("unix", nil, &net.UnixAddr{Net: "unix", Name: filepath.Join(state, "gc-socket/socket")})
	if err != nil {
		return err
	}
	defer socket.Close()
	defer context.AfterFunc(ctx, func() { socket.Close() })()
	in := bufio.NewReader(socket)
	for _, p := range paths {
		if _, err := fmt.Fprintln(socket, p); err != nil {
			return err
		}
		if c, err := in.ReadByte(); err != nil || c != '1' {
			return fmt.Errorf("the garbage collector did not take note of %s: %w", p, errors.Join(err))
		}
	}
	return nil
}

// Close ends the roots, unless another part of the program uses them.
func (r *TempRoots) Close() error {
	open.Lock()
	defer open.Unlock()
	if r.users--; r.users > 0 {
		return nil
	}
	delete(open.files, r.state)
	return errors.Join(os.Remove(r.file.Name()), r.file.Close())
}

// between is the time between attempts to take a lock.
const between = 5 * time.Millisecond

func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(between):
		return nil
	}
}

// mostHeld is the largest file of temporary roots that is read, in bytes: that of a million paths.
const mostHeld = 256 << 20

// Held returns the temporary roots of running programs, by the names of their files. state is the state directory. What may not be read is left
// out, as is the file of a program that has ended.
func Held(state string) (map[string][]string, error) {
	dir := filepath.Join(state, "temproots")
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil, nil
	}
	held := map[string][]string{}
	for _, e := range entries {
		if _, wrong := strconv.Atoi(e.Name()); wrong == nil && e.Type().IsRegular() {
			if paths := heldIn(filepath.Join(dir, e.Name())); len(paths) > 0 {
				held[e.Name()] = paths
			}
		}
	}
	return held, err
}

// heldIn returns the paths in a file that another program has locked.
func heldIn(name string) []string {
	f, err := os.OpenFile(name, os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	defer f.Close()
	if try(f, exclusive) == nil {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(f, mostHeld))
	if err != nil {
		return nil
	}
	return strings.FieldsFunc(string(text), func(r rune) bool { return r == 0 })
}
