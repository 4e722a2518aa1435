package ext4

import (
	"fmt"
	"strings"
)

// A feature is a bit of one of the superblock's three feature words (kernel: "Super Block", s_feature_compat, _incompat, _ro_compat).
type feature uint8

// The features of this package's file systems. All are on unless Options.Features turns one off.
const (
	hasJournal feature = iota
	extAttr
	resizeInode
	dirIndex
	filetype
	extentMapped
	bit64
	flexBG
	sparseSuper
	largeFile
	hugeFile
	dirNlink
	extraIsize
	metadataCsum
	featureCount
)

// featureTable has the name of each feature as in mke2fs -O, its word (0 compat, 1 incompat, 2 ro_compat) and its bit. Those that are not
// optional are assumed everywhere in this package.
var featureTable = [featureCount]struct {
	name     string
	word     int
	bit      uint32
	optional bool
}{
	hasJournal:   {"has_journal", 0, 0x4, true},
	extAttr:      {"ext_attr", 0, 0x8, false},
	resizeInode:  {"resize_inode", 0, 0x10, true},
	dirIndex:     {"dir_index", 0, 0x20, true},
	filetype:     {"filetype", 1, 0x2, false},
	extentMapped: {"extent", 1, 0x40, false},
	bit64:        {"64bit", 1, 0x80, true},
	flexBG:       {"flex_bg", 1, 0x200, true},
	sparseSuper:  {"sparse_super", 2, 0x1, false},
	largeFile:    {"large_file", 2, 0x2, false},
	hugeFile:     {"huge_file", 2, 0x8, true},
	dirNlink:     {"dir_nlink", 2, 0x20, true},
	extraIsize:   {"extra_isize", 2, 0x40, true},
	metadataCsum: {"metadata_csum", 2, 0x400, true},
}

// featureSet has bit f for feature f.
type featureSet uint32

func (s featureSet) has(f feature) bool { return s>>f&1 != 0 }

// words are the superblock's three feature words.
func (s featureSet) words() (w [3]uint32) {
	for f, t := range featureTable {
		if s.has(feature(f)) {
			w[t.word] |= t.bit
		}
	}
	return w
}

// names lists the features in the order of the table.
func (s featureSet) names() []string {
	var names []string
	for f, t := range featureTable {
		if s.has(feature(f)) {
			names = append(names, t.name)
		}
	}
	return names
}

// parseFeatures applies words as in mke2fs -O, "name" or "^name", to the full set.
func parseFeatures(words []string) (featureSet, error) {
	set := featureSet(1<<featureCount - 1)
	for _, w := range words {
		name, off := strings.CutPrefix(w, "^")
		f, ok := featureByName(name)
		switch {
		case !ok:
			return 0, fmt.Errorf("unknown feature %q, only %s are supported", name, strings.Join(set.names(), ", "))
		case off && !featureTable[f].optional:
			return 0, fmt.Errorf("feature %q cannot be turned off", name)
		case off:
			set &^= 1 << f
		default:
			set |= 1 << f
		}
	}
	return set, nil
}

// CheckFeatures returns an error for words that Options.Features does not accept.
func CheckFeatures(words []string) error {
	_, err := parseFeatures(words)
	return err
}

func featureByName(name string) (feature, bool) {
	for f, t := range featureTable {
		if t.name == name {
			return feature(f), true
		}
	}
	return 0, false
}
