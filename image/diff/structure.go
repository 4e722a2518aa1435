package diff

import (
	"encoding/hex"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"imprint/image/disk"
	"imprint/internal/repro"
)

// Bounds of what is explained in one region. Beyond them bytes are counted.
const (
	mostExplained = 400_000 // bytes
	mostGroups    = 5000    // fields
	mostField     = 64      // bytes of a field that are shown
)

// An explainer explains the bytes of a region, or of the disk, one of two.
type explainer struct {
	content io.ReaderAt
	explain func(off int64) string
}

// A namer finds what the bytes that differ are. Consecutive ones of one field are a change, and so are all of one directory or of one
// file.
type namer struct {
	region   string
	a, b     explainer
	size     int64
	skip     func(place string) bool // what was reported before
	groups   map[string]*Change
	order    []*Change
	moved    bool  // files have come, gone or grown, and so others lie elsewhere
	left     int   // bytes that may still be explained
	unnamed  int64 // bytes that were not
	firstOff int64
}

// structure names the bytes of a region that differ and are in no file that was named before.
func (c *comparison) structure(p pair, found []spans, before []Change) error {
	if len(found) == 0 {
		return nil
	}
	a, err := p.a.Blob().Open()
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := p.b.Blob().Open()
	if err != nil {
		return err
	}
	defer b.Close()
	n := newNamer(p.name(), explainer{a, explainOf(p.a)}, explainer{b, explainOf(p.b)}, p.a.Size)
	if p.a.In == nil && (p.a.Offset != p.b.Offset || p.a.Size != p.b.Size) {
		at := p.a.Offset
		n.b = explainer{io.NewSectionReader(c.b.Image(), at, p.a.Size), func(off int64) string { return c.b.Explain(off + at) }}
	}
	n.skip = reported(before, nestedPaths(p, c.a, c.b))
	if n.moved = reshaped(before); n.moved {
		n.left /= 10 // of what nobody will read
	}
	return c.nameBytes(n, found)
}

// explainOf explains the bytes of a region; files of it that are regions are compared by themselves.
func explainOf(r *disk.Region) func(off int64) string {
	if r.Volume == nil {
		return r.Explain
	}
	return r.Volume.Explain
}

// reshaped reports whether changes move other files and what describes them.
func reshaped(changes []Change) bool {
	return slices.ContainsFunc(changes, func(c Change) bool {
		return c.What != Changed || c.Field == "content" && c.Offset < 0 || c.Field == "size"
	})
}

// isoSystemArea is what the front of an ISO leaves to boot code and the partition table, in bytes (ECMA-119, 6.2.1).
const isoSystemArea = 32 << 10

func isWhole(r *disk.Region) bool {
	return r.Volume != nil && r.Volume.Filesystem.WholeDisk && r.In == nil && r.Offset == 0
}

// outside names the bytes that differ and are in no region: those of the partition table, of boot code, of raw content.
func (c *comparison) outside() error {
	if !c.same {
		return nil
	}
	n := newNamer("", explainer{c.a.Image(), c.a.Explain}, explainer{c.b.Image(), c.b.Explain}, c.a.Size)
	n.skip = func(string) bool { return false }
	at, rest := int64(0), []spans(nil)
	gap := func(end int64) {
		for _, s := range cut(c.differ, at, max(at, end)) {
			rest = append(rest, spans{Off: s.Off + at, Len: s.Len})
		}
	}
	for _, r := range outer(c.a) {
		from, end := r.Offset, r.Offset+r.Size
		if isWhole(r) {
			from += isoSystemArea
		}
		gap(from)
		at = max(at, end)
	}
	gap(c.a.Size)
	return c.nameBytes(n, rest)
}

// nameBytes runs a namer and adds what it finds.
func (c *comparison) nameBytes(n *namer, found []spans) error {
	for _, s := range found {
		if c.ctx.Err() != nil {
			return c.ctx.Err()
		}
		if err := n.span(s); err != nil {
			return err
		}
	}
	for _, change := range n.order {
		c.add(*change)
	}
	if n.unnamed > 0 {
		class := Structure
		if n.moved {
			class = Derived
		}
		c.add(Change{Class: class, Region: n.region, Object: "further structure", What: Changed, Offset: n.firstOff, Bytes: n.unnamed})
	}
	return nil
}

