package iso9660

import (
	"errors"
	"fmt"
	"strings"
)

// The target of a symbolic link is a sequence of components (RRIP 1.12, 4.1.3), each with a flag and a length before its text. Linux,
// xorriso, libarchive and GRUB put a slash after every component but the last one and those for the root, which stand for a slash. So a
// second slash in a row is a component for the root, and an empty component follows a slash at the end of a target:
//
//	/usr/lib   root, "usr", "lib"          a//b   "a", root, "b"
//	../x/      parent, "x", ""             //     root, root
const (
	headSL        = entryHeader + 1 // the components follow
	headComponent = 2
)

// maxTarget is the longest target in bytes: isofs assembles it in one page, with a NUL (get_symlink_chunk).
const maxTarget = 4095

// appendSL adds the entries of a target, as many as it takes.
//
// Readers disagree on whether a slash belongs between the last component of a full entry and the first one of the next. So an entry always
// ends in a component that continues, if only in the empty beginning of one.
func appendSL(b []byte, target string) []byte {
	e := slWriter{b: b}
	e.begin()
	for before := byte(root); ; { // flag of the component before
		name, rest, more := strings.Cut(target, "/")
		flag := componentOf(name, before, more)
		switch {
		case flag != 0:
			e.special(flag)
		case name != "" || before != root:
			e.text(name)
		}
		if !more {
			return e.b
		}
		target, before = rest, flag
	}
}

// componentOf returns the flag of a component, 0 for text. "." and ".." after text are text too, since GRUB omits the slash between text and
// a component for them.
func componentOf(name string, before byte, more bool) byte {
	switch {
	case name == "" && more:
		return root
	case name == "." && before != 0:
		return current
	case name == ".." && before != 0:
		return parent
	}
	return 0
}

// A slWriter appends SL entries, the last of which begins at start.
type slWriter struct {
	b     []byte
	start int
}

func (e *slWriter) begin() {
	e.start = len(e.b)
	e.b = append(appendEntry(e.b, "SL", headSL), 0)
}

// room returns how much text a component may have, if an empty one is to fit after it.
func (e *slWriter) room() int { return maxEntry - 2*headComponent - (len(e.b) - e.start) }

func (e *slWriter) component(flags byte, text string) {
	e.b = append(append(e.b, flags, byte(len(text))), text...)
	e.b[e.start+2] = byte(len(e.b) - e.start)
}

// goOn ends an entry with the beginning of a component, and begins the next entry.
func (e *slWriter) goOn(text string) {
	e.component(goesOn, text)
	e.b[e.start+entryHeader] = goesOn
	e.begin()
}

func (e *slWriter) special(flag byte) {
	if e.room() < 0 {
		e.goOn("")
	}
	e.component(flag, "")
}

func (e *slWriter) text(name string) {
	for len(name) > e.room() {
		n := min(len(name), e.room()+headComponent)
		e.goOn(name[:n])
		name = name[n:]
	}
	e.component(0, name)
}

// A linkTarget assembles a target from its components, as Linux does.
type linkTarget struct {
	text  []byte
	slash bool // belongs before the next component
}

// add adds the components of an SL entry. It ignores the first byte, which says whether another entry follows: the list of entries shows that.
func (l *linkTarget) add(data []byte) error {
	if len(data) < 1 {
		return errShort
	}
	for p := data[1:]; len(p) > 0; {
		if len(p) < headComponent || headComponent+int(p[1]) > len(p) {
			return errShort
		}
		n := headComponent + int(p[1])
		l.component(p[0], p[headComponent:n])
		if p = p[n:]; len(l.text) > maxTarget {
			return fmt.Errorf("link target of more than %d bytes", maxTarget)
		}
	}
	return nil
}

// component adds a component, after the slash that belongs before it. No slash belongs after one for the root, which is a slash, and after one
// that continues in the next component.
func (l *linkTarget) component(flags byte, text []byte) {
	switch {
	case flags&current != 0:
		text = []byte(".")
	case flags&parent != 0:
		text = []byte("..")
	case flags&root != 0:
		text = []byte("/")
	}
	if l.slash {
		l.text = append(l.text, '/')
	}
	l.text = append(l.text, text...)
	l.slash = flags&(root|goesOn) == 0
}

// target returns the whole target.
func (l *linkTarget) target() (string, error) {
	if len(l.text) == 0 {
		return "", errors.New("link without a target")
	}
	return string(l.text), nil
}
