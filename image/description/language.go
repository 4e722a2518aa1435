package description

import (
	"strconv"
	"strings"

	"imprint/bootloader"
	"imprint/partition"
)

// A keyword is what the language says about a key, besides its type.
type keyword struct {
	doc      string
	required bool
	words    []string          // the only values it takes
	later    []string          // values that other tools take here, and imprint does not yet
	aliases  map[string]string // values that other tools take, and the words for them here
	numbers  []int64           // the only integers it takes
	most     int64             // the largest integer, the least being 0; of an array the largest number of elements
	pattern  string            // of its text, for editors; validation says more
	def      any               // the value of the key where it is absent; nil if it has none, or one that depends on other keys
	examples []any
}

// Words that more than one stage knows. No word for a file system, an engine, a partition table or a boot loader is written in this package:
// they come from the rows of [partition] and [bootloader], and so do the rules that hold for one of them.
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
)

// Bounds of integers.
const (
	maxEpoch   = 1<<32 - 1 // seconds since 1970: the last one that the superblock of ext4 holds, in 2106
	maxTimeout = 1<<16 - 1 // seconds
	maxOwner   = 1<<32 - 2 // of a user or group; the next number means "none" to chown(2)
	maxTables  = 1024      // elements of [[partition]], which are the largest tables in memory
)

