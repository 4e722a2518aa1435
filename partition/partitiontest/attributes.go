package partitiontest

import (
	"fmt"
	"strings"

	"imprint/internal/tree"
)

// attributeCases test attributes that not every file system keeps.
var attributeCases = []testCase{
	{name: "symlinks", needs: Symlinks, fill: func(g *grove) {
		g.path = "/of-00001"
		for _, n := range []int{1, 58, 59, 60, 61, 255, 1023, 1024, 4094, 4095} {
			g.add(fmt.Sprintf("/of-%05d", n), tree.NewSymlink("", plain, strings.Repeat("t", n)))
		}
		for i, target := range []string{"/", "../..", "a b", `"quoted" \x`, "<7>", "trailing/", "//", "\xff\xfe", "#", "-f"} {
			g.add(fmt.Sprintf("/to-%02d", i), tree.NewSymlink("", plain, target))
		}
	}},
	{name: "hard links", needs: HardLinks, fill: func(g *grove) {
		f := g.file("/b/file", "linked")
		g.path = "/a/before"
		for _, path := range []string{"/a/before", "/b/other", "/z/deep/er"} {
			g.add(path, tree.NewLink("", f))
		}
	}},
	{name: "many hard links", needs: HardLinks, fill: func(g *grove) {
		f := g.file("/zz", "linked")
		g.path = "/links/" + strings.Repeat("l", 200) + "0000"
		for i := range 1000 {
			g.add(fmt.Sprintf("/links/%s%04d", strings.Repeat("l", 200), i), tree.NewLink("", f))
		}
	}},
	{name: "links to symlinks and devices", needs: Symlinks, fill: func(g *grove) {
		g.path = "/a"
		g.add("/a", tree.NewLink("", g.add("/fast", tree.NewSymlink("", plain, "short"))))
		g.add("/b", tree.NewLink("", g.add("/slow", tree.NewSymlink("", plain, strings.Repeat("long", 100)))))
	}},
	{name: "devices", needs: Specials, fill: func(g *grove) {
		g.path = "/dev/max"
		for name, number := range map[string]tree.Device{
			"null": {Major: 1, Minor: 3}, "old": {Major: 255, Minor: 255}, "new": {Major: 256, Minor: 0}, "minor": {Major: 8, Minor: 70_000},
			"max": {Major: 4095, Minor: 1<<20 - 1},
		} {
			g.add("/dev/"+name, tree.NewDevice("", plain, tree.CharDevice, number))
			g.add("/dev/zz-"+name, tree.NewDevice("", plain, tree.BlockDevice, number))
		}
	}},
	{name: "fifos", needs: Specials, fill: func(g *grove) {
		g.path = "/run/fifo"
		g.add("/run/fifo", tree.NewSpecial("", plain, tree.Fifo))
		g.add("/run/fifo2", tree.NewSpecial("", &tree.Attr{Mode: 0o700, UID: 9}, tree.Fifo))
	}},
	{name: "sockets", needs: Sockets, fill: func(g *grove) {
		g.path = "/a-socket"
		s := g.add("/run/socket", tree.NewSpecial("", plain, tree.Socket))
		g.add("/run/socket2", tree.NewSpecial("", &tree.Attr{Mode: 0o700, UID: 9}, tree.Socket))
		g.add("/a-socket", tree.NewLink("", s))
	}},
	{name: "owners", needs: Owners, fill: func(g *grove) {
		g.path = "/0"
		for i, id := range []uint32{0, 1, 1000, 65534, 65535, 65536, 1 << 31, 1<<32 - 2} {
			g.add(fmt.Sprintf("/%d", i), tree.NewFile("", &tree.Attr{Mode: 0o644, UID: id, GID: id / 2, Mtime: tree.Time{Sec: 1}}, tree.Text("x")))
			g.add(fmt.Sprintf("/d%d", i), tree.NewDir("", &tree.Attr{Mode: 0o755, UID: id, GID: 7, Mtime: tree.Time{Sec: 1}}, nil))
		}
	}},
	{name: "modes", needs: Modes, fill: func(g *grove) {
		g.path = "/0000"
		for _, mode := range []uint16{0, 0o444, 0o4755, 0o2755, 0o1777, 0o6711, 0o7777, 0o200} {
			g.add(fmt.Sprintf("/%04o", mode), tree.NewFile("", &tree.Attr{Mode: mode, Mtime: tree.Time{Sec: 1}}, tree.Text("x")))
			g.add(fmt.Sprintf("/d%04o", mode), tree.NewDir("", &tree.Attr{Mode: mode, Mtime: tree.Time{Sec: 1}}, nil))
		}
		g.add("/", tree.NewDir("", &tree.Attr{Mode: 0o1700, UID: 5, GID: 6, Mtime: tree.Time{Sec: 77}}, nil))
	}},
	{name: "extended attributes", needs: Xattrs, fill: func(g *grove) {
		g.path = "/d"
		with := func(list ...tree.Xattr) *tree.Attr {
			return &tree.Attr{Mode: 0o644, Mtime: tree.Time{Sec: 1}, Xattrs: list}
		}
		capability := tree.Xattr{Name: "security.capability", Value: []byte("\x01\x00\x00\x02\x00\x20\x00\x00" + strings.Repeat("\x00", 12))}
		long := tree.Xattr{Name: "user.long", Value: []byte(strings.Repeat("\n\"\x00\\", 900))}
		g.add("/short", tree.NewFile("", with(capability), tree.Text("x")))
		g.add("/long", tree.NewFile("", with(capability, tree.Xattr{Name: "trusted.t"}, long), tree.Text("x")))
		g.add("/d", tree.NewDir("", with(tree.Xattr{Name: "user.a", Value: []byte("1")}, tree.Xattr{Name: "user.b", Value: []byte("2")}), nil))
	}},
	{name: "attributes of symlinks", needs: Symlinks, fill: func(g *grove) {
		g.path = "/fast"
		symlinks(g, nil)
	}},
	{name: "extended attributes of symlinks", needs: Xattrs, also: Symlinks, fill: func(g *grove) {
		g.path = "/fast"
		symlinks(g, []tree.Xattr{{Name: "trusted.x", Value: []byte("yes")}})
	}},
	{name: "access control lists", needs: Xattrs, also: ACLs, fill: func(g *grove) {
		g.path = "/dir"
		acl := aclXattr([]aclEntry{{1, 7, aclNobody}, {aclUser, 5, 1000}, {4, 5, aclNobody}, {aclGroup, 4, 100_000}, {16, 7, aclNobody}, {32, 1, aclNobody}})
		g.add("/dir", tree.NewDir("", &tree.Attr{Mode: 0o771, Mtime: tree.Time{Sec: 1}, Xattrs: []tree.Xattr{
			{Name: "system.posix_acl_access", Value: acl}, {Name: "system.posix_acl_default", Value: acl}}}, nil))
	}},
}

// symlinks adds a symlink that fits into an inode, and one that does not.
func symlinks(g *grove, xattrs []tree.Xattr) {
	a := &tree.Attr{Mode: 0o777, UID: 70_000, GID: 5, Mtime: tree.Time{Sec: 5, Nsec: 7}, Xattrs: xattrs}
	g.add("/fast", tree.NewSymlink("", a, "target"))
	g.add("/slow", tree.NewSymlink("", a, strings.Repeat("target", 100)))
}

// An aclEntry is a tag, permissions and an id, as in the value of system.posix_acl_access (kernel, include/uapi/linux/posix_acl_xattr.h).
type aclEntry struct {
	tag, perm uint16
	id        uint32
}

const (
	aclUser   = 2 // tags of entries with an id
	aclGroup  = 8
	aclNobody = 1<<32 - 1 // the id of the others
)

func aclXattr(entries []aclEntry) []byte {
	b := []byte{2, 0, 0, 0}
	for _, e := range entries {
		b = append(b, byte(e.tag), byte(e.tag>>8), byte(e.perm), byte(e.perm>>8), byte(e.id), byte(e.id>>8), byte(e.id>>16), byte(e.id>>24))
	}
	return b
}
