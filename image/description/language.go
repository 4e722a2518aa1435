package description

import (
	"strconv"
	"strings"

	"imprint/bootloader"
	"imprint/partition"
)

// A keyword is what the language says about a key, apart from its type. Parsing, the JSON Schema and the manual all derive
// from it.
type keyword struct {
	doc      string
	required bool
	words    []string          // the only values it takes
	later    []string          // values that other tools have, not supported yet
	aliases  map[string]string // what other tools call these words
	numbers  []int64           // the only integers it takes
	most     int64             // the largest integer (the least is 0), or number of elements
	pattern  string            // of its text, for editors; Parse is stricter
	def      any               // default; nil if there is none, or it depends on other keys
	examples []any
}

// Words that several stages use. This package spells no word for a file system, an engine, a partition table or a boot loader:
// they come from the rows of [partition] and [bootloader].
const (
	FormatRaw = "raw"
	FormatISO = "iso"
	flavorNix = "nix"
)

// Forms of text.
const (
	mbrTypeForm     = "^0x[0-9A-Fa-f]{2}$"
	imageNameForm   = "^[A-Za-z0-9][A-Za-z0-9._+-]*$"
	closureNameForm = "^[A-Za-z0-9_-]+$"
	absoluteForm    = "^/"
	accountForm     = "^[A-Za-z_][A-Za-z0-9_.-]*[$]?$" // useradd(8), with capitals
)

// Bounds of integers.
const (
	maxEpoch   = 1<<32 - 1 // seconds since 1970: the last one in a superblock of ext4, in 2106
	maxTimeout = 1<<16 - 1 // seconds
	maxOwner   = 1<<32 - 2 // of a user or group; the next number means "none" to chown(2)
	maxTables  = 1024      // elements of [[partition]], the largest tables in memory
)

