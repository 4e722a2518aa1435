package iso9660

import (
	"errors"
	"fmt"
	"strings"
)

// The target of a symbolic link is a row of components (RRIP 1.12, 4.1.3), each with a flag and a length before its text. A component that
// is empty stands for what two slashes have between them, or the last one of a target after it: Linux, xorriso and GRUB put a slash after
// every component but the root and the last one.
const (
	headSL        = entryHeader + 1 // the components follow
	headComponent = 2
)

// maxTarget is how long a target may be on Linux, in bytes: isofs puts it together in one page, with a NUL (get_symlink_chunk).
const maxTarget = 4095

// appendSL adds the entries of a target, as many as it takes. Components go on in the next entry wherever one is full.
func appendSL(b []byte, target string) []byte {
	e := slWriter{b: b}
	e.begin()
	if rest, ok := strings.CutPrefix(target, "/"); ok {
		e.special(root)
		if rest == "" {
			return e.b
		}
		target = rest
	}
	for name := range strings.SplitSeq(target, "/") {
		switch name {
		case ".":
			e.special(current)
		case "..":
			e.special(parent)
		default:
			e.text(name)
		}
	}
	return e.b
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

// room makes sure of room for so many bytes, and returns how many there are.
func (e *slWriter) room(n int) int {
	if e.left() < n {
		e.b[e.start+entryHeader] = goesOn
		e.begin()
	}
	return e.left()
}

func (e *slWriter) left() int { return maxEntry - (len(e.b) - e.start) }

func (e *slWriter) component(flags byte, text string) {
	e.b = append(append(e.b, flags, byte(len(text))), text...)
	e.b[e.start+2] = byte(len(e.b) - e.start)
}

func (e *slWriter) special(flag byte) {
	e.room(headComponent)
	e.component(flag, "")
}

func (e *slWriter) text(name string) {
	for {
		room := e.room(headComponent+min(len(name), 1)) - headComponent
		if len(name) <= room {
			e.component(0, name)
			return
		}
		e.component(goesOn, name[:room])
		name = name[room:]
	}
}

// A linkTarget is put together of components, as Linux does it.
type linkTarget struct {
	text  []byte
	slash bool // belongs before the next component
}

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

// target is the whole.
func (l *linkTarget) target() (string, error) {
	if len(l.text) == 0 {
		return "", errors.New("link without a target")
	}
	return string(l.text), nil
}
