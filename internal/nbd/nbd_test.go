package nbd

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"imprint/internal/hosttest"
)

// memory is a disk in memory whose blocks of zeros are holes.
type memory struct {
	mu   sync.RWMutex
	data []byte
	bad  int64 // reads of this block fail; -1 for none
	sync int
}

const block = 4096

// newMemory returns a disk in which every third block holds data.
func newMemory(blocks int) *memory {
	m := &memory{data: make([]byte, blocks*block), bad: -1}
	r := rand.New(rand.NewPCG(1, 2))
	for i := 0; i < blocks; i += 3 {
		for k := range block {
			m.data[i*block+k] = byte(r.Uint32()) | 1
		}
	}
	return m
}

func (m *memory) Size() int64 { return int64(len(m.data)) }

func (m *memory) ReadAt(p []byte, off int64) (int, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if bad := m.bad * block; m.bad >= 0 && off < bad+block && bad < off+int64(len(p)) {
		return 0, syscall.EBADMSG
	}
	n := copy(p, m.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (m *memory) Run(off, limit int64) (end int64, data bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	holds := func(b int64) bool {
		return bytes.ContainsFunc(m.data[b*block:min((b+1)*block, m.Size())], func(r rune) bool { return r != 0 })
	}
	data = holds(off / block)
	end = off
	for end < limit && holds(end/block) == data {
		end = (end/block + 1) * block
	}
	return min(end, limit), data
}

// writable is memory that clients may write to.
type writable struct{ *memory }

func (w writable) WriteAt(p []byte, off int64) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return copy(w.data[off:], p), nil
}

func (w writable) Zero(off, n int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.data[off : off+n])
	return nil
}

func (w writable) Sync() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sync++
	return nil
}

// serve serves an export at a Unix socket until the test ends, and returns its path.
func serve(t *testing.T, e Export) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "nbd-") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() {
		ended <- (&Server{Name: "disk", Description: "a disk", Export: e, Patience: time.Second}).Serve(ctx, l)
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(10 * time.Second):
			t.Error("the server does not end")
		}
		os.RemoveAll(dir)
	})
	return path
}

// nbdsh runs lines of Python with a handle h, which is not connected yet, and the path of the socket.
func nbdsh(t *testing.T, path string, script string) string {
	t.Helper()
	hosttest.Need(t, "nbdsh")
	system := "PATH=/usr/bin:/bin" // the Python for which Debian has the module
	return hosttest.Run(t, "env", system, "timeout", "60", "nbdsh", "-n", "-c", "path = '"+path+"'\nh = nbd.NBD()\n"+script)
}

func TestTools(t *testing.T) {
	hosttest.Need(t, "nbdinfo", "nbdcopy", "qemu-img")
	m := newMemory(3000)
	path := serve(t, m)
	uri := "nbd+unix:///disk?socket=" + path
	file := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(file, m.data, 0o600); err != nil {
		t.Fatal(err)
	}
	hosttest.Run(t, "qemu-img", "compare", "-f", "raw", "-F", "raw", file, uri)
	hosttest.Run(t, "nbdcopy", uri, file+".copy")
	if got, err := os.ReadFile(file + ".copy"); err != nil || !bytes.Equal(got, m.data) {
		t.Errorf("nbdcopy makes another disk: %v", err)
	}
	info := hosttest.Run(t, "nbdinfo", uri)
	for _, want := range []string{"export-size: 12288000", "is_read_only: true", "can_multi_conn: true", "base:allocation", "description: a disk"} {
		if !strings.Contains(info, want) {
			t.Errorf("nbdinfo does not say %q:\n%s", want, info)
		}
	}
	lines := strings.Split(strings.TrimSpace(hosttest.Run(t, "nbdinfo", "--map", uri)), "\n")
	if len(lines) != 2000 || strings.Join(strings.Fields(lines[1]), " ") != "4096 8192 3 hole,zero" {
		t.Errorf("%d lines of a map, such as %q", len(lines), lines[1])
	}
	if list := hosttest.Run(t, "nbdinfo", "--list", "nbd+unix://?socket="+path); !strings.Contains(list, `export="disk"`) {
		t.Errorf("nbdinfo lists %s", list)
	}
}