func newNamer(region string, a, b explainer, size int64) *namer {
	return &namer{region: region, a: a, b: b, size: size, groups: map[string]*Change{}, left: mostExplained}
}

// span names the bytes in a range.
func (n *namer) span(s spans) error {
	both := buffers.Get().(*[2][chunkSize]byte)
	defer buffers.Put(both)
	for off := s.Off; off < s.End(); off += chunkSize {
		size := min(chunkSize, s.End()-off)
		p, q := both[0][:size], both[1][:size]
		if err := readFull(n.a.content, p, off); err != nil {
			return err
		}
		if err := readFull(n.b.content, q, off); err != nil {
			return err
		}
		n.part(p, q, off)
	}
	return nil
}

// part names the bytes of a part at an offset.
func (n *namer) part(p, q []byte, off int64) {
	for i := 0; i < len(p); {
		switch {
		case p[i] == q[i]:
			i++
		case n.left <= 0 || len(n.groups) >= mostGroups:
			if n.unnamed == 0 {
				n.firstOff = off + int64(i)
			}
			n.unnamed++
			i++
		default:
			i += n.at(p[i:], q[i:], off+int64(i))
		}
	}
}

// at names the byte at an offset, and returns how many bytes it has dealt with.
func (n *namer) at(p, q []byte, off int64) int {
	n.left--
	place := n.a.explain(off)
	if prefix, at, ok := byteOf(place); ok && isContent(place) {
		run := n.run(prefix, at, off, len(p))
		if !n.skip(prefix) {
			n.count(prefix, place, p[:run], q[:run], off)
		}
		return run
	}
	n.add(place, off)
	return 1
}

// run returns how many bytes of a content lie in a row from an offset on, at most so many.
func (n *namer) run(prefix string, at, off int64, most int) int {
	for _, size := range []int{chunkSize, 64 << 10, 4 << 10, 512} {
		size = min(size, most)
		n.left--
		if p, end, ok := byteOf(n.a.explain(off + int64(size) - 1)); ok && p == prefix && end == at+int64(size)-1 {
			return size
		}
	}
	return 1
}

var byteForm = regexp.MustCompile(`^(.*), (?:byte|block) ([0-9]+)$`)

// byteOf splits an explanation that ends with the number of a byte.
func byteOf(place string) (prefix string, at int64, ok bool) {
	m := byteForm.FindStringSubmatch(place)
	if m == nil {
		return "", 0, false
	}
	at, err := strconv.ParseInt(m[2], 10, 64)
	return m[1], at, err == nil
}

// isContent reports whether a byte is of the content of a file.
func isContent(place string) bool {
	return strings.HasPrefix(place, "file ") || strings.HasPrefix(place, "symlink ") || strings.HasPrefix(place, "partition ")
}

// count adds the bytes that differ to the change of a content.
func (n *namer) count(key, place string, p, q []byte, off int64) {
	change := n.group(key, Structure, key, "content", off)
	for i := range p {
		if p[i] != q[i] {
			change.Bytes++
		}
	}
}

// group returns the change of a key, which it makes when there is none.
func (n *namer) group(key string, class Class, object, field string, off int64) *Change {
	if change := n.groups[key]; change != nil {
		return change
	}
	if n.moved && class == Structure && placed.MatchString(object) {
		class = Derived
	}
	change := &Change{Class: class, Region: n.region, Object: object, What: Changed, Field: field, Offset: off}
	n.groups[key] = change
	n.order = append(n.order, change)
	return change
}

