package tree

import "strings"

// An Omission is a directory whose contents a reader of a file system leaves out, so that it appears empty. A reader descends from the root:
// it calls Enter for each directory before it reads that, and Leave afterwards. A nil Omission leaves nothing out.
type Omission struct {
	names   []string // of the directory and those above, "" for the root
	depth   int      // directories that were entered and not left
	matched int      // how many of these are the first of names
}

// Omit is the omission of what the directory at an absolute path holds; nil for "".
func Omit(path string) *Omission {
	if path == "" {
		return nil
	}
	return &Omission{names: strings.Split(path, "/")}
}

// Enter reports whether the contents of a directory are left out, which then was not entered. The root has the name "".
func (o *Omission) Enter(name string) (omitted bool) {
	if o == nil {
		return false
	}
	if o.matched == o.depth && o.depth < len(o.names) && o.names[o.depth] == name {
		o.matched++
	}
	o.depth++
	if o.matched == len(o.names) && o.depth == o.matched {
		o.Leave()
		return true
	}
	return false
}

// Leave goes back up from the directory that was entered last.
func (o *Omission) Leave() {
	if o == nil {
		return
	}
	o.depth--
	o.matched = min(o.matched, o.depth)
}
