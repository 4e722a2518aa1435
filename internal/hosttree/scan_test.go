package hosttree

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"imprint/internal/hosttest"
	"imprint/internal/tree"
)

// seen is a scanned tree in words, by path.
func seen(t testing.TB, top *tree.Node) map[string]string {
	t.Helper()
	all := map[string]string{}
	for path, n := range tree.Walk("/", top) {
		s := fmt.Sprintf("%v %o", n.Kind(), n.Attr.Mode)
		switch n.Kind() {
		case tree.File:
			s += " " + string(content(t, n.Blob()))
		case tree.Symlink:
			s = "symlink " + n.Target()
		}
		if !slices.IsSortedFunc(n.Children(), func(a, b *tree.Node) int { return strings.Compare(a.Name, b.Name) }) {
			t.Fatalf("%s is not sorted", path)
		}
		all[path] = s
	}
	return all
}

// Random trees, with names and targets of any bytes, come back as they were made.
func TestReadRoundTrip(t *testing.T) {
	name := rapid.Map(rapid.SliceOfN(rapid.ByteRange(1, 255), 1, 30), func(b []byte) string {
		return "_" + strings.ReplaceAll(string(b), "/", "|")
	})
	hosttest.Check(t, func(rt *rapid.T) {
		top, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		want := map[string]string{"/": "directory 700"}
		dirs := []string{"/"}
		for range rapid.IntRange(0, 30).Draw(rt, "count") {
			dir := rapid.SampledFrom(dirs).Draw(rt, "dir")
			path := tree.Join(dir, name.Draw(rt, "name"))
			if want[path] != "" {
				continue
			}
			at := filepath.Join(top, path)
			switch rapid.IntRange(0, 2).Draw(rt, "kind") {
			case 0:
				mode := fs.FileMode(rapid.IntRange(0o400, 0o777).Draw(rt, "mode"))
				data := rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(rt, "data")
				err = errors.Join(os.WriteFile(at, data, 0o600), os.Chmod(at, mode|0o400))
				want[path] = fmt.Sprintf("file %o %s", mode|0o400, data)
			case 1:
				err = os.Mkdir(at, 0o700)
				dirs = append(dirs, path)
				want[path] = "directory 700"
			case 2:
				target := name.Draw(rt, "target")
				err = os.Symlink(target, at)
				want[path] = "symlink " + target
			}
			if err != nil {
				rt.Fatal(err)
			}
		}
		s := Scanner{Workers: rapid.IntRange(1, 5).Draw(rt, "workers")}
		got, err := s.Read(top)
		if err != nil {
			rt.Fatal(err)
		}
		if got := seen(t, got); !maps.Equal(got, want) {
			rt.Fatalf("got %q\nwant %q", got, want)
		}
	})
}

// Many scans share one scanner, and the result does not depend on how many workers there are.
func TestReadSideBySide(t *testing.T) {
	items := grow(t, t.TempDir(), 15)
	one := Scanner{Workers: 1, FilesOnly: true, Attr: storeAttr()}
	many := Scanner{Workers: 7, FilesOnly: true, Attr: storeAttr()}
	var all sync.WaitGroup
	for _, item := range items {
		all.Go(func() {
			first, err1 := one.Read(item)
			second, err2 := many.Read(item)
			if err := errors.Join(err1, err2); err != nil {
				t.Error(err)
			} else if !maps.Equal(seen(t, first), seen(t, second)) {
				t.Errorf("%s differs", item)
			}
		})
	}
	all.Wait()
	for _, s := range []*Scanner{&one, &many} {
		for !s.idle() {
			runtime.Gosched() // a worker ends when it finds nothing more to do
		}
		if held := s.held.Load(); held != 0 {
			t.Errorf("%d descriptors left open", held)
		}
	}
}

// The order in which a file system has the names of a directory makes no difference.
func TestReadBackwards(t *testing.T) {
	item := grow(t, t.TempDir(), 1)[0]
	order := func(s *Scanner) (paths []string) {
		n, err := s.Read(item)
		if err != nil {
			t.Fatal(err)
		}
		for path := range tree.Walk("", n) {
			paths = append(paths, path)
		}
		return paths
	}
	if a, b := order(&Scanner{Attr: storeAttr()}), order(&Scanner{Attr: storeAttr(), Backwards: true}); !slices.Equal(a, b) || len(a) < 2 {
		t.Errorf("%q, and backwards %q", a, b)
	}
}

