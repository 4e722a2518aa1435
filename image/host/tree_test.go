package host_test

import (
	"archive/tar"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"imprint/image/imagetest"
	"imprint/image/plan"
	"imprint/internal/tree"
)

// inPartition is a description with one partition, and what its tables hold.
const inPartition = `
[[partition]]
name = "data"
type = "linux-generic"
filesystem = "%s"
%s
`

func rootOf(p *plan.Plan) *tree.Node { return p.Partitions[0].Spec.Tree.Root() }

// Everything in a host directory belongs to root in the image. A file with a set-ID bit and another owner must not become root's.
func TestSetIDInHostDirectories(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root gives files away")
	}
	for _, c := range []struct {
		mode       os.FileMode
		bits       uint32
		uid, gid   int
		filesystem string
		extra      string
		want       string // "" if the mode is kept
	}{
		{0, 0o6755, 6, 12, "ext4", "", "/bin/\"man\\x1b\" (mode 6755)"},
		{0, 0o4755, 6, 0, "ext4", "", "(mode 4755)"},
		{0, 0o2755, 0, 12, "erofs", "", "(mode 2755)"},
		{0, 0o4755, 0, 12, "ext4", "", ""},
		{0, 0o6755, 0, 0, "ext4", "", ""},
		{0, 0o0755, 6, 12, "ext4", "", ""},
		{0, 0o6755, 6, 12, "ext4", `exclude = ["man*"]`, ""},
		{0, 0o2775, 0, 50, "ext4", "", "/dir (mode 2775)"},
		{0, 0o1777, 6, 50, "ext4", "", ""},
	} {
		w := imagetest.New(t)
		name := "bin/man\x1b"
		if c.bits == 0o2775 || c.bits == 0o1777 {
			name = "dir"
		}
		w.File("tree/bin/man\x1b", "x")
		os.Mkdir(w.Dir+"/tree/dir", 0o755)
		path := filepath.Join(w.Dir, "tree", name)
		if err := os.Chown(path, c.uid, c.gid); err != nil {
			t.Fatal(err)
		}
		if err := unix.Chmod(path, c.bits); err != nil {
			t.Fatal(err)
		}
		p, err := w.Plan(fmt.Sprintf(inPartition, c.filesystem, "[[partition.tree]]\nsource = \"tree\"\n"+c.extra))
		if c.want != "" {
			want := strings.ReplaceAll(c.want, "/bin/\"man\\x1b\"", `"/bin/man\x1b"`)
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "exclude") {
				t.Errorf("%#o %d:%d: %v", c.bits, c.uid, c.gid, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%#o %d:%d: %v", c.bits, c.uid, c.gid, err)
			continue
		}
		n := p.Partitions[0].Spec.Tree.Find("/" + name)
		if c.extra == "" && (uint32(n.Attr.Mode) != c.bits || n.Attr.UID != 0 || n.Attr.GID != 0) {
			t.Errorf("%#o %d:%d has become %#o %d:%d", c.bits, c.uid, c.gid, n.Attr.Mode, n.Attr.UID, n.Attr.GID)
		}
	}
}

// An archive keeps owners, so it keeps set-ID bits. A FAT has neither.
func TestSetIDElsewhere(t *testing.T) {
	w := imagetest.New(t)
	w.File("a.tar", imagetest.Tar(t, tar.Header{Typeflag: tar.TypeReg, Name: "man", Mode: 0o6755, Uid: 6, Gid: 12}))
	p, err := w.Plan(fmt.Sprintf(inPartition, "ext4", "[[partition.tree]]\nsource = \"a.tar\""))
	if err != nil {
		t.Fatal(err)
	}
	if a := rootOf(p).Child("man").Attr; a.Mode != 0o6755 || a.UID != 6 || a.GID != 12 {
		t.Errorf("mode %#o, owner %d:%d", a.Mode, a.UID, a.GID)
	}
	w.File("tree/man", "x")
	if err := os.Chown(w.Dir+"/tree/man", 6, 12); err != nil {
		t.Skip("only root gives files away")
	}
	if err := unix.Chmod(w.Dir+"/tree/man", 0o6755); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Plan(fmt.Sprintf(inPartition, "fat", "[[partition.tree]]\nsource = \"tree\"")); err != nil {
		t.Error(err)
	}
}

