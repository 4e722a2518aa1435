package write_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"imprint/image/imagetest"
	"imprint/image/plan"
	"imprint/image/write"
	"imprint/internal/hosttest"
	"imprint/internal/verity"
)

// withTree is Bootable with a hash tree over the store, which begins at an offset.
func withTree(system, offset string) string {
	return strings.NewReplacer("name = \"root\"\n", "name = \"root\"\nverity = \"tree\"\noffset = "+offset+"\nalign = 512\n", "disk=${disk.guid}", "roothash=${partition.root.roothash}",
		"${partition.root.uuid}", "no UUID").Replace(fmt.Sprintf(imagetest.Bootable, system)) + "[[partition]]\nname = \"tree\"\ntype = \"root-verity\"\nfilesystem = \"none\"\n"
}

// A disk in any format has the same bytes whether root hashes are known before anything is written or not, wherever partitions begin, and without a file
// that holds the disk.
func TestVerityInFormats(t *testing.T) {
	for _, offset := range []string{`"16MiB"`, "16777728"} {
		w, system := imagetest.Boot(t)
		sealed, err := w.Plan(withTree(system, offset))
		if err != nil {
			t.Fatal(err)
		}
		p, err := w.PlanUnsealed(withTree(system, offset))
		if err != nil || p.Seal == nil {
			t.Fatal(err)
		}
		want, first := inFormats(t, sealed, write.Options{}, true, "qcow2", "raw.zst")
		for _, raw := range []bool{true, false} {
			got, r := inFormats(t, p, write.Options{}, raw, "qcow2", "raw.zst")
			for name, content := range got {
				if !bytes.Equal(content, want[name]) {
					t.Errorf("at %s, raw %v: %s differs", offset, raw, name)
				}
			}
			if r.Digests.Image != first.Digests.Image {
				t.Errorf("at %s, raw %v: another digest", offset, raw)
			}
		}
	}
}

// An archive of a partition has its bytes whether a hash tree covers it or it contains the root hash, beside a disk and alone.
func TestVerityAndArchives(t *testing.T) {
	w, system := imagetest.Boot(t)
	text := strings.Replace(withTree(system, `"16MiB"`), "size = \"8MiB\"\n", "size = \"8MiB\"\n[[partition.file]]\npath = \"/hash\"\ntext = \"${partition.root.roothash}\"\n", 1)
	sealed, err := w.Plan(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, partition := range []string{"root", "esp"} {
		want, _, _, err := archive(t, sealed, partition, true)
		if err != nil {
			t.Fatal(err)
		}
		for _, disk := range []bool{true, false} {
			p, err := w.PlanUnsealed(text)
			if err != nil {
				t.Fatal(err)
			}
			got, _, _, err := archive(t, p, partition, disk)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s beside a disk %v: the archive differs, %v", partition, disk, err)
			}
		}
	}
}

// A hash tree covers what host tools make, too: in a build, and in a disk that is only read.
func TestVerityOverHostTools(t *testing.T) {
	for _, tool := range []string{"debugfs", "sqfstar"} {
		hosttest.Need(t, tool)
		w, system := imagetest.Boot(t)
		text := strings.NewReplacer("name = \"root\"\n", "name = \"root\"\nverity = \"tree\"\n", "disk=${disk.guid}", "roothash=${partition.root.roothash}",
			"${partition.root.uuid}", "no UUID").Replace(byHostTools[tool](w, system)) + "[[partition]]\nname = \"tree\"\ntype = \"root-verity\"\nfilesystem = \"none\"\n"
		p, err := w.Plan(text)
		if err != nil {
			t.Fatal(err)
		}
		if m := p.Manifest(layout(t, p), 0); m.Partitions[2].RootHash != "" || m.Partitions[2].PartUUID != "" || m.Partitions[3].PartUUID != "" {
			t.Errorf("%s: the plan has %+v", tool, m.Partitions[2])
		}
		image, l, r := imagetest.Build(t, p, write.Options{})
		leaves := make([]verity.Hash, l.Regions[2].Size/verity.BlockSize)
		verity.Leaves(image[l.Regions[2].Offset:][:l.Regions[2].Size], leaves)
		if root := verity.NewTree(leaves).Root; r.Plan.Find("root").RootHash != fmt.Sprintf("%x", root) || !strings.Contains(r.Plan.Entries[0].Cmdline, fmt.Sprintf("roothash=%x", root)) {
			t.Errorf("%s: the root hash is %x, the plan has %s", tool, root, r.Plan.Find("root").RootHash)
		}
		prepared, err := write.Prepare(t.Context(), p, layout(t, p))
		if err != nil {
			t.Fatal(err)
		}
		defer prepared.Discard()
		if got := prepared.Plan.Find("root").RootHash; got != r.Plan.Find("root").RootHash {
			t.Errorf("%s: a prepared disk has the root hash %s", tool, got)
		}
		esp := make([]byte, l.Regions[0].Size)
		if err := prepared.Layout.ReadAt(esp, l.Regions[0].Offset); err != nil || !bytes.Equal(esp, image[l.Regions[0].Offset:][:len(esp)]) {
			t.Errorf("%s: a prepared disk has another ESP, %v", tool, err)
		}
	}
}

// A partition that a host tool packs is packed before root hashes are known: if it contains one, that is found first, or it is an error.
func TestVerityAndPacking(t *testing.T) {
	hosttest.Need(t, "sqfstar")
	const more = "[[partition]]\nname = \"%s\"\ntype = \"usr\"\nfilesystem = \"%s\"\nverity = \"tree\"\n[[partition.tree]]\nsource = \"rootfs\"\n" +
		"[[partition]]\nname = \"tree\"\ntype = \"usr-verity\"\nfilesystem = \"none\"\n"
	for _, c := range []struct{ usr, contains, problem string }{
		{"erofs", "text", ""}, {"erofs", "${partition.usr.roothash}", ""}, {"squashfs", "text", ""}, {"squashfs", "${partition.usr.roothash}", "partition[2]: contains a root hash"},
	} {
		w, system := imagetest.Boot(t)
		text := strings.Replace(byHostTools["sqfstar"](w, system), "no UUID", c.contains, 1) + fmt.Sprintf(more, "usr", c.usr)
		p, err := w.PlanUnsealed(text)
		if c.problem != "" {
			if err == nil || !strings.Contains(err.Error(), c.problem) {
				t.Errorf("%v: error %v", c, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if sealed := strings.HasPrefix(c.contains, "$"); sealed != (p.Seal == nil) {
			t.Errorf("%v: the plan is sealed: %v", c, p.Seal == nil)
		}
		_, l, r := imagetest.Build(t, p, write.Options{})
		if hash := r.Plan.Find("usr").RootHash; strings.HasPrefix(hash, "00000000") || l.Regions[2].Size == 0 {
			t.Errorf("%v: root hash %s", c, hash)
		}
	}
}

func layout(t *testing.T, p *plan.Plan) *plan.Layout {
	t.Helper()
	l, err := p.Layout(nil)
	if err != nil {
		t.Fatal(err)
	}
	return l
}
