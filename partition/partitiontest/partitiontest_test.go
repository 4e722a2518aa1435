package partitiontest

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"imprint/internal/extent"
	"imprint/internal/hosttest"
	"imprint/internal/tree"
)

// A recorder is a test that records its failure.
type recorder struct {
	testing.TB
	said string
}

func (r *recorder) Helper()                   {}
func (r *recorder) Errorf(f string, a ...any) { r.said += fmt.Sprintf(f, a...) }
func (r *recorder) Fatal(a ...any)            { r.said += fmt.Sprint(a...); runtime.Goexit() }
func (r *recorder) Fatalf(f string, a ...any) { r.said += fmt.Sprintf(f, a...); runtime.Goexit() }

// failure returns the message with which a test fails, "" if it passes.
func failure(t *testing.T, test func(t testing.TB)) string {
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		test(r)
	}()
	<-done
	return r.said
}

func TestDiffSeesEveryField(t *testing.T) {
	file := Entry{Kind: tree.File, Mode: 0o644, Size: 5, Content: "abc", Links: 2, First: "/a", Xattrs: map[string]string{"user.x": "1"}}
	snapshot := func(change func(*Entry)) Snapshot {
		e := file
		change(&e)
		return Snapshot{Label: "L", Entries: map[string]Entry{"/f": e}}
	}
	same := func(*Entry) {}
	for want, got := range map[string]Snapshot{
		"":                    snapshot(same),
		"Mode":                snapshot(func(e *Entry) { e.Mode = 0o600 }),
		"UID":                 snapshot(func(e *Entry) { e.UID = 1 }),
		"Content":             snapshot(func(e *Entry) { e.Content = "abd" }),
		"Links":               snapshot(func(e *Entry) { e.Links = 1 }),
		"First":               snapshot(func(e *Entry) { e.First = "/b" }),
		"Nsec":                snapshot(func(e *Entry) { e.Mtime.Nsec = 1 }),
		"Xattrs":              snapshot(func(e *Entry) { e.Xattrs = nil }),
		`label ""`:            {Entries: snapshot(same).Entries},
		`"/f" is missing`:     {Label: "L"},
		`"/g" should not be`:  {Label: "L", Entries: map[string]Entry{"/f": file, "/g": file}},
		"(- wanted, + found)": snapshot(func(e *Entry) { e.Size = 6 }),
	} {
		said := failure(t, func(t testing.TB) { diff(t, got, snapshot(same)) })
		if (said == "") != (want == "") || !strings.Contains(said, want) {
			t.Errorf("want %q, got %q", want, said)
		}
	}
}

// fixed is a source of a known size.
type fixed struct {
	extent.List
	size int64
}

func (f fixed) Size() int64 { return f.size }

func TestFromExtents(t *testing.T) {
	x := func(off, size int64, text string) extent.Extent {
		return extent.Extent{Off: off, Len: size, Blob: tree.Text(text), At: 1}
	}
	for _, c := range []struct {
		name, want string
		list       extent.List
	}{
		{"two", "", extent.List{x(10, 3, "-abc"), x(5000, 2, "-de")}},
		{"overlap", "after one that ends at 13", extent.List{x(10, 3, "-abc"), x(12, 2, "-de")}},
		{"outside", "in a region of 9000", extent.List{x(8999, 2, "-de")}},
		{"short", "unexpected EOF", extent.List{x(10, 4, "-abc")}},
	} {
		file := filepath.Join(t.TempDir(), "disk")
		if err := os.WriteFile(file, bytes.Repeat([]byte{0xee}, 12000), 0o600); err != nil {
			t.Fatal(err)
		}
		err := FromExtents(fixed{c.list, 9000}).Make(t.Context(), file, 1000)
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %v, want %q", c.name, err, c.want)
			}
			continue
		}
		want := bytes.Repeat([]byte{0xee}, 12000)
		clear(want[1000:10000])
		copy(want[1010:], "abc")
		copy(want[6000:], "de")
		if got, _ := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: other bytes than expected, %v", c.name, err)
		}
	}
}