// language describes every key, by its path without indices.
var language = map[string]keyword{
	"name": {
		doc:      "Name of the image. The file is NAME.raw by default; identifiers and labels derive from it.",
		required: true,
		pattern:  imageNameForm,
	},
	"arch": {
		doc:     "Architecture of the image; the host's does not matter. Required if a partition type or the loader depends on it.",
		words:   []string{"x86_64", "aarch64", "riscv64"},
		aliases: map[string]string{"amd64": "x86_64", "x64": "x86_64", "arm64": "aarch64"},
	},
	"format": {
		doc:   "Format of the disk.",
		words: []string{FormatRaw, FormatISO},
		later: []string{"qcow2", "vdi", "vhd", "vhdx", "vmdk", "tar", "oci"},
	},
	"seed":   {doc: "Text from which all identifiers derive, instead of from the image's content."},
	"unique": {doc: "New identifiers in every build."},
	"epoch": {
		doc:  "Time of everything in the image except store items, which have 1: seconds since 1970. Default: SOURCE_DATE_EPOCH, or 1.",
		most: maxEpoch,
	},
	"sector-size": {doc: "Size of a logical sector in bytes.", numbers: []int64{512, 4096}},
	"uuid":        {doc: "GUID of the disk.", pattern: partition.UUIDForm},
	"table":       {doc: "Partition table.", words: []string{partition.GPT, partition.MBR}},

	"store":           {doc: "The store in the image."},
	"store.flavor":    {doc: "Kind of store.", words: []string{flavorNix}, later: []string{"guix"}},
	"store.hard-link": {doc: "Store equal files once, as hard links to .links, as nix-store --optimise does."},

	"source":      {doc: "Where store items come from. Several are searched in order; by default there is one with path = \"/\"."},
	"source.path": {doc: "Directory that holds nix/store and nix/var/nix."},
	"source.registration": {
		doc: "File in the format of nix-store --dump-db or of nixpkgs' closureInfo, instead of the source's database.",
	},

	"closure":         {doc: "Roots, and everything that they refer to."},
	"closure.name":    {doc: "Name by which partitions and substitutions refer to the closure.", required: true, pattern: closureNameForm},
	"closure.roots":   {doc: "Store paths, or symlinks on the host that lead to them.", required: true},
	"closure.profile": {doc: "Profile in the image whose first generation is the closure's only root."},
	"closure.gc-roots": {
		doc:     "Further GC roots in the image: links below " + gcRoots + ", to the only root, or one for each root in the same order.",
		pattern: "^" + gcRoots,
	},

	"boot": {doc: "How the image boots."},
	"boot.loader": {
		doc:   "Boot loader.",
		words: bootloader.Names(),
		later: bootloader.Later(),
	},
	"boot.timeout":    {doc: "Seconds that the menu waits; 0 boots at once, without a menu.", most: maxTimeout},
	"boot.efi-binary": {doc: "EFI binary of the loader. Default: found in the closures, or on the host."},
	"boot.default":    {doc: "Title of the default entry. Default: the first."},
	"boot.console": {
		doc: "Consoles for every entry, as in the kernel's console=, such as ttyS0,115200. " +
			"GRUB and SYSLINUX show the menu on the first of ttyS0 to ttyS3.",
	},
	"boot.copy-kernel": {
		doc: "Copy kernels, initrds and device trees to the ESP or XBOOTLDR partition, if there is one; with false the loader reads them in the store.",
	},
	"boot.sign-key":         {doc: "RSA key that signs unified kernel images for Secure Boot: PEM, without a passphrase."},
	"boot.sign-certificate": {doc: "Certificate of the key, in PEM; the rest of its chain may follow."},
	"boot.entry":            {doc: "An entry of the boot menu."},
	"boot.entry.title":      {doc: "Title in the menu.", required: true},
	"boot.entry.kernel": {
		doc: "Linux kernel: a file on the host, in a closure, or in a partition's own tree, where a pattern has to match exactly one file. " +
			"UEFI and systemd-boot need one with an EFI stub.",
		required: true,
	},
	"boot.entry.initrd":  {doc: "Initial RAM disks, in the order in which they are loaded; found as the kernel is."},
	"boot.entry.cmdline": {doc: "Kernel command line."},
	"boot.entry.devicetree": {
		doc: "With loader = " + alternatives(loadersThat(takeDeviceTree)) +
			": device tree of the board, or a directory such as a kernel's dtbs, from which U-Boot picks its board's.",
	},

	"raw":        {doc: "Bytes at an offset of the disk outside of all partitions, such as a board's firmware."},
	"raw.offset": {doc: "Offset on the disk.", required: true},
	"raw.source": {doc: "File on the host.", required: true},

	"partition":      {doc: "A partition. Partitions lie on the disk in the order of the description.", required: true, most: maxTables},
	"partition.name": {doc: "GPT name (PARTLABEL), by which the description refers to the partition.", required: true},
	"partition.type": {
		doc: "Partition type: a name of the Discoverable Partitions Specification or a GUID; in an MBR a name or a number such as 0x0c. Required unless the partition is inside another one or is the tree of an ISO.",
	},
	"partition.filesystem": {
		doc:      "File system; with none the partition holds the bytes of content.",
		required: true,
		words:    partition.Names(),
		later:    partition.Later(),
	},
	"partition.engine": {
		doc:   "Program that makes the file system.",
		words: partition.Engines(),
		later: partition.LaterEngines(),
	},
	"partition.features": {
		doc: "Features of ext4 in the syntax of mke2fs -O, for boot loaders that lack some: [\"^metadata_csum\", \"^64bit\"].",
	},
	"partition.size":     {doc: "Size of the partition; \"auto\" fits the content."},
	"partition.min-size": {doc: "Minimum size if size is \"auto\"."},
	"partition.free": {
		doc: "Free space if size is \"auto\": a size, or a percentage of the content's bytes such as \"20%\". " +
			"By default an ESP or XBOOTLDR partition has room for a second generation of its boot files, and at least 16 MiB; in an ISO 1 MiB.",
	},
	"partition.offset": {doc: "Offset of the partition on the disk. Default: after the previous one."},
	"partition.align":  {doc: "Alignment: the offset is rounded up to a multiple."},
	"partition.label":  {doc: "Label of the file system."},
	"partition.uuid": {
		doc:     "UUID of the file system; for FAT the volume ID, such as \"1234-ABCD\".",
		pattern: partition.UUIDForm + "|" + partition.SerialForm,
	},
	"partition.partuuid": {doc: "UUID of the partition (PARTUUID).", pattern: partition.UUIDForm},
	"partition.flags":    {doc: "Attributes of the GPT entry."},
	"partition.content":  {doc: "File on the host whose bytes the partition holds, with filesystem = " + alternatives(filesystemsThat(areRaw)) + "."},
	"partition.inside": {
		doc: "Name of another partition in which this one is a file, with filesystem = " + alternatives(filesystemsThat(goInside)) +
			"; it then has no entry in the partition table.",
	},
	"partition.path": {doc: "Path of that file, such as \"/nix-store.squashfs\".", pattern: absoluteForm},
	"partition.volatile": {
		doc: "For the partition mounted as root: the running system writes to memory only. Default for format = \"iso\": true.",
	},
	"partition.mount": {
		doc: "Where the running system mounts the partition, for fstab. By default the partition with fstab is \"/\", and those of types such as esp, " +
			"xbootldr, home, srv and var are where their type says: /efi, /boot, /home, /srv, /var.",
		pattern: absoluteForm,
	},
	"partition.fstab": {
		doc: "Write /etc/fstab with all partitions that have a place to be mounted at, and with swap, by PARTUUID. A file there that has only comments is replaced.",
	},
	"partition.closures": {doc: "Closures to install: their items, registration and GC roots."},

	"partition.dir":       {doc: "A directory in the partition. Missing parents are made, with the owner of the directory that they are in."},
	"partition.dir.path":  {doc: "Where it is in the partition.", required: true, pattern: absoluteForm},
	"partition.dir.mode":  {doc: "Permissions in octal."},
	"partition.dir.uid":   {doc: "Owner.", most: maxOwner},
	"partition.dir.gid":   {doc: "Group.", most: maxOwner},
	"partition.dir.user":  {doc: "Owner by name, from /etc/passwd in the partition's own tree.", pattern: accountForm},
	"partition.dir.group": {doc: "Group by name, from /etc/group in the partition's own tree.", pattern: accountForm},

	"partition.file":        {doc: "A file in the partition, from text or from a file on the host."},
	"partition.file.path":   {doc: "Where it is in the partition.", required: true, pattern: absoluteForm},
	"partition.file.text":   {doc: "Its content."},
	"partition.file.source": {doc: "File on the host to copy."},
	"partition.file.mode":   {doc: "Permissions in octal."},
	"partition.file.uid":    {doc: "Owner.", most: maxOwner},
	"partition.file.gid":    {doc: "Group.", most: maxOwner},
	"partition.file.user":   {doc: "Owner by name, from /etc/passwd in the partition's own tree.", pattern: accountForm},
	"partition.file.group":  {doc: "Group by name, from /etc/group in the partition's own tree.", pattern: accountForm},

	"partition.link":        {doc: "A symbolic link in the partition."},
	"partition.link.path":   {doc: "Where it is in the partition.", required: true, pattern: absoluteForm},
	"partition.link.target": {doc: "Target of the link.", required: true},
	"partition.link.uid":    {doc: "Owner.", most: maxOwner},
	"partition.link.gid":    {doc: "Group.", most: maxOwner},
	"partition.link.user":   {doc: "Owner by name, from /etc/passwd in the partition's own tree.", pattern: accountForm},
	"partition.link.group":  {doc: "Group by name, from /etc/group in the partition's own tree.", pattern: accountForm},

	"partition.file.override": {doc: "Replace what earlier trees, files and links have at the path; symlinks to directories on the way are followed."},
	"partition.link.override": {doc: "Replace what earlier trees, files and links have at the path; symlinks to directories on the way are followed."},

	"partition.tree": {
		doc: "A directory on the host, or a tar archive, to copy into the partition. The archive may be compressed with gzip, zstd, xz or bzip2.",
	},
	"partition.tree.source": {doc: "Directory or archive on the host.", required: true},
	"partition.tree.target": {doc: "Directory in the partition to copy it to.", pattern: absoluteForm},
	"partition.tree.exclude": {
		doc: "Patterns of paths in the source to omit, as in .gitignore: *.pyc, /proc/*, /var/cache/*, .git/, /home/**/tmp.",
	},
	"partition.tree.override": {
		doc: "Replace what earlier trees have at the same paths. Where this tree has a directory and an earlier one a symlink to a directory, " +
			"such as /lib, the symlink stays and its target gets the files. A directory with files is replaced only by a directory.",
	},

	"partition.attr": {doc: "Mode and owner of everything that a pattern matches: what trees, dir, file and link add. Later ones count."},
	"partition.attr.path": {
		doc:      "Pattern of paths from the top of the partition, as in exclude: /home/alice/** is everything below the directory. It has to match something.",
		required: true, pattern: absoluteForm,
	},
	"partition.attr.mode":  {doc: "Permissions in octal; symlinks keep theirs."},
	"partition.attr.uid":   {doc: "Owner.", most: maxOwner},
	"partition.attr.gid":   {doc: "Group.", most: maxOwner},
	"partition.attr.user":  {doc: "Owner by name, from /etc/passwd in the partition's own tree.", pattern: accountForm},
	"partition.attr.group": {doc: "Group by name, from /etc/group in the partition's own tree.", pattern: accountForm},
}