// Clients of every generation of the protocol get the same bytes.
func TestGenerations(t *testing.T) {
	m := newMemory(300)
	path := serve(t, m)
	for what, before := range map[string]string{
		"go":          "",
		"simple":      "h.set_request_structured_replies(False)\n",
		"export name": "h.set_handshake_flags(nbd.HANDSHAKE_FLAG_FIXED_NEWSTYLE)\nh.set_request_structured_replies(False)\n",
	} {
		t.Run(what, func(t *testing.T) {
			got := nbdsh(t, path, before+`
h.connect_unix(path)
assert h.get_size() == 300*4096 and h.is_read_only()
import hashlib
print(hashlib.sha256(h.pread(300*4096, 0)).hexdigest())
assert h.pread(10, 4090) == h.pread(4100, 4090)[:10]
h.shutdown()`)
			if want := sumOf(m.data); strings.TrimSpace(got) != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	m := newMemory(300)
	m.bad = 9
	path := serve(t, m)
	nbdsh(t, path, `
import errno
h.set_strict_mode(0)
h.add_meta_context("base:allocation")
h.connect_unix(path)
def fails(want, f, *args):
    try:
        f(*args)
    except nbd.Error as e:
        assert e.errnum == want, (e.errnum, want, args)
    else:
        assert False, args
fails(errno.EIO, h.pread, 4096, 9*4096)
fails(errno.EIO, h.pread, 300*4096, 0)          # in the middle of a reply
h.pread(4096, 10*4096)                          # the connection is still good
fails(errno.EINVAL, h.pread, 1, 300*4096)
fails(errno.EINVAL, h.pread, 4096, 299*4096+1)
fails(errno.EINVAL, h.pread, 1, 2**63-1)
fails(errno.EPERM, h.pwrite, b'x'*512, 0)
fails(errno.EPERM, h.zero, 4096, 0)
fails(errno.EPERM, h.trim, 4096, 0)
fails(errno.EINVAL, h.cache, 4096, 0)
fails(errno.EINVAL, h.block_status, 0, 0, lambda *a: 0)
fails(errno.EINVAL, h.pread, 4096, 0, 1<<9)     # a flag that nobody knows
h.flush()
assert h.pread(4096, 0, nbd.CMD_FLAG_DF)
one = []
h.block_status(299*4096, 4096, lambda c, o, e, err: one.append(e) or 0, nbd.CMD_FLAG_REQ_ONE)
assert one == [[8192, 3]], one
h.shutdown()`)
}

func TestWriting(t *testing.T) {
	m := writable{newMemory(300)}
	want := bytes.Clone(m.data)
	path := serve(t, m)
	nbdsh(t, path, `
import errno
h.set_strict_mode(0)
h.connect_unix(path)
second = nbd.NBD()
second.connect_unix(path)
assert not h.is_read_only() and h.can_multi_conn() and h.can_fua() and h.can_zero() and h.can_trim()
h.pwrite(b'A'*5000, 1000)
assert second.pread(5000, 1000) == b'A'*5000
h.pwrite(b'B'*512, 100*4096, nbd.CMD_FLAG_FUA)
second.zero(8192, 3*4096)
second.zero(4096, 6*4096, nbd.CMD_FLAG_NO_HOLE)
h.trim(4096, 9*4096)
h.flush()
try:
    h.pwrite(b'x'*512, 300*4096-511)
    assert False
except nbd.Error as e:
    assert e.errnum == errno.ENOSPC
h.shutdown()
second.shutdown()`)
	m.mu.Lock() // the server may not be done with the connections
	defer m.mu.Unlock()
	copy(want[1000:], bytes.Repeat([]byte("A"), 5000))
	copy(want[100*block:], bytes.Repeat([]byte("B"), 512))
	clear(want[3*block : 5*block])
	clear(want[6*block : 7*block])
	clear(want[9*block : 10*block])
	if !bytes.Equal(m.data, want) {
		t.Error("the disk holds something else")
	}
	if m.sync != 2 {
		t.Errorf("synced %d times, want 2", m.sync)
	}
}

func TestURI(t *testing.T) {
	for _, test := range [][4]string{
		{"unix", "/run/a b+&c", "x y", "nbd+unix:///x%20y?socket=/run/a%20b%2B%26c"},
		{"unix", "s", "", "nbd+unix:///?socket=s"},
		{"tcp", "[::1]:10809", "x", "nbd://[::1]:10809/x"},
	} {
		if got := URI(test[0], test[1], test[2]); got != test[3] {
			t.Errorf("got %s, want %s", got, test[3])
		}
	}
}
