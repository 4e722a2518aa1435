package resolve_test

import (
	"fmt"
	"strings"
	"testing"

	"imprint/image/imagetest"
)

// Directories that nothing states belong to whom the one above them belongs to.
func TestParentsThatNothingStates(t *testing.T) {
	w := imagetest.New(t)
	w.File("registration", "")
	w.File("tree/a/b", "")
	p, err := w.Plan(`
[[partition]]
name = "root"
type = "root"
filesystem = "ext4"
dir = [
  { path = "/home/alice/private/deep/er", mode = "0700", uid = 1000, gid = 100 },
  { path = "/home/alice", mode = "0750", uid = 1000, gid = 100 },
  { path = "/srv/shared", mode = "2775", uid = 0, gid = 50 },
  { path = "/home/alice/root", mode = "0755" },
]
file = [
  { path = "/home/alice/.ssh/authorized_keys", text = "", uid = 1000, gid = 100 },
  { path = "/home/alice/root/of/it", text = "" },
  { path = "/srv/shared/a/b", text = "" },
  { path = "/etc/x/y", text = "" },
  { path = "/srv/alone", text = "", uid = 7 },
]
link = [{ path = "/home/alice/.config/link", target = "x" }]
tree = [{ source = "tree", target = "/home/alice/copied/here" }]
`)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/home":                       "0755 0:0",
		"/home/alice":                 "0750 1000:100",
		"/home/alice/.ssh":            "0750 1000:100",
		"/home/alice/private":         "0750 1000:100",
		"/home/alice/private/deep":    "0750 1000:100",
		"/home/alice/private/deep/er": "0700 1000:100",
		"/home/alice/.config":         "0750 1000:100",
		"/home/alice/copied":          "0750 1000:100",
		"/home/alice/copied/here":     "0755 0:0", // as the host has it, and root's
		"/home/alice/root/of":         "0755 0:0",
		"/srv/shared/a":               "2755 0:50",
		"/etc/x":                      "0755 0:0",
	} {
		n := p.Partitions[0].Spec.Tree.Find(path)
		if n == nil {
			t.Errorf("there is no %s", path)
			continue
		}
		if got := fmt.Sprintf("%04o %d:%d", n.Attr.Mode, n.Attr.UID, n.Attr.GID); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	if len(p.Warnings) != 0 {
		t.Errorf("warnings %v", p.Warnings)
	}
}

// Where no directory above a file has an owner, and the file has one, that is unlikely to be meant.
func TestParentsOfOthersFiles(t *testing.T) {
	w := imagetest.New(t)
	w.File("registration", "")
	const head = "[[partition]]\nname = \"root\"\ntype = \"root\"\nfilesystem = \"ext4\"\n"
	for text, want := range map[string]string{
		`file = [{ path = "/home/alice/.ssh/x", text = "", uid = 1000, gid = 100 }, { path = "/home/alice/.ssh/y", text = "", uid = 1000 }]`: `
partition[0].file[0].path: /home/alice/.ssh/x belongs to user 1000, but /home/alice/.ssh will belong to root
hint: add a [[partition.dir]] with path = "/home/alice/.ssh", uid = 1000 and gid = 100, or without uid and gid to leave it to root`,
		`dir = [{ path = "/etc/ssl" }]
file = [{ path = "/etc/ssl/key", text = "", uid = 33 }, { path = "/etc/key", text = "", uid = 33 }]`: "",
		`dir = [{ path = "/var/lib/db/data", uid = 26 }]`:                   "",
		`dir = [{ path = "/home/alice", uid = 1000 }]`:                      "",
		`dir = [{ path = "/var/lib" }, { path = "/var/lib/db", uid = 26 }]`: "",
	} {
		p, err := w.Plan(head + text)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Warnings.Error(); (got == "") != (want == "") || !strings.Contains(got, strings.TrimPrefix(want, "\n")) {
			t.Errorf("%s: %s", text, got)
		}
	}
}
