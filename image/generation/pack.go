package generation

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"imprint/image/plan"
	"imprint/internal/recipe"
	"imprint/internal/tree"
	"imprint/internal/units"
)

// A pack is a content that is kept: the data of the files of a store item, or of some other files, one after the other. It is the same in every
// file system, and its key is known before a file is read.
type pack struct {
	item  *plan.Item // nil for files with pins
	parts []*part
	size  int64
	key   string
}

// A part is a file in a pack.
type part struct {
	pack   *pack
	blob   tree.Blob
	data   []tree.Range
	starts []int64 // offset in the pack of each of data
}

// add appends a file to a pack.
func (p *pack) add(b tree.Blob) *part {
	t := &part{pack: p, blob: b, data: tree.DataOf(b)}
	for _, r := range t.data {
		p.size = units.Align(p.size, recipe.Block)
		t.starts = append(t.starts, p.size)
		p.size += r.Len
	}
	p.parts = append(p.parts, t)
	return t
}

// runs passes on where the n bytes of the file from at on lie in the pack: their offset from at, the length and the offset in the pack. The rest are
// zeros.
func (t *part) runs(at, n int64, yield func(skip, length, in int64)) {
	for i, r := range t.data {
		from, to := max(at, r.Off), min(at+n, r.End())
		if from < to {
			yield(from-at, to-from, t.starts[i]+from-r.Off)
		}
	}
}

// settle computes the key of the pack of a store item: a digest of its NAR hash, and of which files are in the pack. ordinal is the index of each
// of these among the files of the item.
func (p *pack) settleItem(ordinals []int) {
	h := sha256.New()
	fmt.Fprintf(h, "item %x\n", p.item.Info.NARHash)
	for i, t := range p.parts {
		fmt.Fprintln(h, ordinals[i], t.blob.Size(), t.data)
	}
	p.key = fmt.Sprintf("%x", h.Sum(nil))
}

// settleFiles computes the key of a pack of files with pins.
func (p *pack) settleFiles() {
	h := sha256.New()
	fmt.Fprintf(h, "files\n")
	for _, t := range p.parts {
		pin, _ := tree.PinOf(t.blob)
		fmt.Fprintf(h, "%x %d\n", pin, t.blob.Size())
	}
	p.key = fmt.Sprintf("%x", h.Sum(nil))
}

// hasOne reports whether one of a few contents is in the pack.
func (p *pack) hasOne(few []tree.Blob) bool {
	for _, b := range few {
		for _, t := range p.parts {
			if whole, _ := tree.Origin(t.blob); whole == b {
				return true
			}
		}
	}
	return false
}

// packs are all packs of a disk, and where files are in them.
type packs struct {
	list []*pack
	at   map[tree.Blob]*part
}

// item adds the pack of a store item: its files with data, except for those that another item has as well, when the store is optimised. It returns nil
// if there is none.
func (s *packs) item(item *plan.Item) *pack {
	p, ordinals, n := &pack{item: item}, []int{}, 0
	for _, node := range tree.Walk("", item.Node) {
		if node.Kind() != tree.File && node.Kind() != tree.Link {
			continue
		}
		n++
		b := node.Inode().Blob()
		if b == nil || len(tree.DataOf(b)) == 0 || s.at[b] != nil {
			continue
		}
		ordinals = append(ordinals, n)
		s.at[b] = p.add(b)
	}
	if len(p.parts) == 0 {
		return nil
	}
	p.settleItem(ordinals)
	s.list = append(s.list, p)
	return p
}

// Sizes in bytes of packs of files: one ends when it is long enough and the pin of its last file says so, and is never much longer than most. So
// one file that changes leaves the packs before and after it as they are.
const (
	leastPack = 256 << 10
	mostPack  = 4 << 20
	ends      = 16 // one file in so many ends a pack
)

// files adds packs of files with pins, in the order of the list.
func (s *packs) files(list []tree.Blob) {
	p := &pack{}
	end := func() {
		if len(p.parts) > 0 {
			p.settleFiles()
			s.list = append(s.list, p)
			p = &pack{}
		}
	}
	for _, b := range list {
		if s.at[b] != nil || len(tree.DataOf(b)) == 0 {
			continue
		}
		if b.Size() >= mostPack/4 {
			end() // alone, so that any other image with this file has the same content
		}
		s.at[b] = p.add(b)
		pin, _ := tree.PinOf(b)
		if p.size >= mostPack/4 && b.Size() >= mostPack/4 || p.size >= mostPack || p.size >= leastPack && pin[0]%ends == 0 {
			end()
		}
	}
	end()
}

// drop removes packs that no extent of the disk needs: of what host tools have copied.
func (s *packs) drop(needed map[tree.Blob]bool) {
	var list []*pack
	for _, p := range s.list {
		used := false
		for _, t := range p.parts {
			used = used || needed[t.blob]
		}
		if used {
			list = append(list, p)
			continue
		}
		for _, t := range p.parts {
			delete(s.at, t.blob)
		}
	}
	s.list = list
}

var zeroBlock = make([]byte, recipe.Block)

// isZero reports whether a block of at most recipe.Block bytes is zeros.
func isZero(p []byte) bool { return bytes.Equal(p, zeroBlock[:len(p)]) }