func (p *pool) idle() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.alive == 0 && len(p.queue) == 0
}

func TestReadTakesAttributes(t *testing.T) {
	top := t.TempDir()
	file := filepath.Join(top, "f")
	err := errors.Join(os.WriteFile(file, nil, 0o600), os.Chmod(file, 0o640|fs.ModeSetuid), os.Symlink("t", filepath.Join(top, "s")))
	if err != nil {
		t.Fatal(err)
	}
	times := []unix.Timespec{{Sec: 5}, {Sec: -7, Nsec: 250}}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, file, times, 0); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	hosts := map[tree.Kind]Host{}
	for _, filesOnly := range []bool{false, true} {
		s := Scanner{FilesOnly: filesOnly, Attr: func(h Host) *tree.Attr {
			mu.Lock()
			defer mu.Unlock()
			hosts[h.Kind] = h
			return &tree.Attr{}
		}}
		if _, err := s.Read(top); err != nil {
			t.Fatal(err)
		}
		uid, gid := uint32(os.Getuid()), uint32(os.Getgid())
		want := Host{Kind: tree.File, Mode: 0o4640, UID: uid, GID: gid, Mtime: tree.Time{Sec: -7, Nsec: 250}}
		if got := hosts[tree.File]; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if h := hosts[tree.Symlink]; (h.Mode == 0o777) == filesOnly {
			t.Errorf("FilesOnly is %v, the symlink's mode %o", filesOnly, h.Mode)
		}
		if h := hosts[tree.Dir]; (h.Mtime.Sec != 0) == filesOnly {
			t.Errorf("FilesOnly is %v, the directory's time %v", filesOnly, h.Mtime)
		}
	}
}

// The path given to Read may be of any kind of file.
func TestReadTop(t *testing.T) {
	top := t.TempDir()
	file, link, loose := filepath.Join(top, "f"), filepath.Join(top, "l"), top+"/d/../f"
	sub, deep := filepath.Join(top, "d"), filepath.Join(top, "deep")
	err := errors.Join(os.Chmod(top, 0o700), os.WriteFile(file, []byte("text"), 0o600), os.Symlink("f", link), os.Symlink("d/e", deep),
		os.Mkdir(sub, 0o700), os.Mkdir(filepath.Join(sub, "e"), 0o700), os.Symlink("f", filepath.Join(sub, "g")))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(top)
	for path, want := range map[string]string{
		file: "file 600 text", "f": "file 600 text", "./f": "file 600 text", loose: "file 600 text", link: "symlink f", "l": "symlink f",
		sub: "directory 700", "d/": "directory 700", ".": "directory 700", deep: "symlink d/e", deep + "/": "directory 700",
		"deep/./.": "directory 700", "deep/../g": "symlink f",
	} {
		n, err := new(Scanner).Read(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
		} else if got := seen(t, n)["/"]; got != want || n.Name != "" {
			t.Errorf("%s: got %q, named %q", path, got, n.Name)
		}
	}
	for _, path := range []string{"none", ""} {
		if _, err := new(Scanner).Read(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q, which does not exist: %v", path, err)
		}
	}
}

func TestReadSpecial(t *testing.T) {
	top := t.TempDir()
	fifo := filepath.Join(top, "d", "fifo")
	if err := errors.Join(os.Mkdir(filepath.Dir(fifo), 0o700), unix.Mkfifo(fifo, 0o600)); err != nil {
		t.Fatal(err)
	}
	refused := "read " + fifo + ": is a fifo; only files, directories and symlinks are taken"
	if _, err := new(Scanner).Read(top); err == nil || err.Error() != refused {
		t.Errorf("a fifo: %v", err)
	}
	n, err := (&Scanner{Special: true}).Read(top)
	if err != nil {
		t.Fatal(err)
	}
	if got := seen(t, n)["/d/fifo"]; got != "fifo 600" {
		t.Errorf("got %q", got)
	}
	hosttest.NeedRoot(t)
	if err := unix.Mknod(filepath.Join(top, "null"), unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))); err != nil {
		t.Skip(err)
	}
	if n, err = (&Scanner{Special: true}).Read(top); err != nil {
		t.Fatal(err)
	}
	if dev := n.Children()[1]; dev.Kind() != tree.CharDevice || dev.Device() != (tree.Device{Major: 1, Minor: 3}) {
		t.Errorf("got a %v %v", dev.Kind(), dev.Device())
	}
}

