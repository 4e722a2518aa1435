package write_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"imprint/closure/nar"
	"imprint/image/imagetest"
	"imprint/image/plan"
	"imprint/image/write"
	"imprint/internal/extent"
	"imprint/internal/hosttest"
	"imprint/internal/tree"
	"imprint/partition/erofs"
)

const store = `
[[closure]]
name = "system"
roots = ["%s"]
`

// outers are partitions that a file system may be a file of, and what follows them.
var outers = map[string]string{
	"iso9660": "format = \"iso\"\n" + store + "[[partition]]\nname = \"outer\"\nfilesystem = \"iso9660\"\n",
	"ext4":    store + "[[partition]]\nname = \"outer\"\ntype = \"root\"\nfilesystem = \"ext4\"\n",
	"fat":     store + "[[partition]]\nname = \"outer\"\ntype = \"esp\"\nfilesystem = \"fat\"\n",
	"erofs":   store + "[[partition]]\nname = \"outer\"\ntype = \"root\"\nfilesystem = \"erofs\"\n",
}

// hostOuters are outers that a host tool makes.
var hostOuters = map[string]string{
	"squashfs": strings.Replace(outers["erofs"], "erofs", "squashfs", 1),
	"mke2fs":   outers["ext4"] + "engine = \"mke2fs\"\n",
}

const innerErofs = `
[[partition]]
name = "inner"
filesystem = "erofs"
inside = "outer"
path = "/images/store"
closures = ["system"]
  [[partition.tree]]
  source = "rootfs"
`

// A store in an EROFS that is a file of another file system is at its final place on the disk, and can be read back from there.
func TestNested(t *testing.T) {
	for name, outer := range outers {
		t.Run(name, func(t *testing.T) {
			w, system := imagetest.Boot(t)
			p, err := w.Plan(fmt.Sprintf(outer, system) + innerErofs)
			if err != nil {
				t.Fatal(err)
			}
			disk, l, result := imagetest.Build(t, p, write.Options{})
			sameAsLayout(t, disk, l)
			if again, _, other := imagetest.Build(t, p, write.Options{NoVerify: true}); !bytes.Equal(again, disk) || other.Digests.Image != result.Digests.Image {
				t.Error("a second build gave other bytes")
			}
			inner := l.Regions[1]
			image := make([]byte, inner.Size)
			for _, e := range inner.OnDisk(wholeOf(inner)) {
				copy(image[e.At:e.At+e.Len], disk[e.Off:e.End()])
			}
			holdsStore(t, image, p)
		})
	}
}

// So is one that is a file of a file system that a host tool makes, which gets it as one file. The manifest knows it all the same.
func TestNestedInHostMade(t *testing.T) {
	hosttest.Need(t, "sqfstar", "unsquashfs", "debugfs")
	read := map[string]func(file string) string{
		"squashfs": func(file string) string { return hosttest.Run(t, "unsquashfs", "-cat", file, "images/store") },
		"mke2fs": func(file string) string {
			hosttest.Run(t, "debugfs", "-R", "dump /images/store "+file+".inner", file)
			content, err := os.ReadFile(file + ".inner")
			if err != nil {
				t.Fatal(err)
			}
			return string(content)
		},
	}
	for name, outer := range hostOuters {
		t.Run(name, func(t *testing.T) {
			w, system := imagetest.Boot(t)
			w.File("rootfs/zeros", strings.Repeat("a", 24<<20)) // which squashfs compresses: the file is larger than the disk
			p, err := w.Plan(fmt.Sprintf(outer, system) + innerErofs)
			if err != nil {
				t.Fatal(err)
			}
			disk, l, result := imagetest.Build(t, p, write.Options{})
			if again, _, other := imagetest.Build(t, p, write.Options{NoVerify: true}); !bytes.Equal(again, disk) || other.Digests.Image != result.Digests.Image {
				t.Error("a second build gave other bytes")
			}
			r := l.Regions[0]
			w.File("outer", string(disk[r.Offset:r.Offset+r.Size]))
			holdsStore(t, []byte(read[name](w.Dir+"/outer")), p)
			m := p.Manifest(l, 0)
			m.Built(result.Digests, true)
			if inner := m.Partitions[1]; inner.BlockSize == 0 || inner.Inodes == 0 || inner.Offset != nil || inner.Digest != "" {
				t.Errorf("the manifest has %+v", inner)
			}
		})
	}
}

