package tarindex

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"imprint/internal/hosttest"
	"imprint/internal/hosttree"
	"imprint/internal/layer"
	"imprint/internal/tree"
)

// indexed makes an archive of files, and its index.
func indexed(t testing.TB, tarFlags ...string) (path string, in Index) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"a": "content", "d/b": "", "d/c": string(make([]byte, 200_000)) + "end"} {
		os.Mkdir(filepath.Join(dir, "d"), 0o755)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	os.Truncate(filepath.Join(dir, "d/c"), 1<<20)
	os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "z"))
	path = filepath.Join(t.TempDir(), "a.tar")
	hosttest.Run(t, "tar", append(append([]string{"-C", dir, "-cf", path}, tarFlags...), ".")...)
	entries, err := hosttree.Tar(path, hosttree.TarOptions{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := layer.Of(entries)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range l.Files() {
		b, err := tree.PinContent(t.Context(), f.Node.Blob())
		if err != nil {
			t.Fatal(err)
		}
		f.Node.SetBlob(b)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, Index{l, sha256.Sum256(text), int64(len(text))}
}

// An index gives the layer again, with contents that are where they were.
func TestRoundTrip(t *testing.T) {
	path, in := indexed(t)
	dir, file := t.TempDir(), Digest{1}
	if ok, err := Write(dir, file, in); !ok || err != nil {
		t.Fatal(ok, err)
	}
	got, err := Read(dir, file, func(d Digest, size int64) (tree.Blob, error) {
		if d != in.Archive || size != in.Size {
			return nil, errors.New("another archive")
		}
		return hosttree.File(path)
	})
	if err != nil {
		t.Fatal(err)
	}
	want, _ := in.Layer.Record()
	if record, err := got.Layer.Record(); !bytes.Equal(record, want) || err != nil {
		t.Errorf("got %s\nwant %s\n%v", record, want, err)
	}
	for i, f := range got.Layer.Files() {
		a, err := tree.PinContent(t.Context(), f.Node.Blob())
		if err != nil {
			t.Fatal(err)
		}
		x, _ := tree.PinOf(a)
		y, _ := tree.PinOf(in.Layer.Files()[i].Node.Blob())
		if x != y {
			t.Errorf("%s has another content", f.Path)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("%v", left)
	}
}

// What is not one run of bytes has no index.
func TestSparse(t *testing.T) {
	_, in := indexed(t, "--sparse")
	dir := t.TempDir()
	if ok, err := Write(dir, Digest{}, in); ok || err != nil {
		t.Error(ok, err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("%v", left)
	}
}

// A damaged index is none, and an archive that is gone is an error of whoever opens it.
func TestRefuses(t *testing.T) {
	path, in := indexed(t)
	dir, file := t.TempDir(), Digest{1}
	open := func(Digest, int64) (tree.Blob, error) { return hosttree.File(path) }
	if _, err := Read(dir, file, open); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err := Write(dir, file, in); err != nil {
		t.Fatal(err)
	}
	gone := errors.New("gone")
	if _, err := Read(dir, file, func(Digest, int64) (tree.Blob, error) { return nil, gone }); !errors.Is(err, gone) {
		t.Error(err)
	}
	text, err := os.ReadFile(name(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(text); i += 1 + len(text)/50 {
		damaged := bytes.Clone(text)
		damaged[i] ^= 1
		if err := os.WriteFile(name(dir, file), damaged, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(dir, file, open); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("byte %d: %v", i, err)
		}
	}
	if err := os.WriteFile(name(dir, file), text, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(dir, file, open); err != nil {
		t.Error(err)
	}
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(path, later, later); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(dir, file, open); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the archive is younger: %v", err)
	}
	os.Remove(name(dir, file))
	os.Mkdir(name(dir, file), 0o755)
	if _, err := Read(dir, file, open); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	seal := func(body string) []byte {
		return fmt.Appendf(nil, "%s%x\n%s", version, sha256.Sum256([]byte(body)), body)
	}
	about := fmt.Sprintf(header, Digest{1}, 100)
	for _, body := range []string{
		about + "0 \nimprint layer 1\nfile 0644 0:0 0.000000000 \"/a\" 5 " + fmt.Sprintf("%x", Digest{2}) + "\n", about + "\nimprint layer 1\n", about + "99 \nimprint layer 1\n", "",
	} {
		f.Add([]byte(body))
	}
	archive := tree.Text(string(make([]byte, 100)))
	hosttest.Fuzz(f, func(t *testing.T, body []byte) {
		in, err := parse(seal(string(body)), func(Digest, int64) (tree.Blob, error) { return archive, nil })
		if err != nil {
			return
		}
		for _, file := range in.Layer.Files() {
			if file.Node.Size() > in.Size {
				t.Errorf("%s has %d bytes", file.Path, file.Node.Size())
			}
		}
	})
}

// Indexes of what is gone are removed, with damaged ones, and no others.
func TestSweep(t *testing.T) {
	_, in := indexed(t)
	dir := t.TempDir()
	for i := range byte(3) {
		in.Archive = Digest{i}
		if ok, err := Write(dir, Digest{i}, in); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	other := filepath.Join(dir, "00/other")
	for _, path := range []string{other, name(dir, Digest{2})} {
		if err := os.WriteFile(path, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := Sweep(dir, func(d Digest, size int64) bool { return size == in.Size && d != Digest{1} }); err != nil {
		t.Error(err)
	}
	for path, kept := range map[string]bool{other: true, name(dir, Digest{0}): true, name(dir, Digest{1}): false, name(dir, Digest{2}): false} {
		if _, err := os.Stat(path); kept != (err == nil) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
