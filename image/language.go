package image

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// A keyword is what the language says about a key, besides its type.
type keyword struct {
	doc      string
	required bool
	words    []string          // the only values it takes
	later    []string          // values that other tools take here, and we do not yet
	aliases  map[string]string // values that other tools take, and what we call them
	numbers  []int64           // the only integers it takes
	most     int64             // the largest integer; the least is 0
	pattern  string            // of its text, for editors; validation says more
}

// Words that more than one stage knows.
const (
	loaderNone        = "none"
	loaderSystemdBoot = "systemd-boot"
	loaderGRUB        = "grub"
	loaderUKI         = "uki"
	loaderExtlinux    = "extlinux"
	loaderSyslinux    = "syslinux"
	tableGPT          = "gpt"
	tableMBR          = "mbr"
	filesystemFAT     = "fat"
	filesystemExt4    = "ext4"
	filesystemNone    = "none"
	filesystemISO     = "iso9660"
	filesystemSquash  = "squashfs"
	filesystemEROFS   = "erofs"
	formatRaw         = "raw"
	formatISO         = "iso"
	engineNative      = "native"
	engineMke2fs      = "mke2fs"
)

// Forms of text.
const (
	uuidForm        = "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"
	fatSerialForm   = "^[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}$"
	mbrTypeForm     = "^0x[0-9A-Fa-f]{2}$"
	imageNameForm   = "^[A-Za-z0-9][A-Za-z0-9._+-]*$"
	closureNameForm = "^[A-Za-z0-9_-]+$"
	absoluteForm    = "^/"
)

// Bounds of integers.
const (
	maxEpoch   = 1<<32 - 1 // seconds since 1970: the last one that the superblock of ext4 can tell, in 2106
	maxTimeout = 1<<16 - 1 // seconds
	maxOwner   = 1<<32 - 2 // of a user or group; the last number means "none" to chown(2)
)

