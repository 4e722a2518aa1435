package partition

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strings"
	"unicode"

	"imprint/internal/diag"
	"imprint/internal/extent"
	"imprint/internal/tree"
	"imprint/internal/units"
	"imprint/partition/fat"
)

// maxFATLabel is the length of a name in a directory entry in bytes.
const maxFATLabel = 11

// SerialForm is a regular expression for the ID of a FAT volume, as mount and udev print it.
const SerialForm = "^[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}$"

var serialForm = regexp.MustCompile(SerialForm)

var fatFilesystem = Filesystem{
	Name: "fat", Widths: true, Firmware: true, Writable: true, MaxFile: fat.MaxFile, MountType: "vfat", MountOptions: "umask=0077",
	Refuses: map[string]string{
		"content": contentHint, "engine": "FAT has one engine", "features": "", "closures": "a store needs links and owners, which FAT does not have",
		"link": "FAT has no symbolic links", "volatile": "", "fstab": "it belongs in the root file system",
	},
	CheckLabel:   checkFATLabel,
	DefaultLabel: func(image, partition string) string { return upper(labelOf(image, partition, maxFATLabel), "-_") },
	CheckID: func(text string) error {
		if !serialForm.MatchString(text) || text == "0000-0000" {
			return diag.Mistake{Text: fmt.Sprintf("%q is not the ID of a FAT volume", text), Hint: `eight hexadecimal digits, as in "1234-ABCD"`}
		}
		return nil
	},
	VolumeID: func(s *Spec) string { return fmt.Sprintf("%04X-%04X", s.Serial>>16, s.Serial&0xffff) },
	// A jump, and the signature at the end of the first sector; an MBR has no jump, or no plausible size of a sector after it.
	probe: func(head []byte) bool {
		return len(head) >= 512 && head[510] == 0x55 && head[511] == 0xaa && (head[0] == 0xeb || head[0] == 0xe9) && fat.IsBootSector(head)
	},
	open: func(r io.ReaderAt, size int64, _ []string) (*Volume, error) {
		v, err := fat.Read(r, size)
		if err != nil {
			return nil, err
		}
		free, _ := v.FreeClusters() // faults are for Check
		stats := Stats{Exact: true, BlockSize: v.ClusterSize, FATBits: v.Bits, FreeBytes: free * v.ClusterSize}
		return &Volume{Tree: v.Tree, Label: v.Label, ID: v.ID, Size: v.Size, Stats: stats, Check: v.Check, Explain: v.Explain}, nil
	},
	places: func(r io.ReaderAt, size int64) (*Places, error) {
		p, err := fat.ReadPlaces(r, size)
		return &Places{fat: p}, err
	},
	plan: func(s Spec) (Maker, error) {
		if s.Syslinux {
			return newSyslinux(s)
		}
		return newFAT(s)
	},
}

// checkFATLabel reports a label that a directory entry cannot hold, or that firmware would show differently.
func checkFATLabel(label string) error {
	upper := strings.ToUpper(label)
	switch {
	case len(label) > maxFATLabel:
		return fmt.Errorf("%q is %d characters long, but FAT holds %d", label, len(label), maxFATLabel)
	case strings.ContainsFunc(label, func(r rune) bool { return r > unicode.MaxASCII }) || strings.ContainsAny(label, `"*+,./:;<=>?[\]|`):
		return diag.Mistake{Text: fmt.Sprintf("%q contains a character that FAT does not allow in a label", label), Hint: "use A-Z 0-9 _ - and spaces"}
	case label != strings.TrimSpace(label):
		return fmt.Errorf("%q begins or ends with a space, which FAT drops", label)
	case label != upper:
		return diag.Mistake{Text: fmt.Sprintf("%q contains lower-case letters, which FAT does not allow in a label", label), Hint: fmt.Sprintf("write %q", upper)}
	}
	return nil
}

// fatGrain aligns the clusters of a volume of any size with the blocks of the host's file system and of flash.
const fatGrain = 4 * units.KiB

// fatMaker adapts a FAT volume to this package's interfaces.
type fatMaker struct {
	*fat.Plan
	earlier *Places
}

func newFAT(s Spec) (Maker, error) {
	o := fat.Options{
		Size: s.Size, Free: s.Free, SectorSize: s.SectorSize, Label: s.Label, Serial: s.Serial, Epoch: s.Epoch,
		HiddenSectors: hidden(s), Grain: fatGrain, Bits: cmp.Or(s.FATBits, s.FATHint),
	}
	if s.Stable && s.Earlier != nil && !s.Syslinux { // which wants its own files in few pieces
		o.Earlier = s.Earlier.fat
	}
	p, err := sizedFAT(s, o)
	if err != nil && s.FATBits == 0 && s.FATHint != 0 {
		o.Bits = 0
		p, err = sizedFAT(s, o)
	}
	var small *fat.SizeError
	if errors.As(err, &small) {
		return nil, &DoesNotFit{Needed: small.Need, Given: small.Given}
	}
	if err != nil {
		return nil, err
	}
	return fatMaker{p, s.Earlier}, nil
}

// sizedFAT plans a volume of at least the minimum size.
func sizedFAT(s Spec, o fat.Options) (*fat.Plan, error) {
	roomy := o
	spare, _ := s.spare()
	roomy.Free += spare
	p, err := fat.New(s.Tree, roomy)
	if err == nil && spare > 0 {
		if o.Size = keptSize(s, p.Size()); o.Size > 0 {
			if same, err := fat.New(s.Tree, o); err == nil {
				return same, nil
			}
		}
	}
	if err == nil && p.Size() < s.MinSize {
		o.Size = units.Align(s.MinSize, fatGrain)
		p, err = fat.New(s.Tree, o)
	}
	return p, err
}

// keptSize returns the size of the earlier volume, if it should stay; 0 if it should not. fresh is the size of one that is laid out anew.
func keptSize(s Spec, fresh int64) int64 {
	if s.Earlier == nil || s.Earlier.fat == nil || s.Earlier.fat.Size() < s.MinSize || s.Earlier.fat.Size()-fresh > fresh/10 {
		return 0
	}
	return s.Earlier.fat.Size()
}

// hidden is the boot sector's field for the number of sectors before the volume. It has 32 bits; beyond, it is 0, which means
// unknown.
func hidden(s Spec) uint32 {
	if n := s.Offset / s.SectorSize; n <= math.MaxUint32 {
		return uint32(n)
	}
	return 0
}

func (m fatMaker) Place(list []extent.Extent, file *tree.Node) []extent.Extent {
	return m.Plan.Place(list, file)
}
func (m fatMaker) Grain() int64 { return m.ClusterSize() }

// keeps implements keeper.
func (m fatMaker) keeps() *Kept {
	if k, whole := m.earlier.anew(); whole {
		return k
	}
	k := m.Kept()
	return &Kept{Anew: k.Anew, Stayed: k.Clusters * m.ClusterSize(), Moved: k.Moved * m.ClusterSize()}
}

// Stats implements Describer.
func (m fatMaker) Stats() Stats {
	return Stats{Exact: true, BlockSize: m.ClusterSize(), FreeBytes: m.FreeClusters() * m.ClusterSize(), FATBits: m.Bits()}
}