// language is every key by its path without indices: what it means, and which words it takes.
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
		doc:   "Format of the disk.",
		words: []string{FormatRaw, FormatISO},
		later: []string{"qcow2", "vdi", "vhd", "vhdx", "vmdk", "tar", "oci"},
	},
	"seed":   {doc: "Text that all identifiers derive from, in place of the image's content."},
	"unique": {doc: "Make new identifiers in every build."},
	"epoch": {
		doc:  "Time of everything in the image, in seconds since 1970; else SOURCE_DATE_EPOCH, else 1. Store items always have 1.",
		most: maxEpoch,
	},
	"sector-size": {doc: "Bytes of a logical sector.", numbers: []int64{512, 4096}},
	"uuid":        {doc: "GUID of the disk.", pattern: partition.UUIDForm},
	"table":       {doc: "Partition table.", words: []string{partition.GPT, partition.MBR}},

	"store":           {doc: "The store in the image."},
	"store.flavor":    {doc: "Kind of store.", words: []string{flavorNix}, later: []string{"guix"}},
	"store.hard-link": {doc: "Keep equal files once, under .links, as nix-store --optimise does."},

	"source":      {doc: "Where store items come from; several are asked in order. By default there is one with path = \"/\"."},
	"source.path": {doc: "Directory that holds nix/store and nix/var/nix."},
	"source.registration": {
		doc: "File in the form of nix-store --dump-db or of nixpkgs' closureInfo, in place of the source's database.",
	},

	"closure":         {doc: "Roots, with all that they refer to."},
	"closure.name":    {doc: "What partitions and substitutions call the closure.", required: true, pattern: closureNameForm},
	"closure.roots":   {doc: "Store paths, or links on the host that lead into the store.", required: true},
	"closure.profile": {doc: "Profile in the image whose first generation is the closure's only root."},
	"closure.gc-roots": {
		doc:     "Further GC roots in the image: links below " + gcRoots + ", to the only root or one for each of them.",
		pattern: "^" + gcRoots,
	},

	"boot": {doc: "How the image boots."},
	"boot.loader": {
		doc:   "Boot loader.",
		words: bootloader.Names(),
		later: bootloader.Later(),
	},
	"boot.timeout":    {doc: "Seconds that the menu waits; with 0 there is no menu.", most: maxTimeout},
	"boot.efi-binary": {doc: "EFI binary of the loader; else it is looked for in the closures, then on the host."},
	"boot.default":    {doc: "Title of the entry that boots by itself; that of the first one by default."},
	"boot.console": {
		doc: "Consoles for every entry, as console= of the kernel takes them, such as ttyS0,115200; " +
			"GRUB and SYSLINUX show the menu on the first of ttyS0 to 3.",
	},
	"boot.copy-kernel": {
		doc: "Copy kernels, initrds and device trees to the ESP or XBOOTLDR partition, where there is one; false reads them in the store.",
	},
	"boot.sign-key":         {doc: "RSA key, as PEM without a pass phrase, that signs unified kernel images for Secure Boot."},
	"boot.sign-certificate": {doc: "The key's certificate, as PEM; others of its chain may follow it."},
	"boot.entry":            {doc: "An entry of the boot menu."},
	"boot.entry.title":      {doc: "What the menu shows.", required: true},
	"boot.entry.kernel":     {doc: "Linux kernel with an EFI stub.", required: true},
	"boot.entry.initrd":     {doc: "Initial RAM disks, in the order they are loaded."},
	"boot.entry.cmdline":    {doc: "Kernel command line."},
	"boot.entry.devicetree": {
		doc: "With loader = " + alternatives(loadersThat(takeDeviceTree)) +
			": device tree of the board, or a directory such as a kernel's dtbs, in which U-Boot finds its own.",
	},

	"raw":        {doc: "Bytes at an offset of the disk, outside of all partitions, such as a board's firmware."},
	"raw.offset": {doc: "Where they are on the disk.", required: true},
	"raw.source": {doc: "File of the host that has them.", required: true},

	"partition":      {doc: "A partition; they lie on the disk in this order.", required: true, most: maxTables},
	"partition.name": {doc: "GPT name (PARTLABEL), and how others refer to the partition.", required: true},
	"partition.type": {
		doc: "A name of the Discoverable Partitions Specification, or a GUID; in an MBR a name, or a number such as 0x0c. Needed for every entry of a table.",
	},
	"partition.filesystem": {
		doc:      "What is in it; none takes the bytes of content.",
		required: true,
		words:    partition.Names(),
		later:    partition.Later(),
	},
	"partition.engine": {
		doc:   "What makes the file system.",
		words: partition.Engines(),
		later: partition.LaterEngines(),
	},
	"partition.features": {
		doc: "Features of ext4 as after mke2fs -O, for boot loaders that do not know all of them: [\"^metadata_csum\", \"^64bit\"].",
	},
	"partition.size":     {doc: "Size of the partition; \"auto\" is what its content needs."},
	"partition.min-size": {doc: "Least size of a partition whose size is \"auto\"."},
	"partition.free": {
		doc: "Room for the running system in a partition whose size is \"auto\": a size, or a share of the content's bytes such as \"20%\". " +
			"An ESP or XBOOTLDR partition has by default what a second generation of its boot files takes, and at least 16 MiB; in an ISO 1 MiB.",
	},
	"partition.offset": {doc: "Where the partition starts on the disk; else after the one before."},
	"partition.align":  {doc: "Grain that the start is rounded up to."},
	"partition.label":  {doc: "Label of the file system."},
	"partition.uuid": {
		doc:     "UUID of the file system; of FAT its volume ID, as \"1234-ABCD\".",
		pattern: partition.UUIDForm + "|" + partition.SerialForm,
	},
	"partition.partuuid": {doc: "UUID of the partition (PARTUUID).", pattern: partition.UUIDForm},
	"partition.flags":    {doc: "Attributes of the GPT entry."},
	"partition.content":  {doc: "File whose bytes the partition holds, with filesystem = " + alternatives(filesystemsThat(areRaw)) + "."},
	"partition.inside": {
		doc: "Name of the partition that has this one as a file, with filesystem = " + alternatives(filesystemsThat(goInside)) +
			"; it is not an entry of the table then.",
	},
	"partition.path": {doc: "Where that file is, as in \"/nix-store.squashfs\".", pattern: absoluteForm},
	"partition.volatile": {
		doc: "Of the partition mounted as root: what the running system writes stays in memory. True by default for format = \"iso\".",
	},
	"partition.closures": {doc: "Closures whose items, registration and GC roots the partition holds."},

	"partition.dir":      {doc: "A directory in the partition; parents are made too, and belong to the owner of what they are in."},
	"partition.dir.path": {doc: "Where it is in the partition.", required: true, pattern: absoluteForm},
	"partition.dir.mode": {doc: "Permissions in octal."},
	"partition.dir.uid":  {doc: "Owner.", most: maxOwner},
	"partition.dir.gid":  {doc: "Group.", most: maxOwner},

	"partition.file":        {doc: "A file in the partition, of a text or of a file of the host."},
	"partition.file.path":   {doc: "Where it is in the partition.", required: true, pattern: absoluteForm},
	"partition.file.text":   {doc: "Its content."},
	"partition.file.source": {doc: "File of the host that it copies."},
	"partition.file.mode":   {doc: "Permissions in octal."},
	"partition.file.uid":    {doc: "Owner.", most: maxOwner},
	"partition.file.gid":    {doc: "Group.", most: maxOwner},

	"partition.link":        {doc: "A symbolic link in the partition."},
	"partition.link.path":   {doc: "Where it is in the partition.", required: true, pattern: absoluteForm},
	"partition.link.target": {doc: "Where it leads.", required: true},
	"partition.link.uid":    {doc: "Owner.", most: maxOwner},
	"partition.link.gid":    {doc: "Group.", most: maxOwner},

	"partition.tree":        {doc: "A directory of the host, or an uncompressed tar archive, whose content the partition takes over."},
	"partition.tree.source": {doc: "Directory or archive of the host.", required: true},
	"partition.tree.target": {doc: "Directory in the partition that receives it.", pattern: absoluteForm},
	"partition.tree.exclude": {
		doc: "Patterns of paths in the source that are left out, as in .gitignore: *.pyc, /proc, /var/cache/*, .git/, /home/**/tmp.",
	},
}

// filesystemsThat are the words for the file systems with a property.
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

// loadersThat are the words for the boot loaders with a property.
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

// alternatives are words in quotation marks, with "or" before the last one.
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
