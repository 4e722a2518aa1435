package trees_test

import (
	"archive/tar"
	"fmt"
	"strings"
	"testing"

	"imprint/image/imagetest"
	"imprint/image/plan"
	"imprint/internal/tree"
)

const root = `
[[partition]]
name = "root"
type = "root"
filesystem = "ext4"
`

// A debian-like archive: /lib is a symlink, and there are accounts.
func base(t *testing.T) imagetest.World {
	w := imagetest.New(t)
	dir := func(name string, uid int) tar.Header {
		return tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755, Uid: uid, Gid: uid}
	}
	file := func(name string) tar.Header { return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644} }
	w.File("a.tar", imagetest.Tar(t, dir("boot", 0), file("boot/vmlinuz-6.1"), file("boot/initrd.img-6.1"), dir("etc", 0), file("etc/motd"), file("etc/hosts"),
		tar.Header{Typeflag: tar.TypeLink, Name: "etc/motd.copy", Linkname: "etc/motd"}, dir("usr", 0), dir("usr/lib", 0), file("usr/lib/a"),
		tar.Header{Typeflag: tar.TypeSymlink, Name: "lib", Linkname: "usr/lib"}, tar.Header{Typeflag: tar.TypeSymlink, Name: "vmlinuz", Linkname: "boot/vmlinuz-6.1"},
		dir("home", 0), dir("home/alice", 1000), file("home/alice/x"), tar.Header{Typeflag: tar.TypeSymlink, Name: "home/alice/y", Linkname: "x", Mode: 0o777}))
	w.File("accounts/etc/passwd", "root:x:0:0:::\nalice:x:1000:50:::\n")
	w.File("accounts/etc/group", "root:x:0:\nstaff:x:50:alice\n")
	w.File("more/lib/b", "b")
	w.File("more/etc/motd", "another")
	w.File("more/etc/hosts", "another")
	return w
}

const fromArchive = "[[partition.tree]]\nsource = \"a.tar\"\n"

func treeOf(t *testing.T, p *plan.Plan) *tree.Tree {
	t.Helper()
	for _, part := range p.Partitions {
		if part.Spec.Name == "root" {
			return part.Spec.Tree
		}
	}
	t.Fatal("no root")
	return nil
}

// shown is a node in words.
func shown(n *tree.Node) string {
	if n == nil {
		return "nothing"
	}
	n = n.Inode()
	s := fmt.Sprintf("%v %04o %d:%d", n.Kind(), n.Attr.Mode, n.Attr.UID, n.Attr.GID)
	switch n.Kind() {
	case tree.File:
		text, _ := tree.ReadAll(n.Blob(), 1<<20)
		s += " " + string(text)
	case tree.Symlink:
		s += " " + n.Target()
	}
	return s
}

func TestOverride(t *testing.T) {
	p, err := base(t).Plan(root + fromArchive + `
[[partition.tree]]
source = "more"
override = true
[[partition.file]]
path = "/lib/c"
text = "in ${partition.root.label}"
override = true
[[partition.file]]
path = "/etc/hosts"
text = "mine"
override = true
[[partition.link]]
path = "/vmlinuz"
target = "boot/${partition.root.label}"
override = true
`)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/lib": "symlink 0777 0:0 usr/lib", "/usr/lib/a": "file 0644 0:0 usr/lib/a", "/usr/lib/b": "file 0644 0:0 b", "/usr/lib/c": "file 0644 0:0 in test-root",
		"/etc/motd": "file 0644 0:0 another", "/etc/motd.copy": "file 0644 0:0 etc/motd", "/etc/hosts": "file 0644 0:0 mine", "/vmlinuz": "symlink 0777 0:0 boot/test-root",
	} {
		if got := shown(treeOf(t, p).Find(path)); !strings.EqualFold(got, want) {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
}

// All clashes are reported, with their remedies; a hint that several share follows the last of them.
func TestClashes(t *testing.T) {
	_, err := base(t).Plan(root + fromArchive + `
[[partition.tree]]
source = "more"
[[partition.dir]]
path = "/etc/motd"
[[partition.dir]]
path = "/lib/firmware/x"
[[partition.link]]
path = "/usr"
target = "x"
override = true
`)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"partition[0].tree[1]: /etc/hosts: a file is there already (partition[0].tree[0])\n",
		"partition[0].tree[1]: /etc/motd: a file is there already (partition[0].tree[0])\nhint: with override = true the later one replaces it\n",
		"partition[0].tree[1]: /lib: a symlink is there already (partition[0].tree[0])\nhint: with override = true the later one replaces it, and symlinks to directories are followed",
		"partition[0].dir[0].path: /etc/motd: a file is there already",
		"partition[0].dir[1].path: /lib/firmware/x: /lib is a symlink, not a directory (partition[0].tree[0])\nhint: did you mean \"/usr/lib/firmware/x\"?",
		"partition[0].link[0].path: /usr: a directory that is not empty is there already (partition[0].tree[0])\nhint: a directory with files is replaced only by a directory",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nlacks %s", err, want)
		}
	}
}

