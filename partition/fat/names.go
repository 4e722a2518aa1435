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

// survey refuses what FAT cannot hold, and counts the entries of each directory, by node ID.
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
			return nil, fmt.Errorf("plan FAT: %s: names need %d directory entries, %d are possible", tree.Shown(path), count, maxSlots)
		}
		slots[n.ID()] = int32(count)
	}
	return slots, nil
}

// MaxFile is the largest file in bytes ("FAT Directory Structure", DIR_FileSize).
const MaxFile = math.MaxUint32

func checkNode(n *tree.Node) error {
	switch kind := n.Inode().Kind(); kind {
	case tree.Dir:
	case tree.File:
		if size := n.Inode().Size(); size > MaxFile {
			return fmt.Errorf("file of %d bytes, FAT holds %d", size, int64(MaxFile))
		}
	default:
		return fmt.Errorf("FAT holds no %v", kind)
	}
	if a := n.Inode().Attr; a != nil && len(a.Xattrs) > 0 {
		return fmt.Errorf("extended attribute %q cannot be on FAT", a.Xattrs[0].Name)
	}
	if n.ID() == 0 {
		return nil
	}
	return checkName(n.Name)
}

// checkName refuses what cannot be a long name ("FAT Long Directory Entries"). U+FFFF is what fills the last entry of one.
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
		return fmt.Errorf("name of %d UTF-16 units, FAT holds %d", n, maxUnits)
	}
	return nil
}

// unitsOf is the length of a name in UTF-16 units.
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

// slotsOf is how many directory entries a name takes.
func slotsOf(name string) int {
	if isShort(name) {
		return 1
	}
	return 1 + (unitsOf(name)+longUnits-1)/longUnits
}

// checkClash refuses names that differ in nothing but case: to FAT they are the same.
func checkClash(dir string, nodes []*tree.Node) error {
	seen := make(map[string]string, len(nodes))
	for _, n := range nodes {
		key := fold(n.Name)
		if other, ok := seen[key]; ok {
			return fmt.Errorf("plan FAT: %s and %s are the same name to FAT", tree.Shown(tree.Join(dir, other)), tree.Shown(tree.Join(dir, n.Name)))
		}
		seen[key] = n.Name
	}
	return nil
}

// fold is the same text for names that differ in case only, in the sense of strings.EqualFold.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, name)
}

// checkLabel refuses what cannot be the entry of a volume label ("FAT Directory Structure"). Lower case is left to nobody's guess: some systems show
// it, some change it, some find no label.
func checkLabel(label string) error {
	if label == "" {
		return nil
	}
	if len(label) > 11 {
		return fmt.Errorf("plan FAT: label %q of %d bytes, 11 are possible", label, len(label))
	}
	if label[0] == ' ' || label[len(label)-1] == ' ' {
		return fmt.Errorf("plan FAT: label %q: a space at its beginning or end is not kept", label)
	}
	for _, r := range label {
		if r != ' ' && !isShortRune(r) {
			return fmt.Errorf("plan FAT: label %q: %q is not allowed; capital letters, digits, spaces and some signs are", label, r)
		}
	}
	return nil
}
