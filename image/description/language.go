package description

import (
	"strconv"
	"strings"

	"imprint/bootloader"
	"imprint/closure"
	"imprint/container"
	"imprint/internal/keyed"
	"imprint/partition"
)

// Words that several stages use. This package spells no word for a file system, an engine, a partition table or a boot loader:
// they come from the rows of [partition] and [bootloader].
const (
	FormatRaw = "raw"
	FormatISO = partition.ISO
)

// Forms of text.
const (
	mbrTypeForm     = "^0x[0-9A-Fa-f]{2}$"
	imageNameForm   = "^[A-Za-z0-9][A-Za-z0-9._+-]*$"
	closureNameForm = "^[A-Za-z0-9_-]+$"
	absoluteForm    = "^/"
	layerNameForm   = "^[A-Za-z0-9][A-Za-z0-9._+-]*$"
	digestForm      = "^(sha256:)?[0-9a-f]{64}$"
	accountForm     = "^[A-Za-z_][A-Za-z0-9_.-]*[$]?$" // useradd(8), with capitals
)

// Bounds of integers.
const (
	maxEpoch   = 1<<32 - 1 // seconds since 1970: the last one in a superblock of ext4, in 2106
	maxTimeout = 1<<16 - 1 // seconds
	maxOwner   = 1<<32 - 2 // of a user or group; the next number means "none" to chown(2)
	maxOutputs = 32        // elements of [[output]]: each has files open
	maxLevel   = 19        // of compression
	maxLines   = 1024      // that a loader's configuration gets
	maxKeys    = 64        // of a cache
	maxTables  = 1024      // elements of [[partition]], the largest tables in memory
)

