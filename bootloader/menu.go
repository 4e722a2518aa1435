package bootloader

import (
	"fmt"
	"slices"
	"strings"

	"imprint/bootloader/picture"
	"imprint/internal/diag"
	"imprint/internal/tree"
)

// A Menu says how a menu looks and behaves. The zero Menu is the loader's own.
type Menu struct {
	Color      string    // "text/background", in GRUB's words; "" for the loader's
	Highlight  string    // likewise, of the selected entry
	Background tree.Blob // a picture; nil for none
	Format     string    // of the picture: "png", "jpeg" or "tga"
	Editor     string    // "yes" or "no"; "" for the loader's default
	Mode       string    // one of the loader's modes
	Lines      []string  // added to the loader's configuration as they are
}

// ConsoleModes returns the resolutions that some loader's menu can have.
func ConsoleModes() (modes []string) {
	for _, l := range loaders {
		modes = append(modes, l.Modes...)
	}
	return modes
}

// ConfigFiles returns a text that says which loader's configuration takes further lines.
func ConfigFiles() string {
	var list []string
	for _, l := range loaders {
		if l.ConfigFile != "" {
			list = append(list, l.ConfigFile+" of "+l.Name)
		}
	}
	return strings.Join(list, ", ")
}

// colors are the words of GRUB for colours (GRUB manual, "color_normal").
var colors = strings.Fields(`black blue green cyan red magenta brown light-gray dark-gray light-blue light-green light-cyan light-red
	light-magenta yellow white`)

// CheckColor reports a text that is not two colours. The error is a [diag.Mistake].
func CheckColor(text string) error {
	front, back, ok := strings.Cut(text, "/")
	for _, c := range []string{front, back} {
		if ok && !slices.Contains(colors, c) {
			return diag.Mistake{Text: fmt.Sprintf("%q is not a colour", c), Hint: "use one of " + strings.Join(colors, ", ")}
		}
	}
	if !ok {
		return diag.Mistake{Text: fmt.Sprintf("%q is not two colours", text), Hint: `the text's and its background's, as in "white/blue"`}
	}
	return nil
}

// PictureFormat returns the format of a picture for the background of a menu. The error is a [diag.Mistake].
func PictureFormat(b tree.Blob) (string, error) {
	const most = 16 << 20 // bytes: GRUB reads all of it into memory
	if b.Size() > most {
		return "", diag.Mistake{Text: fmt.Sprintf("%s has %d bytes, more than %d", tree.HostPath(b), b.Size(), most)}
	}
	head, err := tree.ReadHead(b, picture.HeadSize)
	if err != nil {
		return "", err
	}
	format, err := picture.Format(head)
	if err != nil {
		return "", diag.Mistake{Text: tree.HostPath(b) + " " + err.Error(), Hint: "convert it to a PNG that is not interlaced"}
	}
	return format, nil
}

// CheckLine reports a line that cannot be added to the loader's configuration. The error is a [diag.Mistake].
func (l *Loader) CheckLine(line string) error {
	first, _, _ := strings.Cut(strings.TrimLeft(line, " \t"), " ")
	if slices.Contains(l.ownLines, first) {
		return diag.Mistake{Text: fmt.Sprintf("sets %s, which another key of [boot] is for", first), Hint: "write boot." + first + " instead"}
	}
	return nil
}

// foreign reports whether an entry starts another EFI program than Linux.
func (e Entry) foreign() (bool, error) {
	if !e.Plain {
		return false, nil
	}
	p, err := ProgramOf(e.Kernel.Content)
	return p.foreign(), err
}

// foreign reports whether a program is an EFI program other than a Linux kernel.
func (p Program) foreign() bool { return p.EFI && !p.Linux && !p.ZBoot }

// CheckPlain reports a program that the loader cannot start on a machine although it takes it for one that is not Linux, and an initrd
// for it. The error is a [diag.Mistake].
func (l *Loader) CheckPlain(m Machine, p Program, initrds int) error {
	switch {
	case !p.foreign():
		return nil
	case initrds > 0:
		return diag.Mistake{Text: "is an EFI program other than Linux, which takes no initrd", Hint: "remove initrd"}
	case l.firmware != "" || l.Requires(m).BIOS && !hasESP(m):
		return diag.Mistake{Text: "is an EFI program other than Linux, which only UEFI starts", Hint: `name a program for a BIOS, or add a partition of type "esp"`}
	}
	return nil
}

func hasESP(m Machine) bool { _, ok := m.find("esp"); return ok }
