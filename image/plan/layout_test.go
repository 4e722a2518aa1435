package plan_test

import (
	"fmt"
	"strings"
	"testing"

	"imprint/image/imagetest"
	"imprint/image/plan"
	"imprint/internal/tree"
)

// layout lays a description out whose closure has one root.
func layout(t *testing.T, text string) (*plan.Plan, *plan.Layout, error) {
	t.Helper()
	w, system := imagetest.Boot(t)
	p, err := w.Plan(strings.ReplaceAll(text, "SYSTEM", system))
	if err != nil {
		t.Fatal(err)
	}
	l, err := p.Layout(nil)
	return p, l, err
}

const system = "[[closure]]\nname = \"system\"\nroots = [\"SYSTEM\"]\n"

// Regions lie in the order of the description, on the grain or where it wants them, and apart from one another.
func TestRegions(t *testing.T) {
	_, l, err := layout(t, system+`
[[partition]]
name = "a"
type = "root"
filesystem = "ext4"
closures = ["system"]
[[partition]]
name = "far"
type = "linux-generic"
filesystem = "none"
size = "1MiB"
offset = "64MiB"
[[partition]]
name = "fine"
type = "linux-generic"
filesystem = "none"
size = "4KiB"
align = "4KiB"
`)
	if err != nil {
		t.Fatal(err)
	}
	end := int64(1 << 20)
	for i, want := range []int64{1 << 20, 64 << 20, 65 << 20} {
		r := l.Regions[i]
		if r.Offset != want || r.Offset < end {
			t.Errorf("region %d begins at %d, %d is expected", i, r.Offset, want)
		}
		end = r.Offset + r.Size
	}
	if l.Size%(1<<20) != 0 || l.Size < end+33*512 {
		t.Errorf("a disk of %d bytes for regions up to %d", l.Size, end)
	}
}

// The tree of an ISO comes first and the EFI system partition after it, whatever the order of the description; others follow.
func TestISORegions(t *testing.T) {
	p, l, err := layout(t, "format = \"iso\"\n"+system+`
[[partition]]
name = "data"
type = "linux-generic"
filesystem = "ext4"
[[partition]]
name = "esp"
type = "esp"
filesystem = "fat"
[[partition]]
name = "tree"
filesystem = "iso9660"
closures = ["system"]
`)
	if err != nil {
		t.Fatal(err)
	}
	data, esp, whole := l.Regions[0], l.Regions[1], l.Regions[2]
	if whole.Offset != 0 || whole.Partition != p.WholeDisk() || esp.Offset < whole.Size || data.Offset < esp.Offset+esp.Size {
		t.Errorf("data at %d, ESP at %d, tree at %d of %d bytes", data.Offset, esp.Offset, whole.Offset, whole.Size)
	}
}

// A size that is too small is reported at its key with both numbers and what takes the most, for every partition at once.
func TestDoesNotFit(t *testing.T) {
	part := "[[partition]]\nname = %q\ntype = \"linux-generic\"\nfilesystem = %q\nsize = \"1MiB\"\n%s\n"
	_, _, err := layout(t, system+fmt.Sprintf(part, "a", "ext4", `closures = ["system"]`)+
		fmt.Sprintf(part, "b", "fat", "[[partition.file]]\npath = \"/kernel\"\nsource = \"store/nix/store/"+strings.TrimPrefix(kernelPath(t), "/nix/store/")+"/bzImage\"\n"))
	if err == nil {
		t.Fatal("5 MiB fit into 1 MiB")
	}
	for _, want := range []string{"partition[0].size: 1 MiB (1048576 bytes) is smaller", "partition[1].size: 1 MiB", "inodes", "hint: use size = \"auto\"", "-linux", "/kernel"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in\n%v", want, err)
		}
	}
}

// kernelPath is the store path of the kernel of imagetest.Boot, which is the same in every world.
func kernelPath(t *testing.T) string { return imagetest.New(t).Path("linux") }

// A file system in a file system that is in a third one lies at one range of the disk.
func TestNestedTwice(t *testing.T) {
	p, l, err := layout(t, system+`
[[partition]]
name = "inner"
filesystem = "erofs"
inside = "middle"
path = "/inner"
closures = ["system"]
[[partition]]
name = "middle"
filesystem = "erofs"
inside = "outer"
path = "/middle"
[[partition]]
name = "outer"
type = "root"
filesystem = "ext4"
`)
	if err != nil {
		t.Fatal(err)
	}
	inner, outer := l.Regions[0], l.Regions[2]
	off, size, _ := inner.Range()
	if off <= outer.Offset || off+size > outer.Offset+outer.Size || size != inner.Maker.Size() {
		t.Errorf("the inner one has %d bytes at %d, the outer %d at %d", size, off, outer.Size, outer.Offset)
	}
	for n := range p.Find("inner").Spec.Tree.Nodes() {
		if n.Kind() != tree.File {
			continue
		}
		for _, e := range inner.Place(nil, n) {
			got, want := make([]byte, e.Len), make([]byte, e.Len)
			if err := l.ReadAt(got, e.Off); err != nil {
				t.Fatal(err)
			}
			r, err := n.Blob().Open()
			if err != nil {
				t.Fatal(err)
			}
			_, err = r.ReadAt(want, e.At)
			r.Close()
			if string(got) != string(want) {
				t.Errorf("%s: other bytes at %d, %v", n.Name, e.Off, err)
			}
		}
	}
}
