package hosttree

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"imprint/internal/tree"
)

// A directory with many entries is shared among the workers.
func TestReadWide(t *testing.T) {
	count := 3000
	if os.Getenv("IMPRINT_SLOW") == "1" {
		count = 1_000_000
	}
	top := t.TempDir()
	for i := range count {
		path := filepath.Join(top, fmt.Sprintf("%07d", i))
		err := os.Symlink("t", path)
		if i%10 == 0 {
			err = errors.Join(os.Remove(path), os.Mkdir(path, 0o700))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, full := range []int32{0, maxHeld} {
		s := Scanner{FilesOnly: true}
		s.held.Store(full)
		n, err := s.Read(top)
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range n.Children() {
			if c.Name != fmt.Sprintf("%07d", i) || (c.Kind() == tree.Dir) != (i%10 == 0) {
				t.Fatalf("entry %d is %s, a %v", i, c.Name, c.Kind())
			}
		}
		if len(n.Children()) != count {
			t.Errorf("%d entries of %d", len(n.Children()), count)
		}
	}
}

// dig makes a chain of directories, each with a file and a directory beside the next one, deeper than any path may be long.
func dig(t *testing.T, top string, levels int) {
	fd, err := unix.Open(top, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("d", 30)
	for range levels {
		file, err1 := unix.Openat(fd, "file", unix.O_CREAT|unix.O_WRONLY, 0o600)
		_, err2 := unix.Write(file, []byte("deep"))
		unix.Close(file)
		err3 := unix.Mkdirat(fd, "a", 0o700)
		err4 := unix.Mkdirat(fd, long, 0o700)
		next, err5 := unix.Openat(fd, long, unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
			t.Fatal(err)
		}
		unix.Close(fd)
		fd = next
	}
	unix.Close(fd)
}

func TestReadDeep(t *testing.T) {
	levels := 1000
	if os.Getenv("IMPRINT_SLOW") == "1" {
		levels = 4000
	}
	top := t.TempDir()
	dig(t, top, levels)
	var mu sync.Mutex
	most, files := 0, 0
	s := Scanner{Workers: 4, FilesOnly: true, Attr: func(h Host) *tree.Attr {
		if h.Kind == tree.File {
			mu.Lock()
			defer mu.Unlock()
			if files++; files%50 == 0 {
				open, _ := os.ReadDir("/proc/self/fd")
				most = max(most, len(open))
			}
		}
		return &tree.Attr{}
	}}
	n, err := s.Read(top)
	if err != nil {
		t.Fatal(err)
	}
	for level := range levels {
		if len(n.Children()) != 3 {
			t.Fatalf("level %d has %d entries", level, len(n.Children()))
		}
		file := n.Children()[2].Blob()
		if level%250 == 249 && !bytes.Equal(content(t, file), []byte("deep")) {
			t.Errorf("level %d: another content", level)
		}
		n = n.Children()[1]
	}
	if limit := maxHeld + 3*4 + 30; most == 0 || most > limit {
		t.Errorf("%d descriptors were open, %d are the limit", most, limit)
	}
}
