package description

import (
	"reflect"

	"imprint/internal/diag"
)

// A Partition is a [[partition]].
type Partition struct {
	Key        diag.Key
	Name       Text              `toml:"name"`
	Type       Text              `toml:"type"`
	MBRType    Text              `toml:"mbr-type"` // of its entry in a hybrid MBR
	Number     Int               `toml:"number"`   // in the partition table
	PartLabel  Text              `toml:"partlabel"`
	Filesystem Text              `toml:"filesystem"`
	FAT        Int               `toml:"fat"` // bits of an entry
	Features   List[Text]        `toml:"features"`
	Engine     Text              `toml:"engine"`
	Compress   Text              `toml:"compression"`
	Level      Int               `toml:"compression-level"`
	BlockSize  Value[Size]       `toml:"block-size"`
	Size       Value[Size]       `toml:"size"`
	MinSize    Value[Size]       `toml:"min-size"`
	Free       Value[Free]       `toml:"free"`
	Grow       Bool              `toml:"grow"` // to the end of the disk
	GrowAtBoot Bool              `toml:"grow-at-boot"`
	Offset     Value[Size]       `toml:"offset"`
	Align      Value[Size]       `toml:"align"`
	Label      Text              `toml:"label"`
	UUID       Text              `toml:"uuid"`     // file-system UUID; of FAT the volume serial as "XXXX-XXXX"
	PartUUID   Text              `toml:"partuuid"` // partition UUID
	Flags      List[Value[Flag]] `toml:"flags"`
	Content    Text              `toml:"content"`
	Verity     Text              `toml:"verity"` // name of the partition that gets its hash tree
	Inside     Text              `toml:"inside"` // name of the partition that has it as a file
	Path       Text              `toml:"path"`   // of that file in it
	Volatile   Bool              `toml:"volatile"`
	Mount      Text              `toml:"mount"`
	FStab      Bool              `toml:"fstab"`
	Closures   List[Text]        `toml:"closures"`
	Dir        List[Dir]         `toml:"dir"`
	File       List[File]        `toml:"file"`
	Link       List[Link]        `toml:"link"`
	Layer      List[Layer]       `toml:"layer"`
	Tree       List[Tree]        `toml:"tree"`
	Attr       List[Attr]        `toml:"attr"`
}

// A Dir is a [[partition.dir]].
type Dir struct {
	Key   diag.Key
	Path  Text        `toml:"path"`
	Mode  Value[Mode] `toml:"mode"`
	UID   Number      `toml:"uid"`
	GID   Number      `toml:"gid"`
	User  Text        `toml:"user"`
	Group Text        `toml:"group"`
}

// A File is a [[partition.file]].
type File struct {
	Key      diag.Key
	Path     Text            `toml:"path"`
	Text     Value[Template] `toml:"text"`
	Source   Text            `toml:"source"`
	Mode     Value[Mode]     `toml:"mode"`
	UID      Number          `toml:"uid"`
	GID      Number          `toml:"gid"`
	User     Text            `toml:"user"`
	Group    Text            `toml:"group"`
	Override Bool            `toml:"override"`
}

// A Link is a [[partition.link]]: a symbolic link.
type Link struct {
	Key      diag.Key
	Path     Text            `toml:"path"`
	Target   Value[Template] `toml:"target"`
	UID      Number          `toml:"uid"`
	GID      Number          `toml:"gid"`
	User     Text            `toml:"user"`
	Group    Text            `toml:"group"`
	Override Bool            `toml:"override"`
}

// A Layer is a [[partition.layer]]: the layers of a base or of an environment, or one of a directory, of an archive, of the build store, or that a step
// makes.
type Layer struct {
	Key    diag.Key
	From   Text `toml:"from"`
	Step   Text `toml:"step"`
	Env    Text `toml:"env"`
	Tag    Text `toml:"tag"`
	Source Text `toml:"source"`
	Digest Text `toml:"digest"`
}

// A Tree is a [[partition.tree]]: a directory or a tar archive of the host.
type Tree struct {
	Key     diag.Key
	Source  Text       `toml:"source"`
	Target  Text       `toml:"target"`
	Exclude List[Text] `toml:"exclude"`

	Override Bool `toml:"override"`
}

// An Attr is a [[partition.attr]]: the mode and the owner of what a pattern matches.
type Attr struct {
	Key   diag.Key
	Path  Text        `toml:"path"`
	Mode  Value[Mode] `toml:"mode"`
	UID   Number      `toml:"uid"`
	GID   Number      `toml:"gid"`
	User  Text        `toml:"user"`
	Group Text        `toml:"group"`
}

// An Owner is the user and the group that something belongs to: numbers, or names in the accounts of the partition's own tree.
type Owner struct {
	UID, GID    Number
	User, Group Text
}

// Owner returns the keys of the owner.
func (d Dir) Owner() Owner { return Owner{d.UID, d.GID, d.User, d.Group} }

// Owner returns the keys of the owner.
func (f File) Owner() Owner { return Owner{f.UID, f.GID, f.User, f.Group} }

// Owner returns the keys of the owner.
func (l Link) Owner() Owner { return Owner{l.UID, l.GID, l.User, l.Group} }

// Owner returns the keys of the owner.
func (a Attr) Owner() Owner { return Owner{a.UID, a.GID, a.User, a.Group} }

// keyNamed returns a key of a partition by its name.
func (p *Partition) keyNamed(name string) diag.Key {
	table := reflect.ValueOf(p).Elem()
	for _, f := range tables.Of(table.Type()) {
		if f.Name == name {
			return table.Field(f.Index).FieldByName("Key").Interface().(diag.Key)
		}
	}
	panic("no key of a partition: " + name) // from a row of package partition; a test checks them all
}
