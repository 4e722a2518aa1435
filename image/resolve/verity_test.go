package resolve_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"imprint/image/disk"
	"imprint/image/imagetest"
	"imprint/image/plan"
	"imprint/image/write"
	"imprint/internal/verity"
)

// covered is Bootable with a hash tree over the store.
func covered(system, store string) string {
	text := strings.Replace(fmt.Sprintf(imagetest.Bootable, system), "disk=${disk.guid}", "roothash=${partition.root.roothash}", 1)
	text = strings.Replace(text, "name = \"root\"\n", "name = \"root\"\nverity = \"tree\"\n", 1)
	text = strings.Replace(text, "text = \"${partition.root.uuid} $$HOME\"", "text = \"x\"", 1)
	return store + text + "[[partition]]\nname = \"tree\"\ntype = \"root-verity\"\nfilesystem = \"none\"\n"
}

// The root hash in command lines is that of the bytes that are written, also with hard links, which replace the nodes of items.
func TestVerity(t *testing.T) {
	w, system := imagetest.Boot(t)
	for _, store := range []string{"", "[store]\nhard-link = true\n"} {
		p, err := w.Plan(covered(system, store))
		if err != nil {
			t.Fatal(err)
		}
		image, l, _ := imagetest.Build(t, p, write.Options{})
		r, to := l.Regions[2], l.Regions[3]
		data := image[r.Offset:][:r.Size]
		leaves := make([]verity.Hash, r.Size/verity.BlockSize)
		verity.Leaves(data, leaves)
		tree := verity.NewTree(leaves)
		root := hex.EncodeToString(tree.Root[:])
		if p.Find("root").RootHash != root || !strings.Contains(p.Entries[0].Cmdline, "roothash="+root) {
			t.Errorf("the root hash is %s; the plan has %s, the command line is %s", root, p.Find("root").RootHash, p.Entries[0].Cmdline)
		}
		want := tree.Device(to.Partition.Spec.UUID)
		if !bytes.Equal(image[to.Offset:][:len(want)], want) {
			t.Error("the hash tree is another")
		}
		halves := strings.ReplaceAll(p.Find("root").PartUUIDText()+p.Find("tree").PartUUIDText(), "-", "")
		if halves != root {
			t.Errorf("the partition UUIDs are %s", halves)
		}
		d, err := disk.Open(bytes.NewReader(image), int64(len(image)))
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Verify(t.Context(), func(f disk.Fault) { t.Error(f) }); err != nil {
			t.Error(err)
		}
		image[r.Offset+100]++ // which no structure of the file system covers
		var faults []string
		if err := d.Verify(t.Context(), func(f disk.Fault) { faults = append(faults, f.String()) }); err != nil {
			t.Error(err)
		}
		if text := strings.Join(faults, "\n"); !strings.Contains(text, `"tree": byte `) || !strings.Contains(text, `dm-verity level 0: block 0 has`) {
			t.Errorf("faults %s", text)
		}
		if len(p.Warnings) > 0 {
			t.Errorf("warnings %v", p.Warnings)
		}
		again, err := w.PlanUnsealed(covered(system, store))
		if err != nil || again.Seal == nil || again.Find("root").RootHash == root {
			t.Fatalf("a plan for a build has a root hash, or fails: %v", err)
		}
		image[r.Offset+100]--
		for _, o := range []write.Options{{}, {NoDigest: true}} {
			once, _, result := imagetest.Build(t, again, o)
			if !bytes.Equal(once, image) || result.Plan.Find("root").RootHash != root {
				t.Error("an image whose hash tree is computed while it is written has other bytes")
			}
		}
	}
}

// Warnings are given once, though parts of the plan are made twice, and a partition's own UUID in it is no circle if the description gives it.
func TestVerityAgain(t *testing.T) {
	w, system := imagetest.Boot(t)
	text := strings.Replace(covered(system, ""), "free = \"10%\"\n", "", 1)
	p, err := w.Plan(text)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Warnings) != 1 {
		t.Errorf("warnings %v", p.Warnings)
	}
	text = strings.Replace(text, "text = \"x\"", "text = \"${partition.root.partuuid}\"", 1)
	if _, err := w.Plan(text); err == nil || !strings.Contains(err.Error(), "partition[2].verity: the content of the partition depends on a root hash") {
		t.Errorf("error %v", err)
	}
	text = strings.Replace(text, "verity = ", "partuuid = \"00112233-4455-6677-8899-aabbccddee00\"\nverity = ", 1)
	if _, err := w.Plan(text); err != nil {
		t.Error(err)
	}
}

// Everything that is not covered may contain root hashes and what derives from them: texts, links, the table of file systems and the store; and
// what is in both is read twice.
func TestVerityIsAnywhereElse(t *testing.T) {
	w, system := imagetest.Boot(t)
	text := strings.NewReplacer("disk=${disk.guid}", "usrhash=${partition.usr.roothash}", "text = \"${partition.root.uuid} $$HOME\"", `
  text = "${partition.usr.roothash} ${partition.usr.partuuid} ${partition.tree.partuuid}"
  [[partition.link]]
  path = "/dev-usr"
  target = "/dev/disk/by-partuuid/${partition.usr.partuuid}"`, "free = \"10%\"", "free = \"10%\"\nfstab = true").Replace(fmt.Sprintf(imagetest.Bootable, system)) + `
[[partition]]
name = "usr"
type = "usr"
filesystem = "erofs"
verity = "tree"
  [[partition.tree]]
  source = "rootfs"
[[partition]]
name = "tree"
type = "usr-verity"
filesystem = "none"
`
	planned, err := w.Plan(text)
	if err != nil {
		t.Fatal(err)
	}
	unsealed, err := w.PlanUnsealed(text)
	if err != nil {
		t.Fatal(err)
	}
	want, _, _ := imagetest.Build(t, planned, write.Options{})
	got, l, r := imagetest.Build(t, unsealed, write.Options{})
	if at := imagetest.FirstDifference(got, want); at >= 0 {
		t.Errorf("the images differ at byte %d", at)
	}
	usr, root := r.Plan.Find("usr"), got[l.Regions[2].Offset:][:l.Regions[2].Size]
	if line := usr.RootHash + " " + usr.PartUUIDText() + " " + r.Plan.Find("tree").PartUUIDText(); !bytes.Contains(root, []byte(line)) {
		t.Errorf("the image does not contain %q", line)
	}
}

// A menu on the covered partition is a circle too, and so is its own entry in a table of file systems.
func TestVerityCircles(t *testing.T) {
	w, system := imagetest.Boot(t)
	const problem = "partition[2].verity: the content of the partition depends on a root hash"
	for name, change := range map[string][]string{
		"menu":  {`loader = "systemd-boot"`, `loader = "extlinux"`, "[[partition]]\nname = \"esp\"\ntype = \"esp\"", "[[partition]]\nname = \"esp\"\ntype = \"linux-generic\""},
		"fstab": {"verity = \"tree\"\n", "verity = \"tree\"\nfstab = true\n"},
		"link":  {`target = "${closure.system}"`, `target = "/dev/disk/by-partuuid/${partition.tree.partuuid}"`},
	} {
		for _, resolve := range []func(string) (*plan.Plan, error){w.Plan, w.PlanUnsealed} {
			if _, err := resolve(strings.NewReplacer(change...).Replace(covered(system, ""))); err == nil || !strings.Contains(err.Error(), problem) {
				t.Errorf("%s: error %v", name, err)
			}
		}
	}
}
