package partitiontest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"imprint/internal/tree"
)

// A Snapshot is the content of a file system.
type Snapshot struct {
	Label   string
	Free    int64 // bytes
	Entries map[string]Entry
}

// An Entry is the node at a path. Fields that do not apply, or that the file system does not keep, are zero.
type Entry struct {
	Kind     tree.Kind // never Link
	Mode     uint16    // 07777
	UID, GID uint32
	Mtime    tree.Time
	Size     int64  // bytes of a file or a link target
	Content  string // SHA-256 of a file, in hexadecimal digits
	Target   string
	Device   tree.Device
	Links    int    // names of a node other than a directory
	First    string // the first path, in byte order, of the same inode
	Xattrs   map[string]string
}

// expected is the snapshot of a tree in a file system that keeps all but what the engine drops.
func expected(tr *tree.Tree, e Engine) Snapshot {
	s := Snapshot{Entries: map[string]Entry{}}
	names := map[*tree.Node][]string{}
	for path, n := range tr.Walk() {
		names[n.Inode()] = append(names[n.Inode()], path)
	}
	digests := map[tree.Blob]string{}
	for n, paths := range names {
		sort.Strings(paths)
		entry := entryOf(n, digests)
		if n.Kind() != tree.Dir {
			entry.Links, entry.First = len(paths), paths[0]
		}
		for _, path := range paths {
			if n.Kind() != tree.File && n.Kind() != tree.Dir && slices.Contains(e.Drops, NodeLinks) {
				entry.Links, entry.First = 1, path
			}
			s.Entries[path] = entry.without(e)
		}
	}
	if e.dropsAttributes() {
		delete(s.Entries, "/") // the root has nothing else
	}
	return s
}

func (e Engine) dropsAttributes() bool {
	return slices.Contains(e.Drops, Modes) && slices.Contains(e.Drops, Owners) && slices.Contains(e.Drops, Times)
}

func entryOf(n *tree.Node, digests map[tree.Blob]string) Entry {
	a := n.Attr
	entry := Entry{Kind: n.Kind(), Mode: a.Mode, UID: a.UID, GID: a.GID, Mtime: a.Mtime, Size: n.Size(), Target: n.Target(), Device: n.Device()}
	if n.Kind() == tree.File {
		if digests[n.Blob()] == "" {
			digests[n.Blob()] = digestOf(n.Blob())
		}
		entry.Content = digests[n.Blob()]
	}
	for _, x := range a.Xattrs {
		if entry.Xattrs == nil {
			entry.Xattrs = map[string]string{}
		}
		entry.Xattrs[x.Name] = string(x.Value)
	}
	return entry
}

// without leaves out what the engine drops.
func (x Entry) without(e Engine) Entry {
	for _, f := range e.Drops {
		switch f {
		case HardLinks:
			x.Links, x.First = 0, ""
		case Owners:
			x.UID, x.GID = 0, 0
		case Modes:
			x.Mode = 0
		case LinkModes:
			if x.Kind == tree.Symlink {
				x.Mode = 0o777
			}
		case Xattrs:
			x.Xattrs = nil
		case Times:
			x.Mtime = tree.Time{}
		case Nanos:
			x.Mtime.Nsec = 0
		}
	}
	return x
}

func digestOf(b tree.Blob) string {
	r, err := b.Open()
	if err != nil {
		return err.Error()
	}
	defer r.Close()
	return digest(io.NewSectionReader(r, 0, b.Size()))
}

func digest(r io.Reader) string {
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return err.Error()
	}
	return hex.EncodeToString(h.Sum(nil))
}

// maxReported is the number of differing paths that a test prints.
const maxReported = 10

// diff fails the test when the snapshots differ.
func diff(t testing.TB, got, want Snapshot) {
	t.Helper()
	if got.Label != want.Label {
		t.Errorf("label %q, want %q", got.Label, want.Label)
	}
	var differ []string
	for path, w := range want.Entries {
		if g, ok := got.Entries[path]; !ok {
			differ = append(differ, fmt.Sprintf("%q is missing", path))
		} else if d := cmp.Diff(w, g); d != "" {
			differ = append(differ, fmt.Sprintf("%q (- wanted, + found):\n%s", path, d))
		}
	}
	for path := range got.Entries {
		if _, ok := want.Entries[path]; !ok {
			differ = append(differ, fmt.Sprintf("%q should not be there", path))
		}
	}
	sort.Strings(differ)
	if n := len(differ); n > maxReported {
		differ = append(differ[:maxReported], fmt.Sprintf("and %d more", n-maxReported))
	}
	if len(differ) > 0 {
		t.Fatal(strings.Join(differ, "\n"))
	}
}

// SameBytes compares two regions of equal size.
func SameBytes(t testing.TB, a, b Region) {
	t.Helper()
	ra, rb := a.open(t), b.open(t)
	pa, pb := make([]byte, 1<<20), make([]byte, 1<<20)
	for at := int64(0); at < a.Size; at += int64(len(pa)) {
		na, _ := ra.ReadAt(pa, at)
		nb, _ := rb.ReadAt(pb, at)
		if !bytes.Equal(pa[:na], pb[:nb]) {
			t.Fatalf("the bytes differ between %d and %d", at, at+int64(len(pa)))
		}
	}
}

// linkNames copies the entry of each node other than a directory, which one of its names has, to all of its names.
func linkNames(entries map[string]Entry, names map[string][]string) {
	for path, all := range names {
		e := entries[path]
		if e.Kind == tree.Dir {
			continue
		}
		e.Links, e.First = len(all), slices.Min(all)
		for _, name := range all {
			entries[name] = e
		}
	}
}
