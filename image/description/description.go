// Package description is the language of image descriptions: TOML text becomes typed values, by the words and rules of package
// [language]; its JSON Schema is here, too. It looks at text only: it opens no file, store or disk.
//
// # The language
//
// A description says what an image holds: closures of store items ([[closure]], found in each [[source]]), partitions and
// their content ([[partition]] with dir, file, link and tree), and how it boots ([boot] and [[boot.entry]]). The types of this
// package are the language: every tagged field of [Image] is a key. What a key means and which values it takes is a row of the
// table in package [language], a [keyed.Rule]. The words for file systems, engines, partition tables and boot loaders, and the rules
// for each, come from the rows of [partition.Filesystems] and of package [bootloader], so that a new file system needs no
// change here.
//
// In some texts ${closure.NAME}, ${partition.NAME.uuid} and the like stand for what is known only later: see [Template].
//
// # Values that know their keys
//
// Every value carries its key, a [diag.Key]: see package [keyed]. So every stage can report an error at the value that causes
// it, and "was it given" is Written, not a comparison with zero:
//
//	problems = append(problems, p.Label.Key.Problem("is too long", ""))
//
// # Which step does what
//
// [Parse] reports all errors that the text shows by itself, at once. Package keyed does what needs no knowledge of images: it
// decodes the text into an [Image] by its types and the table of the language, and reports unknown and missing keys, wrong
// types, and values that are never valid. Then a checker validates what depends on other keys, on the file system and on the
// boot loader. It changes nothing. Both add to one [keyed.Reporter], which bounds how many problems a hostile text can cause.
//
// The result is the description as written; [Image.WithDefaults] fills in the defaults. The next stage, package resolve,
// starts with that.
package description

import (
	"imprint/image/description/language"
	"imprint/internal/diag"
)

// Formats of the disk.
const (
	FormatRaw = language.FormatRaw
	FormatISO = language.FormatISO
)

// An Image is an image description. Its tagged fields are the keys of the language, which are named nowhere else.
type Image struct {
	Name       Text            `toml:"name"`
	Arch       Text            `toml:"arch"`
	Format     Text            `toml:"format"`
	Seed       Text            `toml:"seed"`
	Unique     Bool            `toml:"unique"`
	Epoch      Int             `toml:"epoch"`
	SectorSize Int             `toml:"sector-size"`
	UUID       Text            `toml:"uuid"` // the disk GUID
	Table      Text            `toml:"table"`
	Size       Value[Size]     `toml:"size"`           // of the disk
	Multiple   Value[Size]     `toml:"size-multiple"`  // which the size of the disk is
	EntriesAt  Value[Size]     `toml:"entries-offset"` // of the entries of a GPT
	MBRActive  Bool            `toml:"mbr-active"`     // beside a GPT
	Store      Store           `toml:"store"`
	Input      List[Input]     `toml:"input"`
	Source     List[Source]    `toml:"source"`
	Closure    List[Closure]   `toml:"closure"`
	Boot       Boot            `toml:"boot"`
	Step       List[Step]      `toml:"step"`
	Partition  List[Partition] `toml:"partition"`
	Raw        List[Raw]       `toml:"raw"`
	Output     List[Output]    `toml:"output"`
}

// Store is [store]: the store in the image.
type Store struct {
	Key      diag.Key
	Flavor   Text `toml:"flavor"`
	HardLink Bool `toml:"hard-link"`
}

// An Input is an [[input]]: a file by its hash, and where it is.
type Input struct {
	Key      diag.Key
	Name     Text        `toml:"name"`
	SHA256   Text        `toml:"sha256"`
	Size     Value[Size] `toml:"size"`
	Locators List[Text]  `toml:"locators"`
}

// A Source is a [[source]]: a place that store items come from.
type Source struct {
	Key          diag.Key
	Path         Text `toml:"path"`
	Registration Text `toml:"registration"`
	Image        Text `toml:"image"`
	Partition    Text `toml:"partition"`

	URL      Text       `toml:"url"`
	Keys     List[Text] `toml:"trusted-public-keys"`
	Unsigned Bool       `toml:"unsigned"`
	Export   Text       `toml:"export"`
}

