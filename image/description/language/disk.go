package language

import (
	"strings"

	"imprint/closure"
	"imprint/container"
	"imprint/internal/keyed"
	"imprint/partition"
)

// disk describes the keys of image, disk, stores and outputs.
var disk = map[string]keyed.Rule{
	"name": {
		Doc:      "Name of the image. The file is NAME.raw by default; identifiers and labels derive from it.",
		Required: true,
		Pattern:  ImageNameForm,
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
		Doc: "Binary cache, instead of a directory: http, https, s3 or file, such as what nix copy --to writes. Items that are not in the build store yet are fetched and kept there. " +
			"Or Nix's daemon: \"daemon\", or unix:///PATH, the path of its socket.",
	},
	"source.trusted-public-keys": {Doc: "Keys of the cache as Nix has them, or of the cache or export stream as Guix has them in /etc/guix/acl: an item is refused unless one of them has signed it or its path follows from its contents.", Most: maxKeys},
	"source.unsigned":            {Doc: "Take items of the cache that nobody has signed."},
	"source.export":              {Doc: "File that nix-store --export or guix archive --export has written, instead of a directory. It may be compressed with gzip, zstd, xz or bzip2."},

	"closure":         {Doc: "Roots, and everything that they refer to."},
	"closure.name":    {Doc: "Name by which partitions and substitutions refer to the closure.", Required: true, Pattern: ClosureNameForm},
	"closure.roots":   {Doc: "Store paths, or symlinks on the host that lead to them.", Required: true},
	"closure.profile": {Doc: "Profile in the image. The roots are its generations, in order; the last one is current, and is what ${closure.NAME} stands for."},
	"closure.gc-roots": {
		Doc:     "Further GC roots in the image: links below " + strings.Join(GCRootDirs(), " or ") + ", to the only root, or one for each root in the same order.",
		Pattern: "^(" + strings.Join(GCRootDirs(), "|") + ")",
	},

	"raw":        {Doc: "Bytes at an offset of the disk outside of all partitions, such as a board's firmware."},
	"raw.offset": {Doc: "Offset on the disk.", Required: true},
	"raw.source": {Doc: "File on the host.", Required: true},

	"output":             {Doc: "A file that build writes, unless -o names others: the disk, or with a format such as tar the files of one partition. By default there is one, NAME.raw or NAME.iso.", Most: maxOutputs},
	"output.format":      {Doc: "Format of the file. Default: by the suffix of path.", Words: container.Names(), Later: container.Later()},
	"output.path":        {Doc: "The file, from the working directory. Default: NAME and the suffix of the format."},
	"output.compression": {Doc: "Compression of the parts of " + Alternatives(FormatsThat(CompressClusters)) + ", clusters or layers; by default they are not compressed.", Words: compressions()},
	"output.partition":   {Doc: "With format = " + Alternatives(FormatsThat(HoldTrees)) + ": name of the partition whose files it holds. Default: the root file system."},
	"output.entrypoint":  {Doc: imageDoc + "program and arguments that a container always starts, with substitutions of closures."},
	"output.cmd":         {Doc: imageDoc + "arguments after the entrypoint, or the program, unless others are given when it starts."},
	"output.env":         {Doc: imageDoc + "environment of the program.", Pattern: "^[^=]+="},
	"output.workdir":     {Doc: imageDoc + "working directory.", Pattern: absoluteForm},
	"output.user":        {Doc: imageDoc + "user, and perhaps group, by number or by name in the image, such as 1000:100."},
	"output.level":       {Doc: "Compression level, as of zstd from 1 to 19 or of gzip from 1 to 9. Default: 1 with zstd, 6 otherwise.", Most: maxLevel},
}

// imageDoc begins the description of keys of container images.
var imageDoc = "With format = " + Alternatives(FormatsThat(HaveLayers)) + ": "