// A fickle file has other bytes at one of its readings.
type fickle struct {
	tree.Blob
	readings, bad *atomic.Int64
}

func (b fickle) Open() (tree.Reader, error) {
	if b.readings.Add(1) == b.bad.Load() {
		return tampered{b.Blob}.Open()
	}
	return b.Blob.Open()
}

// Whichever reading of a file gives other bytes, the image is what the NAR hash says, or there is none.
func TestEveryReadingIsVerified(t *testing.T) {
	hosttest.Need(t, "sqfstar", "debugfs")
	texts := map[string]string{"alone": strings.Replace(outers["erofs"], "\"outer\"", "\"outer\"\nclosures = [\"system\"]", 1)}
	for _, m := range []map[string]string{outers, hostOuters} {
		for name, outer := range m {
			texts["in "+name] = outer + innerErofs
		}
	}
	for name, text := range texts {
		t.Run(name, func(t *testing.T) {
			w, system := imagetest.Boot(t)
			p, err := w.Plan(fmt.Sprintf(text, system))
			if err != nil {
				t.Fatal(err)
			}
			var readings, bad atomic.Int64
			for _, item := range p.Items {
				for path, n := range tree.Walk("", item.Node) {
					if path == "/lib.so" {
						n.SetBlob(fickle{n.Blob(), &readings, &bad})
					}
				}
			}
			want, err := build(t, w, p)
			n := readings.Load()
			if err != nil || n == 0 {
				t.Fatalf("%d readings, %v", n, err)
			}
			for i := range n {
				readings.Store(0)
				bad.Store(i + 1)
				got, err := build(t, w, p)
				if err == nil && !bytes.Equal(got, want) {
					t.Errorf("reading %d of %d was not verified", i+1, n)
				}
				if err != nil && !errors.Is(err, write.ErrMismatch) {
					t.Error(err)
				}
			}
		})
	}
}

// An EROFS is a partition like others.
func TestErofsPartition(t *testing.T) {
	w, system := imagetest.Boot(t)
	p, err := w.Plan(fmt.Sprintf(store, system) + "[[partition]]\nname = \"root\"\ntype = \"root\"\nfilesystem = \"erofs\"\nclosures = [\"system\"]\n")
	if err != nil {
		t.Fatal(err)
	}
	disk, l, _ := imagetest.Build(t, p, write.Options{})
	sameAsLayout(t, disk, l)
	r := l.Regions[0]
	holdsStore(t, disk[r.Offset:r.Offset+r.Size], p)
}

// A squashfs, which a host tool packs, is a partition of a disk, or a file in one, with the size that it turns out to have.
func TestSquashfs(t *testing.T) {
	hosttest.Need(t, "sqfstar", "unsquashfs")
	for name, text := range map[string]string{
		"partition":   store + "[[partition]]\nname = \"root\"\ntype = \"root\"\nfilesystem = \"squashfs\"\nclosures = [\"system\"]\n",
		"file of ISO": outers["iso9660"] + strings.Replace(innerErofs, "erofs", "squashfs", 1),
		"file of FAT": outers["fat"] + strings.Replace(innerErofs, "erofs", "squashfs", 1),
	} {
		t.Run(name, func(t *testing.T) {
			w, system := imagetest.Boot(t)
			p, err := w.Plan(fmt.Sprintf(text, system))
			if err != nil {
				t.Fatal(err)
			}
			bound, err := p.Layout(nil)
			if err != nil {
				t.Fatal(err)
			}
			asked := int64(0) // of the host's file system
			var packs *write.Meter
			disk, l, _ := imagetest.Build(t, p, write.Options{Progress: func(m *write.Meter) {
				if asked = m.Total; m.Packs != "" {
					packs = m
				}
			}})
			if packs == nil || packs.Total == 0 || packs.Written() != packs.Total {
				t.Errorf("progress of packing: %+v", packs)
			}
			if again, _, _ := imagetest.Build(t, p, write.Options{NoDigest: true}); !bytes.Equal(again, disk) {
				t.Error("a second build gave other bytes")
			}
			if asked > l.Size {
				t.Errorf("the space for %d bytes was asked for, the disk has %d", asked, l.Size)
			}
			if l.Size > bound.Size {
				t.Errorf("the disk has %d bytes, the bound is %d", l.Size, bound.Size)
			}
			r := l.Regions[len(l.Regions)-1]
			off, size, _ := r.Range()
			w.File("packed", string(disk[off:off+size]))
			listing := hosttest.Run(t, "unsquashfs", "-l", w.Dir+"/packed")
			if !strings.Contains(listing, system) {
				t.Errorf("no %s in\n%s", system, listing)
			}
		})
	}
}

