package partitiontest

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/tree"
)

// Squashfs reads the region with unsquashfs, which makes a pseudo file of it: a line for each node, then the contents of all files. It
// needs no root. There is neither a label nor free space in a squashfs.
func Squashfs(t testing.TB, r Region) Snapshot {
	t.Helper()
	file := filepath.Join(t.TempDir(), "pseudo")
	hosttest.Run(t, "unsquashfs", "-pf", file, r.alone(t))
	p, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text, data, ok := bytes.Cut(p, []byte("#\n# START OF DATA - DO NOT MODIFY\n#\n"))
	if !ok {
		text, data = p, nil
	}
	s := pseudo{t, data, map[string]Entry{}, map[string][]string{}}
	for rest := string(bytes.TrimLeft(text, "\n")); rest != ""; {
		name, after := unescaped(rest)
		line, next, _ := strings.Cut(after, "\n")
		s.node("/"+strings.TrimPrefix(name, "/"), line)
		rest = next
	}
	linkNames(s.entries, s.names)
	return Snapshot{Entries: s.entries}
}

// unescaped reads a name up to the first space that has no backslash before it, and returns what comes after that.
func unescaped(text string) (name, rest string) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == ' ':
			return b.String(), text[i+1:]
		case c == '\\' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), ""
}

// pseudo is a pseudo file as it is read.
type pseudo struct {
	testing.TB
	data    []byte
	entries map[string]Entry
	names   map[string][]string // of one node, by the first that comes
}

var pseudoKinds = map[string]tree.Kind{
	"D": tree.Dir, "R": tree.File, "S": tree.Symlink, "C": tree.CharDevice, "B": tree.BlockDevice, "I": tree.Fifo,
}

// node reads a line without its name: a letter, then time, mode, owner and group, then what that kind of node has.
func (s pseudo) node(path, line string) {
	kind, rest, _ := strings.Cut(line, " ")
	if kind == "L" {
		first, _ := unescaped(rest + " ")
		s.names["/"+first] = append(s.names["/"+first], path)
		return
	}
	words := strings.SplitN(rest, " ", 5)
	of, ok := pseudoKinds[kind]
	if !ok || len(words) < 4 {
		s.Fatalf("unsquashfs says of %q: %q", path, line)
	}
	e := Entry{Kind: of, Mode: uint16(s.number(words[1], 8)), UID: uint32(s.number(words[2], 10)), GID: uint32(s.number(words[3], 10)),
		Mtime: tree.Time{Sec: s.number(words[0], 10)}}
	switch e.Kind {
	case tree.File:
		at := strings.Fields(words[4]) // length, offset, and whether it is sparse
		e.Size = s.number(at[0], 10)
		e.Content = digest(bytes.NewReader(s.data[s.number(at[1], 10):][:e.Size]))
	case tree.Symlink:
		e.Target, e.Size = words[4], int64(len(words[4]))
	case tree.CharDevice, tree.BlockDevice:
		// unsquashfs takes the number apart as one of 16 bits, and Linux as one of 32: 12 bits of the minor, the major, 8 bits of the minor.
		parts := strings.Fields(words[4])
		dev := uint32(s.number(parts[0], 10)<<8 | s.number(parts[1], 10))
		e.Device = tree.Device{Major: dev >> 8 & 0xfff, Minor: dev&0xff | dev>>12&0xfff00}
	}
	s.entries[path] = e
	s.names[path] = append(s.names[path], path)
}

func (s pseudo) number(text string, base int) int64 {
	n, err := strconv.ParseInt(text, base, 64)
	if err != nil {
		s.Fatal(err)
	}
	return n
}
