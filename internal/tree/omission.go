package tree

import "strings"

// An Omission is a set of directories whose contents a reader of a file system leaves out, so that they appear empty. A reader descends from
// the root: it calls Enter for each directory before it reads that, and Leave afterwards. A nil Omission leaves nothing out.
type Omission struct {
	dirs  []omitted
	depth int // directories that were entered and not left
}

// An omitted directory is one of an Omission.
type omitted struct {
	names   []string // of the directory and those above, "" for the root
	matched int      // how many of the entered directories are the first of names
}

// Omit is the omission of what the directories at absolute paths hold; nil for none.
func Omit(paths ...string) *Omission {
	if len(paths) == 0 {
		return nil
	}
	o := &Omission{}
	for _, path := range paths {
		o.dirs = append(o.dirs, omitted{names: strings.Split(path, "/")})
	}
	return o
}

// Enter reports whether the contents of a directory are left out, which then was not entered. The root has the name "".
func (o *Omission) Enter(name string) (left bool) {
	if o == nil {
		return false
	}
	for i := range o.dirs {
		d := &o.dirs[i]
		if d.matched == o.depth && o.depth < len(d.names) && d.names[o.depth] == name {
			d.matched++
			left = left || d.matched == len(d.names)
		}
	}
	if o.depth++; left {
		o.Leave()
	}
	return left
}

// Leave goes back up from the directory that was entered last.
func (o *Omission) Leave() {
	if o == nil {
		return
	}
	o.depth--
	for i := range o.dirs {
		o.dirs[i].matched = min(o.dirs[i].matched, o.depth)
	}
}
