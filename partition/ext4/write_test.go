package ext4

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
)

var plain = &tree.Attr{Mode: 0o755, Mtime: tree.Time{Sec: 1}}

// testOptions are options with fixed identifiers.
func testOptions() Options {
	seed := repro.SeedOf("ext4 test")
	return Options{UUID: seed.UUID("uuid"), HashSeed: seed.UUID("hash"), Label: "test", Epoch: 1_000_000_000}
}

// build makes a tree of nodes at paths.
func build(t testing.TB, nodes map[string]*tree.Node) *tree.Tree {
	t.Helper()
	b := tree.NewBuilder(plain)
	for path, n := range nodes {
		if err := b.Add(path, n, path); err != nil {
			t.Fatal(err)
		}
	}
	tr, err := b.Tree()
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// write writes a plan into a fresh file and gives its path.
func write(t testing.TB, p *Plan) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(p.Size()); err != nil {
		t.Fatal(err)
	}
	end := int64(0)
	for e := range p.Extents(0) {
		if e.Off < end || e.Len <= 0 || e.End() > p.Size() {
			t.Fatalf("extent of %d bytes at %d after one that ends at %d, region of %d", e.Len, e.Off, end, p.Size())
		}
		end = e.End()
		copyExtent(t, f, e)
	}
	return path
}

func copyExtent(t testing.TB, f *os.File, e extent.Extent) {
	t.Helper()
	r, err := e.Blob.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	buf := make([]byte, min(e.Len, 1<<20))
	for at := int64(0); at < e.Len; at += int64(len(buf)) {
		b := buf[:min(int64(len(buf)), e.Len-at)]
		if n, err := r.ReadAt(b, e.At+at); n < len(b) {
			t.Fatalf("read %d of %d bytes of an extent at %d: %v", n, len(b), e.Off, err)
		}
		if _, err := f.WriteAt(b, e.Off+at); err != nil {
			t.Fatal(err)
		}
	}
}

// fsck fails the test when e2fsck has anything to say about an image.
func fsck(t testing.TB, path string) {
	t.Helper()
	hosttest.Need(t, "e2fsck")
	out, err := exec.Command("e2fsck", "-fn", path).CombinedOutput()
	var said []string
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "Pass ") && !strings.HasPrefix(line, "e2fsck ") && !strings.Contains(line, "non-contiguous)") {
			said = append(said, line)
		}
	}
	if err != nil || len(said) > 0 {
		t.Fatalf("e2fsck -fn: %v\n%s", err, out)
	}
}

func TestFirst(t *testing.T) {
	nodes := map[string]*tree.Node{
		"/a/b/hello": tree.NewFile("", plain, tree.Text("hello\n")),
		"/a/empty":   tree.NewFile("", plain, tree.Text("")),
		"/big":       tree.NewFile("", plain, tree.Text(strings.Repeat("0123456789abcdef", 100000))),
		"/short":     tree.NewSymlink("", plain, "a/b/hello"),
		"/long":      tree.NewSymlink("", plain, strings.Repeat("x", 200)),
	}
	p, err := New(build(t, nodes), testOptions())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", p.Summary())
	fsck(t, write(t, p))
}
