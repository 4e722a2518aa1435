package hosttree

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"imprint/internal/hosttest"
	"imprint/internal/tree"
)

// packed returns an archive of the headers; a file's content is its name.
func packed(t testing.TB, headers ...*tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		h := *h
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(h.Name))
		}
		err := w.WriteHeader(&h)
		if err == nil && h.Typeflag == tar.TypeReg {
			_, err = io.WriteString(w, h.Name)
		}
		if err != nil {
			t.Fatalf("%+v: %v", h, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func unpacked(data []byte, o TarOptions) ([]Entry, error) {
	return readTar(&archive{bytes.NewReader(data), "memory.tar", int64(len(data))}, o)
}

func reg(name string) *tar.Header { return &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644} }
func folder(name string) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755}
}
func soft(name, target string) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target}
}
func hard(name, target string) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: target}
}
func other(typ byte, name string) *tar.Header { return &tar.Header{Typeflag: typ, Name: name} }

// inWords describes an entry: its kind, path and content.
func inWords(t testing.TB, e Entry) string {
	t.Helper()
	s := fmt.Sprintf("%v %s", e.Node.Kind(), e.Path)
	switch e.Node.Kind() {
	case tree.File:
		s += " = " + string(content(t, e.Node.Blob()))
	case tree.Symlink:
		s += " -> " + e.Node.Target()
	case tree.Link:
		s += " = " + string(content(t, e.Node.Inode().Blob()))
	case tree.CharDevice, tree.BlockDevice:
		s += fmt.Sprintf(" %d:%d", e.Node.Device().Major, e.Node.Device().Minor)
	}
	return s
}

func content(t testing.TB, b tree.Blob) []byte {
	t.Helper()
	r, err := b.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(io.NewSectionReader(r, 0, 1<<62))
	if err != nil || int64(len(data)) != b.Size() {
		t.Fatalf("read %d of %d bytes: %v", len(data), b.Size(), err)
	}
	return data
}

func TestTarEntries(t *testing.T) {
	long := strings.Repeat("long/", 60) + strings.Repeat("n", 200)
	device := &tar.Header{Typeflag: tar.TypeChar, Name: "dev/null", Devmajor: 1, Devminor: 3}
	comment := &tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "c0ffee"}}
	for _, c := range []struct {
		name    string
		headers []*tar.Header
		want    []string
	}{
		{"every type",
			[]*tar.Header{comment, folder("./"), folder("./d/"), reg("./d/f"), soft("s", "/abs/../x"), hard("h", "d/f"), device,
				other(tar.TypeBlock, "dev/b"), other(tar.TypeFifo, "p")},
			[]string{"directory /", "directory /d", "file /d/f = ./d/f", "symlink /s -> /abs/../x", "hard link /h = ./d/f",
				"character device /dev/null 1:3", "block device /dev/b 0:0", "fifo /p"}},
		{"long names", []*tar.Header{reg(long), soft("s", long)}, []string{"file /" + long + " = " + long, "symlink /s -> " + long}},
		{"a later entry replaces", []*tar.Header{reg("a"), reg("b"), reg("./a")}, []string{"file /a = ./a", "file /b = b"}},
		{"a symlink replaces", []*tar.Header{reg("a"), soft("a", "t")}, []string{"symlink /a -> t"}},
		{"a file replaces an empty directory", []*tar.Header{folder("a"), reg("a")}, []string{"file /a = a"}},
		{"a directory twice", []*tar.Header{folder("a"), reg("a/b"), folder("a")}, []string{"directory /a", "file /a/b = a/b"}},
		{"a directory replaces a file", []*tar.Header{reg("a"), folder("a"), reg("a/b")}, []string{"directory /a", "file /a/b = a/b"}},
		{"links outlive what they were made for", []*tar.Header{reg("a"), hard("b", "a"), hard("c", "b"), reg("./a"), reg("./b")},
			[]string{"file /a = ./a", "file /b = ./b", "file /c = a"}},
		{"a link to itself", []*tar.Header{reg("a"), hard("b", "a"), hard("./a", "b")}, []string{"file /a = a", "hard link /b = a"}},
		{"a link twice", []*tar.Header{reg("a"), hard("b", "a"), hard("b", "a"), reg("./a"), hard("c", "b")},
			[]string{"file /a = ./a", "file /b = a", "hard link /c = a"}},
	} {
		entries, err := unpacked(packed(t, c.headers...), TarOptions{Special: true})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var got []string
		for _, e := range entries {
			got = append(got, inWords(t, e))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q", c.name, got)
		}
	}
}

