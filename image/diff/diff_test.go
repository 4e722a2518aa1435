package diff_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"imprint/image/diff"
	"imprint/image/disk"
	"imprint/image/imagetest"
	"imprint/image/write"
)

// An image has the bytes of a disk, and the offsets of the structures of its formats, by their specifications.
type image struct {
	bytes []byte
	disk  *disk.Disk
}

func open(t testing.TB, b []byte) *disk.Disk {
	t.Helper()
	d, err := disk.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// build makes an image of a description over the small system of package imagetest, to which more may be added.
func build(t testing.TB, text string, more func(w imagetest.World)) image {
	t.Helper()
	w, system := imagetest.Boot(t)
	if more != nil {
		more(w)
	}
	p, err := w.Plan(strings.ReplaceAll(text, "%s", system))
	if err != nil {
		t.Fatal(err)
	}
	b, _, _ := imagetest.Build(t, p, write.Options{})
	return image{b, open(t, b)}
}

// region returns the offset of a region, by name.
func (i image) region(name string) int64 {
	for _, r := range i.disk.Regions {
		if r.Name == name {
			return r.Offset
		}
	}
	panic("no region " + name)
}

// find returns the offset of a text, from an offset on.
func (i image) find(from int64, text string) int64 {
	at := bytes.Index(i.bytes[from:], []byte(text))
	if at < 0 {
		panic(fmt.Sprintf("no %q", text))
	}
	return from + int64(at)
}

func (i image) le32(off int64) int64 { return int64(binary.LittleEndian.Uint32(i.bytes[off:])) }

// A spoiling changes the byte at an offset from a base, and names what must be said of it: a class and a pattern.
type spoiling struct {
	off  int64
	want string
}

const raw = `
[[partition]]
name = "esp"
type = "esp"
filesystem = "fat"
size = "8MiB"
  [[partition.file]]
  path = "/EFI/TEST/TEST.EFI"
  text = "a program"
[[partition]]
name = "blob"
type = "linux-generic"
filesystem = "none"
content = "blob.bin"
[[partition]]
name = "root"
type = "root"
filesystem = "ext4"
closures = ["system"]
  [[partition.file]]
  path = "/etc/machine"
  text = "a machine's own name"
  [[partition.tree]]
  source = "rootfs"
[[closure]]
name = "system"
roots = ["%s"]
profile = "system"
`

const iso = `
format = "iso"
epoch = 86400
[[closure]]
name = "system"
roots = ["%s"]
[[partition]]
name = "tree"
filesystem = "iso9660"
label = "TEST_1"
  [[partition.file]]
  path = "/etc/machine"
  text = "a machine's own name"
[[partition]]
name = "root"
filesystem = "erofs"
inside = "tree"
path = "/images/root"
closures = ["system"]
[[partition]]
name = "esp"
type = "esp"
filesystem = "fat"
  [[partition.file]]
  path = "/blob"
  source = "blob.bin"
`

func gptSpoilings(i image) []spoiling {
	return []spoiling{
		{0, "structure protective MBR, boot code"}, {440, "id protective MBR, UniqueMBRDiskSignature"}, {450, "structure protective MBR, record 1, OSType"},
		{510, "structure protective MBR, Signature"},
		{512, "structure primary header, Signature"}, {520, "structure primary header, Revision"}, {528, "derived primary header, HeaderCRC32"},
		{532, "unused primary header, Reserved"}, {536, "structure primary header, MyLBA"}, {544, "structure primary header, AlternateLBA"},
		{552, "structure primary header, FirstUsableLBA"}, {560, "structure primary header, LastUsableLBA"}, {568, "id primary header, DiskGUID"},
		{584, "structure primary header, PartitionEntryLBA"}, {592, "structure primary header, NumberOfPartitionEntries"},
		{596, "structure primary header, SizeOfPartitionEntry"}, {600, "derived primary header, PartitionEntryArrayCRC32"},
		{1024, "structure primary entry 1, PartitionTypeGUID"}, {1040, "id primary entry 1, UniquePartitionGUID"}, {1056, "structure primary entry 1, StartingLBA"},
		{1064, "structure primary entry 1, EndingLBA"}, {1072, "structure primary entry 1, Attributes"}, {1080, "structure primary entry 1, PartitionName"},
		{1024 + 2*128 + 56, "structure primary entry 3, PartitionName"}, {20 << 10, "unused unused, in no partition"},
		{int64(len(i.bytes)) - 512 + 56, "derived backup header, DiskGUID"}, {int64(len(i.bytes)) - 512 - 128*128 + 16, "derived backup entry 1, UniquePartitionGUID"},
		{i.region("blob") + 1000, `file "blob": partition, content \(1 byte from byte 1000 on\)`},
	}
}

func ext4Spoilings(i image) (list []spoiling) {
	super := i.region("root") + 1024
	for off, want := range map[int64]string{
		0x00: "structure s_inodes_count", 0x04: "structure s_blocks_count_lo", 0x08: "structure s_r_blocks_count_lo", 0x0c: "derived s_free_blocks_count_lo",
		0x10: "derived s_free_inodes_count", 0x2c: "time s_mtime", 0x30: "time s_wtime", 0x34: "structure s_mnt_count", 0x36: "structure s_max_mnt_count",
		0x3a: "structure s_state", 0x3c: "structure s_errors", 0x40: "time s_lastcheck", 0x48: "structure s_creator_os", 0x50: "structure s_def_resuid",
		0x68: "id s_uuid", 0x78: "structure s_volume_name", 0x88: "structure s_last_mounted", 0xec: "id s_hash_seed", 0xfc: "structure s_def_hash_version",
		0x100: "structure s_default_mount_opts", 0x108: "time s_mkfs_time", 0x160: "structure s_flags", 0x174: "structure s_log_groups_per_flex",
		0x178: "derived s_kbytes_written", 0x3fc: "derived s_checksum",
	} {
		class, field, _ := strings.Cut(want, " ")
		list = append(list, spoiling{super + off, class + ` "root": superblock, ` + field + `\b`})
	}
	group := i.region("root") + 4096
	for off, want := range map[int64]string{
		0: "structure bg_block_bitmap_lo", 4: "structure bg_inode_bitmap_lo", 8: "structure bg_inode_table_lo", 0xc: "derived bg_free_blocks_count_lo",
		0xe: "derived bg_free_inodes_count_lo", 0x10: "derived bg_used_dirs_count_lo", 0x12: "structure bg_flags", 0x1e: "derived bg_checksum",
	} {
		class, field, _ := strings.Cut(want, " ")
		list = append(list, spoiling{group + off, class + ` "root": group descriptor 0, ` + field + `\b`})
	}
	inode := i.region("root") + i.le32(group+8)*4096 + 256 // of the root directory
	for off, want := range map[int64]string{
		0: `file "root": /, mode: 0755 -> 0754`, 2: `file "root": /, owner: 0:0 -> 1:0`, 8: `time inode 2 \(/\), i_atime`, 0xc: `time inode 2 \(/\), i_ctime`,
		0x10: `time "root": /, mtime: `, 0x18: `file "root": /, owner: 0:0 -> 0:1`, 0x1a: `structure inode 2 \(/\), i_links_count`,
		0x1c: `structure inode 2 \(/\), i_blocks_lo`, 0x20: `structure inode 2 \(/\), i_flags`, 0x64: `structure inode 2 \(/\), i_generation`,
		0x90: `time inode 2 \(/\), i_crtime`,
	} {
		list = append(list, spoiling{inode + off, want})
	}
	at := i.region("root")
	return append(list,
		spoiling{at + i.le32(group)*4096, `derived "root": block bitmap of group 0`}, spoiling{at + i.le32(group+4)*4096, `derived "root": inode bitmap of group 0`},
		spoiling{i.find(at, "\x05\x01hosts") + 2, `file "root": /etc/hosts, file`}, spoiling{i.find(at, "\x05\x01hosts") + 1, `structure "root": directory inode \d+ \(/etc\), "hosts", file_type`},
		spoiling{i.find(at, "127.0.0.1 localhost") + 3, `file "root": /etc/hosts, content \(1 byte from byte 3 on\): 127.0.0.1 localhost -> 127/0.0.1 localhost`},
		spoiling{i.find(at, "a machine's own name") + 20, `unused "root": file tail after /etc/machine`},
		spoiling{i.find(at, "the initrd"), `store "root": /nix/store/\w+-system/initrd, content \(1 byte from byte 0 on\)`},
		spoiling{i.find(at, "nowhere"), `store "root": /nix/store/\w+-system/broken, target: nowhere -> oowhere`},
		spoiling{i.find(at, "liblib") + 5000, `store "root": /nix/store/\w+-lib/lib.so, content \(1 byte from byte 5000 on\)`},
	)
}

func fatSpoilings(i image) (list []spoiling) {
	boot := i.region("esp")
	for off, want := range map[int64]string{
		0: "structure JmpBoot", 3: "structure OEMName", 13: "structure SecPerClus", 14: "structure RsvdSecCnt", 17: "structure RootEntCnt", 21: "structure Media",
		24: "structure SecPerTrk", 26: "structure NumHeads", 28: "structure HiddSec", 36: "structure DrvNum", 39: "id VolID", 43: "structure VolLab",
		54: "structure FilSysType", 510: "structure signature",
	} {
		class, field, _ := strings.Cut(want, " ")
		list = append(list, spoiling{boot + off, class + ` "esp": boot sector, .*` + field})
	}
	reserved, size := boot+int64(binary.LittleEndian.Uint16(i.bytes[boot+14:]))*512, int64(binary.LittleEndian.Uint16(i.bytes[boot+22:]))*512
	entry := i.find(boot, "TEST    EFI")
	for off, want := range map[int64]string{
		11: "structure .*TEST.EFI, Attr", 14: "time directory entry of /EFI/TEST/TEST.EFI, CrtTime", 22: "time .*mtime|WrtTime", 24: "time .*mtime|WrtDate",
	} {
		list = append(list, spoiling{entry + off, want})
	}
	return append(list,
		spoiling{reserved + 6, `structure "esp": FAT 1, entr`}, spoiling{reserved + size + 6, `structure "esp": FAT 2, entr`},
		spoiling{entry + 28, `file "esp": /EFI/TEST/TEST.EFI, content: a program -> a progra$`},
		spoiling{i.find(boot, "a program"), `file "esp": /EFI/TEST/TEST.EFI, content \(1 byte from byte 0 on\): a program -> .* program`},
		spoiling{i.find(boot, "a program") + 100, `unused "esp": file tail after /EFI/TEST/TEST.EFI`})
}

func isoSpoilings(i image) (list []spoiling) {
	const pvd = 32768
	for off, want := range map[int64]string{
		8: "structure system identifier", 40: "structure volume identifier", 80: "structure volume space size", 120: "structure volume set size",
		124: "structure volume sequence number", 128: "structure logical block size", 132: "structure path table size", 140: "structure location of path table L",
		148: "structure location of path table M", 190: "structure volume set identifier", 318: "structure publisher identifier",
		446: "structure data preparer identifier", 574: "structure application identifier", 813: "time creation date", 830: "time modification date",
		847: "time expiration date", 864: "time effective date", 881: "structure file structure version", 883: "structure application use",
	} {
		class, field, _ := strings.Cut(want, " ")
		list = append(list, spoiling{pvd + off, class + ` "tree|iso": .*volume descriptor, ` + field})
	}
	record := i.find(pvd, "MACHINE") - 33
	list = append(list,
		spoiling{record + 18, `time date|mtime`}, spoiling{i.find(record, "TF") + 5, `time mtime|TF`}, spoiling{i.find(record, "PX") + 4, `structure /etc/machine, mode|PX`},
		spoiling{i.find(pvd, "a machine's own name"), `file .*: /etc/machine, content \(1 byte from byte 0 on\)`},
	)
	super := i.find(pvd, "\xe2\xe1\xf5\xe0")
	for off, want := range map[int64]string{
		4: "derived superblock, checksum", 24: "time superblock, build_time", 48: "id superblock, uuid", 64: "structure superblock, volume_name",
		36: "structure superblock, blocks", 14: "structure superblock, root_nid",
	} {
		class, field, _ := strings.Cut(want, " ")
		list = append(list, spoiling{super + off, class + ` .*:/images/root: ` + field})
	}
	return append(list, spoiling{i.find(super, strings.Repeat("lib", 2500)) + 5000, `store .*:/images/root: /nix/store/\w+-lib/lib.so, content \(1 byte from byte 5000 on\)`})
}

func mbrSpoilings(i image) []spoiling {
	return []spoiling{
		{100, "structure MBR, BootCode"}, {440, "id MBR, UniqueMBRDiskSignature"}, {446, "structure MBR, record 1, BootIndicator"},
		{447, "structure MBR, record 1, StartingCHS"}, {466, "structure MBR, record 2, OSType"}, {454, "structure MBR, record 1, StartingLBA"},
		{458, "structure MBR, record 1, SizeInLBA"}, {510, "structure MBR, Signature"},
	}
}

// listed is a change as the patterns have it.
func listed(c diff.Change) string { return string(c.Class) + " " + c.String() }

// named reports whether a change is what a spoiling wants.
func named(changes []diff.Change, want string) bool {
	class, pattern, ok := strings.Cut(want, " ")
	form := regexp.MustCompile(pattern)
	if !ok {
		panic(want)
	}
	for _, c := range changes {
		if string(c.Class) == class && form.MatchString(c.String()) {
			return true
		}
	}
	return false
}

// Every byte that is changed is named: the field of a structure, or the file and its store item.
func TestCauseOfByte(t *testing.T) {
	gpt := build(t, raw, nil)
	mbr := build(t, "table = \"mbr\"\n"+strings.NewReplacer(`type = "esp"`, `type = "0x0e"`, `type = "linux-generic"`, `type = "0x83"`).Replace(raw), nil)
	cd := build(t, iso, nil)
	total := 0
	for name, s := range map[string]struct {
		image
		list []spoiling
	}{
		"GPT": {gpt, gptSpoilings(gpt)}, "ext4": {gpt, ext4Spoilings(gpt)}, "FAT": {gpt, fatSpoilings(gpt)}, "MBR": {mbr, mbrSpoilings(mbr)}, "ISO": {cd, isoSpoilings(cd)},
	} {
		total += len(s.list)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, one := range s.list {
				s.check(t, one)
			}
		})
	}
	if total < 100 {
		t.Errorf("%d changes", total)
	}
}

