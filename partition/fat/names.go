package fat

import (
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"imprint/internal/tree"
)

const (
	longUnits = 13  // UTF-16 units of a name in one directory entry
	maxUnits  = 255 // UTF-16 units of a name
)

// survey returns the number of entries of each directory, by node ID. It returns an error for what FAT cannot hold.
func survey(t *tree.Tree, label bool) ([]int32, error) {
	slots := make([]int32, t.Len())
	for path, n := range t.Walk() {
		if err := checkNode(n); err != nil {
			return nil, fmt.Errorf("plan FAT: %s: %v", tree.Shown(path), err)
		}
		if n.Kind() != tree.Dir {
			continue
		}
		if err := checkClash(path, n.Children()); err != nil {
			return nil, err
		}
		count := 2 // . and ..
		if n == t.Root() {
			count = 0
			if label {
				count = 1
			}
		}
		for _, c := range n.Children() {
			count += slotsOf(c.Name)
		}
		if count > maxSlots {
			return nil, fmt.Errorf("plan FAT: %s: names need %d directory entries, a directory can have %d", tree.Shown(path), count, maxSlots)
		}
		slots[n.ID()] = int32(count)
	}
	return slots, nil
}

// MaxFile is the largest file in bytes ("FAT Directory Structure", DIR_FileSize).
const MaxFile = math.MaxUint32

// checkNode returns an error for a node that FAT cannot hold. Permissions and owners are no error, though FAT drops them: every tree has some.
func checkNode(n *tree.Node) error {
	switch kind := n.Inode().Kind(); kind {
	case tree.Dir:
	case tree.File:
		if size := n.Inode().Size(); size > MaxFile {
			return fmt.Errorf("file of %d bytes, FAT can store %d", size, int64(MaxFile))
		}
	default:
		return fmt.Errorf("FAT cannot store a %v", kind)
	}
	if a := n.Inode().Attr; a != nil && len(a.Xattrs) > 0 {
		return fmt.Errorf("extended attribute %q cannot be on FAT", a.Xattrs[0].Name)
	}
	if n.ID() == 0 {
		return nil
	}
	return checkName(n.Name)
}

// checkName returns an error for what cannot be a long name ("FAT Long Directory Entries"). U+FFFF is the padding in the last entry of one.
func checkName(name string) error {
	if !utf8.ValidString(name) {
		return fmt.Errorf("name %q is not UTF-8", name)
	}
	for _, r := range name {
		if r < ' ' || strings.ContainsRune(`"*/:<>?\|`, r) || r == 0xffff {
			return fmt.Errorf("name %q holds %q, which FAT does not allow", name, r)
		}
	}
	if last := name[len(name)-1]; last == '.' || last == ' ' {
		return fmt.Errorf("name %q ends with %q, which FAT drops", name, last)
	}
	if n := unitsOf(name); n > maxUnits {
		return fmt.Errorf("name of %d UTF-16 units, FAT can store %d", n, maxUnits)
	}
	return nil
}

// unitsOf returns the length of a name in UTF-16 units.
func unitsOf(name string) int {
	n := 0
	for _, r := range name {
		n++
		if r > 0xffff {
			n++
		}
	}
	return n
}

// slotsOf returns the number of directory entries that a name needs.
func slotsOf(name string) int {
	if isShort(name) {
		return 1
	}
	return 1 + (unitsOf(name)+longUnits-1)/longUnits
}

// checkClash returns an error for names that differ only in case, which FAT does not distinguish.
func checkClash(dir string, nodes []*tree.Node) error {
	seen := make(map[string]string, len(nodes))
	for _, n := range nodes {
		key := fold(n.Name)
		if other, ok := seen[key]; ok {
			return fmt.Errorf("plan FAT: FAT does not distinguish %s and %s", tree.Shown(tree.Join(dir, other)), tree.Shown(tree.Join(dir, n.Name)))
		}
		seen[key] = n.Name
	}
	return nil
}

// fold maps names that are equal under strings.EqualFold to the same text.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, name)
}

// checkLabel returns an error for what cannot be a volume label ("FAT Directory Structure"). Lower case is refused since systems disagree about
// it: some show it, some change it, some find no label.
func checkLabel(label string) error {
	if label == "" {
		return nil
	}
	if len(label) > 11 {
		return fmt.Errorf("plan FAT: label %q has %d bytes, 11 are allowed", label, len(label))
	}
	if label[0] == ' ' || label[len(label)-1] == ' ' {
		return fmt.Errorf("plan FAT: label %q begins or ends with a space, which is not stored", label)
	}
	for _, r := range label {
		if r != ' ' && !isShortRune(r) {
			return fmt.Errorf("plan FAT: label %q: %q is not allowed, only capital letters, digits, spaces and some signs", label, r)
		}
	}
	return nil
}
