package diff

import (
	"encoding/hex"
	"fmt"
	"io"
	"path"
	"regexp"
	"strconv"
	"strings"

	"imprint/internal/repro"
)

// Limits for one region, of which every byte may differ. Bytes beyond them are only counted.
const (
	mostExplained = 400_000 // bytes
	mostGroups    = 5000    // fields
	mostField     = 64      // bytes of a field that are shown
)

// An explainer reads and explains the bytes of a region or of the disk, on one of the two sides.
type explainer struct {
	content io.ReaderAt
	explain func(off int64) string
}

// A namer names the bytes that differ. Consecutive bytes of one field are one change, and so are all bytes of one directory or file.
type namer struct {
	region   string
	a, b     explainer
	size     int64
	skip     func(place string) bool // reports whether a place was reported before
	groups   map[string]*Change
	order    []*Change
	moved    bool  // files were added, removed or resized, so others may lie elsewhere
	left     int   // bytes that may still be explained
	unnamed  int64 // bytes that were not explained
	firstOff int64
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

// at names the byte at an offset. It returns the number of bytes handled, at least 1.
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

// run returns the length of a contiguous run of a content that begins at an offset, at most most bytes. It tries a few lengths, from large to
// small, and explains only the last byte of each: if that belongs to the same content at the right distance, so does everything in between.
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

// byteOf splits an explanation that ends with the number of a byte or block.
func byteOf(place string) (prefix string, at int64, ok bool) {
	m := byteForm.FindStringSubmatch(place)
	if m == nil {
		return "", 0, false
	}
	at, err := strconv.ParseInt(m[2], 10, 64)
	return m[1], at, err == nil
}

// isContent reports whether a place is in the content of a file or of a raw partition.
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

// group returns the change of a key, and creates it if necessary.
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
	dir, entry := inDirectory(place)
	_, otherEntry := inDirectory(other)
	moved := dir != "" && otherEntry != "" && entry != otherEntry && class != Unused
	switch {
	case moved:
		key, object, field, class = dir+" entries", dir, "order or names of entries", Structure
	case strings.Contains(place, ": ") && dir != "":
		key, object, field = dir+class.group(), dir, entry
	}
	change := n.group(key, class, object, field, off)
	if change.Bytes++; change.Bytes > 1 || class == Unused {
		return
	}
	switch {
	case moved:
		change.A, change.B = entry, otherEntry
	case bare(other) != bare(place) && !strings.HasPrefix(other, "partition "):
		change.A, change.B = place, other
	case field != "":
		change.A, change.B = n.values(place, off)
	}
}

// inDirectory splits the explanation of a byte in a directory into the directory and the entry, in the forms of all file systems.
// dir is "" for other bytes.
func inDirectory(place string) (dir, entry string) {
	if m := entryForm.FindStringSubmatch(place); m != nil {
		return "directory " + path.Dir(m[1]), path.Base(m[1])
	}
	if !strings.HasPrefix(place, "directory ") {
		return "", ""
	}
	if dir, entry, ok := strings.Cut(place, ": "); ok {
		dir, _, _ = byteOf(dir)
		return dir, entry
	}
	if dir, entry, ok := strings.Cut(place, ", record of "); ok {
		return dir, entry
	}
	return split(place)
}

// group keeps the unused bytes of a directory apart from the others.
func (c Class) group() string { return " " + string(c) }

// split splits an explanation into the object and the name of its field, which may be empty.
func split(place string) (object, field string) {
	if i := strings.LastIndex(place, ", "); i >= 0 {
		return place[:i], place[i+2:]
	}
	return place, ""
}

// values returns the value of the field around an offset in A and in B.
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

// valueText formats the bytes of a field: identifiers in their usual form, short fields as a number, little-endian as in nearly every
// structure, others as text or in hexadecimal.
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

// bare returns an explanation without names from the image, which could contain any word.
func bare(place string) string { return quoted.ReplaceAllString(place, "") }