// asNobody calls f without the rights of root.
func asNobody(t *testing.T, f func()) {
	if os.Getuid() == 0 {
		if err := syscall.Setreuid(-1, 65534); err != nil {
			t.Skip(err)
		}
		defer syscall.Setreuid(-1, 0)
	}
	f()
}

func TestReadWithoutPermission(t *testing.T) {
	top := t.TempDir()
	closed := filepath.Join(top, "a", "closed")
	locked := filepath.Join(top, "a", "file")
	err := errors.Join(os.Chmod(filepath.Dir(top), 0o755), os.MkdirAll(closed, 0o755), os.WriteFile(locked, []byte("text"), 0o644))
	if err != nil {
		t.Fatal(err)
	}
	asNobody(t, func() {
		n, err := new(Scanner).Read(top)
		if err != nil {
			t.Fatal(err) // files of others are read without O_NOATIME
		}
		if got := seen(t, n)["/a/file"]; got != "file 644 text" {
			t.Errorf("got %q", got)
		}
	})
	n, err := new(Scanner).Read(top)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chmod(closed, 0), os.Chmod(locked, 0)); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(closed, 0o700)
	asNobody(t, func() {
		if _, err := new(Scanner).Read(top); !errors.Is(err, fs.ErrPermission) || err.Error() != "open "+closed+": permission denied" {
			t.Errorf("a closed directory: %v", err)
		}
		if _, err := n.Children()[0].Children()[1].Blob().Open(); err == nil || err.Error() != "open "+locked+": permission denied" {
			t.Errorf("a locked file: %v", err)
		}
	})
}

// A scan that fails halfway leaves no directory open.
func TestReadClosesAfterAnError(t *testing.T) {
	top := t.TempDir()
	grow(t, top, 4)
	if err := unix.Mkfifo(filepath.Join(top, "zzz"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := Scanner{Workers: 3}
	for range 20 {
		if _, err := s.Read(top); err == nil {
			t.Fatal("a fifo was taken")
		}
		if held := s.held.Load(); held != 0 {
			t.Fatalf("%d directories are still open", held)
		}
	}
}

// A file may vanish after its directory was read.
func TestReadVanishedFile(t *testing.T) {
	top := t.TempDir()
	file := filepath.Join(top, "f")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := Scanner{Attr: func(h Host) *tree.Attr {
		os.Remove(file)
		return &tree.Attr{}
	}}
	if _, err := s.Read(top); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), file) {
		t.Errorf("got %v", err)
	}
}