// Another order of a directory is named as such, and the files in it are the same.
func TestOrderOfDirectory(t *testing.T) {
	i := build(t, strings.Replace(raw, `path = "/EFI/TEST/TEST.EFI"`, `path = "/EFI/TEST/AAAA.EFI"
  text = "another program"
  [[partition.file]]
  path = "/EFI/TEST/TEST.EFI"`, 1), nil)
	const slot = 32 // bytes of a directory entry
	one, two := i.find(0, "AAAA    EFI"), i.find(0, "TEST    EFI")
	b := bytes.Clone(i.bytes)
	copy(b[one:one+slot], i.bytes[two:two+slot])
	copy(b[two:two+slot], i.bytes[one:one+slot])
	changes, err := diff.Compare(t.Context(), i.disk, open(t, b), diff.Options{})
	if err != nil || len(changes) != 1 || !named(changes, `structure "esp": directory /EFI/TEST, order or names of entries .*: AAAA.EFI -> TEST.EFI`) {
		t.Errorf("%v\n%s", err, diff.Text(changes, true))
	}
}

// check changes a byte of a copy and looks for the cause.
func (i image) check(t *testing.T, s spoiling) {
	t.Helper()
	b := bytes.Clone(i.bytes)
	b[s.off] ^= 1
	other, err := disk.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Errorf("byte %d (%s): %v", s.off, s.want, err)
		return
	}
	changes, err := diff.Compare(t.Context(), i.disk, other, diff.Options{})
	if err != nil {
		t.Errorf("byte %d (%s): %v", s.off, s.want, err)
		return
	}
	if named(changes, s.want) {
		return
	}
	t.Errorf("byte %d: no %q in", s.off, s.want)
	for _, c := range changes[:min(len(changes), 6)] {
		t.Error("   ", listed(c))
	}
}
