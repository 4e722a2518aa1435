package fat

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"imprint/internal/fault"
	"imprint/internal/hosttest"
	"imprint/internal/tree"
	"imprint/internal/units"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// faults returns the volume in an image and the faults that Check finds, or the error of Read as the only one.
func faults(t testing.TB, b []byte) (*Volume, []string) {
	t.Helper()
	v, err := Read(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, []string{err.Error()}
	}
	var list []string
	v.Check(func(f fault.Fault) { list = append(list, f.String()) })
	return v, list
}

// sound returns the volume in an image that must have no faults.
func sound(t testing.TB, b []byte) *Volume {
	t.Helper()
	v, list := faults(t, b)
	if len(list) > 0 {
		t.Fatalf("faults of an image without any:\n%s", strings.Join(list, "\n"))
	}
	return v
}

// contents returns the paths and contents of a tree, in the form of files.whole.
func contents(t testing.TB, tr *tree.Tree) files {
	t.Helper()
	got := files{}
	for path, n := range tr.Walk() {
		switch {
		case path == "/":
		case n.Kind() == tree.Dir:
			got[path+"/"] = ""
		default:
			var b bytes.Buffer
			if err := tree.Copy(context.Background(), &b, n.Blob(), nil); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			got[path] = b.String()
		}
	}
	return got
}

// readOptions has each type, and unusual sizes.
var readOptions = []Options{
	{Label: "ESP", Serial: 0xdeadbeef},
	{Bits: 12, Size: 30 * units.MiB},
	{Bits: 16, Label: "A B-C"},
	{Bits: 32, Label: "ELEVENBYTES", Serial: 1},
	{SectorSize: 4096, Size: 40 * units.MiB},
}

// A volume is read back as it was planned: names, contents, times, label and serial number.
func TestReadOwn(t *testing.T) {
	for _, o := range readOptions {
		t.Run(fmt.Sprintf("%+v", o), func(t *testing.T) {
			p := plan(t, example.tree(t), o)
			_, b := image(t, p)
			v := sound(t, b)
			if diff := cmp.Diff(example.whole(t), contents(t, v.Tree)); diff != "" {
				t.Errorf("-planned +read:\n%s", diff)
			}
			if v.Label != o.Label || v.ID != fmt.Sprintf("%04X-%04X", o.Serial>>16, o.Serial&0xffff) || v.Dirty {
				t.Errorf("label %q, ID %s, dirty %v", v.Label, v.ID, v.Dirty)
			}
			free, err := v.FreeClusters()
			if err != nil || free != p.FreeClusters() || v.Bits != p.Bits() || v.ClusterSize != p.ClusterSize() || v.Size != p.Size() {
				t.Errorf("%+v with %d free clusters, %v", v, free, err)
			}
			if m := v.Tree.Find("/archive.tar.gz").Attr; m.Mtime != attr.Mtime || m.Mode != 0o644 {
				t.Errorf("attributes %+v", m)
			}
		})
	}
}

func TestReadAny(t *testing.T) {
	hosttest.Check(t, func(r *rapid.T) {
		f := files{}
		seen := map[string]bool{}
		for range rapid.IntRange(0, 40).Draw(r, "nodes") {
			name := "/" + drawName(r)
			if key := fold(name); !seen[key] && len(name) <= 255 {
				seen[key] = true
				f[name] = strings.Repeat(name, rapid.IntRange(0, 300).Draw(r, "size"))
			}
		}
		o := Options{SectorSize: rapid.SampledFrom([]int64{512, 4096}).Draw(r, "sector"), Bits: rapid.SampledFrom([]int{0, 12, 16}).Draw(r, "bits")}
		_, b := image(t, plan(t, f.tree(t), o))
		if diff := cmp.Diff(f.whole(t), contents(t, sound(t, b).Tree)); diff != "" {
			r.Fatalf("-planned +read:\n%s", diff)
		}
	})
}

