package generation

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"

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
	onDisk bool    // an extent of the disk has bytes of it

	range1 [1]tree.Range // of a file without holes: data and starts
	start1 [1]int64
}

// hold makes a part of a file, if that has data, else it returns false.
func (t *part) hold(b tree.Blob) bool {
	if sparse, is := b.(tree.SparseBlob); is {
		t.data = sparse.Data()
	} else if size := b.Size(); size > 0 {
		t.range1[0].Len = size
		t.data = t.range1[:]
	}
	t.blob = b
	t.starts = t.start1[:0]
	return len(t.data) > 0
}

// add appends a part to a pack.
func (p *pack) add(t *part) {
	t.pack = p
	for _, r := range t.data {
		p.size = units.Align(p.size, recipe.Block)
		t.starts = append(t.starts, p.size)
		p.size += r.Len
	}
	p.parts = append(p.parts, t)
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
// of these among the files of the item. It overwrites b, and returns it for the next call.
func (p *pack) settleItem(b []byte, ordinals []int) []byte {
	b = fmt.Appendf(b[:0], "item %x\n", p.item.Info.NARHash)
	for i, t := range p.parts {
		b = append(strconv.AppendInt(b, int64(ordinals[i]), 10), ' ')
		b = append(strconv.AppendInt(b, t.blob.Size(), 10), " ["...)
		for k, r := range t.data {
			if k > 0 {
				b = append(b, ' ')
			}
			b = append(strconv.AppendInt(append(b, '{'), r.Off, 10), ' ')
			b = append(strconv.AppendInt(b, r.Len, 10), '}')
		}
		b = append(b, "]\n"...)
	}
	p.key = fmt.Sprintf("%x", sha256.Sum256(b))
	return b
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
	free []part // not used yet

	text     []byte // for keys
	ordinals []int
}

// put adds a file to a pack, if it has data and no pack has it, and reports whether it did.
func (s *packs) put(p *pack, b tree.Blob) bool {
	if len(s.free) == 0 {
		s.free = make([]part, 128) // one by one they take longer
	}
	t := &s.free[0]
	if !t.hold(b) || s.at[b] != nil {
		*t = part{}
		return false
	}
	s.free = s.free[1:]
	p.add(t)
	s.at[b] = t
	return true
}

// item adds the pack of a store item: its files with data, except for those that another item has as well, when the store is optimised. It returns nil
// if there is none.
func (s *packs) item(item *plan.Item) *pack {
	p, ordinals, n := &pack{item: item}, s.ordinals[:0], 0
	eachFile(item.Node, func(node *tree.Node) {
		n++
		if b := node.Inode().Blob(); b != nil && s.put(p, b) {
			ordinals = append(ordinals, n)
		}
	})
	if len(p.parts) == 0 {
		return nil
	}
	s.ordinals, s.text = ordinals, p.settleItem(s.text, ordinals)
	s.list = append(s.list, p)
	return p
}

// eachFile calls do with all files and links at and below a node, in the order of [tree.Walk].
func eachFile(n *tree.Node, do func(*tree.Node)) {
	switch n.Kind() {
	case tree.File, tree.Link:
		do(n)
	case tree.Dir:
		for _, c := range n.Children() {
			eachFile(c, do)
		}
	}
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
		s.put(p, b)
		pin, _ := tree.PinOf(b)
		if p.size >= mostPack/4 && b.Size() >= mostPack/4 || p.size >= mostPack || p.size >= leastPack && pin[0]%ends == 0 {
			end()
		}
	}
	end()
}

// drop removes packs that no extent of the disk needs: of what host tools have copied.
func (s *packs) drop() {
	var list []*pack
	for _, p := range s.list {
		if slices.ContainsFunc(p.parts, func(t *part) bool { return t.onDisk }) {
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
