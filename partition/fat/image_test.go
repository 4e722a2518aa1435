package fat

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"imprint/internal/extent"
	"imprint/internal/hosttest"
	"imprint/internal/tree"
	"imprint/internal/units"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem"
	"github.com/diskfs/go-diskfs/filesystem/fat12"
	"github.com/diskfs/go-diskfs/filesystem/fat16"
	"github.com/diskfs/go-diskfs/filesystem/fat32"
)

// files is a tree by path; a path that ends with a slash is a directory.
type files map[string]string

var attr = &tree.Attr{Mode: 0o644, Mtime: tree.Time{Sec: 1_700_000_000}}

func (f files) tree(t testing.TB) *tree.Tree {
	t.Helper()
	b := tree.NewBuilder(attr)
	for path, text := range f {
		n := tree.NewFile("", attr, tree.Text(text))
		if strings.HasSuffix(path, "/") {
			n = tree.NewDir("", attr, nil)
		}
		if err := b.Add(path, n, "test"); err != nil {
			t.Fatal(err)
		}
	}
	made, err := b.Tree()
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func plan(t testing.TB, tr *tree.Tree, o Options) *Plan {
	t.Helper()
	if o.SectorSize == 0 {
		o.SectorSize = 512
	}
	p, err := New(tr, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// image writes the plan into a file, and returns the file's name and content.
func image(t testing.TB, p *Plan) (string, []byte) {
	t.Helper()
	b := volumeOf(t, p)
	name := filepath.Join(t.TempDir(), "fat.img")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return name, b
}

// volumeOf returns the volume of a plan, written over random bytes.
func volumeOf(t testing.TB, p *Plan) []byte {
	t.Helper()
	b := make([]byte, p.Size())
	rand.NewChaCha8([32]byte{1}).Read(b)
	end := int64(0)
	for e := range p.Extents(0) {
		if e.Off < end || e.Len == 0 || e.End() > p.Size() {
			t.Fatalf("extent of %d bytes at %d follows one that ends at %d of %d", e.Len, e.Off, end, p.Size())
		}
		clear(b[end:e.Off])
		r, err := e.Blob.Open()
		if err != nil {
			t.Fatal(err)
		}
		if n, err := r.ReadAt(b[e.Off:e.End()], e.At); int64(n) != e.Len {
			t.Fatalf("read %d of %d bytes: %v", n, e.Len, err)
		}
		r.Close()
		end = e.End()
	}
	clear(b[end:])
	return b
}

// sparse writes the plan into a sparse file, for volumes larger than the memory.
func sparse(t testing.TB, p *Plan) string {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "fat.img"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(p.Size()); err != nil {
		t.Skip(err) // the file system of the temporary directory has no files of that size
	}
	for e := range p.Extents(0) {
		r, err := e.Blob.Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.NewOffsetWriter(f, e.Off), io.NewSectionReader(r, e.At, e.Len)); err != nil {
			t.Fatal(err)
		}
		r.Close()
	}
	return f.Name()
}

var (
	fsckWords = regexp.MustCompile(`(?i)dirty|differ|wrong|invalid|orphan|reclaim|lost|duplicate|there are|but|warning|misaligned`)
	fsckCount = regexp.MustCompile(`(\d+) files, (\d+)/(\d+) clusters`)
)

// fsck checks an image with fsck.fat: neither its status nor its output may report a fault, and it must count as many clusters as the plan.
func fsck(t testing.TB, p *Plan, name string) {
	t.Helper()
	out := hosttest.Run(t, "fsck.fat", "-n", "-v", name)
	if words := fsckWords.FindAllString(out, -1); words != nil {
		t.Fatalf("fsck.fat: %q\n%s", words, out)
	}
	m := fsckCount.FindStringSubmatch(out)
	if m == nil || m[2] != fmt.Sprint(p.Clusters()-p.FreeClusters()) || m[3] != fmt.Sprint(p.Clusters()) {
		t.Fatalf("fsck.fat counts otherwise than the plan, which has %d free of %d clusters\n%s", p.FreeClusters(), p.Clusters(), out)
	}
}

// mtools returns what mcopy reads from an image.
func mtools(t testing.TB, name string) files {
	t.Helper()
	hosttest.Need(t, "mcopy")
	dir := t.TempDir()
	cmd := exec.Command("mcopy", "-i", name, "-s", "-n", "-Q", "::/", dir)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "MTOOLSRC=/dev/null")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("mcopy: %v\n%s", err, out)
	}
	return walk(t, os.DirFS(dir))
}

func walk(t testing.TB, f fs.FS) files {
	t.Helper()
	got := files{}
	err := fs.WalkDir(f, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == "." {
			return err
		}
		if d.IsDir() {
			got["/"+path+"/"] = ""
			return nil
		}
		b, err := fs.ReadFile(f, path)
		got["/"+path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// diskfs returns what go-diskfs reads from an image.
func diskfs(t testing.TB, p *Plan, name string) (got files) {
	t.Helper()
	defer func() {
		if r := recover(); r != nil {
			t.Fatalf("go-diskfs panics: %v", r)
		}
	}()
	b, err := file.OpenFromPath(name, true)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var fsys filesystem.FileSystem
	switch p.Bits() {
	case 12:
		fsys, err = fat12.Read(b, p.Size(), 0, 512)
	case 16:
		fsys, err = fat16.Read(b, p.Size(), 0, 512)
	default:
		fsys, err = fat32.Read(b, p.Size(), 0, 512)
	}
	if err != nil {
		t.Fatal(err)
	}
	got = files{}
	diskfsDir(t, fsys, ".", got)
	return got
}

func diskfsDir(t testing.TB, fsys filesystem.FileSystem, dir string, got files) {
	list, err := fsys.ReadDir(dir)
	if err != nil {
		t.Fatalf("go-diskfs: %s: %v", dir, err)
	}
	for _, d := range list {
		name := path.Join(dir, d.Name())
		if d.IsDir() {
			got["/"+name+"/"] = ""
			diskfsDir(t, fsys, name, got)
			continue
		}
		info, err := d.Info()
		if err != nil || info.Size() == 0 {
			got["/"+name] = "" // go-diskfs does not read files without a cluster
			continue
		}
		f, err := fsys.OpenFile("/"+name, os.O_RDONLY) // without the slash it takes a/a for a
		if err != nil {
			t.Fatalf("go-diskfs: %s: %v", name, err)
		}
		b := make([]byte, info.Size()) // it reads on to the end of a cluster where the buffer allows
		if _, err := io.ReadFull(f, b); err != nil {
			t.Fatalf("go-diskfs: %s: %v", name, err)
		}
		got["/"+name] = string(b)
	}
}

// whole returns f with the directories that it names only as parents.
func (f files) whole(t testing.TB) files {
	all := files{}
	for path, n := range f.tree(t).Walk() {
		switch {
		case path == "/":
		case n.Kind() == tree.Dir:
			all[path+"/"] = ""
		default:
			all[path] = f[path]
		}
	}
	return all
}

// sameReads compares ReadAt of random ranges with the image.
func sameReads(t testing.TB, p *Plan, image []byte) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(1, uint64(p.Size())))
	for range 50 {
		off := rnd.Int64N(p.Size())
		if rnd.IntN(2) == 0 {
			off = rnd.Int64N(min(p.Size(), 256*units.KiB)) // where the structures are
		}
		b := make([]byte, rnd.Int64N(min(p.Size()-off, 70_000))+1)
		if err := extent.ReadAt(p, b, off); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b, image[off:off+int64(len(b))]) {
			t.Fatalf("%d bytes at %d are others when they are read alone", len(b), off)
		}
	}
}