// Images that mkfs.fat formats and mtools fill are read, whatever their geometry.
func TestReadMtools(t *testing.T) {
	hosttest.Need(t, "mkfs.fat", "mcopy", "mmd", "mattrib", "fsck.fat")
	dir := t.TempDir()
	want := files{"/Long name.txt": strings.Repeat("long", 20_000), "/SHORT.TXT": "short", "/lower.txt": "lower", "/UPPER.low": "mixed", "/dir/": "",
		"/dir/snow ☃ あ.md": "not ASCII", "/dir/sub/": "", "/dir/sub/empty": ""}
	for path, text := range want {
		host := filepath.Join(dir, path)
		if strings.HasSuffix(path, "/") {
			if err := os.MkdirAll(host, 0o755); err != nil {
				t.Fatal(err)
			}
		} else if err := os.MkdirAll(filepath.Dir(host), 0o755); err != nil {
			t.Fatal(err)
		} else if err := os.WriteFile(host, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"-F", "12", "1440"}, {"-F", "12", "-f", "1", "-s", "2", "4000"}, {"-F", "16", "-r", "1024", "-n", "A LABEL", "20000"},
		{"-F", "16", "-S", "1024", "50000"}, {"-F", "16", "-S", "2048", "-s", "1", "30000"}, {"-F", "32", "-s", "1", "40000"},
		{"-F", "32", "-S", "4096", "-s", "1", "300000"}, {"-F", "32", "-s", "1", "-f", "1", "-b", "3", "-R", "40", "-n", "X", "40000"},
		{"-F", "12", "-s", "128", "-D", "0", "-M", "0xf0", "30000"}, {"-F", "32", "-s", "2", "-a", "80001"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "fat.img")
			hosttest.Run(t, "mkfs.fat", slices.Concat([]string{"-i", "1234abcd", "-C", name}, args)...)
			entries, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			copied := []string{"-i", name, "-s", "-m", "-Q"}
			for _, e := range entries {
				copied = append(copied, filepath.Join(dir, e.Name()))
			}
			mtool(t, "mcopy", append(copied, "::/")...)
			mtool(t, "mattrib", "-i", name, "+r", "::/SHORT.TXT")
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			v := sound(t, b)
			if diff := cmp.Diff(want, contents(t, v.Tree)); diff != "" {
				t.Errorf("-copied +read:\n%s", diff)
			}
			label := ""
			if i := slices.Index(args, "-n"); i >= 0 {
				label = args[i+1]
			}
			if v.Label != label || v.ID != "1234-ABCD" || v.Tree.Find("/SHORT.TXT").Attr.Mode != 0o444 {
				t.Errorf("label %q, ID %s, %+v", v.Label, v.ID, v.Tree.Find("/SHORT.TXT").Attr)
			}
		})
	}
}

func mtool(t testing.TB, tool string, args ...string) {
	t.Helper()
	cmd := exec.Command(tool, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "MTOOLSRC=/dev/null", "MTOOLS_SKIP_CHECK=1", "TZ=UTC")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", tool, args, err, out)
	}
}

