package resolve_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imprint/image/imagetest"
)

const withMentions = `
[[closure]]
name = "system"
roots = ["%[1]s"]
[boot]
loader = "none"
[[boot.entry]]
title = "test"
kernel = "${closure.system}/kernel"
cmdline = "root=/dev/vda1 init=%[2]s/init other=%[3]s/x good=%[1]s"
[[boot.entry]]
title = "without"
kernel = "${closure.system}/kernel"
cmdline = "root=/dev/vda1 init=${closure.system}/nothing"
[[partition]]
name = "root"
type = "root"
filesystem = "ext4"
free = 0
closures = ["system"]
  [[partition.file]]
  path = "/etc/text"
  text = "see %[2]s/bin/sh, ${closure.system} and %[1]s."
  [[partition.file]]
  path = "/etc/source"
  source = "script"
  [[partition.file]]
  path = "/etc/large"
  source = "large"
  [[partition.link]]
  path = "/bin/sh"
  target = "%[2]s/bin/sh"
  [[partition.link]]
  path = "/bin/relative"
  target = "../..%[3]s"
  [[partition.link]]
  path = "/bin/nothing"
  target = "${closure.system}/bin/nothing"
  [[partition.link]]
  path = "/bin/good"
  target = "${closure.system}/kernel"
  [[partition.link]]
  path = "/run/later"
  target = "/run/current-system"
  [[partition.tree]]
  source = "tree"
  target = "/srv"
`

// What names store items that are not in the image, or files that they do not have, brings a warning at its key.
func TestDanglingReferences(t *testing.T) {
	w := imagetest.New(t)
	system := w.Item("system", nil, map[string]string{"kernel": "K", "out": "-> /etc/x"})
	gone, other := w.Path("gone"), w.Path("other")
	w.File("script", "#!"+gone+"/bin/sh\nexec "+other+"/bin/x "+gone+"\n")
	w.File("large", gone+strings.Repeat("x", 64<<10))
	w.File("tree/unit", "ExecStart="+other+"/bin/x\n")
	for i := range 7 {
		if err := os.Symlink(w.Path(fmt.Sprint("item", i)), filepath.Join(w.Dir, "tree", fmt.Sprint("link", i))); err != nil {
			t.Fatal(err)
		}
	}
	p, err := w.Plan(fmt.Sprintf(withMentions, system, gone, other))
	if err != nil {
		t.Fatal(err)
	}
	got := p.Warnings.Error()
	for _, want := range []string{
		"boot.entry[0].cmdline: init=" + gone + "/init leads to " + gone + ", which is not in the image\nhint: add \"" + gone + "\" to the roots of a [[closure]]",
		"boot.entry[0].cmdline: names " + other + ", which",
		"boot.entry[1].cmdline: init=" + system + "/nothing leads to " + system + "/nothing, but the item has no such file",
		"partition[0].file[0].text: names " + gone + ", which",
		"partition[0].file[1].source: script names " + gone + ", which",
		"partition[0].file[1].source: script names " + other + ", which",
		"partition[0].link[0].target: /bin/sh leads to " + gone + ", which",
		"partition[0].link[1].target: /bin/relative leads to " + other + ", which",
		"partition[0].link[2].target: /bin/nothing leads to " + system + "/bin/nothing, but the item has no such file",
		"partition[0].tree[0]: /srv/unit names " + other + ", which",
		"partition[0].tree[0]: /srv/link3 leads to " + w.Path("item3") + ", which is not in the image; 3 more are missing too",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no warning %s", want)
		}
	}
	if n := len(p.Warnings); n != 9+5 {
		t.Errorf("%d warnings:\n%s", n, got)
	}
}

// A store that comes as a tree is there, too.
func TestReferencesIntoATree(t *testing.T) {
	w := imagetest.New(t)
	w.File("registration", "")
	item := w.Path("item")
	w.File("tree"+item+"/x", "")
	text := "[[partition]]\nname = \"p\"\ntype = \"root\"\nfilesystem = \"ext4\"\ntree = [{ source = \"tree\" }]\nlink = [{ path = \"/x\", target = %q }]\n"
	for path, warnings := range map[string]int{item: 0, w.Path("other"): 1} {
		p, err := w.Plan(fmt.Sprintf(text, path))
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Warnings) != warnings {
			t.Errorf("%s: %v", path, p.Warnings)
		}
	}
}
