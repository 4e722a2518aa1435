package ext4

import (
	"fmt"
	"strings"
)

// A feature is a bit of one of the superblock's three feature words (kernel: "Super Block", s_feature_compat, _incompat, _ro_compat).
type feature uint8

// The features of the file systems that this package lays out. All are on unless Options.Features turns one off.
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

// Features that are only read.
const (
	dirPrealloc feature = featureCount + iota
	imagicInodes
	excludeInode
	excludeBitmap
	sparseSuper2
	fastCommit
	stableInodes
	orphanFile
	compression
	needsRecovery
	journalDevice
	metaBG
	mmp
	eaInode
	dirData
	csumSeed
	largeDir
	inlineData
	encrypt
	casefold
	uninitBG
	quota
	bigalloc
	replica
	readOnly
	project
	sharedBlocks
	verity
	orphanPresent
	knownFeatures
)

// featureTable has the name of each feature as in mke2fs -O, its word (0 compat, 1 incompat, 2 ro_compat) and its bit. Those that are not
// optional are assumed everywhere in what is laid out.
var featureTable = [knownFeatures]struct {
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

	dirPrealloc:   {"dir_prealloc", 0, 0x1, false},
	imagicInodes:  {"imagic_inodes", 0, 0x2, false},
	excludeInode:  {"exclude_inode", 0, 0x80, false},
	excludeBitmap: {"snapshot_bitmap", 0, 0x100, false},
	sparseSuper2:  {"sparse_super2", 0, 0x200, false},
	fastCommit:    {"fast_commit", 0, 0x400, false},
	stableInodes:  {"stable_inodes", 0, 0x800, false},
	orphanFile:    {"orphan_file", 0, 0x1000, false},
	compression:   {"compression", 1, 0x1, false},
	needsRecovery: {"needs_recovery", 1, 0x4, false},
	journalDevice: {"journal_dev", 1, 0x8, false},
	metaBG:        {"meta_bg", 1, 0x10, false},
	mmp:           {"mmp", 1, 0x100, false},
	eaInode:       {"ea_inode", 1, 0x400, false},
	dirData:       {"dirdata", 1, 0x1000, false},
	csumSeed:      {"metadata_csum_seed", 1, 0x2000, false},
	largeDir:      {"large_dir", 1, 0x4000, false},
	inlineData:    {"inline_data", 1, 0x8000, false},
	encrypt:       {"encrypt", 1, 0x10000, false},
	casefold:      {"casefold", 1, 0x20000, false},
	uninitBG:      {"uninit_bg", 2, 0x10, false},
	quota:         {"quota", 2, 0x100, false},
	bigalloc:      {"bigalloc", 2, 0x200, false},
	replica:       {"replica", 2, 0x800, false},
	readOnly:      {"read-only", 2, 0x1000, false},
	project:       {"project", 2, 0x2000, false},
	sharedBlocks:  {"shared_blocks", 2, 0x4000, false},
	verity:        {"verity", 2, 0x8000, false},
	orphanPresent: {"orphan_present", 2, 0x10000, false},
}

// featureSet has bit f for feature f.
type featureSet uint64

func (s featureSet) has(f feature) bool { return s>>f&1 != 0 }

// words returns the superblock's three feature words.
func (s featureSet) words() (w [3]uint32) {
	for f, t := range featureTable {
		if s.has(feature(f)) {
			w[t.word] |= t.bit
		}
	}
	return w
}

// featuresOf returns the features of three words, and the bits of each that have no name here.
func featuresOf(words [3]uint32) (s featureSet, unknown [3]uint32) {
	unknown = words
	for f, t := range featureTable {
		if words[t.word]&t.bit != 0 {
			s |= 1 << f
			unknown[t.word] &^= t.bit
		}
	}
	return s, unknown
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

// featureByName returns a feature that can be laid out.
func featureByName(name string) (feature, bool) {
	for f, t := range featureTable[:featureCount] {
		if t.name == name {
			return feature(f), true
		}
	}
	return 0, false
}