func TestManyClashes(t *testing.T) {
	w := imagetest.New(t)
	for i := range 40 {
		w.File(fmt.Sprintf("a/%02d", i), "")
	}
	_, err := w.Plan(root + "[[partition.tree]]\nsource = \"a\"\n[[partition.tree]]\nsource = \"a/\"\n")
	if err == nil || strings.Count(err.Error(), "is there already") != 16 || !strings.Contains(err.Error(), "24 more paths are in use") {
		t.Error(err)
	}
}

func TestAttrAndNames(t *testing.T) {
	p, err := base(t).Plan(root + fromArchive + `
[[partition.tree]]
source = "accounts"
[[partition.dir]]
path = "/srv"
user = "alice"
group = "staff"
[[partition.file]]
path = "/srv/a/f"
text = ""
user = "alice"
[[partition.attr]]
path = "/home/alice/**"
mode = "0600"
user = "alice"
group = "staff"
[[partition.attr]]
path = "/home/alice/"
uid = 0
[[partition.attr]]
path = "/etc/motd*"
mode = "0400"
`)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/srv": "directory 0755 1000:50", "/srv/a": "directory 0755 1000:50", "/srv/a/f": "file 0644 1000:0 ",
		"/home/alice": "directory 0755 0:1000", "/home/alice/x": "file 0600 1000:50 home/alice/x", "/home/alice/y": "symlink 0777 1000:50 x",
		"/etc/motd": "file 0400 0:0 etc/motd", "/etc/motd.copy": "file 0400 0:0 etc/motd", "/etc/hosts": "file 0644 0:0 etc/hosts",
	} {
		if got := shown(treeOf(t, p).Find(path)); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	if len(p.Warnings) > 1 {
		t.Errorf("warnings %v", p.Warnings)
	}
}

func TestAttrMistakes(t *testing.T) {
	w := base(t)
	for text, want := range map[string]string{
		"[[partition.attr]]\npath = \"/hoem/alice/**\"\nuid = 1\n": `"/hoem/alice/**" matches nothing in the tree` + "\nhint: did you mean \"/home\"?",
		"[[partition.attr]]\npath = \"/lib/*\"\nuid = 1\n":         "hint: /lib is a symlink to /usr/lib: write that",
		"[[partition.attr]]\npath = \"/boot/*.efi\"\nuid = 1\n":    "hint: in /boot there is initrd.img-6.1, vmlinuz-6.1",
		"[[partition.dir]]\npath = \"/x\"\nuser = \"alice\"\n":     "partition[0].dir[0].user: there is no /etc/passwd in the tree, so no user has a name",
		"[[partition.file]]\npath = \"/etc/passwd\"\ntext = \"alice:x:7:7:::\"\n[[partition.link]]\npath = \"/x\"\ntarget = \"y\"\nuser = \"alcie\"\n": `partition[0].link[0].user: there is no user "alcie" in /etc/passwd` +
			"\nhint: did you mean \"alice\"?",
	} {
		if _, err := w.Plan(root + fromArchive + text); err == nil || !strings.Contains(err.Error(), want) || strings.Count(err.Error(), "test.toml:") != 1 {
			t.Errorf("%s\n%v\nlacks %s", text, err, want)
		}
	}
}

// The owner of a link counts like that of a file for the directories above it.
func TestLinkBelowRoots(t *testing.T) {
	p, err := imagetest.New(t).Plan(root + "[[partition.link]]\npath = \"/home/bob/x\"\ntarget = \"y\"\nuid = 7\n")
	if err != nil || !strings.Contains(p.Warnings.Error(), "/home/bob/x belongs to user 7, but /home/bob will belong to root") {
		t.Error(err, p.Warnings)
	}
}
