package squashfs

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/tree"
)

// treeOf makes a tree of nodes in its root, and returns it.
func treeOf(t testing.TB, nodes ...*tree.Node) *tree.Tree {
	t.Helper()
	b := tree.NewBuilder(attr(0o755, 1))
	for i, n := range nodes {
		if err := b.Add(fmt.Sprintf("/%03d%s", i, n.Name), n, "test"); err != nil {
			t.Fatal(err)
		}
	}
	tr, err := b.Tree()
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// What unsquashfs unpacks has the extended attributes that the tree has, and the root has its owner although the table of owners moves.
func TestXattrs(t *testing.T) {
	hosttest.NeedRoot(t) // to set security.*
	capability := []byte{1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	list := []tree.Xattr{{Name: "security.capability", Value: capability}, {Name: "trusted.any", Value: []byte("a\x00b\n\xff")}, {Name: "user.empty"}}
	with := &tree.Attr{Mode: 0o755, UID: 70_000, GID: 5, Mtime: tree.Time{Sec: 1}, Xattrs: list}
	var nodes []*tree.Node
	for i := range 3000 { // so that there are several blocks of sets
		more := *with
		more.Xattrs = append(slices.Clone(list), tree.Xattr{Name: "user.number", Value: fmt.Append(nil, i)})
		nodes = append(nodes, tree.NewFile(strings.Repeat("n", i%200), &more, tree.Text("x")))
	}
	tr := treeOf(t, append(nodes, tree.NewDir("dir", with, nil), tree.NewFile("plain", attr(0o644, 9), tree.Text("y")))...)
	image := write(t, tr)
	out := filepath.Join(t.TempDir(), "out")
	hosttest.Run(t, "unsquashfs", "-q", "-n", "-d", out, image)
	for path, n := range tr.Walk() {
		for _, x := range n.Attr.Xattrs {
			value := make([]byte, 100)
			size, err := syscall.Getxattr(out+path, x.Name, value)
			if err != nil || string(value[:size]) != string(x.Value) {
				t.Fatalf("%s: %s is %q, not %q, %v", path, x.Name, value[:max(0, size)], x.Value, err)
			}
		}
	}
	if root, _, _ := strings.Cut(hosttest.Run(t, "unsquashfs", "-UTC", "-lln", image), "\n"); !strings.Contains(root, "drwxr-xr-x 1/2") {
		t.Errorf("the root is %s", root)
	}
}

// Every compressor takes every block size and its levels, and what it makes is read back.
func TestCompressors(t *testing.T) {
	tr := treeOf(t, tree.NewFile("text", attr(0o644, 1), tree.Text(strings.Repeat("some text ", 100_000))))
	for _, c := range Compressors {
		for _, o := range []Options{{Compression: c.Name}, {Compression: c.Name, BlockSize: MinBlock}, {Compression: c.Name, BlockSize: MaxBlock, Level: c.Levels}} {
			image := writeAs(t, tr, o)
			said := hosttest.Run(t, "unsquashfs", "-s", image)
			block := cmp.Or(o.BlockSize, DefaultBlock)
			level := fmt.Sprintf("level %d", o.Level)
			if !strings.Contains(said, "Compression "+c.Name+"\n") || !strings.Contains(said, fmt.Sprintf("Block size %d\n", block)) ||
				o.Level > 0 && !strings.Contains(said, level) && o.Level != defaultLevel[c.Name] {
				t.Errorf("%+v: %s", o, said)
			}
			if text := hosttest.Run(t, "unsquashfs", "-cat", image, "000text"); len(text) != 1_000_000 {
				t.Errorf("%+v: %d bytes", o, len(text))
			}
		}
	}
}

// defaultLevel are the levels that an image does not record.
var defaultLevel = map[string]int64{"gzip": 9}

// A sparse blob has data at some ranges, and zeros else.
func sparse(size int64, data ...tree.Range) tree.Blob { return tree.Sparse(pattern{size, data}, data) }

type pattern struct {
	size int64
	data []tree.Range
}

func (p pattern) Size() int64                { return p.size }
func (p pattern) Open() (tree.Reader, error) { return &patternReader{p}, nil }

type patternReader struct{ pattern }

func (patternReader) Close() error { return nil }

func (p patternReader) ReadAt(b []byte, off int64) (int, error) {
	n := min(int64(len(b)), p.size-off)
	for i := range b[:n] {
		b[i] = p.at(off + int64(i))
	}
	if n < int64(len(b)) {
		return int(n), io.EOF
	}
	return int(n), nil
}

func (p patternReader) NextData(off int64) int64 {
	for _, r := range p.data {
		if off < r.End() {
			return max(off, r.Off)
		}
	}
	return p.size
}

func (p pattern) at(off int64) byte {
	for _, r := range p.data {
		if off >= r.Off && off < r.End() {
			return byte(off%251) | 1
		}
	}
	return 0
}

func copied(n *tree.Node) func(io.Writer) error {
	return func(w io.Writer) error { return tree.Copy(context.Background(), w, n.Inode().Blob(), nil) }
}

// Files with holes reach the image as they are, wherever the holes are and however many.
func TestHoles(t *testing.T) {
	hosttest.Need(t, "sqfstar", "unsquashfs")
	var many []tree.Range
	for i := range int64(100) {
		many = append(many, tree.Range{Off: i * 131072, Len: 65536})
	}
	blobs := []tree.Blob{
		sparse(1<<20, tree.Range{Off: 0, Len: 65536}), sparse(1<<20, tree.Range{Off: 1<<20 - 65536, Len: 65536}), sparse(1<<20 + 7),
		sparse(1<<20+7, tree.Range{Off: 1 << 20, Len: 7}), sparse(3<<20+513, tree.Range{Off: 65536, Len: 65536}, tree.Range{Off: 1 << 20, Len: 1 << 20}),
		sparse(100*131072+1, many...), sparse(200*131072, many...), sparse(131072), sparse(65536*5+100, tree.Range{Off: 65536, Len: 65536}),
		sparse(65536*4, many[1]), sparse(65536*21*2+5, many[:21]...), sparse(12<<20, many[:4]...), sparse(12<<20+1, many[:5]...),
	}
	var nodes []*tree.Node
	for _, b := range blobs {
		nodes = append(nodes, tree.NewFile("f", attr(0o644, 1), b), tree.NewFile(strings.Repeat("long", 40), attr(0o644, 1), tree.Text("after")))
	}
	tr := treeOf(t, nodes...)
	image, out := filepath.Join(t.TempDir(), "image"), filepath.Join(t.TempDir(), "out")
	w, err := Create(t.Context(), image, tr, Options{Made: 1})
	if err != nil {
		t.Fatal(err)
	}
	for path, n := range tr.Walk() {
		if err := w.Add(path, n, copied(n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	hosttest.Run(t, "unsquashfs", "-q", "-n", "-no-xattrs", "-d", out, image)
	for path, n := range tr.Walk() {
		if n.Kind() != tree.File {
			continue
		}
		var want bytes.Buffer
		if err := copied(n)(&want); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(out + path)
		if err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%s of %d bytes with holes before %v: %d bytes that differ, %v", path, n.Size(), tree.DataOf(n.Blob()), len(got), err)
		}
	}
}

// Holes cost nothing to pass, and a hole that is none any more is an error.
func TestHolesAreNotSent(t *testing.T) {
	var archive bytes.Buffer
	w := newWriter(&archive)
	n := tree.NewFile("x", attr(0o644, 1), sparse(MaxFile, tree.Range{Off: 1 << 39, Len: 1 << 16}))
	if err := w.Add("/x", n, func(w io.Writer) error {
		z := w.(tree.ZeroWriter)
		z.WriteZeros(1 << 39)
		w.Write(bytes.Repeat([]byte{7}, 1<<16))
		return z.WriteZeros(MaxFile - 1<<39 - 1<<16)
	}); err != nil {
		t.Fatal(err)
	}
	if err := w.archive.tar.Close(); err != nil || archive.Len() > 100_000 {
		t.Errorf("%d bytes, %v", archive.Len(), err)
	}
	h, err := tar.NewReader(&archive).Next()
	if err != nil || h.Name != "x" || h.Size != MaxFile || h.Mode != 0o644 {
		t.Errorf("%+v, %v", h, err)
	}
	for name, content := range map[string]string{"hole": strings.Repeat("y", 1<<20), "short": "", "long": strings.Repeat("\x00", 1<<20+1)} {
		n := tree.NewFile("x", attr(0o644, 1), sparse(1<<20))
		err := newWriter(io.Discard).Add("/x", n, func(w io.Writer) error { _, err := io.WriteString(w, content); return err })
		if err == nil || !strings.Contains(err.Error(), tree.ErrChanged.Error()) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The ranges that an archive holds cover all data, in whole blocks, the last of which is the end of the file.
func FuzzSparseMap(f *testing.F) {
	f.Add(int64(1<<20), []byte{1, 2, 3, 4})
	f.Add(int64(65537), []byte{})
	f.Add(int64(1025), []byte{0, 1, 0, 1, 200, 255})
	hosttest.Fuzz(f, func(t *testing.T, size int64, p []byte) {
		if size < 0 || size > MaxFile {
			return
		}
		var data []tree.Range
		at := int64(0)
		for ; len(p) > 1; p = p[2:] {
			r := tree.Range{Off: at + 1 + int64(p[0])*97, Len: 1 + int64(p[1])*331}
			if at = r.End(); at > size {
				break
			}
			data = append(data, r)
		}
		got := sparseMap(tree.Sparse(large(size), data))
		if got == nil {
			return
		}
		end := int64(0)
		for i, r := range got {
			if r.Off < end || r.Off%tarBlock != 0 || r.Len <= 0 || r.Len%tarBlock != 0 && i < len(got)-1 || i > 0 && r.Off == 0 {
				t.Errorf("%d bytes: range %d of %v", size, i, got)
			}
			end = r.End()
		}
		if end != size || len(got) < 2 {
			t.Errorf("%d bytes: %v", size, got)
		}
		for _, d := range data {
			for at := d.Off; at < d.End(); {
				i := slices.IndexFunc(got, func(r tree.Range) bool { return r.Off <= at && at < r.End() })
				if i < 0 {
					t.Fatalf("%d bytes: data at %d is in none of %v", size, at, got)
				}
				at = got[i].End()
			}
		}
		h, err := tar.NewReader(bytes.NewReader(append(sparseHeader(&tar.Header{Size: size, Mode: 0o755}, got), make([]byte, 1024)...))).Next()
		if err != nil || h.Size != size {
			t.Errorf("%v is read as %+v, %v", got, h, err)
		}
	})
}
