package partitiontest

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"imprint/internal/tree"
)

// The parts of the output of debugfs's stat.
var (
	statHead   = regexp.MustCompile(`^Inode: \d+   Type: (.+?)    Mode:  (\d+)   Flags: 0x[0-9a-f]+\n`)
	statOwner  = regexp.MustCompile(`\nUser: +(-?\d+)   Group: +(-?\d+)   Project: +\d+   Size: (\d+)\n`)
	statLinks  = regexp.MustCompile(`\nLinks: (\d+) `)
	statTime   = regexp.MustCompile(`\n *mtime: 0x([0-9a-f]{8}):([0-9a-f]{8}) `)
	statDevice = regexp.MustCompile(`Device major/minor number: (\d+):(\d+) `)
	statXattr  = regexp.MustCompile(`(?m)^  (\S+) \(\d+\)`)
)

var statKinds = map[string]tree.Kind{
	"regular": tree.File, "directory": tree.Dir, "symlink": tree.Symlink, "character special": tree.CharDevice, "block special": tree.BlockDevice,
	"FIFO": tree.Fifo, "socket": tree.Socket,
}

// stat reads every inode that has a name, with its content and extended attributes.
func (d *debugfs) stat(entries map[string]Entry) {
	commands := make([]string, len(d.order))
	for i, inode := range d.order {
		commands[i] = fmt.Sprintf("stat <%d>", inode)
	}
	found := make([]Entry, len(d.order))
	var contents, values []string
	for i, said := range d.run(commands) {
		inode := d.order[i]
		found[i] = d.parse(inode, said)
		if e := found[i]; e.Kind == tree.File || e.Kind == tree.Symlink && e.Target == "" {
			contents = append(contents, fmt.Sprintf("dump <%d> %s", inode, d.dump(inode)))
		}
		for name := range found[i].Xattrs {
			values = append(values, fmt.Sprintf(`ea_get -f %s.%x <%d> "%s"`, d.dump(inode), name, inode, name))
		}
	}
	d.quiet(contents)
	d.quiet(values)
	for i, inode := range d.order {
		d.fill(inode, &found[i])
		for _, path := range d.names[inode] {
			entries[path] = found[i]
		}
	}
}

// quiet runs commands that must print nothing.
func (d *debugfs) quiet(commands []string) {
	for i, said := range d.run(commands) {
		if said != "" {
			d.Fatalf("debugfs: %s: %s", commands[i], said)
		}
	}
}

// parse parses the output of stat, without contents that need a command of their own.
func (d *debugfs) parse(inode uint32, said string) Entry {
	head, owner, links, at := statHead.FindStringSubmatch(said), statOwner.FindStringSubmatch(said), statLinks.FindStringSubmatch(said), statTime.FindStringSubmatch(said)
	if head == nil || owner == nil || links == nil || at == nil {
		d.Fatalf("debugfs prints for inode %d:\n%s", inode, said)
	}
	kind, ok := statKinds[head[1]]
	if !ok {
		d.Fatalf("inode %d is a %q", inode, head[1])
	}
	e := Entry{Kind: kind, Mode: uint16(parse(head[2], 8)), UID: uint32(parse(owner[1], 10)), GID: uint32(parse(owner[2], 10)),
		Mtime: timeOf(uint32(parse(at[1], 16)), uint32(parse(at[2], 16)))}
	switch kind {
	case tree.File, tree.Symlink:
		e.Size = parse(owner[3], 10)
	case tree.CharDevice, tree.BlockDevice:
		if m := statDevice.FindStringSubmatch(said); m != nil {
			e.Device = tree.Device{Major: uint32(parse(m[1], 10)), Minor: uint32(parse(m[2], 10))}
		}
	}
	if kind != tree.Dir {
		e.Links, e.First = int(parse(links[1], 10)), slices.Min(d.names[inode])
	}
	if _, target, ok := strings.Cut(said, "Fast link dest: \""); ok && kind == tree.Symlink {
		e.Target = target[:min(e.Size, int64(len(target)))]
	}
	if _, list, ok := strings.Cut(said, "\nExtended attributes:\n"); ok {
		e.Xattrs = map[string]string{}
		list, _, _ = strings.Cut(list, "\nInode checksum:")
		for _, m := range statXattr.FindAllStringSubmatch(list, -1) {
			e.Xattrs[m[1]] = ""
		}
	}
	return e
}

func parse(digits string, base int) int64 {
	n, err := strconv.ParseInt(digits, base, 64)
	if err != nil {
		return -1
	}
	return n
}

// timeOf returns the time in two words of an inode: signed seconds, and two more bits of them below 30 bits of nanoseconds (kernel,
// Documentation/filesystems/ext4/inodes.rst, "Inode Timestamps").
func timeOf(low, extra uint32) tree.Time {
	return tree.Time{Sec: int64(int32(low)) + int64(extra&3)<<32, Nsec: extra >> 2}
}

// fill adds the contents that were dumped.
func (d *debugfs) fill(inode uint32, e *Entry) {
	for name := range e.Xattrs {
		value := d.read(fmt.Sprintf("%s.%x", d.dump(inode), name))
		if strings.HasPrefix(name, "system.posix_acl_") {
			fillACL(value)
		}
		e.Xattrs[name] = string(value)
	}
	switch {
	case e.Kind == tree.Symlink && e.Target == "":
		e.Target = string(d.read(d.dump(inode)))
	case e.Kind == tree.File:
		f, err := os.Open(d.dump(inode))
		if err != nil {
			d.Fatal(err)
		}
		defer f.Close()
		e.Content = digest(f)
	}
	os.Remove(d.dump(inode))
}

// fillACL sets the id of entries without a user or group as the kernel does: ext4 does not store it, and debugfs makes it 0.
func fillACL(value []byte) {
	for at := 4; at+8 <= len(value); at += 8 {
		if tag := value[at]; tag != aclUser && tag != aclGroup {
			copy(value[at+4:], "\xff\xff\xff\xff")
		}
	}
}
