package diff

import (
	"strings"
	"testing"
)

func TestClassOf(t *testing.T) {
	for _, c := range []struct {
		place, field string
		want         Class
	}{
		{"superblock, s_uuid", "s_uuid", ID}, {"superblock copy in group 1, s_uuid", "s_uuid", Derived}, {"superblock, s_mkfs_time", "s_mkfs_time", Time},
		{"superblock, s_reserved_gdt_blocks", "s_reserved_gdt_blocks", Structure}, {"primary entry 1, PartitionTypeGUID", "PartitionTypeGUID", Structure},
		{"primary header, Reserved", "Reserved", Unused}, {"file tail after /etc/passwd", "", Unused}, {"inode 12 (), i_checksum_hi", "i_checksum_hi", Derived},
		{"journal, block 7", "block 7", Unused}, {"directory /etc, record of , TF, byte 5", "byte 5", Time}, {"FAT 1, entry 7", "entry 7", Structure},
		{"superblock, inode_table_start", "inode_table_start", Derived}, {"packed bytes 0 to 9 of file /x, byte 3", "byte 3", Derived}, {"superblock, mkfs_time", "mkfs_time", Time},
	} {
		if got := classOf(c.place, c.field); got != c.want {
			t.Errorf("%s is %s, not %s", c.place, got, c.want)
		}
	}
}

func TestOnlyIDs(t *testing.T) {
	const a, b = "8b0beb69-e91a-52b8-a4f7-8daa507158df", "73d97847-f640-5312-89df-f3d5a0238cc7"
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"root=PARTUUID=" + a, "root=PARTUUID=" + b, true}, {"root=PARTUUID=" + a, "quiet root=PARTUUID=" + b, false}, {"root=PARTUUID=8b0beb69-01", "root=PARTUUID=73d97847-01", true},
		{"search 1234-ABCD", "search 4321-ABCD", true}, {"VERSION=20260101", "VERSION=20260102", false}, {"a", "b", false},
	} {
		if got := onlyIDs(c.a, c.b); got != c.want {
			t.Errorf("%q and %q: %v", c.a, c.b, got)
		}
	}
}

// Values that differ only after what is shown of them are not taken for equal.
func TestCutValue(t *testing.T) {
	a, b := cutValue(strings.Repeat("x", 100)+"a"), cutValue(strings.Repeat("x", 100)+"b")
	if a == b || len(a) > 2*mostValue {
		t.Errorf("%q and %q", a, b)
	}
	if got := cutValue("short"); got != "short" {
		t.Errorf("%q", got)
	}
}