// language is every key by its path without indices: its meaning, and which words it takes.
var language = map[string]keyword{
	"name": {
		doc:      "Name of the image: OUT is NAME.raw, and ids and labels derive from it.",
		required: true,
		pattern:  imageNameForm,
	},
	"arch": {
		doc:     "Architecture of the image, never the host's. Needed where a partition type or the loader depends on it.",
		words:   []string{"x86_64", "aarch64", "riscv64"},
		aliases: map[string]string{"amd64": "x86_64", "x64": "x86_64", "arm64": "aarch64"},
	},
	"format": {
		doc:   "Format of the disk; raw when left out.",
		words: []string{formatRaw, formatISO},
		later: []string{"qcow2", "vdi", "vhd", "vhdx", "vmdk", "tar", "oci"},
	},
	"seed":   {doc: "Text that all identifiers derive from, in place of the image's content."},
	"unique": {doc: "Make new identifiers in every build."},
	"epoch": {
		doc:  "Time of everything in the image, in seconds since 1970; else SOURCE_DATE_EPOCH, else 1. Store items always have 1.",
		most: maxEpoch,
	},
	"sector-size": {doc: "Bytes of a logical sector; 512 when left out.", numbers: []int64{512, 4096}},
	"uuid":        {doc: "GUID of the disk.", pattern: uuidForm},
	"table":       {doc: "Partition table; gpt when left out.", words: []string{tableGPT, tableMBR}},

	"store":           {doc: "The store in the image."},
	"store.flavor":    {doc: "Kind of store; nix when left out.", words: []string{"nix"}, later: []string{"guix"}},
	"store.hard-link": {doc: "Keep equal files once, under .links, as nix-store --optimise does."},

	"source":      {doc: "Where store items come from; several are asked in order. One with path = \"/\" when left out."},
	"source.path": {doc: "Directory under which nix/store and nix/var/nix lie; / when left out."},
	"source.registration": {
		doc: "File in the form of nix-store --dump-db or of nixpkgs' closureInfo, in place of the source's database.",
	},

	"closure":         {doc: "Roots, with all that they refer to."},
	"closure.name":    {doc: "What partitions and substitutions call the closure.", required: true, pattern: closureNameForm},
	"closure.roots":   {doc: "Store paths, or links on the host that lead into the store.", required: true},
	"closure.profile": {doc: "Profile in the image whose first generation is the closure's only root."},
	"closure.gc-roots": {
		doc:     "Further GC roots in the image: links below /nix/var/nix/gcroots, to the only root or one for each of them.",
		pattern: "^/nix/var/nix/gcroots/",
	},

	"boot": {doc: "How the image boots."},
	"boot.loader": {
		doc:   "Bootloader; none when left out.",
		words: []string{loaderSystemdBoot, loaderGRUB, loaderUKI, loaderExtlinux, loaderSyslinux, loaderNone},
		later: []string{"efistub", "limine", "u-boot"},
	},
	"boot.timeout":    {doc: "Seconds that the menu waits: 3 when left out, and with 0 there is none.", most: maxTimeout},
	"boot.efi-binary": {doc: "EFI binary of the loader; else it is looked for in the closures, then on the host."},
	"boot.default":    {doc: "Title of the entry that boots by itself; that of the first one when left out."},
	"boot.console": {
		doc: "Consoles for every entry, as console= of the kernel takes them, such as ttyS0,115200; GRUB and SYSLINUX show the menu on the first of ttyS0 to 3.",
	},
	"boot.copy-kernel": {
		doc: "Copy kernels, initrds and device trees to the ESP or XBOOTLDR partition, where there is one; false reads them in the store.",
	},
	"boot.sign-key":         {doc: "RSA key, as PEM without a pass phrase, that signs unified kernel images for Secure Boot."},
	"boot.sign-certificate": {doc: "The key's certificate, as PEM; others of its chain may be behind it."},
	"boot.entry":            {doc: "An entry of the boot menu."},
	"boot.entry.title":      {doc: "What the menu shows.", required: true},
	"boot.entry.kernel":     {doc: "Linux kernel with an EFI stub.", required: true},
	"boot.entry.initrd":     {doc: "Initial RAM disks, in the order they are loaded."},
	"boot.entry.cmdline":    {doc: "Kernel command line."},
	"boot.entry.devicetree": {
		doc: "With loader = \"extlinux\": device tree of the board, or a directory such as a kernel's dtbs, in which U-Boot finds its own.",
	},

	"raw":        {doc: "Bytes at a place of the disk, outside of all partitions, such as a board's firmware."},
	"raw.offset": {doc: "Where they are on the disk.", required: true},
	"raw.source": {doc: "File of the host that has them.", required: true},

	"partition":      {doc: "A partition; they lie on the disk in this order.", required: true},
	"partition.name": {doc: "GPT name (PARTLABEL), and how others refer to the partition.", required: true},
	"partition.type": {
		doc: "A name of the Discoverable Partitions Specification, or a GUID; in an MBR a name, or a number such as 0x0c. Needed for every entry of a table.",
	},
	"partition.filesystem": {
		doc:      "What is in it; none takes the bytes of content.",
		required: true,
		words:    []string{filesystemFAT, filesystemExt4, filesystemNone, filesystemISO, filesystemSquash, filesystemEROFS},
		later:    []string{"btrfs", "f2fs", "swap", "xfs"},
	},
	"partition.engine": {
		doc:   "What makes the file system.",
		words: []string{engineNative, engineMke2fs},
		later: []string{"mtools"},
	},
	"partition.features": {
		doc: "Features of ext4 as after mke2fs -O, for boot loaders that do not know all of them: [\"^metadata_csum\", \"^64bit\"].",
	},
	"partition.size":     {doc: "Size of the partition; \"auto\" is what its content needs, and what it is when left out."},
	"partition.min-size": {doc: "Least size of a partition whose size is \"auto\"."},
	"partition.free": {
		doc: "Room for the running system in a partition whose size is \"auto\": a size, or a share of the content's bytes such as \"20%\".",
	},
	"partition.offset": {doc: "Where the partition starts on the disk; else behind the one before."},
	"partition.align":  {doc: "Grain that the start is rounded up to; 1 MiB when left out."},
	"partition.label":  {doc: "Label of the file system."},
	"partition.uuid": {
		doc:     "UUID of the file system; of FAT its volume ID, as \"1234-ABCD\".",
		pattern: uuidForm + "|" + fatSerialForm,
	},
	"partition.partuuid": {doc: "UUID of the partition (PARTUUID).", pattern: uuidForm},
	"partition.flags":    {doc: "Attributes of the GPT entry."},
	"partition.content":  {doc: "File whose bytes the partition holds, with filesystem = \"none\"."},
	"partition.inside":   {doc: "Name of the partition, with filesystem = \"iso9660\", that holds this squashfs or erofs as a file."},
	"partition.path":     {doc: "Where that file is, as in \"/nix-store.squashfs\".", pattern: absoluteForm},
	"partition.volatile": {
		doc: "Of the partition mounted as root: what the running system writes stays in memory. True for format = \"iso\" when left out.",
	},
	"partition.closures": {doc: "Closures whose items, registration and GC roots the partition holds."},

	"partition.dir":      {doc: "A directory in the partition; parents are made too."},
	"partition.dir.path": {doc: "Where it is in the partition.", required: true, pattern: absoluteForm},
	"partition.dir.mode": {doc: "Permissions in octal; 0755 when left out."},
	"partition.dir.uid":  {doc: "Owner; 0 when left out.", most: maxOwner},
	"partition.dir.gid":  {doc: "Group; 0 when left out.", most: maxOwner},

	"partition.file":        {doc: "A file in the partition, of a text or of a file of the host."},
	"partition.file.path":   {doc: "Where it is in the partition.", required: true, pattern: absoluteForm},
	"partition.file.text":   {doc: "Its content."},
	"partition.file.source": {doc: "File of the host that it copies."},
	"partition.file.mode":   {doc: "Permissions in octal; 0644 when left out."},
	"partition.file.uid":    {doc: "Owner; 0 when left out.", most: maxOwner},
	"partition.file.gid":    {doc: "Group; 0 when left out.", most: maxOwner},

	"partition.link":        {doc: "A symbolic link in the partition."},
	"partition.link.path":   {doc: "Where it is in the partition.", required: true, pattern: absoluteForm},
	"partition.link.target": {doc: "Where it leads.", required: true},
	"partition.link.uid":    {doc: "Owner; 0 when left out.", most: maxOwner},
	"partition.link.gid":    {doc: "Group; 0 when left out.", most: maxOwner},

	"partition.tree": {
		doc: "A directory of the host, or an uncompressed tar archive, whose content the partition takes over.",
	},
	"partition.tree.source": {doc: "Directory or archive of the host.", required: true},
	"partition.tree.target": {doc: "Directory in the partition that receives it; / when left out.", pattern: absoluteForm},
}

// withoutIndices makes the path of a key in the language of the path of a key in a description.
func withoutIndices(key string) string {
	for {
		open := strings.IndexByte(key, '[')
		if open < 0 {
			return key
		}
		end := open + strings.IndexByte(key[open:], ']')
		if end < open {
			return key
		}
		key = key[:open] + key[end+1:]
	}
}

// keysOf are the keys of a table by name, with the numbers of their fields.
func keysOf(table reflect.Type) map[string]int {
	keys := map[string]int{}
	for i := range table.NumField() {
		if name, ok := table.Field(i).Tag.Lookup("toml"); ok {
			keys[name] = i
		}
	}
	return keys
}

// tablesWith are the tables of the language that know a key, for the hint on one that stands in the wrong table.
func tablesWith(name string) []string {
	var tables []string
	for _, key := range slices.Sorted(maps.Keys(language)) {
		if table, found := strings.CutSuffix(key, "."+name); found {
			tables = append(tables, "["+table+"]")
		}
	}
	return tables
}