// Files that were written, deleted and written again lie in many pieces.
func TestReadFragments(t *testing.T) {
	hosttest.Need(t, "mkfs.fat", "mcopy", "mdel")
	dir := t.TempDir()
	name := filepath.Join(dir, "fat.img")
	hosttest.Run(t, "mkfs.fat", "-F", "16", "-s", "1", "-C", name, "8000")
	small, big := filepath.Join(dir, "small"), filepath.Join(dir, "big")
	content := make([]byte, 200_000)
	rand.NewChaCha8([32]byte{2}).Read(content)
	if err := os.WriteFile(small, content[:700], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(big, content, 0o600); err != nil {
		t.Fatal(err)
	}
	var second []string
	for i := range 300 {
		mtool(t, "mcopy", "-i", name, small, fmt.Sprintf("::/S%d", i))
		if i%2 == 0 {
			second = append(second, fmt.Sprintf("::/S%d", i))
		}
	}
	mtool(t, "mdel", append([]string{"-i", name}, second...)...)
	mtool(t, "mcopy", "-i", name, big, "::/big")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	v := sound(t, b)
	blob := v.Tree.Find("/big").Blob()
	r, err := blob.Open()
	if err != nil {
		t.Fatal(err)
	}
	if parts := len(r.(*storedReader).parts); parts < 2 {
		t.Skipf("mtools wrote it in %d pieces", parts)
	}
	for range 200 {
		off := rand.IntN(len(content))
		p := make([]byte, rand.IntN(5000)+1)
		n, err := r.ReadAt(p, int64(off))
		if !bytes.Equal(p[:n], content[off:min(off+len(p), len(content))]) || (err == io.EOF) != (n < len(p)) {
			t.Fatalf("%d bytes at %d: %d read, %v", len(p), off, n, err)
		}
	}
	if blob != v.Tree.Find("/big").Blob() || blob == v.Tree.Find("/S1").Blob() {
		t.Error("blobs of a file are not equal, or those of two files are")
	}
}

// Names as Windows NT writes them, and long names that belong to no entry.
func TestReadNames(t *testing.T) {
	p := plan(t, files{"/LOWER.TXT": "a", "/Long Name": "b", "/\U0001f600 face": "c"}.tree(t), Options{})
	_, b := image(t, p)
	root := b[p.vol.offset(firstCluster)-p.vol.root*512:]
	if p.Bits() == 32 {
		t.Fatal("the volume should have a fixed root directory")
	}
	find := func(name string) []byte { return root[bytes.Index(root, []byte(name)):] }
	find("LOWER   TXT")[12] = lowerBase | lowerExt
	v := sound(t, b)
	if v.Tree.Find("/lower.txt") == nil || v.Tree.Find("/Long Name") == nil || v.Tree.Find("/\U0001f600 face") == nil {
		t.Errorf("names %v", slices.Collect(v.Tree.Nodes()))
	}
	find("LONGNA~1")[0] = 'K'
	v, list := faults(t, b)
	if v.Tree.Find("/KONGNA~1") == nil || len(list) != 1 || !strings.Contains(list[0], "Chksum") {
		t.Errorf("a long name of another entry: %q", list)
	}
	find("KONGNA~1")[0] = kanjiDeleted
	if v, _ = faults(t, b); v.Tree.Find("/σONGNA~1") == nil {
		t.Error("the byte that stands for a deleted entry's is not read as it is meant")
	}
}

func TestReadRefuses(t *testing.T) {
	p := plan(t, example.tree(t), Options{Bits: 32})
	_, whole := image(t, p)
	for _, c := range []struct {
		want   string
		damage func(b []byte)
	}{
		{"BytsPerSec is 513", func(b []byte) { b[11] = 1 }},
		{"SecPerClus is 3", func(b []byte) { b[13] = 3 }},
		{"RsvdSecCnt is 0", func(b []byte) { b[14], b[15] = 0, 0 }},
		{"NumFATs is 0", func(b []byte) { b[16] = 0 }},
		{"RootEntCnt is 16", func(b []byte) { b[17] = 16 }},
		{"the region", func(b []byte) { b[35] = 1 }},
		{"is too small for", func(b []byte) { b[36], b[37] = 1, 0 }},
		{"RootClus: leads to cluster 1", func(b []byte) { b[44] = 1 }},
		{"/: boot sector, RootClus: leads to no cluster", func(b []byte) { b[44] = 0 }},
	} {
		b := bytes.Clone(whole)
		c.damage(b)
		if _, err := Read(bytes.NewReader(b), int64(len(b))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
	if _, err := Read(bytes.NewReader(whole[:300]), 300); err == nil {
		t.Error("300 bytes were taken")
	}
	if _, err := Read(bytes.NewReader(whole[:3000]), int64(len(whole))); err == nil {
		t.Error("an image that ends early was taken")
	}
}

// A damaged boot sector does not hide the volume from Inspect, which takes the backup.
func TestInspectBackup(t *testing.T) {
	p := plan(t, example.tree(t), Options{Bits: 32})
	_, b := image(t, p)
	clear(b[:512])
	var list []string
	v, err := Inspect(bytes.NewReader(b), int64(len(b)), func(f fault.Fault) { list = append(list, f.String()) })
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(example.whole(t), contents(t, v.Tree)); diff != "" || len(list) < 2 {
		t.Errorf("%q\n%s", list, diff)
	}
}

// Chains and directories that run in circles are faults, and end.
func TestReadCircles(t *testing.T) {
	_, whole := image(t, plan(t, files{"/a/b/c": "x", "/f": strings.Repeat("f", 5000)}.tree(t), Options{Bits: 16}))
	r := read(t, whole)
	start := time.Now()
	for c := uint32(2); c < 12; c++ {
		for to := uint32(2); to < 12; to++ {
			b := bytes.Clone(whole)
			for i := range int64(2) {
				le.PutUint16(b[r.fat+i*r.fatSize+int64(c)*2:], uint16(to))
			}
			v, list := faults(t, b)
			if len(list) == 0 && to != c+1 {
				t.Errorf("nothing wrong with cluster %d, which leads to %d", c, to)
			}
			if v == nil {
				continue
			}
			for _, n := range slices.Collect(v.Tree.Nodes()) {
				if n.Kind() == tree.File {
					_, _ = tree.ReadAll(n.Blob(), 1<<20)
				}
			}
			_ = v.Explain(r.data + int64(c-2)*r.cluster)
		}
	}
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("took %v", d)
	}
}

var le = binary.LittleEndian
