package closure

import (
	"fmt"
	"path"
	"strings"

	"imprint/internal/diag"
	"imprint/internal/tree"
)

// A Walker finds files by paths in the store of an image as the running system would: it follows symlinks from item to item.
type Walker struct {
	Flavor Flavor
	Nodes  map[Path]*tree.Node // every item of the image
}

// A Location is the place that a path in the store leads to.
type Location struct {
	Item Path       // that holds it
	Path string     // without symlinks
	Node *tree.Node // not a symlink
}

// File finds a file. A path that leads to anything else, or out of the items of the image, is an error.
func (w Walker) File(name string) (Location, error) {
	l, err := w.Find(name)
	if err == nil && l.Node.Inode().Kind() != tree.File {
		err = fmt.Errorf("%s: %s is a %v", name, l.Path, l.Node.Kind())
	}
	return l, err
}

// Find returns the place that a path leads to. A path that leads out of the items of the image is an error, and so is one that does not exist;
// the latter may be a [diag.Mistake] with the name that was meant.
func (w Walker) Find(name string) (Location, error) {
	at := path.Clean(name)
	for range maxLinksFollowed {
		item, rest, err := w.split(at)
		if err != nil {
			return Location{}, fmt.Errorf("%s: %w", name, err)
		}
		n, next := w.descend(item, rest)
		switch {
		case next != "":
			at = next
		case n == nil:
			return Location{}, fmt.Errorf("%s: %w", name, &NowhereError{at, w.near(item, rest)})
		default:
			return Location{item, at, n}, nil
		}
	}
	return Location{}, fmt.Errorf("%s: more than %d symbolic links", name, maxLinksFollowed)
}

// descend follows rest down from an item. It returns the node there, or nil; or, at a symlink, the path to continue with.
func (w Walker) descend(item Path, rest string) (n *tree.Node, next string) {
	n, here := w.Nodes[item], item.String()
	for {
		if n.Kind() == tree.Symlink {
			return nil, joinLink(path.Dir(here), n.Target(), rest)
		}
		if rest == "" {
			return n, ""
		}
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		if n = n.Child(name); n == nil {
			return nil, ""
		}
		here += "/" + name
	}
}

// mostNames is the largest number of names that are compared with a missing one.
const mostNames = 1000

// near returns the hint for a missing path of an item: the name that may be meant in place of the first one that is missing, or "".
func (w Walker) near(item Path, rest string) string {
	n := w.Nodes[item]
	for name := range strings.SplitSeq(rest, "/") {
		if below := n.Child(name); below != nil {
			n = below
			continue
		}
		var names []string
		for _, child := range n.Children()[:min(mostNames, len(n.Children()))] {
			names = append(names, child.Name)
		}
		if meant := diag.Nearest(name, names); meant != "" {
			return fmt.Sprintf("did you mean %q?", meant)
		}
		return ""
	}
	return ""
}

// joinLink returns the path that a symlink in dir leads to, with the rest after it.
func joinLink(dir, target, rest string) string {
	if path.IsAbs(target) {
		return path.Join(target, rest)
	}
	return path.Join(dir, target, rest)
}

// split cuts a path in the store into its item and the rest.
func (w Walker) split(at string) (Path, string, error) {
	below, ok := strings.CutPrefix(at, w.Flavor.StoreDir+"/")
	if !ok {
		return Path{}, "", &OutsideError{at}
	}
	base, rest, _ := strings.Cut(below, "/")
	p, err := w.Flavor.ParsePath(w.Flavor.StoreDir + "/" + base)
	if err != nil {
		return Path{}, "", err
	}
	if w.Nodes[p] == nil {
		return Path{}, "", &AbsentError{p}
	}
	return p, rest, nil
}

// An OutsideError reports a path that leads out of the store.
type OutsideError struct{ At string }

// Error implements error.
func (e *OutsideError) Error() string { return fmt.Sprintf("leads to %s, outside the store", e.At) }

// An AbsentError reports a path that leads to an item which the image does not have.
type AbsentError struct{ Item Path }

// Error implements error.
func (e *AbsentError) Error() string {
	return fmt.Sprintf("leads to %v, which is not in the image", e.Item)
}

// A NowhereError reports a path that an item of the image does not have.
type NowhereError struct {
	At   string
	Near string // a hint with the name that may be meant; "" for none
}

// Error implements error.
func (e *NowhereError) Error() string { return "there is no " + e.At }

// Unwrap makes it a [diag.Mistake] with the hint.
func (e *NowhereError) Unwrap() error { return diag.Mistake{Text: e.Error(), Hint: e.Near} }

// Mentions returns the store paths of every flavor in a text, in the order of flavors, each once.
func Mentions(text string) (found []Path) {
	for _, f := range Flavors() {
		found = append(found, f.Mentions(text)...)
	}
	return found
}

// Mentions returns the store paths in a text, in their order and each once. A full stop at the end of a path is taken for that of a sentence.
func (f Flavor) Mentions(text string) (found []Path) {
	seen := map[Path]bool{}
	for {
		_, rest, more := strings.Cut(text, f.StoreDir+"/")
		if !more {
			return found
		}
		end := strings.IndexFunc(rest, func(r rune) bool { return r >= 128 || !isNameByte(byte(r)) })
		if end < 0 {
			end = len(rest)
		}
		p, err := f.ParsePath(f.StoreDir + "/" + strings.TrimRight(rest[:end], "."))
		if err == nil && !seen[p] {
			seen[p] = true
			found = append(found, p)
		}
		text = rest[end:]
	}
}
