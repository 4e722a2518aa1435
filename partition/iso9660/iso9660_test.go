package iso9660

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/tree"
)

// sample returns an image of a directory, made by xorriso in its mkisofs emulation.
func sample(t testing.TB, files int, args ...string) []byte {
	t.Helper()
	hosttest.Need(t, "xorriso")
	dir := t.TempDir()
	src, out := filepath.Join(dir, "src"), filepath.Join(dir, "iso")
	for name, content := range map[string]string{
		"a/b/c/d/e/f/g/h/i/j/k": "deep", "empty": "", strings.Repeat("n", 250): "long", "UPPER": "x", "bin/tool": strings.Repeat("tool", 5000),
	} {
		full := filepath.Join(src, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o751); err != nil {
			t.Fatal(err)
		}
	}
	for i := range files { // 300 make a directory of several blocks
		if err := os.WriteFile(filepath.Join(src, "bin", fmt.Sprintf("a rather long name of a file %03d", i)), nil, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{"link": "../a//b/.", "long": strings.Repeat("x/", 500) + "y", "abs": "/"} {
		if err := os.Symlink(target, filepath.Join(src, name)); err != nil {
			t.Fatal(err)
		}
	}
	args = append([]string{"-as", "mkisofs", "-quiet", "-V", "SAMPLE", "-R", "-o", out}, args...)
	hosttest.Run(t, "xorriso", append(args, src)...)
	content, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func read(t testing.TB, image []byte) *Volume {
	t.Helper()
	v, err := Read(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func contentOf(t testing.TB, n *tree.Node) string {
	t.Helper()
	r, err := n.Blob().Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p, err := io.ReadAll(io.NewSectionReader(r, 0, n.Size()))
	if err != nil || int64(len(p)) != n.Size() {
		t.Fatalf("%s: %d bytes, %v", n.Name, len(p), err)
	}
	return string(p)
}

func TestRead(t *testing.T) {
	for name, args := range map[string][]string{
		"plain": nil, "two trees": {"-partition_offset", "16"}, "joliet": {"-J", "-joliet-long"}, "relocated": {"-rr_reloc_dir", "/moved"},
	} {
		t.Run(name, func(t *testing.T) {
			v := read(t, sample(t, 300, args...))
			if v.ID != "SAMPLE" || len(v.Modified) != 16 || len(v.UUID()) != 22 {
				t.Errorf("volume %q, modified %q", v.ID, v.Modified)
			}
			for path, want := range map[string]string{
				"/a/b/c/d/e/f/g/h/i/j/k": "deep", "/" + strings.Repeat("n", 250): "long", "/bin/tool": strings.Repeat("tool", 5000), "/empty": "",
			} {
				n := v.Tree.Find(path)
				if n == nil || contentOf(t, n) != want || n.Attr.Mode != 0o751 {
					t.Errorf("%s is %+v", path, n)
				}
			}
			for path, want := range map[string]string{"/link": "../a//b/.", "/long": strings.Repeat("x/", 500) + "y", "/abs": "/"} {
				if n := v.Tree.Find(path); n == nil || n.Target() != want {
					t.Errorf("%s leads to %q", path, n.Target())
				}
			}
			if got := len(v.Tree.Find("/bin").Children()); got != 301 {
				t.Errorf("%d files in /bin", got)
			}
		})
	}
}

// A file of more than 4 GiB has several records.
func TestLargeFile(t *testing.T) {
	hosttest.Need(t, "xorriso")
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "large"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const size = 4<<30 + 12345
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	marks := []int64{0, 4<<30 - 2048 - 2, 4<<30 - 2, size - 4}
	for _, off := range marks {
		f.WriteAt([]byte("mark"), off)
	}
	if os.Getenv("IMPRINT_SLOW") != "1" {
		t.Skip("writes 4 GiB: IMPRINT_SLOW=1")
	}
	out := filepath.Join(dir, "iso")
	hosttest.Run(t, "xorriso", "-as", "mkisofs", "-quiet", "-R", "-iso-level", "3", "-o", out, f.Name())
	image, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	info, err := image.Stat()
	if err != nil {
		t.Fatal(err)
	}
	v, err := Read(image, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	n := v.Tree.Find("/large")
	if n == nil || n.Size() != size || len(n.Blob().(*fileBlob).Parts()) < 2 {
		t.Fatalf("large is %+v", n)
	}
	r, _ := n.Blob().Open()
	for _, off := range marks {
		p := make([]byte, 4)
		if _, err := r.ReadAt(p, off); err != nil || string(p) != "mark" {
			t.Errorf("%q at %d, %v", p, off, err)
		}
	}
}

// Contents of several parts read as one, wherever a read begins.
func TestContentParts(t *testing.T) {
	image := bytes.Repeat([]byte("0123456789abcdef"), 1024)
	c := &fileBlob{image: bytes.NewReader(image), parts: []tree.Range{{Off: 0, Len: 4096}, {Off: 8192, Len: 2048}, {Off: 16, Len: 5}}, size: 6149}
	want := append(append(append([]byte{}, image[:4096]...), image[8192:10240]...), image[16:21]...)
	for off := range len(want) + 1 {
		p := make([]byte, 3000)
		n, err := fileReader{c}.ReadAt(p, int64(off))
		if !bytes.Equal(p[:n], want[off:min(off+3000, len(want))]) || (n < len(p)) != errors.Is(err, io.EOF) {
			t.Fatalf("at %d: %d bytes, %v", off, n, err)
		}
	}
}

// Damage is an error that names it, and reading ends.
func TestDamage(t *testing.T) {
	image := sample(t, 300)
	rootBlock := int64(binary.LittleEndian.Uint32(image[16*block+158:]))
	for name, damage := range map[string]func([]byte){
		"no volume descriptors": func(b []byte) { b[16*block+1] = 'X' },
		"logical blocks":        func(b []byte) { b[16*block+128] = 1 },
		"no Rock Ridge":         func(b []byte) { copy(b[rootBlock*block+34:], "XX") },
		"byte order":            func(b []byte) { b[rootBlock*block+10]++ },
		"is there twice":        func(b []byte) { loop(b, rootBlock) },
		"of an image of": func(b []byte) {
			binary.LittleEndian.PutUint32(b[16*block+158:], 1<<30)
			binary.BigEndian.PutUint32(b[16*block+162:], 1<<30)
		},
		"directories of more": func(b []byte) {
			binary.LittleEndian.PutUint32(b[16*block+166:], 1<<31)
			binary.BigEndian.PutUint32(b[16*block+170:], 1<<31)
		},
		"system use entry": func(b []byte) { b[rootBlock*block+34+7+2] = 255 },
	} {
		bad := bytes.Clone(image)
		damage(bad)
		_, err := Read(bytes.NewReader(bad), int64(len(bad)))
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for n := 0; n < len(image); n += len(image)/50 + 1 {
		Read(bytes.NewReader(image[:n]), int64(n))
	}
}

// loop makes the first directory below the root lead back to the root.
func loop(b []byte, root int64) {
	for at := root * block; ; at += int64(b[at]) {
		if b[at+25]&isDirectory != 0 && b[at+32] > 1 {
			binary.LittleEndian.PutUint32(b[at+2:], uint32(root))
			binary.BigEndian.PutUint32(b[at+6:], uint32(root))
			return
		}
	}
}

// FuzzReader changes bytes of an image: Read must end, in little memory, and its contents must be readable.
func FuzzReader(f *testing.F) {
	image := sample(f, 300)
	f.Add(uint32(16*block+158), []byte{1, 2, 3, 4})
	root := binary.LittleEndian.Uint32(image[16*block+158:]) * block
	for off := root; off < root+6*block; off += 37 {
		f.Add(off, []byte{0xff})
		f.Add(off, []byte{0, 0})
	}
	f.Fuzz(func(t *testing.T, off uint32, change []byte) {
		bad := bytes.Clone(image)
		for i := range change {
			bad[(int(off)+i*i)%len(bad)] ^= change[i]
		}
		v, err := Read(bytes.NewReader(bad), int64(len(bad)))
		if err != nil {
			return
		}
		for n := range v.Tree.Nodes() {
			if n.Kind() != tree.File {
				continue
			}
			r, err := n.Blob().Open()
			if err != nil {
				t.Fatal(err)
			}
			r.ReadAt(make([]byte, 10), max(0, n.Size()-5))
		}
	})
}
