package write_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"imprint/container"
	"imprint/image/imagetest"
	"imprint/image/plan"
	"imprint/image/write"
	"imprint/internal/hosttest"
	"imprint/internal/output"
	"imprint/internal/processors"
	"imprint/internal/tree"
)

// archive writes a partition as a tar archive, packed and not, beside the disk or alone, and returns both. Nothing else may be left.
func archive(t *testing.T, p *plan.Plan, partition string, disk bool) (plain, packed []byte, r *write.Result, err error) {
	t.Helper()
	l, err := p.Layout(nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var files []*output.Output
	for _, name := range []string{"disk", "x.tar", "x.tar.gz"} {
		out, err := output.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer out.Discard()
		files = append(files, out)
	}
	o := write.Options{Scratch: !disk}
	for i, format := range []string{"tar", "tar.gz"} {
		o.Formats = append(o.Formats, write.Formatted{Output: files[i+1], Format: container.Named(format), Partition: partition})
	}
	if r, err = write.Image(t.Context(), files[0].File, p, l, o); err != nil {
		return nil, nil, r, err
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if info, err := files[0].File.Stat(); err != nil || (info.Size() > 0) != disk {
		t.Errorf("the disk has %d bytes, %v", info.Size(), err)
	}
	return content(t, files[1].File), content(t, files[2].File), r, nil
}

// archived are images with a partition that is archived, by the name of that.
func archived() map[string]string {
	texts := map[string]string{"disk, root": imagetest.Bootable, "disk, esp": imagetest.Bootable, "iso, tree": strings.Replace(isoText, "label = \"TEST_1\"\n%s", "label = \"TEST_1\"", 1)}
	for _, m := range []map[string]string{outers, hostOuters} {
		for name, outer := range m {
			texts["in "+name+", outer"] = outer + innerErofs
		}
	}
	texts["in ext4, inner"] = outers["ext4"] + innerErofs
	texts["squashfs in squashfs, outer"] = hostOuters["squashfs"] + strings.Replace(innerErofs, "erofs", "squashfs", 1)
	return texts
}

// An archive has every file of a partition with its content, is the same beside the disk, alone and with any number of workers, and does not
// change the disk's digest.
func TestArchives(t *testing.T) {
	hosttest.Need(t, "sqfstar", "debugfs")
	texts := archived()
	delete(texts, "in squashfs, outer") // packing takes long
	for name, text := range texts {
		t.Run(name, func(t *testing.T) {
			_, partition, _ := strings.Cut(name, ", ")
			w, system := imagetest.Boot(t)
			p := planned(t, w, fmt.Sprintf(text, system))
			_, _, bare := imagetest.Build(t, p, write.Options{})
			defer processors.Use(1)()
			plain, packed, r, err := archive(t, p, partition, true)
			if err != nil {
				t.Fatal(err)
			}
			if r.Digests.Image != bare.Digests.Image {
				t.Error("the disk differs from one without archives")
			}
			processors.Use(6)
			alone, packedAlone, r2, err := archive(t, p, partition, false)
			if err != nil || !bytes.Equal(plain, alone) || !bytes.Equal(packed, packedAlone) || r2.Digests.Image != "" {
				t.Errorf("alone %d bytes, beside the disk %d; packed %d and %d; digest %q; %v", len(alone), len(plain), len(packedAlone), len(packed), r2.Digests.Image, err)
			}
			g, err := gzip.NewReader(bytes.NewReader(packed))
			if err != nil {
				t.Fatal(err)
			}
			if unpacked, err := io.ReadAll(g); err != nil || !bytes.Equal(unpacked, plain) {
				t.Errorf("packed are %d bytes, of %d; %v", len(unpacked), len(plain), err)
			}
			sameFiles(t, plain, p, partition)
		})
	}
}

// sameFiles compares an archive with the tree of a partition.
func sameFiles(t *testing.T, archive []byte, p *plan.Plan, partition string) {
	t.Helper()
	l, err := p.Layout(nil)
	if err != nil {
		t.Fatal(err)
	}
	var region *plan.Region
	for _, r := range l.Regions {
		if r.Partition.Spec.Name == partition {
			region = r
		}
	}
	files, n := tar.NewReader(bytes.NewReader(archive)), 0
	for ; ; n++ {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		node := region.Tree.Find(h.Name[1:])
		if node == nil {
			t.Fatalf("%s is not in the tree", h.Name)
		}
		got, err := io.ReadAll(files)
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg || packedFile(l, region, h.Name[1:]) {
			continue
		}
		want, err := tree.ReadAll(node.Inode().Blob(), 1<<30)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s has other bytes, from %d on; %v", h.Name, imagetest.FirstDifference(got, want), err)
		}
	}
	if n != region.Tree.Len() {
		t.Errorf("%d entries for %d nodes", n, region.Tree.Len())
	}
}

// packedFile reports whether a file is a squashfs, whose content is not known before it is packed.
func packedFile(l *plan.Layout, outer *plan.Region, path string) bool {
	for _, r := range l.Regions {
		if r.In == outer && r.Partition.Path == path {
			return r.MadeByHost()
		}
	}
	return false
}

// Whichever reading of a file gives other bytes, the archive is what the NAR hash says, or there is none.
func TestArchivesAreVerified(t *testing.T) {
	hosttest.Need(t, "sqfstar", "debugfs")
	texts := archived()
	delete(texts, "squashfs in squashfs, outer") // packing takes long
	for name, text := range texts {
		t.Run(name, func(t *testing.T) {
			_, partition, _ := strings.Cut(name, ", ")
			w, system := imagetest.Boot(t)
			p := planned(t, w, fmt.Sprintf(text, system))
			var readings, bad atomic.Int64
			for _, item := range p.Items {
				for path, n := range tree.Walk("", item.Node) {
					if path == "/lib.so" {
						n.SetBlob(fickle{n.Blob(), &readings, &bad})
					}
				}
			}
			for _, disk := range []bool{true, false} {
				bad.Store(0)
				readings.Store(0)
				want, _, _, err := archive(t, p, partition, disk)
				n := readings.Load()
				if err != nil {
					t.Fatal(err)
				}
				for i := range n {
					readings.Store(0)
					bad.Store(i + 1)
					got, _, _, err := archive(t, p, partition, disk)
					if err == nil && !bytes.Equal(got, want) {
						t.Errorf("reading %d of %d was not verified", i+1, n)
					}
					if err != nil && !errors.Is(err, write.ErrMismatch) {
						t.Error(err)
					}
				}
			}
		})
	}
}

// A socket cannot be archived: the error names it, before anything is written.
func TestArchiveOfSocket(t *testing.T) {
	w := imagetest.New(t)
	p := planned(t, w, "[[partition]]\nname = \"root\"\ntype = \"root-x86-64\"\nfilesystem = \"ext4\"\n")
	b := tree.NewBuilder(&tree.Attr{Mode: 0o755})
	if err := b.Add("/log", tree.NewSpecial("", &tree.Attr{}, tree.Socket), ""); err != nil {
		t.Fatal(err)
	}
	var err error
	if p.Partitions[0].Spec.Tree, err = b.Tree(); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err = archive(t, p, "root", false); err == nil || !strings.HasSuffix(err.Error(), `partition "root": /log is a socket, which an archive cannot hold`) {
		t.Errorf("got %v", err)
	}
}