// Some file systems return no types with names.
func TestReadUnknownTypes(t *testing.T) {
	item := grow(t, t.TempDir(), 1)[0]
	s := Scanner{FilesOnly: true}
	want, err := s.Read(item)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(item, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	w := workers.Get().(*worker)
	if err := w.list(fd); err != nil {
		t.Fatal(err)
	}
	for i := range w.entries {
		w.entries[i].typ = unix.DT_UNKNOWN
	}
	sc := &scan{Scanner: &s}
	l := &listing{scan: sc, dir: &dir{name: item}, fd: newDescriptor(&s, fd), names: string(w.names), entries: w.entries}
	sortEntries(l.entries, l.names)
	l.nodes = make([]*tree.Node, len(l.entries))
	if err := w.fill(l, 0); err != nil {
		t.Fatal(err)
	}
	sc.pending.Wait()
	l.fd.release(&s)
	if got := seen(t, tree.NewDir("", want.Attr, l.nodes)); !maps.Equal(got, seen(t, want)) {
		t.Errorf("got %q", got)
	}
}

// A worker that has served a failed scan passes nothing of it to the next one.
func TestWorkerAfterFailure(t *testing.T) {
	top := t.TempDir()
	for i := range 2*batchSize + 1 {
		if err := os.WriteFile(filepath.Join(top, fmt.Sprint(i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fd, err := unix.Open(top, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := Scanner{FilesOnly: true}
	s.once.Do(s.prepare)
	w := workers.Get().(*worker)
	if err := w.list(fd); err != nil {
		t.Fatal(err)
	}
	failed, sc := &scan{Scanner: &s}, &scan{Scanner: &s}
	w.tasks = append(w.tasks, task{scan: failed})
	l := &listing{scan: sc, dir: &dir{name: top}, fd: newDescriptor(&s, fd), names: string(w.names), entries: w.entries}
	l.nodes = make([]*tree.Node, len(l.entries))
	if err := w.split(l); err != nil {
		t.Fatal(err)
	}
	sc.pending.Wait()
	l.fd.release(&s)
	for i, n := range l.nodes {
		if n == nil {
			t.Fatalf("entry %d of %d was not read", i, len(l.nodes))
		}
	}
}

// excluding leaves out the paths of a list.
func excluding(paths ...string) func(string, bool) bool {
	return func(path string, dir bool) bool {
		return slices.Contains(paths, path) || dir && slices.Contains(paths, path+"/")
	}
}

// An excluded file is not touched, whatever it is.
func TestExclude(t *testing.T) {
	top := t.TempDir()
	for _, name := range []string{"a/b/c", "a/d", "e/f", "g"} {
		path := filepath.Join(top, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 2 * batchSize {
		if err := os.WriteFile(filepath.Join(top, "e", fmt.Sprint(i)), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(top, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := Scanner{Exclude: excluding("/a/b", "/e/f", "/fifo", "/g/", "/e/700", "/e/1")}
	n, err := s.Read(top + "/.")
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for path := range tree.Walk("/", n) {
		if !strings.HasPrefix(path, "/e/") {
			paths = append(paths, path)
		}
	}
	if want := []string{"/", "/a", "/a/d", "/e", "/g"}; !slices.Equal(paths, want) {
		t.Errorf("got %q, want %q", paths, want)
	}
	if e := n.Child("e"); len(e.Children()) != 2*batchSize-2 || e.Child("700") != nil || e.Child("701") == nil {
		t.Errorf("%d files of a large directory", len(e.Children()))
	}
}

// A scan of / that stays within its mount has /proc without its content.
func TestMounted(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("nothing is mounted on /proc")
	}
	var mu sync.Mutex
	var mounted []string
	s := Scanner{
		Exclude: func(path string, _ bool) bool { return path != "/proc" },
		Mounted: func(path string) { mu.Lock(); defer mu.Unlock(); mounted = append(mounted, path) },
	}
	n, err := s.Read("/")
	if err != nil {
		t.Fatal(err)
	}
	if proc := n.Child("proc"); proc == nil || len(proc.Children()) > 0 || len(n.Children()) != 1 || !slices.Equal(mounted, []string{"/proc"}) {
		t.Errorf("mounted: %q; / holds %d nodes", mounted, len(n.Children()))
	}
}

// So it is with a file system that can be read, and with a file that another one is mounted on. The top itself may be mounted.
func TestMountedByUs(t *testing.T) {
	top := t.TempDir()
	mount := func(source, target, kind string, flags uintptr) {
		if err := unix.Mount(source, target, kind, flags, ""); err != nil {
			t.Skipf("mount %s: %v", target, err)
		}
		t.Cleanup(func() { unix.Unmount(target, unix.MNT_DETACH) })
	}
	for _, dir := range []string{"", "a", "other"} {
		if err := os.MkdirAll(filepath.Join(top, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mount("tmpfs", top, "tmpfs", 0)
	for _, name := range []string{"a/f", "file", "b/g"} {
		path := filepath.Join(top, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	mount("tmpfs", top+"/a", "tmpfs", 0)
	mount(top+"/b/g", top+"/file", "", unix.MS_BIND)
	if err := os.WriteFile(top+"/a/secret", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var mounted, paths []string
	s := Scanner{Mounted: func(path string) { mu.Lock(); defer mu.Unlock(); mounted = append(mounted, path) }}
	n, err := s.Read(top)
	if err != nil {
		t.Fatal(err)
	}
	for path := range tree.Walk("/", n) {
		paths = append(paths, path)
	}
	slices.Sort(mounted)
	if !slices.Equal(mounted, []string{"/a", "/file"}) || !slices.Equal(paths, []string{"/", "/a", "/b", "/b/g"}) {
		t.Errorf("mounted: %q; paths: %q", mounted, paths)
	}
}