// language describes every key, by its path without indices. Parsing, the JSON Schema and the manual all derive from it.
var language = map[string]keyed.Rule{
	"name": {
		Doc:      "Name of the image. The file is NAME.raw by default; identifiers and labels derive from it.",
		Required: true,
		Pattern:  imageNameForm,
	},
	"arch": {
		Doc:     "Architecture of the image; the host's does not matter. Required if a partition type or the loader depends on it.",
		Words:   []string{"x86_64", "aarch64", "riscv64"},
		Aliases: map[string]string{"amd64": "x86_64", "x64": "x86_64", "arm64": "aarch64"},
	},
	"format": {
		Doc:   "Format of the disk.",
		Words: []string{FormatRaw, FormatISO},
		Later: container.Later(),
		Hints: outputHints(),
	},
	"seed":   {Doc: "Text from which all identifiers derive, instead of from the image's content."},
	"unique": {Doc: "New identifiers in every build."},
	"epoch": {
		Doc:  "Time of everything in the image except store items, which have 1: seconds since 1970. Default: SOURCE_DATE_EPOCH, or 1.",
		Most: maxEpoch,
	},
	"sector-size": {Doc: "Size of a logical sector in bytes.", Numbers: []int64{512, 4096}},
	"uuid":        {Doc: "GUID of the disk.", Pattern: partition.UUIDForm},
	"table": {
		Doc:   "Partition table. A hybrid one is a GPT with up to three of its partitions in the MBR too, for firmware that reads no GPT: those with mbr-type.",
		Words: []string{partition.GPT, partition.MBR, partition.HybridMBR},
	},
	"size":          {Doc: "Size of the disk. Default: what the partitions need."},
	"size-multiple": {Doc: "The size of the disk is rounded up to a multiple of this, as platforms want it: Google whole GiB."},
	"entries-offset": {
		Doc: "Where the entries of the GPT begin on the disk, to make room for a board's firmware between them and the header, from the third sector on. " +
			"Partitions begin after the 16 KiB of entries. Default: the third sector.",
	},
	"mbr-active": {
		Doc: "Mark the partition that protects the GPT as active, in a hybrid MBR the first one, for a BIOS that starts no other disk.",
	},

	"store":           {Doc: "The store in the image."},
	"store.flavor":    {Doc: "Kind of store.", Words: closure.FlavorNames()},
	"store.hard-link": {Doc: "Store equal files once, as hard links to .links, as nix-store --optimise and Guix's daemon do."},

	"source":      {Doc: "Where store items come from. Several are searched in order; by default there is one with path = \"/\"."},
	"source.path": {Doc: "Directory that holds nix/store and nix/var/nix, or gnu/store and var/guix."},
	"source.registration": {
		Doc: "File in the format of nix-store --dump-db, of nixpkgs' closureInfo, or of a graph of references (exportReferencesGraph, #:references-graphs), " +
			"whose items are hashed first; instead of the source's database.",
	},
	"source.image":     {Doc: "Disk image with a store in one of its file systems, instead of a directory."},
	"source.partition": {Doc: "Name or number of the image's partition with the store, needed if several have one."},
	"source.url": {
		Doc: "Binary cache, instead of a directory: http, https, s3 or file, such as what nix copy --to writes. Items that are not in the build store yet are fetched and kept there.",
	},
	"source.trusted-public-keys": {Doc: "Keys of the cache, as Nix has them: an item is refused unless one of them has signed it.", Most: maxKeys},
	"source.unsigned":            {Doc: "Take items of the cache that nobody has signed."},
	"source.export":              {Doc: "File that nix-store --export has written, instead of a directory. It may be compressed with gzip, zstd, xz or bzip2."},

	"closure":         {Doc: "Roots, and everything that they refer to."},
	"closure.name":    {Doc: "Name by which partitions and substitutions refer to the closure.", Required: true, Pattern: closureNameForm},
	"closure.roots":   {Doc: "Store paths, or symlinks on the host that lead to them.", Required: true},
	"closure.profile": {Doc: "Profile in the image. The roots are its generations, in order; the last one is current, and is what ${closure.NAME} stands for."},
	"closure.gc-roots": {
		Doc:     "Further GC roots in the image: links below " + strings.Join(gcRootDirs(), " or ") + ", to the only root, or one for each root in the same order.",
		Pattern: "^(" + strings.Join(gcRootDirs(), "|") + ")",
	},

	"boot": {Doc: "How the image boots."},
	"boot.loader": {
		Doc:   "Boot loader.",
		Words: bootloader.Names(),
		Later: bootloader.Later(),
	},
	"boot.timeout":    {Doc: "Seconds that the menu waits; 0 boots at once, without a menu.", Most: maxTimeout},
	"boot.efi-binary": {Doc: "EFI binary of the loader. Default: found in the closures, or on the host."},
	"boot.default":    {Doc: "Title of the default entry. Default: the first."},
	"boot.console": {
		Doc: "Consoles for every entry, as in the kernel's console=, such as ttyS0,115200. " +
			"With loader = " + alternatives(loadersThat(showOnSerial)) + " the menu is on the first of ttyS0 to ttyS3 too.",
	},
	"boot.copy-kernel": {
		Doc: "Copy kernels, initrds and device trees to the ESP or XBOOTLDR partition, if there is one; with false the loader reads them in the store.",
	},
	"boot.sign-key":         {Doc: "RSA key that signs unified kernel images for Secure Boot: PEM, without a passphrase."},
	"boot.sign-certificate": {Doc: "Certificate of the key, in PEM; the rest of its chain may follow."},
	"boot.menu-color": {
		Doc: "With loader = " + alternatives(loadersThat(haveLooks)) + ": colours of the menu, text/background, such as \"white/blue\".",
	},
	"boot.menu-highlight": {Doc: "Colours of the selected entry, likewise."},
	"boot.background": {
		Doc: "With loader = " + alternatives(loadersThat(haveLooks)) + ": picture on the host that is shown behind the menu: PNG, JPEG or TGA. " +
			"A menu colour with background black lets it through.",
	},
	"boot.editor": {
		Doc: "With loader = " + alternatives(loadersThat(haveEditor)) + ": whether command lines can be edited in the menu. Default: the loader's, which is true.",
	},
	"boot.console-mode": {
		Doc:   "With loader = " + alternatives(loadersThat(haveModes)) + ": resolution of the menu, by number or word.",
		Words: bootloader.ConsoleModes(),
	},
	"boot.extra-lines": {
		Doc:  "Lines that are added to the loader's configuration as they are: " + bootloader.ConfigFiles() + ".",
		Most: maxLines,
	},
	"boot.system": {
		Doc: "Closure with a profile whose generations are systems of NixOS or Guix: the menu has them all, the newest first, with their specialisations, as NixOS or Guix itself would write it.",
	},
	"boot.entry":       {Doc: "An entry of the boot menu."},
	"boot.entry.title": {Doc: "Title in the menu. Required without system."},
	"boot.entry.system": {
		Doc: "System of NixOS, or of Guix, instead of a kernel: the entry boots as its bootspec or its parameters say, and each specialisation gets an entry as well.",
	},
	"boot.entry.kernel": {
		Doc: "Linux kernel: a file on the host, in a closure, or in a partition's own tree, where a pattern has to match exactly one file. " +
			"UEFI and systemd-boot need one with an EFI stub. Required without system.",
	},
	"boot.entry.initrd":  {Doc: "Initial RAM disks, in the order in which they are loaded; found as the kernel is."},
	"boot.entry.cmdline": {Doc: "Kernel command line; with system it comes after the system's own."},
	"boot.entry.plain": {
		Doc: "Nothing is added to cmdline, neither boot.console nor what mounts the root file system. The kernel may be another EFI program, such as memtest.",
	},
	"boot.entry.submenu": {
		Doc: "With loader = " + alternatives(loadersThat(haveSubmenus)) + ": title of the submenu that the entry is in; entries with the same one share it.",
	},
	"boot.entry.devicetree": {
		Doc: "With loader = " + alternatives(loadersThat(takeDeviceTree)) +
			": device tree of the board, or a directory such as a kernel's dtbs, from which U-Boot picks its board's.",
	},

	"raw":        {Doc: "Bytes at an offset of the disk outside of all partitions, such as a board's firmware."},
	"raw.offset": {Doc: "Offset on the disk.", Required: true},
	"raw.source": {Doc: "File on the host.", Required: true},

	"output":             {Doc: "A file that build writes, unless -o names others. By default there is one, NAME.raw or NAME.iso.", Most: maxOutputs},
	"output.format":      {Doc: "Format of the file. Default: by the suffix of path.", Words: container.Names(), Later: container.Later()},
	"output.path":        {Doc: "The file, from the working directory. Default: NAME and the suffix of the format."},
	"output.compression": {Doc: "Compression of the clusters of " + alternatives(formatsThat(compressClusters)) + "; by default they are not compressed.", Words: compressions()},
	"output.level":       {Doc: "Compression level, as of zstd from 1 to 19 or of gzip from 1 to 9. Default: 1 with zstd, 6 otherwise.", Most: maxLevel},

	"partition":      {Doc: "A partition. Partitions lie on the disk in the order of the description.", Required: true, Most: maxTables},
	"partition.name": {Doc: "Name by which the description refers to the partition, and its GPT name (PARTLABEL) unless there is a partlabel.", Required: true},
	"partition.type": {
		Doc: "Partition type: a name of the Discoverable Partitions Specification or a GUID; in an MBR a name or a number such as 0x0c. Required unless the partition is inside another one or is the tree of an ISO.",
	},
	"partition.mbr-type": {
		Doc:     "With table = \"" + partition.HybridMBR + "\": the partition is in the MBR too, with this type, a number such as 0x0c.",
		Pattern: mbrTypeForm,
	},
	"partition.number": {
		Doc: "Number in the partition table, from 1 on. Default: the lowest that is left, in the order of the description.", Most: maxPartitions,
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
		Doc:   "With filesystem = " + alternatives(filesystemsThat(compress)) + ": compressor.",
		Words: partition.Compressors(),
	},
	"partition.compression-level": {
		Doc:  "Level of the compressor: up to 22 for zstd, 9 for gzip and lzo; the others have none. Default: the compressor's.",
		Most: partition.MaxLevel(),
	},
	"partition.block-size": {
		Doc: "With filesystem = " + alternatives(filesystemsThat(compress)) + ": size of the blocks that are compressed, a power of two from 4KiB to 1MiB. Larger ones compress better.",
	},
	"partition.fat": {
		Doc: "With filesystem = " + alternatives(filesystemsThat(haveWidths)) + ": bits of an entry of the table. " +
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
	"partition.content":  {Doc: "File on the host whose bytes the partition holds, with filesystem = " + alternatives(filesystemsThat(areRaw)) + "."},
	"partition.verity": {
		Doc: "Name of another partition, with filesystem = " + alternatives(filesystemsThat(areRaw)) + " and no content, that gets a dm-verity hash tree over " +
			"this one, for types such as root-verity. ${partition.NAME.roothash} is its root hash, from which both partuuids derive.",
	},
	"partition.inside": {
		Doc: "Name of another partition in which this one is a file, with filesystem = " + alternatives(filesystemsThat(goInside)) +
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

	"partition.dir":       {Doc: "A directory in the partition. Missing parents are made, with the owner of the directory that they are in."},
	"partition.dir.path":  {Doc: "Where it is in the partition.", Required: true, Pattern: absoluteForm},
	"partition.dir.mode":  {Doc: "Permissions in octal."},
	"partition.dir.uid":   {Doc: "Owner.", Most: maxOwner},
	"partition.dir.gid":   {Doc: "Group.", Most: maxOwner},
	"partition.dir.user":  {Doc: "Owner by name, from /etc/passwd in the partition's own tree.", Pattern: accountForm},
	"partition.dir.group": {Doc: "Group by name, from /etc/group in the partition's own tree.", Pattern: accountForm},

	"partition.file":        {Doc: "A file in the partition, from text or from a file on the host."},
	"partition.file.path":   {Doc: "Where it is in the partition.", Required: true, Pattern: absoluteForm},
	"partition.file.text":   {Doc: "Its content."},
	"partition.file.source": {Doc: "File on the host to copy."},
	"partition.file.mode":   {Doc: "Permissions in octal."},
	"partition.file.uid":    {Doc: "Owner.", Most: maxOwner},
	"partition.file.gid":    {Doc: "Group.", Most: maxOwner},
	"partition.file.user":   {Doc: "Owner by name, from /etc/passwd in the partition's own tree.", Pattern: accountForm},
	"partition.file.group":  {Doc: "Group by name, from /etc/group in the partition's own tree.", Pattern: accountForm},

	"partition.link":        {Doc: "A symbolic link in the partition."},
	"partition.link.path":   {Doc: "Where it is in the partition.", Required: true, Pattern: absoluteForm},
	"partition.link.target": {Doc: "Target of the link.", Required: true},
	"partition.link.uid":    {Doc: "Owner.", Most: maxOwner},
	"partition.link.gid":    {Doc: "Group.", Most: maxOwner},
	"partition.link.user":   {Doc: "Owner by name, from /etc/passwd in the partition's own tree.", Pattern: accountForm},
	"partition.link.group":  {Doc: "Group by name, from /etc/group in the partition's own tree.", Pattern: accountForm},

	"partition.file.override": {Doc: "Replace what earlier trees, files and links have at the path; symlinks to directories on the way are followed."},
	"partition.link.override": {Doc: "Replace what earlier trees, files and links have at the path; symlinks to directories on the way are followed."},

	"partition.layer": {
		Doc: "Layers of the partition's tree, the lowest first; trees, directories, files and links come on top. Each replaces what is below it at the same paths, " +
			"and removes what its whiteouts name.",
	},
	"partition.layer.env": {Doc: "Environment in the build store, all of whose layers are taken: see imprint env.", Pattern: layerNameForm},
	"partition.layer.tag": {Doc: "Tag or pin of the environment. Default: current.", Pattern: layerNameForm},
	"partition.layer.source": {
		Doc: "Directory or archive on the host that is a layer: the whiteouts of OCI images (.wh.NAME, .wh..wh..opq) and of overlayfs are understood. " +
			"Archives may be compressed, as those of a tree.",
	},
	"partition.layer.digest": {
		Doc:     "Digest that the layer has, or of an environment the pin, and the build fails if it is another one; alone, the digest of a layer in the build store.",
		Pattern: digestForm,
	},

	"partition.tree": {
		Doc: "A directory on the host, or a tar archive, to copy into the partition. The archive may be compressed with gzip, zstd, xz or bzip2.",
	},
	"partition.tree.source": {Doc: "Directory or archive on the host.", Required: true},
	"partition.tree.target": {Doc: "Directory in the partition to copy it to.", Pattern: absoluteForm},
	"partition.tree.exclude": {
		Doc: "Patterns of paths in the source to omit, as in .gitignore: *.pyc, /proc/*, /var/cache/*, .git/, /home/**/tmp.",
	},
	"partition.tree.override": {
		Doc: "Replace what earlier trees have at the same paths. Where this tree has a directory and an earlier one a symlink to a directory, " +
			"such as /lib, the symlink stays and its target gets the files. A directory with files is replaced only by a directory.",
	},

	"partition.attr": {Doc: "Mode and owner of everything that a pattern matches: what trees, dir, file and link add. Later ones count."},
	"partition.attr.path": {
		Doc:      "Pattern of paths from the top of the partition, as in exclude: /home/alice/** is everything below the directory. It has to match something.",
		Required: true, Pattern: absoluteForm,
	},
	"partition.attr.mode":  {Doc: "Permissions in octal; symlinks keep theirs."},
	"partition.attr.uid":   {Doc: "Owner.", Most: maxOwner},
	"partition.attr.gid":   {Doc: "Group.", Most: maxOwner},
	"partition.attr.user":  {Doc: "Owner by name, from /etc/passwd in the partition's own tree.", Pattern: accountForm},
	"partition.attr.group": {Doc: "Group by name, from /etc/group in the partition's own tree.", Pattern: accountForm},
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
func compress(f *partition.Filesystem) bool      { return f.Compressors != nil }
func areSwap(f *partition.Filesystem) bool       { return f.Swap }
func haveWidths(f *partition.Filesystem) bool    { return f.Widths }
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
func showOnSerial(l *bootloader.Loader) bool   { return l.Serial }
func haveLooks(l *bootloader.Loader) bool      { return l.Looks }
func haveEditor(l *bootloader.Loader) bool     { return l.Editor }
func haveModes(l *bootloader.Loader) bool      { return l.Modes != nil }
func haveSubmenus(l *bootloader.Loader) bool   { return l.Submenus }
func takeLines(l *bootloader.Loader) bool      { return l.ConfigFile != "" }
func startPlain(l *bootloader.Loader) bool     { return !l.OnlyLinux }
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