// Patterns leave out the same of a directory and of an archive, and count in the identity by what they leave.
func TestExclude(t *testing.T) {
	w := imagetest.New(t)
	var headers []tar.Header
	for _, name := range []string{"a.pyc", "b/.git/config", "b/c", "cache/x/y"} {
		w.File("tree/"+name, name)
		headers = append(headers, tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644})
	}
	w.File("a.tar", imagetest.Tar(t, headers...))
	seeds := map[string]bool{}
	for _, text := range []string{
		"source = \"tree\"\nexclude = [\"*.pyc\", \".git/\", \"/cache/*\"]", "source = \"tree\"\nexclude = [\"/a.pyc\", \"b/.git\", \"cache/**\"]",
		"source = \"a.tar\"\nexclude = [\"*.pyc\", \".git/\", \"/cache/*\"]",
	} {
		p, err := w.Plan(fmt.Sprintf(inPartition, "ext4", "[[partition.tree]]\n"+text))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		var paths []string
		for path := range p.Partitions[0].Spec.Tree.Walk() {
			paths = append(paths, path)
		}
		want := []string{"/", "/b", "/b/c", "/cache"}
		if strings.Contains(text, "a.tar") {
			want = want[:3] // which has no entry for the directory
		} else {
			seeds[p.Seed.String()] = true
		}
		if !slices.Equal(paths, want) {
			t.Errorf("%s: %q", text, paths)
		}
	}
	if len(seeds) != 1 {
		t.Error("patterns that leave the same give different seeds")
	}
	_, err := w.Plan(fmt.Sprintf(inPartition, "ext4", "[[partition.tree]]\nsource = \"tree\"\nexclude = [\"ok\", \"!a\"]"))
	if err == nil || !strings.Contains(err.Error(), "partition[0].tree[0].exclude[1]: pattern \"!a\"") {
		t.Errorf("a bad pattern gives %v", err)
	}
}

// What is mounted in a directory is not part of it, and said.
func TestMountsAreLeftOut(t *testing.T) {
	w := imagetest.New(t)
	w.File("tree/mnt/x", "x")
	if err := unix.Mount("tmpfs", w.Dir+"/tree/mnt", "tmpfs", 0, ""); err != nil {
		t.Skipf("mount: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(w.Dir+"/tree/mnt", unix.MNT_DETACH) })
	w.File("tree/mnt/secret", "x")
	p, err := w.Plan(fmt.Sprintf(inPartition, "ext4", "[[partition.tree]]\nsource = \"tree\""))
	if err != nil {
		t.Fatal(err)
	}
	if mnt := rootOf(p).Child("mnt"); mnt == nil || len(mnt.Children()) > 0 {
		t.Errorf("the image has %v of what is mounted", mnt)
	}
	if got := p.Warnings.Error(); !strings.Contains(got, "skipped what is mounted at /mnt") {
		t.Errorf("warnings %q", got)
	}
	if p, err = w.Plan(fmt.Sprintf(inPartition, "ext4", "[[partition.tree]]\nsource = \"tree\"\nexclude = [\"/mnt\"]")); err != nil || len(p.Warnings) > 0 {
		t.Errorf("excluded: %v, %v", err, p.Warnings)
	}
}

// What an archive says of a file is in the image, or the file system refuses it by the path. No name of a file reaches a terminal as it is.
func TestAttributesOfArchives(t *testing.T) {
	const acl = "user::rw-,user:daemon:rwx:1,group::r--,mask::rw-,other::---"
	for _, c := range []struct {
		filesystem, key, value string
		want                   string // "" if it is carried
	}{
		{"ext4", "SCHILY.acl.access", acl, ""},
		{"ext4\"\nengine = \"mke2fs", "SCHILY.acl.access", acl, ""},
		{"erofs", "RHT.security.selinux", "system_u:object_r:bin_t:s0", ""},
		{"fat", "LIBARCHIVE.xattr.user.x", "YQ", `"/a\x1b[2J": extended attribute "user.x"`},
		{"squashfs", "SCHILY.xattr.user.x", "a", ""},
		{"squashfs", "SCHILY.acl.access", acl, `"/a\x1b[2J": extended attribute "system.posix_acl_access", but squashfs stores only user.`},
		{"ext4", "SCHILY.xattr.other.x", "a", `"/a\x1b[2J": extended attribute "other.x"`},
		{"ext4", "SCHILY.fflags", "nodump", `entry "a\x1b[2J" at byte 0: record "SCHILY.fflags"`},
		{"erofs", "SCHILY.acl.access", "user:joe:rwx", "a name without its number"},
	} {
		w := imagetest.New(t)
		h := tar.Header{Typeflag: tar.TypeReg, Name: "a\x1b[2J", Mode: 0o640, PAXRecords: map[string]string{c.key: c.value}}
		if c.filesystem == "fat" || c.want == "" {
			h.Name = "a"
			c.want = strings.ReplaceAll(c.want, `"/a\x1b[2J"`, "/a")
		}
		w.File("a.tar", imagetest.Tar(t, h))
		p, err := w.Plan(fmt.Sprintf(inPartition, c.filesystem, "[[partition.tree]]\nsource = \"a.tar\""))
		if err == nil {
			_, err = p.Layout(nil)
		}
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s, %s: %v", c.filesystem, c.key, err)
		case c.want == "" && len(rootOf(p).Child("a").Attr.Xattrs) != 1:
			t.Errorf("%s, %s: %q", c.filesystem, c.key, rootOf(p).Child("a").Attr.Xattrs)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.ContainsRune(err.Error(), 0x1b)):
			t.Errorf("%s, %s: %q; want %q", c.filesystem, c.key, err, c.want)
		}
	}
}

