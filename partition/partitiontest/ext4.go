package partitiontest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/hosttool"
	"imprint/internal/tree"
)

// CheckExt4 runs e2fsck over the region: it must find nothing.
func CheckExt4(t testing.TB, r Region) {
	t.Helper()
	hosttest.Need(t, "e2fsck")
	out, err := hosttool.Run(t.Context(), hosttool.Command{Name: "e2fsck", Args: []string{"-f", "-n", r.libext2fs()}, Merge: true})
	// It returns 0 for a wrong count of free blocks, though it would fix it.
	if err != nil || bytes.Contains(out.Output, []byte("? no")) || bytes.Contains(out.Output, []byte("WARNING")) {
		t.Fatalf("e2fsck complains: %v\n%.3000s", err, out.Output)
	}
}

// libext2fs returns the name of the region for e2fsprogs.
func (r Region) libext2fs() string { return fmt.Sprintf("%s?offset=%d", r.File, r.Offset) }

// Ext4 reads the region with debugfs, which needs no root.
func Ext4(t testing.TB, r Region) Snapshot {
	t.Helper()
	hosttest.Need(t, "debugfs")
	d := &debugfs{TB: t, image: r.libext2fs(), dir: t.TempDir(), names: map[uint32][]string{}}
	d.list()
	s := Snapshot{Entries: map[string]Entry{}}
	d.superblock(&s)
	d.stat(s.Entries)
	if lf := "/lost+found"; len(d.kids[lf]) == 0 && s.Entries[lf].Mode == 0o700 {
		delete(s.Entries, lf) // every ext4 file system has it
	}
	return s
}

// debugfs reads one file system.
type debugfs struct {
	testing.TB
	image string
	dir   string              // scratch
	names map[uint32][]string // paths of an inode, in byte order
	order []uint32            // inodes, parents first
	kids  map[string][]string
}

// run returns the output of debugfs for each command of a script.
func (d *debugfs) run(commands []string) []string {
	d.Helper()
	out, err := hosttool.Run(d.Context(), hosttool.Command{Name: "debugfs", Args: []string{"-f", "-", d.image}, Limit: 1 << 30,
		Stdin: strings.NewReader(strings.Join(commands, "\n") + "\n"), Merge: true})
	if err != nil {
		d.Fatal(err)
	}
	said, rest := make([]string, len(commands)), string(out.Output)
	for i, c := range commands {
		before, after, ok := strings.Cut(rest, "debugfs: "+c+"\n")
		if !ok {
			d.Fatalf("debugfs did not reach %q:\n%.1000s", c, rest)
		}
		if i > 0 {
			said[i-1] = before
		}
		rest = after
	}
	if len(commands) > 0 {
		said[len(commands)-1] = rest
	}
	return said
}

// lsLine matches inode, mode, file type, owner, group, size, date and name. The name has \xNN for all bytes but printable ASCII.
var lsLine = regexp.MustCompile(`(?m)^ *(\d+) +\d+ \(\d+\) +-?\d+ +-?\d+ +\d+ [ \d]\d-\w{3}-[- \d]+ \d\d:\d\d (.*)$`)

// unusedEntry is a part of a directory's block without a name.
var unusedEntry = regexp.MustCompile(`^ +0 +0 \(0\) `)

// list lists all names, in one run for each level of directories.
func (d *debugfs) list() {
	d.kids = map[string][]string{}
	d.names[2], d.order = []string{"/"}, []uint32{2}
	for level := []uint32{2}; len(level) > 0; {
		commands := make([]string, len(level))
		for i, dir := range level {
			commands[i] = fmt.Sprintf("ls -l <%d>", dir)
		}
		var next []uint32
		for i, said := range d.run(commands) {
			next = append(next, d.entries(d.names[level[i]][0], said)...)
		}
		level = next
	}
}

// entries records a directory's names and returns the directories among them.
func (d *debugfs) entries(dir, said string) (subdirs []uint32) {
	for line := range strings.Lines(said) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || unusedEntry.MatchString(line) {
			continue
		}
		m := lsLine.FindStringSubmatch(line)
		if m == nil {
			d.Fatalf("debugfs lists in %q: %q", dir, line)
		}
		name, err := unescape(m[2])
		if err != nil {
			d.Fatal(err)
		}
		if name == "." || name == ".." {
			continue
		}
		n, _ := strconv.ParseUint(m[1], 10, 32)
		inode, path := uint32(n), tree.Join(dir, name)
		if d.names[inode] == nil {
			d.order = append(d.order, inode)
		}
		d.names[inode] = append(d.names[inode], path)
		d.kids[dir] = append(d.kids[dir], path)
		if strings.HasPrefix(strings.TrimLeft(line, " 0123456789"), "(2)") {
			subdirs = append(subdirs, inode)
		}
	}
	return subdirs
}

var escape = regexp.MustCompile(`\\x[0-9a-f]{2}`)

func unescape(name string) (string, error) {
	var err error
	name = escape.ReplaceAllStringFunc(name, func(s string) string {
		b, e := strconv.ParseUint(s[2:], 16, 8)
		if e != nil {
			err = e
		}
		return string([]byte{byte(b)})
	})
	return name, err
}

func (d *debugfs) superblock(s *Snapshot) {
	said := d.run([]string{"show_super_stats -h"})[0]
	field := func(name string) string {
		_, rest, _ := strings.Cut(said, name)
		value, _, _ := strings.Cut(rest, "\n")
		return strings.TrimSpace(value)
	}
	if s.Label = field("Filesystem volume name:"); s.Label == "<none>" {
		s.Label = ""
	}
	blocks, err := strconv.ParseInt(field("\nFree blocks:"), 10, 64)
	if err != nil {
		d.Fatalf("free blocks: %v", err)
	}
	s.Free = blocks * 4096
}

// dump returns the path of the file into which the content of an inode is read.
func (d *debugfs) dump(inode uint32) string { return filepath.Join(d.dir, fmt.Sprint(inode)) }

func (d *debugfs) read(path string) []byte {
	content, err := os.ReadFile(path)
	if err != nil {
		d.Fatal(err)
	}
	return content
}