// The reader reads the image that mke2fs makes of a directory, and the check finds damage to it.
func TestExt4(t *testing.T) {
	hosttest.Need(t, "mke2fs", "debugfs", "e2fsck")
	dir := t.TempDir()
	name := "a \\ \"b\"\n\xff"
	if err := os.WriteFile(filepath.Join(dir, name), []byte("content"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("to\nnowhere", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	r := Region{File: filepath.Join(t.TempDir(), "disk"), Size: 16 << 20}
	hosttest.Run(t, "mke2fs", "-q", "-t", "ext4", "-b", "4096", "-L", "name", "-d", dir, r.File, "16M")
	CheckExt4(t, r)
	s := Ext4(t, r)
	if s.Label != "name" || s.Free <= 0 || s.Free >= r.Size || len(s.Entries) != 3 {
		t.Errorf("got %+v", s)
	}
	e := s.Entries["/"+name]
	if e.Kind != tree.File || e.Mode != 0o640 || e.Size != 7 || e.Content != digest(strings.NewReader("content")) || e.Links != 1 || e.UID != uint32(os.Getuid()) {
		t.Errorf("got %+v", e)
	}
	if got := s.Entries["/link"]; got.Kind != tree.Symlink || got.Target != "to\nnowhere" {
		t.Errorf("got %+v", got)
	}
	hosttest.Run(t, "debugfs", "-w", "-R", "sif /link links_count 2", r.File)
	if said := failure(t, func(t testing.TB) { CheckExt4(t, r) }); !strings.Contains(said, "should be 1") {
		t.Errorf("a wrong link count: %q", said)
	}
}

func TestFAT(t *testing.T) {
	hosttest.Need(t, "mkfs.fat", "mcopy", "mdir", "mlabel", "fsck.fat")
	r := Region{File: filepath.Join(t.TempDir(), "disk"), Size: 4 << 20}
	hosttest.Run(t, "mkfs.fat", "-C", "-n", "LABEL", r.File, "4096")
	CheckFAT(t, r)
	if s := FAT(t, r); s.Label != "LABEL" || s.Free <= 0 || len(s.Entries) != 0 {
		t.Errorf("got %+v", s)
	}
	from := filepath.Join(t.TempDir(), "Some long name.text")
	if err := os.WriteFile(from, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	hosttest.Run(t, "mcopy", "-i", r.File, from, "::/")
	s := FAT(t, r)
	if e := s.Entries["/Some long name.text"]; len(s.Entries) != 1 || e.Size != 7 || e.Content != digest(strings.NewReader("content")) {
		t.Errorf("got %+v", s)
	}
	damage(t, r, 512+4096, "\xff\xff\xff") // somewhere in a FAT
	if said := failure(t, func(t testing.TB) { CheckFAT(t, r) }); !strings.Contains(said, "complains") {
		t.Errorf("damage to a FAT: %q", said)
	}
}

func TestEROFS(t *testing.T) {
	hosttest.Need(t, "mkfs.erofs", "fsck.erofs")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a\xff\n"), []byte("content"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("to\nnowhere", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	r := Region{File: filepath.Join(t.TempDir(), "disk")}
	hosttest.Run(t, "mkfs.erofs", "--quiet", "-T77", r.File, dir)
	st, err := os.Stat(r.File)
	if err != nil {
		t.Fatal(err)
	}
	r.Size = st.Size()
	CheckEROFS(t, r)
	s := EROFS(t, r)
	e := s.Entries["/a\xff\n"]
	if len(s.Entries) != 3 || e.Kind != tree.File || e.Mode != 0o640 || e.Size != 7 || e.Content != digest(strings.NewReader("content")) || e.Links != 1 || e.Mtime.Sec != 77 {
		t.Errorf("got %+v", s)
	}
	if got := s.Entries["/link"]; got.Kind != tree.Symlink || got.Target != "to\nnowhere" {
		t.Errorf("got %+v", got)
	}
	damage(t, r, 1024+48, "another UUID")
	if said := failure(t, func(t testing.TB) { CheckEROFS(t, r) }); !strings.Contains(said, "complains") {
		t.Errorf("a wrong checksum: %q", said)
	}
}

func damage(t *testing.T, r Region, at int64, with string) {
	t.Helper()
	f, err := os.OpenFile(r.File, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.WriteString(io.NewOffsetWriter(f, r.Offset+at), with); err != nil {
		t.Fatal(err)
	}
}

// A change of the bytes around a region is found.
func TestRegionsNeighbours(t *testing.T) {
	for name, at := range map[string]int64{"before": before - 1, "after": before + 8192, "at the end": before + 8192 + after - 1} {
		r := Region{File: filepath.Join(t.TempDir(), "disk"), Offset: before, Size: 8192}
		r.prepare(t)
		r.checkAround(t)
		damage(t, r, at-r.Offset, "!")
		if said := failure(t, func(t testing.TB) { r.checkAround(t) }); !strings.Contains(said, "outside the region") {
			t.Errorf("%s: %q", name, said)
		}
	}
}
