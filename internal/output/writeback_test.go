package output

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// An output that is open for direct writes is named as itself in errors.
func TestDirectName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk.raw")
	o, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Discard()
	direct := Direct(o.File)
	if direct == nil {
		t.Skip("no direct writes here")
	}
	defer direct.Close()
	if direct.Name() != o.File.Name() {
		t.Errorf("it is called %s, not %s", direct.Name(), o.File.Name())
	}
	if flags, err := unix.FcntlInt(direct.Fd(), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("programs inherit it: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it has a name: %v", err)
	}
}