// filesystemsThat returns the names of the file systems with a property, for hints.
func filesystemsThat(have func(*partition.Filesystem) bool) (words []string) {
	for _, row := range partition.Filesystems {
		if have(row) {
			words = append(words, row.Name)
		}
	}
	return words
}

// Properties of file systems.
func areRaw(f *partition.Filesystem) bool        { return f.Raw }
func goInside(f *partition.Filesystem) bool      { return f.Inside }
func areOfFirmware(f *partition.Filesystem) bool { return f.Firmware }
func areWholeDisks(f *partition.Filesystem) bool { return f.WholeDisk }

// loadersThat returns the names of the boot loaders with a property, for hints.
func loadersThat(have func(*bootloader.Loader) bool) (words []string) {
	for _, name := range bootloader.Names() {
		if l, err := bootloader.Named(name); err == nil && have(l) {
			words = append(words, name)
		}
	}
	return words
}

// Properties of boot loaders.
func bootISO(l *bootloader.Loader) bool        { return l.ISO }
func readStore(l *bootloader.Loader) bool      { return l.ReadsStore }
func takeDeviceTree(l *bootloader.Loader) bool { return l.DeviceTree }
func sign(l *bootloader.Loader) bool           { return l.Signs }
func doBoot(l *bootloader.Loader) bool         { return !l.None() }

// alternatives returns words in quotation marks, with "or" before the last one.
func alternatives(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = strconv.Quote(word)
	}
	if n := len(quoted); n > 1 {
		quoted = append(quoted[:n-2], quoted[n-2]+" or "+quoted[n-1])
	}
	return strings.Join(quoted, ", ")
}
