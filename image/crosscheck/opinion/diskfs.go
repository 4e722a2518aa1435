package opinion

import (
	"crypto/sha256"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/diskfs/go-diskfs/backend"
	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem"
	"github.com/diskfs/go-diskfs/filesystem/ext4"
	"github.com/diskfs/go-diskfs/filesystem/fat12"
	"github.com/diskfs/go-diskfs/filesystem/fat16"
	"github.com/diskfs/go-diskfs/filesystem/fat32"
	"github.com/diskfs/go-diskfs/partition/gpt"
)

const diskfsName = "go-diskfs"

func readGPT(f *os.File, r Request) (*View, error) {
	t, err := gpt.Read(file.New(f, true), int(r.Sector), int(r.Sector))
	if err != nil {
		return nil, err
	}
	v := &View{Library: diskfsName, Disk: strings.ToLower(t.GUID)}
	for _, p := range t.Partitions {
		v.Partitions = append(v.Partitions, Partition{
			Number: p.Index, Name: p.Name, Type: string(p.Type), UUID: strings.ToLower(p.GUID), Attributes: p.Attributes,
			Offset: int64(p.Start) * r.Sector, Size: int64(p.End-p.Start+1) * r.Sector,
		})
	}
	return v, nil
}

func readDiskfs(f *os.File, r Request) (*View, error) {
	fsys, err := openDiskfs(backend.Sub(file.New(f, true), r.Offset, r.Size), r)
	if err != nil {
		return nil, err
	}
	w := &diskfsWalk{fsys: fsys, skip: r.Skip}
	root := &Node{Kind: Dir}
	if err := w.dir(".", root); err != nil {
		return nil, err
	}
	return &View{Library: diskfsName, Root: root}, nil
}

func openDiskfs(b backend.Storage, r Request) (filesystem.FileSystem, error) {
	switch {
	case r.Kind == "ext4":
		return ext4.Read(b, r.Size, 0, 512)
	case r.Bits == 12:
		return fat12.Read(b, r.Size, 0, 512)
	case r.Bits == 16:
		return fat16.Read(b, r.Size, 0, 512)
	}
	return fat32.Read(b, r.Size, 0, 512)
}

type diskfsWalk struct {
	fsys   filesystem.FileSystem
	skip   [][]byte
	budget budget
}

// dir reads a directory and all below it.
func (w *diskfsWalk) dir(at string, into *Node) error {
	var list []fs.DirEntry
	err := guard(into, func() (err error) {
		list, err = w.fsys.ReadDir(at)
		return err
	})
	if err != nil {
		into.Err = err.Error()
	}
	for _, d := range list {
		if d.Name() == "." || d.Name() == ".." {
			continue
		}
		if err := w.budget.take(); err != nil {
			return err
		}
		n := &Node{Name: []byte(d.Name())}
		into.Kids = append(into.Kids, n)
		path := strings.TrimPrefix(at+"/"+d.Name(), "./")
		if err := guard(n, func() error { return w.node(path, d, n) }); err != nil {
			return err
		}
	}
	return nil
}

func (w *diskfsWalk) node(at string, d fs.DirEntry, n *Node) error {
	info, err := d.Info()
	if err != nil {
		n.Kind, n.Err = Other, err.Error()
		return nil
	}
	switch mode := info.Mode(); {
	case info.IsDir():
		n.Kind = Dir
		return w.dir(at, n)
	case mode&fs.ModeSymlink != 0:
		n.Kind = Link
		w.target(at, n)
	case mode.IsRegular():
		n.Kind, n.Size = File, info.Size()
		w.content(at, n)
	default:
		n.Kind = Other
	}
	return nil
}

func (w *diskfsWalk) target(at string, n *Node) {
	links, ok := w.fsys.(interface {
		ReadLink(path string) (string, error)
	})
	if !ok {
		return
	}
	target, err := links.ReadLink(at)
	if err != nil {
		n.Err = err.Error()
		return
	}
	digest := sha256.Sum256([]byte(target))
	n.Digest = digest[:]
}

// content reads a file; go-diskfs does not read one without a cluster, and takes a/a for a without a slash before it.
func (w *diskfsWalk) content(at string, n *Node) {
	if _, skipped := slices.BinarySearchFunc(w.skip, "/"+at, func(b []byte, s string) int { return strings.Compare(string(b), s) }); skipped {
		return
	}
	if n.Size == 0 {
		n.hashed(strings.NewReader(""))
		return
	}
	if _, isExt4 := w.fsys.(*ext4.FileSystem); !isExt4 {
		at = "/" + at
	}
	f, err := w.fsys.OpenFile(at, os.O_RDONLY)
	if err != nil {
		n.Err = err.Error()
		return
	}
	defer f.Close()
	n.hashed(f)
}
