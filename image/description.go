package image

// Description is an image description as it was written: no defaults, nothing looked up. Its fields are the keys of the language,
// and this file is the only place that names them. Pointers are keys for which absent and zero differ; a Template is a text in which
// substitutions are valid. What the keys mean, and which words they take, is in language.go.
type Description struct {
	Name       string                 `toml:"name"`
	Arch       string                 `toml:"arch"`
	Format     string                 `toml:"format"`
	Seed       string                 `toml:"seed"`
	Unique     bool                   `toml:"unique"`
	Epoch      *int64                 `toml:"epoch"`
	SectorSize int64                  `toml:"sector-size"`
	UUID       string                 `toml:"uuid"` // the disk GUID
	Table      string                 `toml:"table"`
	Store      StoreDescription       `toml:"store"`
	Source     []SourceDescription    `toml:"source"`
	Closure    []ClosureDescription   `toml:"closure"`
	Boot       BootDescription        `toml:"boot"`
	Partition  []PartitionDescription `toml:"partition"`
	Raw        []RawDescription       `toml:"raw"`

	places places // where each key stands
}

// StoreDescription is [store]: the store in the image.
type StoreDescription struct {
	Flavor   string `toml:"flavor"`
	HardLink bool   `toml:"hard-link"`
}

// SourceDescription is a [[source]]: a place that store items come from.
type SourceDescription struct {
	Path         string `toml:"path"`
	Registration string `toml:"registration"`
}

// ClosureDescription is a [[closure]]: roots, with all that they refer to.
type ClosureDescription struct {
	Name    string   `toml:"name"`
	Roots   []string `toml:"roots"`
	Profile string   `toml:"profile"`
	GCRoots []string `toml:"gc-roots"`
}

// BootDescription is [boot].
type BootDescription struct {
	Loader     string             `toml:"loader"`
	Timeout    *int64             `toml:"timeout"`
	Default    string             `toml:"default"` // title of an entry
	Console    []string           `toml:"console"`
	CopyKernel *bool              `toml:"copy-kernel"`
	EFIBinary  string             `toml:"efi-binary"`
	SignKey    string             `toml:"sign-key"`
	SignCert   string             `toml:"sign-certificate"`
	Entry      []EntryDescription `toml:"entry"`
}

// EntryDescription is a [[boot.entry]].
type EntryDescription struct {
	Title      string     `toml:"title"`
	Kernel     Template   `toml:"kernel"`
	Initrd     []Template `toml:"initrd"`
	Cmdline    Template   `toml:"cmdline"`
	DeviceTree Template   `toml:"devicetree"` // a file, or a directory of them
}

// PartitionDescription is a [[partition]].
type PartitionDescription struct {
	Name       string            `toml:"name"`
	Type       string            `toml:"type"`
	Filesystem string            `toml:"filesystem"`
	Features   []string          `toml:"features"`
	Engine     string            `toml:"engine"`
	Size       Size              `toml:"size"`
	MinSize    Size              `toml:"min-size"`
	Free       Free              `toml:"free"`
	Offset     Size              `toml:"offset"`
	Align      Size              `toml:"align"`
	Label      string            `toml:"label"`
	UUID       string            `toml:"uuid"`     // file-system UUID; for FAT the volume serial as "XXXX-XXXX"
	PartUUID   string            `toml:"partuuid"` // partition UUID
	Flags      []Flag            `toml:"flags"`
	Content    string            `toml:"content"`
	Inside     string            `toml:"inside"` // name of the partition that it is a file of
	Path       string            `toml:"path"`   // where it is in that
	Volatile   *bool             `toml:"volatile"`
	Closures   []string          `toml:"closures"`
	Dir        []DirDescription  `toml:"dir"`
	File       []FileDescription `toml:"file"`
	Link       []LinkDescription `toml:"link"`
	Tree       []TreeDescription `toml:"tree"`
}

// RawDescription is a [[raw]]: bytes at a place of the disk.
type RawDescription struct {
	Offset Size   `toml:"offset"`
	Source string `toml:"source"`
}

// DirDescription is a [[partition.dir]].
type DirDescription struct {
	Path string `toml:"path"`
	Mode Mode   `toml:"mode"`
	UID  uint32 `toml:"uid"`
	GID  uint32 `toml:"gid"`
}

// FileDescription is a [[partition.file]].
type FileDescription struct {
	Path   string    `toml:"path"`
	Text   *Template `toml:"text"`
	Source string    `toml:"source"`
	Mode   Mode      `toml:"mode"`
	UID    uint32    `toml:"uid"`
	GID    uint32    `toml:"gid"`
}

// LinkDescription is a [[partition.link]]: a symbolic link.
type LinkDescription struct {
	Path   string   `toml:"path"`
	Target Template `toml:"target"`
	UID    uint32   `toml:"uid"`
	GID    uint32   `toml:"gid"`
}

// TreeDescription is a [[partition.tree]]: a directory or a tar archive of the host.
type TreeDescription struct {
	Source string `toml:"source"`
	Target string `toml:"target"`
}