// add adds a byte of a structure.
func (n *namer) add(place string, off int64) {
	if n.skip(place) {
		return
	}
	n.left--
	other := n.b.explain(off)
	object, field := split(place)
	key, class := place, classOf(bare(place), field)
	if prefix, _, ok := byteOf(place); ok {
		key, object, field = prefix, prefix, ""
	}
	dir, entry, inDir := strings.Cut(place, ": ")
	if inDir = inDir && strings.HasPrefix(place, "directory "); inDir {
		dir, _, _ = byteOf(dir)
		key, object, field = dir+class.group(), dir, entry
	}
	change := n.group(key, class, object, field, off)
	if change.Bytes++; change.Bytes > 1 || class == Unused {
		return
	}
	_, otherEntry, _ := strings.Cut(other, ": ")
	switch {
	case inDir && entry != otherEntry:
		change.Field, change.A, change.B = "order or names of entries", entry, otherEntry
	case bare(other) != bare(place) && !strings.HasPrefix(other, "partition "):
		change.A, change.B = place, other
	case field != "":
		change.A, change.B = n.values(place, off)
	}
}

// group keeps the unused bytes of a directory apart from the others.
func (c Class) group() string { return " " + string(c) }

// split takes the name of a field from an explanation.
func split(place string) (object, field string) {
	if i := strings.LastIndex(place, ", "); i >= 0 {
		return place[:i], place[i+2:]
	}
	return place, ""
}

// values returns the field around an offset, as both have it.
func (n *namer) values(place string, off int64) (a, b string) {
	from, end := off, off+1
	for from > 0 && end-from < mostField && n.a.explain(from-1) == place {
		from--
	}
	for end < n.size && end-from < mostField && n.a.explain(end) == place {
		end++
	}
	n.left -= int(end - from)
	p, q := make([]byte, end-from), make([]byte, end-from)
	if readFull(n.a.content, p, from) != nil || readFull(n.b.content, q, from) != nil {
		return "", ""
	}
	return valueText(place, p), valueText(place, q)
}

// valueText shows the bytes of a field: identifiers in their usual form, short ones as a number, which is little-endian in nearly every
// structure; others as text or in hexadecimal.
func valueText(place string, b []byte) string {
	text := strings.TrimRight(string(b), "\x00")
	switch n := len(b); {
	case n == 16 && strings.HasSuffix(place, "GUID"): // the first three parts are little-endian (UEFI, appendix A)
		mixed := []byte{b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6]}
		return repro.UUID(append(mixed, b[8:]...)).String()
	case n == 16 && strings.HasSuffix(place, "uuid"):
		return repro.UUID(b).String()
	case n > 4 && len(text) > 1 && isASCII(text):
		return strconv.Quote(strings.TrimRight(text, " "))
	case n == 1 || n == 2 || n == 4:
		v := uint64(0)
		for i := range b {
			v |= uint64(b[i]) << (8 * i)
		}
		return fmt.Sprint(v)
	}
	return hex.EncodeToString(b)
}

func isASCII(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}

var quoted = regexp.MustCompile(`\([^)]*\)|"[^"]*"`)

// bare is an explanation without the names in it.
func bare(place string) string { return quoted.ReplaceAllString(place, "") }

// reported returns whether a place is of a file whose change was reported: its content, or the field of its inode or directory entry.
func reported(before []Change, nested map[string]bool) func(place string) bool {
	content, size, times := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, c := range before {
		switch {
		case c.Class == Time:
			times[c.Object] = true
		case c.Field == "content" || c.Field == "target":
			content[c.Object] = true
			size[c.Object] = true
		}
	}
	return func(place string) bool {
		path, field, ok := subject(place)
		if !ok {
			_, path, _ = strings.Cut(place, " ") // "file /etc/passwd"
			return content[path] || nested[path]
		}
		return times[path] && timeField.MatchString(field) || size[path] && sizeField.MatchString(field)
	}
}

// subject splits the explanation of a field of a file's inode or directory entry.
func subject(place string) (path, field string, ok bool) {
	if m := entryForm.FindStringSubmatch(place); m != nil {
		return m[1], m[2], true
	}
	open, end := strings.Index(place, " ("), strings.LastIndex(place, "), ")
	if open < 0 || end < open {
		return "", "", false
	}
	return place[open+2 : end], place[end+3:], true
}

var entryForm = regexp.MustCompile(`^directory entry of (.*), (.*)$`)
