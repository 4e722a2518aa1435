package language

import (
	"imprint/closure"
	"imprint/internal/keyed"
	"imprint/partition"
)

// partitions describes the keys of partitions.
var partitions = map[string]keyed.Rule{
	"partition":      {Doc: "A partition. Partitions lie on the disk in the order of the description.", Required: true, Most: maxTables},
	"partition.name": {Doc: "Name by which the description refers to the partition, and its GPT name (PARTLABEL) unless there is a partlabel.", Required: true},
	"partition.type": {
		Doc: "Partition type: a name of the Discoverable Partitions Specification or a GUID; in an MBR a name or a number such as 0x0c. Required unless the partition is inside another one or is the tree of an ISO.",
	},
	"partition.mbr-type": {
		Doc:     "With table = \"" + partition.HybridMBR + "\": the partition is in the MBR too, with this type, a number such as 0x0c.",
		Pattern: MBRTypeForm,
	},
	"partition.number": {
		Doc: "Number in the partition table, from 1 on. Default: the lowest that is left, in the order of the description.", Most: MaxPartitions,
	},
	"partition.partlabel": {
		Doc: "GPT name (PARTLABEL), if it is not the partition's name in the description: several may be called _empty.",
	},
	"partition.filesystem": {
		Doc:      "File system; with none the partition holds the bytes of content. Swap space needs a size.",
		Required: true,
		Words:    partition.Names(),
		Later:    partition.Later(),
	},
	"partition.engine": {
		Doc:   "Program that makes the file system.",
		Words: partition.Engines(),
		Later: partition.LaterEngines(),
	},
	"partition.compression": {
		Doc:   "With filesystem = " + Alternatives(FilesystemsThat(Compress)) + ": compressor.",
		Words: partition.Compressors(),
	},
	"partition.compression-level": {
		Doc:  "Level of the compressor: up to 22 for zstd, 9 for gzip and lzo; the others have none. Default: the compressor's.",
		Most: partition.MaxLevel(),
	},
	"partition.block-size": {
		Doc: "With filesystem = " + Alternatives(FilesystemsThat(Compress)) + ": size of the blocks that are compressed, a power of two from 4KiB to 1MiB. Larger ones compress better.",
	},
	"partition.fat": {
		Doc: "With filesystem = " + Alternatives(FilesystemsThat(HaveWidths)) + ": bits of an entry of the table. " +
			"Default: 32 for a partition whose type in an MBR is 0x0b or 0x0c, if it has 33 MiB or more; otherwise by size, as mkfs.fat does.",
		Numbers: []int64{12, 16, 32},
	},
	"partition.features": {
		Doc: "Features of ext4 in the syntax of mke2fs -O, for boot loaders that lack some: [\"^metadata_csum\", \"^64bit\"].",
	},
	"partition.size":     {Doc: "Size of the partition; \"auto\" fits the content."},
	"partition.min-size": {Doc: "Minimum size if size is \"auto\"."},
	"partition.free": {
		Doc: "Free space if size is \"auto\": a size, or a percentage of the content's bytes such as \"20%\". " +
			"By default an ESP or XBOOTLDR partition has room for a second generation of its boot files, and at least 16 MiB; in an ISO 1 MiB.",
	},
	"partition.grow": {
		Doc: "The partition takes the rest of the disk, of which size or size-multiple has to say how large it is; of several the last one does.",
	},
	"partition.grow-at-boot": {
		Doc: "The running system enlarges the last partition to the end of the disk, and its file system: the flag growfs, and a definition in " +
			"/etc/repart.d of the partition mounted as root, by which systemd-repart does that.",
	},
	"partition.offset": {Doc: "Offset of the partition on the disk. Default: after the previous one."},
	"partition.align":  {Doc: "Alignment: the offset is rounded up to a multiple."},
	"partition.label":  {Doc: "Label of the file system."},
	"partition.uuid": {
		Doc:     "UUID of the file system; for FAT the volume ID, such as \"1234-ABCD\".",
		Pattern: partition.UUIDForm + "|" + partition.SerialForm,
	},
	"partition.partuuid": {Doc: "UUID of the partition (PARTUUID).", Pattern: partition.UUIDForm},
	"partition.flags":    {Doc: "Attributes of the GPT entry."},
	"partition.content":  {Doc: "File on the host whose bytes the partition holds, with filesystem = " + Alternatives(FilesystemsThat(AreRaw)) + "."},
	"partition.verity": {
		Doc: "Name of another partition, with filesystem = " + Alternatives(FilesystemsThat(AreRaw)) + " and no content, that gets a dm-verity hash tree over " +
			"this one, for types such as root-verity. ${partition.NAME.roothash} is its root hash, from which both partuuids derive.",
	},
	"partition.inside": {
		Doc: "Name of another partition in which this one is a file, with filesystem = " + Alternatives(FilesystemsThat(GoInside)) +
			"; it then has no entry in the partition table.",
	},
	"partition.path": {Doc: "Path of that file, such as \"/nix-store.squashfs\".", Pattern: absoluteForm},
	"partition.volatile": {
		Doc: "For the partition mounted as root: the running system writes to memory only. Default for format = \"iso\": true.",
	},
	"partition.mount": {
		Doc: "Where the running system mounts the partition, for fstab. By default the partition with fstab is \"/\", and those of types such as esp, " +
			"xbootldr, home, srv and var are where their type says: /efi, /boot, /home, /srv, /var. " +
			"A partition with closures and mount = \"" + closure.Nix.Top() + "\" holds the store alone: its paths do not begin with that.",
		Pattern: absoluteForm,
	},
	"partition.fstab": {
		Doc: "Write /etc/fstab with all partitions that have a place to be mounted at, and with swap, by PARTUUID. A file there that has only comments is replaced.",
	},
	"partition.closures": {Doc: "Closures to install: their items, registration and GC roots."},
}