func TestTarAttributes(t *testing.T) {
	h := reg("f")
	h.Mode, h.Uid, h.Gid = 0o4755, 3_000_000_000, 7
	h.ModTime = time.Unix(-5, 250)
	h.Format = tar.FormatPAX
	h.PAXRecords = map[string]string{"SCHILY.xattr.user.b": "2\x00", "SCHILY.xattr.security.capability": "\x01\x00"}
	again := *h
	again.Name = "g"
	entries, err := unpacked(packed(t, h, &again), TarOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got := entries[0].Node.Attr
	if got != entries[1].Node.Attr {
		t.Error("equal attributes are not shared")
	}
	want := tree.Attr{Mode: 0o4755, UID: 3_000_000_000, GID: 7, Mtime: tree.Time{Sec: -5, Nsec: 250},
		Xattrs: []tree.Xattr{{Name: "security.capability", Value: []byte("\x01\x00")}, {Name: "user.b", Value: []byte("2\x00")}}}
	if fmt.Sprint(*got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", *got, want)
	}
}

func TestTarRefuses(t *testing.T) {
	good := packed(t, reg("a"), reg("b"))
	global := &tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "x", "mtime": "1"}}
	owner := reg("f")
	owner.Uid, owner.Format = 1<<32, tar.FormatPAX
	for _, c := range []struct {
		data []byte
		want string
	}{
		{packed(t, reg("ok"), reg("../up")), `entry "../up" at byte 1024: name ".."`},
		{packed(t, reg("a/../b")), `name ".."`},
		{packed(t, reg("/etc/passwd")), `absolute name "/etc/passwd"`},
		{packed(t, reg("d/"+strings.Repeat("n", 256))), "name of 256 bytes"},
		{packed(t, reg(strings.Repeat("n/", 2048)+"n")), "name of 4097 bytes, 4095 are allowed"},
		{packed(t, soft("l", "/etc"), reg("l/passwd")), `entry "l/passwd" at byte 512: is below /l, a symlink`},
		{packed(t, reg("l"), reg("l/x/y")), "is below /l, a file"},
		{packed(t, reg("l/x"), soft("l", "t")), "a symlink replaces a directory that has entries"},
		{packed(t, folder("l"), reg("l/x"), hard("l", "l/x")), "a hard link replaces a directory"},
		{packed(t, reg(".")), "a file replaces a directory"},
		{packed(t, soft("l", "")), "symlink to a path of 0 bytes"},
		{packed(t, hard("l", "x")), `hard link to "x", which is not an earlier entry`},
		{packed(t, hard("l", "../x")), `hard link to "../x": name ".."`},
		{packed(t, folder("d"), hard("l", "d")), "hard link to the directory"},
		{packed(t, other(tar.TypeFifo, "p")), "is a fifo; only files"},
		{packed(t, other(tar.TypeChar, "p")), "is a character device; only files"},
		{packed(t, owner), "owner 4294967296"},
		{packed(t, global, reg("a")), `a global header that sets "mtime"`},
		{nil, "ends at byte 0 without"},
		{good[:512], "at byte 0: cut off: the archive ends at byte 512"},
		{good[:700], "cut off"},
		{good[:2048], "ends at byte 2048 without the blocks of zeros"},
		{good[:1100], "entry at byte 1024: cut off"},
		{append(slices.Clone(good[:1024]), bytes.Repeat([]byte("x"), 1024)...), "entry at byte 1024: not a tar header"},
		{bytes.Repeat([]byte("hello world"), 200), "not a tar archive"},
		{[]byte("\x1f\x8b\x08..."), "compressed with gzip: unpack it first (gzip -d)"},
		{[]byte("\x28\xb5\x2f\xfd..."), "zstd"},
		{[]byte("\xfd7zXZ\x00..."), "xz"},
		{[]byte("BZh91AY&SY..."), "bzip2"},
		{[]byte("\x04\x22\x4d\x18..."), "lz4"},
	} {
		_, err := unpacked(c.data, TarOptions{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
	if _, err := unpacked(packed(t, reg("BZhive"), folder("d")), TarOptions{}); err != nil {
		t.Errorf("an archive that begins like a compressed one: %v", err)
	}
}

// An archive is read back as it was packed.
func TestTarRoundTrip(t *testing.T) {
	hosttest.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z\x80-\xff]{1,120}`), 1, 12, rapid.ID).Draw(t, "names")
		sizes := map[string][]byte{}
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, name := range names {
			sizes["/"+name] = rapid.SliceOfN(rapid.Byte(), 0, 2000).Draw(t, "content")
			if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(sizes["/"+name]))}); err != nil {
				t.Fatal(err)
			}
			w.Write(sizes["/"+name])
		}
		w.Close()
		entries, err := unpacked(b.Bytes(), TarOptions{})
		if err != nil || len(entries) != len(names) {
			t.Fatalf("%d entries of %d: %v", len(entries), len(names), err)
		}
		for i, e := range entries {
			p := make([]byte, 3000)
			r, _ := e.Node.Blob().Open()
			off := rapid.IntRange(0, 100).Draw(t, "off")
			n, err := r.ReadAt(p, int64(off))
			want := sizes["/"+names[i]]
			if err != io.EOF || !bytes.Equal(p[:n], want[min(off, len(want)):]) {
				t.Fatalf("%q: %d bytes, %v", e.Path, n, err)
			}
		}
	})
}

func TestTarStaysOpen(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.tar")
	if err := os.WriteFile(file, packed(t, reg("a"), reg("bc")), 0o600); err != nil {
		t.Fatal(err)
	}
	entries, err := Tar(file, TarOptions{})
	if err != nil {
		t.Fatal(err)
	}
	blob := entries[1].Node.Blob()
	entries = nil
	runtime.GC()
	runtime.GC()
	if got := content(t, blob); string(got) != "bc" {
		t.Errorf("got %q", got)
	}
	if err := os.Truncate(file, 1024); err != nil {
		t.Fatal(err)
	}
	r, _ := blob.Open()
	if _, err := r.ReadAt(make([]byte, 2), 0); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a shortened archive: %v", err)
	}
	if _, err := Tar(t.TempDir(), TarOptions{}); err == nil || !strings.Contains(err.Error(), "is a directory, not a file") {
		t.Errorf("a directory as an archive: %v", err)
	}
}

// An excluded entry may be of any kind; a hard link to it keeps its content.
func TestTarExclude(t *testing.T) {
	data := packed(t, folder("d/"), reg("d/f"), other(tar.TypeChar, "dev"), hard("h", "d/f"), hard("d/h", "d/f"), reg("k"), hard("d/k", "k"), folder("x/"), reg("x/y"))
	entries, err := unpacked(data, TarOptions{Exclude: excluding("/d", "/dev", "/x/y/")})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, inWords(t, e))
	}
	if want := []string{"file /h = d/f", "file /k = k", "directory /x", "file /x/y = x/y"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
