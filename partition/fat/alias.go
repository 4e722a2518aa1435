package fat

import (
	"strconv"
	"strings"

	"imprint/internal/tree"
)

// A short name is eight bytes and an extension of three, filled with spaces, without the dot ("FAT Directory Structure").
type short [11]byte

// isShortRune reports whether a character may stand in a short name as it is.
func isShortRune(r rune) bool {
	return 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r != 0 && strings.ContainsRune("$%'-_@~`!(){}^#&", r)
}

// isShort reports whether a name can be a short name unchanged. Any other name gets long entries too: Windows NT has flags for names that are
// a short name in lower case, but not every reader knows them.
func isShort(name string) bool {
	base, ext, dot := strings.Cut(name, ".")
	if base == "" || len(base) > 8 || len(ext) > 3 || dot == (ext == "") {
		return false
	}
	for _, r := range base + ext {
		if !isShortRune(r) {
			return false
		}
	}
	return true
}

// aliases returns the short names of a directory's nodes, in their order. A name that is a short one except for lower case keeps its letters,
// so that it is not found under another name's alias; the others get a tail such as ~1 ("The Numeric-Tail Generation Algorithm").
func aliases(nodes []*tree.Node) []short {
	list := make([]short, len(nodes))
	a := aliaser{taken: make(map[short]bool, len(nodes)), next: map[tail]int{}}
	var rest []int
	for i, n := range nodes {
		if upper := strings.ToUpper(n.Name); isShort(upper) && len(upper) == len(n.Name) {
			base, ext, _ := strings.Cut(upper, ".")
			list[i] = newShort(base, ext)
			a.taken[list[i]] = true
			continue
		}
		rest = append(rest, i)
	}
	for _, i := range rest {
		list[i] = a.numbered(basis(nodes[i].Name))
	}
	return list
}

func newShort(base, ext string) short {
	s := short([]byte("           "))
	copy(s[:8], base)
	copy(s[8:], ext)
	return s
}

// basis returns the parts of a short name made from a long one, before the tail is added: at most 8 and 3 characters, the first not empty.
func basis(name string) (base, ext string) {
	name = strings.TrimLeft(strings.ReplaceAll(name, " ", ""), ".")
	if dot := strings.LastIndexByte(name, '.'); dot >= 0 {
		name, ext = name[:dot], name[dot+1:]
	}
	return shorten(strings.ReplaceAll(name, ".", ""), 8), shorten(ext, 3)
}

// shorten returns at most most characters of a part of a name in upper case, with "_" in place of those that a short name cannot have.
func shorten(text string, most int) string {
	var b strings.Builder
	for _, r := range text {
		if b.Len() == most {
			break
		}
		if 'a' <= r && r <= 'z' {
			r -= 'a' - 'A'
		}
		if !isShortRune(r) {
			r = '_'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// An aliaser finds the lowest free tail for each short name. It remembers where it stopped, so that many similar names do not take quadratic
// time.
type aliaser struct {
	taken map[short]bool
	next  map[tail]int // the lowest number that has not been tried
}

// A tail is the set of short names with the same beginning and extension and a tail of that many digits.
type tail struct {
	base, ext string
	digits    int
}

// numbered returns the first free short name with a tail: of one digit, if any is free, else of two, and so on. A longer tail takes characters
// from the beginning, of which there are 8 with "~".
func (a *aliaser) numbered(base, ext string) short {
	for digits, low := 1, 1; ; digits, low = digits+1, low*10 {
		key := tail{base[:min(len(base), 7-digits)], ext, digits}
		for n := max(low, a.next[key]); n < low*10; n++ {
			s := newShort(key.base+"~"+strconv.Itoa(n), ext)
			if a.taken[s] {
				continue
			}
			a.taken[s] = true
			a.next[key] = n + 1
			return s
		}
		a.next[key] = low * 10
	}
}
