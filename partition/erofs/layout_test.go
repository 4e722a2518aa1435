package erofs

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"imprint/internal/extent"
	"imprint/internal/hosttest"
	"imprint/internal/repro"
	"imprint/internal/tree"
	"imprint/partition/partitiontest"
)

// epoch is the time of most nodes in tests, and that of the file systems: inodes with it have the compact form.
const epoch = 1_000_000_000

var plain = &tree.Attr{Mode: 0o755, Mtime: tree.Time{Sec: epoch}}

func testOptions() Options {
	return Options{UUID: repro.SeedOf("erofs test").UUID("uuid"), Label: "label-15-bytes-", Epoch: epoch}
}

type tb = partitiontest.TB

// build returns a tree of nodes, by their paths.
func build(t tb, nodes map[string]*tree.Node) *tree.Tree {
	t.Helper()
	return partitiontest.Build(t, plain, nodes)
}

func layOut(t tb, tr *tree.Tree, o Options) *Plan {
	t.Helper()
	p, err := New(tr, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// save writes a plan into a new sparse file, extent by extent, and returns its path.
func save(t testing.TB, p *Plan) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image")
	saveTo(t, p, path)
	return path
}

func saveTo(t tb, p *Plan, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(p.Size()); err != nil {
		t.Fatal(err)
	}
	end := int64(0)
	buf := make([]byte, 1<<20)
	for e := range p.Extents(0) {
		if e.Off < end || e.Len <= 0 || e.End() > p.Size() {
			t.Fatalf("extent of %d bytes at %d, after one that ends at %d, in %d bytes", e.Len, e.Off, end, p.Size())
		}
		end = e.End()
		if _, skip := e.Blob.(zeros); skip {
			continue
		}
		for at := int64(0); at < e.Len; at += int64(len(buf)) {
			part := buf[:min(int64(len(buf)), e.Len-at)]
			if err := extent.ReadAt(extent.List{e}, part, e.Off+at); err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt(part, e.Off+at); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// fsck fails the test if fsck.erofs, which reads the whole image, complains.
func fsck(t tb, path string) {
	t.Helper()
	if out, err := fsckOutput(path); err != nil || strings.Contains(out, "<E>") || strings.Contains(out, "<W>") {
		t.Fatalf("fsck.erofs: %v\n%.3000s", err, out)
	}
}

func fsckOutput(path string, args ...string) (string, error) {
	out, err := exec.Command("fsck.erofs", append(args, path)...).CombinedOutput()
	return string(out), err
}

// checked is save, with fsck.erofs and the reader as judges.
func checked(t testing.TB, p *Plan) string {
	t.Helper()
	hosttest.Need(t, "fsck.erofs")
	path := save(t, p)
	fsck(t, path)
	return path
}