// A squashfs that is a file of another one is packed before it, however deep: the outer one holds what was made, and no zeros.
func TestSquashfsInSquashfs(t *testing.T) {
	hosttest.Need(t, "sqfstar", "unsquashfs")
	w, system := imagetest.Boot(t)
	text := strings.Replace(outers["erofs"], "erofs", "squashfs", 1) +
		"[[partition]]\nname = \"between\"\nfilesystem = \"erofs\"\ninside = \"outer\"\npath = \"/between\"\n" +
		strings.NewReplacer("erofs", "squashfs", "outer", "between").Replace(innerErofs)
	p, err := w.Plan(fmt.Sprintf(text, system))
	if err != nil {
		t.Fatal(err)
	}
	disk, l, _ := imagetest.Build(t, p, write.Options{})
	outer := l.Regions[0]
	w.File("outer", string(disk[outer.Offset:outer.Offset+outer.Size]))
	between := hosttest.Run(t, "unsquashfs", "-cat", w.Dir+"/outer", "between")
	v, err := erofs.Read(strings.NewReader(between), int64(len(between)))
	if err != nil {
		t.Fatal(err)
	}
	inner, err := tree.ReadAll(v.Tree.Find("/images/store").Blob(), 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	w.File("inner", string(inner))
	if listing := hosttest.Run(t, "unsquashfs", "-l", w.Dir+"/inner"); !strings.Contains(listing, system) {
		t.Errorf("no %s in\n%s", system, listing)
	}
}

// wholeOf is all of a region as one extent.
func wholeOf(r *plan.Region) []extent.Extent { return []extent.Extent{{Len: r.Size}} }

func sameAsLayout(t *testing.T, disk []byte, l *plan.Layout) {
	t.Helper()
	whole := make([]byte, l.Size)
	if err := l.ReadAt(whole, 0); err != nil {
		t.Fatal(err)
	}
	if int64(len(disk)) != l.Size || !bytes.Equal(whole, disk) {
		t.Fatalf("the layout of %d bytes differs from the disk of %d at byte %d", l.Size, len(disk), imagetest.FirstDifference(whole, disk))
	}
}

// holdsStore compares the items in an EROFS with the NAR hashes that they are registered with.
func holdsStore(t *testing.T, image []byte, p *plan.Plan) {
	t.Helper()
	v, err := erofs.Read(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range p.Items {
		n := v.Tree.Find(item.Info.Path.String())
		if n == nil {
			t.Fatalf("no %v", item.Info.Path)
		}
		if digest, _, err := nar.Hash(n); err != nil || digest != item.Info.NARHash {
			t.Errorf("%v has the NAR hash %x, %v", item.Info.Path, digest, err)
		}
	}
	db := v.Tree.Find("/nix/var/nix/db/db.sqlite")
	if db == nil {
		t.Fatal("no database")
	}
	if head, err := tree.ReadHead(db.Blob(), 15); err != nil && err != io.EOF || string(head) != "SQLite format 3" {
		t.Errorf("the database begins with %q, %v", head, err)
	}
}