// Whatever is wrong with a file, its name is quoted when a terminal would obey it.
func TestNamesAreQuoted(t *testing.T) {
	const name = "a\x1b[31m\nfake: error"
	for what, text := range map[string]string{
		"not on FAT":         fmt.Sprintf(inPartition, "fat", "[[partition.tree]]\nsource = \"tree\""),
		"there twice":        fmt.Sprintf(inPartition, "ext4", "[[partition.tree]]\nsource = \"tree\"\n[[partition.tree]]\nsource = \"a.tar\""),
		"below a file":       fmt.Sprintf(inPartition, "ext4", "[[partition.tree]]\nsource = \"tree\"\n[[partition.file]]\npath = \"/a\\u001B[31m\\nfake: error/x\"\ntext = \"\""),
		"does not fit":       fmt.Sprintf(inPartition, "ext4", "size = \"1MiB\"\n[[partition.tree]]\nsource = \"tree\""),
		"target of a search": fmt.Sprintf(inPartition, "ext4", "[[partition.tree]]\nsource = \"a\\u001B\\n\""),
	} {
		w := imagetest.New(t)
		w.File("tree/"+name, strings.Repeat("x", 2<<20))
		w.File("a.tar", imagetest.Tar(t, tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644}))
		p, err := w.Plan(text)
		if err == nil {
			_, err = p.Layout(nil)
		}
		if err == nil || strings.ContainsRune(err.Error(), 0x1b) || strings.Contains(err.Error(), "\nfake") {
			t.Errorf("%s: %q", what, err)
		}
	}
}

// A file that is too large for its file system is reported at the key that names it, before anything is read.
func TestTooLargeForItsFileSystem(t *testing.T) {
	w := imagetest.New(t)
	w.File("tree/big", "")
	if err := os.Truncate(w.Dir+"/tree/big", 5<<30); err != nil {
		t.Skip(err)
	}
	for text, key := range map[string]string{
		"[[partition.tree]]\nsource = \"tree\"":                    "partition[0].tree[0].source: /big has 5368709120 bytes",
		"[[partition.file]]\npath = \"/x\"\nsource = \"tree/big\"": "partition[0].file[0].source: /x has 5368709120 bytes",
	} {
		_, err := w.Plan(fmt.Sprintf(inPartition, "fat", text))
		if err == nil || !strings.Contains(err.Error(), key) || !strings.Contains(err.Error(), "4294967295") {
			t.Errorf("%v", err)
		}
	}
	if _, err := w.Plan(fmt.Sprintf(inPartition, "fat", "[[partition.tree]]\nsource = \"tree\"\nexclude = [\"big\"]")); err != nil {
		t.Error(err)
	}
}

// What an image holds does not depend on how the host stores its files.
func TestHolesOfTheHost(t *testing.T) {
	seeds := map[string]bool{}
	for _, sparse := range []bool{false, true} {
		w := imagetest.New(t)
		content := make([]byte, 8<<20)
		copy(content[5<<20:], "x")
		w.File("tree/f", string(content))
		if sparse {
			if err := unix.Fallocate(openRW(t, w.Dir+"/tree/f"), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, 4<<20); err != nil {
				t.Skipf("punch a hole: %v", err)
			}
		}
		p, err := w.Plan(fmt.Sprintf(inPartition, "ext4", "[[partition.tree]]\nsource = \"tree\""))
		if err != nil {
			t.Fatal(err)
		}
		if got := tree.DataOf(rootOf(p).Child("f").Blob()); !slices.Equal(got, []tree.Range{{Off: 5 << 20, Len: tree.HoleSize}}) {
			t.Errorf("data %v", got)
		}
		seeds[p.Seed.String()] = true
	}
	if len(seeds) != 1 {
		t.Error("a file with holes gives another seed")
	}
}

func openRW(t *testing.T, path string) int {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return int(f.Fd())
}