// Own returns the key that says that the source is no directory: image, url or export. It is not written if there is none.
func (s Source) Own() Text {
	for _, t := range []Text{s.Image, s.URL, s.Export} {
		if t.Written() {
			return t
		}
	}
	return Text{}
}

// A Closure is a [[closure]]: roots, and everything that they refer to.
type Closure struct {
	Key     diag.Key
	Name    Text       `toml:"name"`
	Roots   List[Text] `toml:"roots"`
	Profile Text       `toml:"profile"`
	GCRoots List[Text] `toml:"gc-roots"`
}

// Boot is [boot].
type Boot struct {
	Key        diag.Key
	Loader     Text            `toml:"loader"`
	Timeout    Int             `toml:"timeout"`
	Default    Text            `toml:"default"` // title of an entry
	Console    List[Text]      `toml:"console"`
	CopyKernel Bool            `toml:"copy-kernel"`
	EFIBinary  Text            `toml:"efi-binary"`
	SignKey    Text            `toml:"sign-key"`
	SignCert   Text            `toml:"sign-certificate"`
	Color      Text            `toml:"menu-color"`
	Highlight  Text            `toml:"menu-highlight"`
	Background Text            `toml:"background"` // a picture on the host
	Editor     Bool            `toml:"editor"`
	Mode       Text            `toml:"console-mode"`
	Lines      List[Text]      `toml:"extra-lines"`
	System     Value[Template] `toml:"system"` // the closure whose generations the menu has
	Entry      List[Entry]     `toml:"entry"`
}

// An Entry is a [[boot.entry]]: either a system, which may have several, or a kernel.
type Entry struct {
	Key        diag.Key
	Title      Text                  `toml:"title"`
	System     Value[Template]       `toml:"system"`
	Kernel     Value[Template]       `toml:"kernel"`
	Initrd     List[Value[Template]] `toml:"initrd"`
	Cmdline    Value[Template]       `toml:"cmdline"`
	DeviceTree Value[Template]       `toml:"devicetree"` // a file, or a directory of device trees
	Plain      Bool                  `toml:"plain"`      // nothing is added to cmdline
	Submenu    Text                  `toml:"submenu"`    // title of the submenu that it is in
}

// A Step is a [[step]]: a command that makes of the tree below it the layer on top of that, in each [[partition.layer]] that names it.
type Step struct {
	Key       diag.Key
	Name      Text                  `toml:"name"`
	Run       List[Value[Argument]] `toml:"run"`
	Env       Value[Variables]      `toml:"env"`
	User      Text                  `toml:"user"`
	Group     Text                  `toml:"group"`
	Directory Text                  `toml:"directory"`
	Network   Bool                  `toml:"network"`
	Inputs    List[StepInput]       `toml:"inputs"`
	Outputs   List[Text]            `toml:"outputs"`
	Cache     List[StepCache]       `toml:"cache"`
	Timeout   Int                   `toml:"timeout"` // seconds
	Memory    Value[Size]           `toml:"memory"`
	FileSize  Value[Size]           `toml:"file-size"`
	Processes Int                   `toml:"processes"`
}

// A StepInput is a [[step.inputs]]: a file or directory of the host that a step sees.
type StepInput struct {
	Key      diag.Key
	Source   Text `toml:"source"`
	Target   Text `toml:"target"`
	Writable Bool `toml:"writable"`
}

// A StepCache is a [[step.cache]]: a directory that steps hand on to later runs.
type StepCache struct {
	Key    diag.Key
	Name   Text `toml:"name"`
	Target Text `toml:"target"`
}

// A Raw is a [[raw]]: bytes at an offset of the disk.
type Raw struct {
	Key    diag.Key
	Offset Value[Size] `toml:"offset"`
	Source Text        `toml:"source"`
}

// An Output is an [[output]]: a file that holds the disk, or the files of a partition.
type Output struct {
	Key         diag.Key
	Format      Text `toml:"format"`
	Path        Text `toml:"path"`
	Compression Text `toml:"compression"`
	Level       Int  `toml:"level"`
	Partition   Text `toml:"partition"`

	// Of a container image.
	Entrypoint List[Value[Template]] `toml:"entrypoint"`
	Cmd        List[Value[Template]] `toml:"cmd"`
	Env        List[Value[Template]] `toml:"env"`
	Workdir    Text                  `toml:"workdir"`
	User       Text                  `toml:"user"`
}
