package squashfs

import (
	"bytes"
	"math/rand/v2"
	"regexp"
	"testing"

	"imprint/internal/fault"
	"imprint/partition/partitiontest"
)

var inspector = partitiontest.Inspector[*Volume](Inspect)

// Bytes of a field that are checked, one by one.
func TestCheckFinds(t *testing.T) {
	whole := testImage(t, "plain")
	inspector.Sound(t, whole)
	inspector.Sound(t, testImage(t, "packed"))
	at := func(path string) int { return inodeAt(t, whole, path) }
	root := listingAt(t, whole, "/")
	s := parseSuper(whole)
	for want, damage := range map[string]func(b []byte){
		"the number of inodes is 16":            func(b []byte) { b[4]++ },
		"number of links is 9, 702 is expected": func(b []byte) { le.PutUint32(b[at("/link")+40:], 9) },
		"number of links is 9, 3 is expected":   func(b []byte) { b[at("/a")+16] = 9 },
		"number of links is 9, 1 is expected":   func(b []byte) { b[at("/dev")+16] = 9 },
		"number of the parent is 99":            func(b []byte) { le.PutUint32(b[at("/a/dir")+28:], 99) },
		"number of the inode is":                func(b []byte) { b[at("/dev")+12]++ },
		"there are inodes 1 to 15":              func(b []byte) { b[at("/dev")+12] = 99 },
		"has the number of":                     func(b []byte) { b[at("/dev")+12]++ },
		"the number of bytes in holes is 9":     func(b []byte) { le.PutUint64(b[at("/sparse")+32:], 9) },
		"its reference in the table of exports": func(b []byte) { b[le.Uint64(b[s.ExportTable:])+2]++ },
		"can be exported, but has no table":     func(b []byte) { le.PutUint64(b[superExport:], noTable) },
		"are not between superblock and inodes": func(b []byte) { le.PutUint32(b[at("/whole")+16:], uint32(s.InodeTable)) },
		"fragment 0: 4095 bytes at 10": func(b []byte) {
			le.PutUint64(b[s.FragTable-18+2:], 10)
			le.PutUint32(b[s.FragTable-8:], plainBlock|4095)
		},
		"type is 2, 5 is expected":                       func(b []byte) { b[bytes.Index(b[root:], []byte("dev"))+root-4] = 2 },
		"of the index: leads to byte 4294967295":         func(b []byte) { le.PutUint32(b[at("/many")+extendedDir:], 1<<32-1) },
		"metadata block of":                              func(b []byte) { le.PutUint16(b[s.DirTable:], uncompressed|500) },
		"bytes 96 to 107 are those of block of /big too": func(b []byte) { b[25] |= flagOptions >> 8; le.PutUint16(b[superSize:], uncompressed|10) },
		"comes after":                                    func(b []byte) { b[root+dirHeader+dirEntry] = 'z' },
	} {
		inspector.Finds(t, whole, want, damage)
	}
}

// An audit ends when the lists of blocks, or the indices of directories, have more bytes together than the table of inodes.
func TestCheckOverlap(t *testing.T) {
	whole := testImage(t, "plain")
	for name, read := range map[string]func(a *audit, n *audited){
		"/whole": (*audit).file, "/many": (*audit).indexOf,
	} {
		v := inspector.Sound(t, whole)
		a := v.audit(func(fault.Fault) {})
		var n *audited
		for _, one := range a.inOrder() {
			if a.path(one) == name {
				n = one
			}
		}
		times := 0
		for ; !a.full && times < len(whole); times++ {
			read(a, n)
		}
		if !a.full || times == 0 {
			t.Errorf("%s: the audit has ended: %v, after %d times", name, a.full, times)
		}
	}
}

// unchecked matches what Explain says about bytes whose value follows from nothing else.
var unchecked = regexp.MustCompile(`^(unused|file .*|superblock, (mkfs_time|flags|fragments)|metadata of (inodes|directories|IDs|fragments|extended attributes), .*|fragment 0, unused)$`)

// Every flip of a byte of the superblock, of the pointers and of the references is found.
func TestFlips(t *testing.T) {
	whole := testImage(t, "plain")
	s := parseSuper(whole)
	inspector.Flips(t, whole, 500, func(rnd *rand.Rand) int64 {
		if rnd.IntN(3) == 0 {
			return rnd.Int64N(superSize)
		}
		return int64(s.InodeTable) + rnd.Int64N(int64(s.BytesUsed-s.InodeTable))
	}, unchecked)
}

func TestExplain(t *testing.T) {
	whole := testImage(t, "plain")
	v := inspector.Sound(t, whole)
	s := parseSuper(whole)
	big := int64(le.Uint64(whole[inodeAt(t, whole, "/big")+16:]))
	tail := v.all().fragments[0].at + int64(le.Uint32(whole[inodeAt(t, whole, "/owned")+48:]))
	for off, want := range map[int64]string{
		9: "superblock, mkfs_time", superRoot: "superblock, root_inode", v.Size: "after the file system", big + 5000: "file /big, byte 5000",
		tail: "file /owned, byte 0", int64(s.IDTable): "pointer to the table of IDs, byte 0",
		int64(s.InodeTable) + 3: "metadata of inodes, byte 3",
	} {
		if got := v.Explain(off); got != want {
			t.Errorf("byte %d is %q, not %q", off, got, want)
		}
	}
	packed := inspector.Sound(t, testImage(t, "packed"))
	for off := int64(superSize); off < packed.Size; off++ {
		if got := packed.Explain(off); got == "unused" {
			t.Errorf("byte %d is unused", off)
		}
	}
	if got, want := packed.Explain(superSize), "packed bytes 0 to 4095 of file /big, byte 0"; got != want {
		t.Errorf("byte %d is %q, not %q", superSize, got, want)
	}
}
