// Package opinion reads what other libraries see in an image: a second opinion on partition tables, file systems and store databases. It shares
// no code with the readers that it judges.
//
// The libraries may panic, or take all memory and time: [Answer] is for a process of its own, which has limits.
package opinion

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
)

// A Request says what to read of a file.
type Request struct {
	Kind   string   // "gpt", "database", or the name of a file system
	Offset int64    // bytes of the file
	Size   int64    // bytes
	Sector int64    // bytes
	Bits   int      // of FAT: 12, 16 or 32
	Skip   [][]byte // paths of files whose contents are not read, sorted
}

// A View is what a library sees.
type View struct {
	Library    string
	Disk       string      `json:",omitempty"` // GUID
	Partitions []Partition `json:",omitempty"`
	Root       *Node       `json:",omitempty"`
	Items      []Item      `json:",omitempty"`
}

// A Partition is an entry of a partition table. Offset and Size are in bytes.
type Partition struct {
	Number       int
	Name         string
	Type, UUID   string // GUIDs
	Offset, Size int64
	Attributes   uint64
}

// The kinds of nodes that all readers distinguish.
const (
	File  = "file"
	Dir   = "directory"
	Link  = "symlink"
	Other = "special file"
)

// A Node is a name in a directory.
type Node struct {
	Name   []byte
	Kind   string
	Size   int64   `json:",omitempty"` // of a file, bytes
	Digest []byte  `json:",omitempty"` // SHA-256 of a file's content or a symlink's target; nil if it was not read
	Err    string  `json:",omitempty"` // why the content or the directory cannot be read
	Kids   []*Node `json:",omitempty"`
	Gave   bool    `json:",omitempty"` // the library gave up on it with a panic, so that it has no opinion
}

// An Item is a row of a store's database.
type Item struct {
	Path       string
	Hash       string // as the database has it
	Size       int64
	References []string `json:",omitempty"` // sorted
}

// mostNodes bounds a view.
const mostNodes = 8 << 20

// guard calls a library to read a node. If it panics, it has no opinion on the node.
func guard(n *Node, call func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			n.Gave, n.Err = true, fmt.Sprint("panic: ", p)
		}
	}()
	return call()
}

// Answer reads what a request is for. A panic of the library is an error, unless it concerns one file or directory.
func Answer(f *os.File, r Request) (v *View, err error) {
	defer func() {
		if p := recover(); p != nil {
			v, err = nil, fmt.Errorf("panic: %v", p)
		}
	}()
	if r.Offset < 0 || r.Size < 0 || r.Sector <= 0 {
		return nil, fmt.Errorf("request for %d bytes at %d, sectors of %d", r.Size, r.Offset, r.Sector)
	}
	switch r.Kind {
	case "gpt":
		return readGPT(f, r)
	case "database":
		return readDatabase(f, r)
	case "ext4", "fat":
		return readDiskfs(f, r)
	case "iso9660":
		return readISO(f, r)
	}
	return nil, fmt.Errorf("no library reads %q", r.Kind)
}

// Reads reports whether there is a library for a kind.
func Reads(kind string) bool {
	switch kind {
	case "gpt", "database", "ext4", "fat", "iso9660":
		return true
	}
	return false
}

// Loose reports whether the library for a kind may change names, so that nodes have to be matched by content.
func Loose(kind string) bool { return kind == "iso9660" }

// Folds reports whether file systems of a kind ignore the case of names.
func Folds(kind string) bool { return kind == "fat" }

// hashed sets the digest of the node to the SHA-256 of what r returns, which must have the node's size.
func (n *Node) hashed(r io.Reader) {
	h := sha256.New()
	if copied, err := io.Copy(h, io.LimitReader(r, n.Size)); err != nil || copied < n.Size {
		n.Err = fmt.Sprintf("content ends at byte %d of %d: %v", copied, n.Size, err)
		return
	}
	n.Digest = h.Sum(nil)
}

// A budget counts nodes.
type budget int

func (b *budget) take() error {
	if *b++; *b > mostNodes {
		return fmt.Errorf("more than %d files", mostNodes)
	}
	return nil
}
