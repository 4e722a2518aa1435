package opinion

import (
	"io"
	"os"

	"github.com/kdomanski/iso9660"
)

func readISO(f *os.File, r Request) (*View, error) {
	image, err := iso9660.OpenImage(io.NewSectionReader(f, r.Offset, r.Size))
	if err != nil {
		return nil, err
	}
	top, err := image.RootDir()
	if err != nil {
		return nil, err
	}
	root := &Node{Kind: Dir}
	var count budget
	if err := isoDir(top, root, &count); err != nil {
		return nil, err
	}
	return &View{Library: "kdomanski/iso9660", Root: root}, nil
}

func isoDir(dir *iso9660.File, into *Node, count *budget) error {
	kids, err := dir.GetChildren()
	if err != nil {
		into.Err = err.Error()
		return nil
	}
	for _, k := range kids {
		if err := count.take(); err != nil {
			return err
		}
		n := &Node{Name: []byte(k.Name())}
		into.Kids = append(into.Kids, n)
		switch mode := k.Mode(); {
		case k.IsDir():
			n.Kind = Dir
			if err := isoDir(k, n, count); err != nil {
				return err
			}
		case mode&os.ModeSymlink != 0:
			n.Kind = Link
		case mode.IsRegular():
			n.Kind, n.Size = File, k.Size()
			n.hashed(k.Reader())
		default:
			n.Kind = Other
		}
	}
	return nil
}
