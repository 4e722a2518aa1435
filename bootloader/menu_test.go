package bootloader

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/tree"

	"github.com/google/go-cmp/cmp"
)

// efiProgram is the beginning of an EFI program that is not Linux.
var efiProgram = Source{Name: "memtest.efi", Content: tree.Text("MZ" + strings.Repeat("\x00", 600))}

// A menu with everything that it may have: colours, a picture, lines, a submenu with the default entry, and a program other than Linux.
func TestGRUBLooks(t *testing.T) {
	c := grubConfig(espPartition, rootPartition)
	c.Graphics, c.Foreign = true, true
	c.Inputs[grubFont] = tree.Text("FONT")
	c.Menu = Menu{
		Color: "white/black", Highlight: "black/light-gray", Background: tree.Text("PICTURE"), Format: "png", Lines: []string{"set gfxpayload=keep", "# end"},
	}
	c.Entries[0].Submenu = "More of it's"
	c.Entries = append(c.Entries, Entry{Title: "memory test", Kernel: efiProgram, Plain: true}, Entry{Title: "older", Kernel: c.Entries[1].Kernel, Submenu: "More of it's"})
	c.Entries[0].Initrd = nil
	c.Default = 3
	a, err := grub{}.Artifacts(c)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range a.Files {
		files[f.Partition+":"+f.Path] = content(t, f.Content)
	}
	want := `if serial --unit=1 --speed=9600; then
  terminal_input console serial
  terminal_output console serial
fi
set menu_color_normal=white/black
set menu_color_highlight=black/light-gray
search --no-floppy --fs-uuid --set=home 1234-ABCD
if loadfont ($home)/boot/grub/unicode.pf2; then
  set gfxmode=auto
  terminal_output --append gfxterm
  terminal_output --remove console
  background_image ($home)/boot/grub/background.png
fi
set default='0>1'
set timeout=5
set gfxpayload=keep
# end
submenu --id submenu-0 -- 'More of it'\''s' {
menuentry --id it-s-new -- 'It'\''s new' {
  search --no-floppy --fs-uuid --set=disk3 0a1b
  linux ($disk3)/nix/store/abc/linux init=/x 'a=$b' quiet
}
menuentry --id older -- older {
  search --no-floppy --fs-uuid --set=disk3 0a1b
  linux ($disk3)/nix/store/abc/linux
}
}
menuentry --id old -- old {
  search --no-floppy --fs-uuid --set=disk3 0a1b
  linux ($disk3)/nix/store/abc/linux
}
menuentry --id memory-test -- 'memory test' {
  search --no-floppy --fs-uuid --set=disk1 1234-ABCD
  chainloader ($disk1)/EFI/imprint/memtest.efi
}
`
	if diff := cmp.Diff(want, files["firmware:/boot/grub/grub.cfg"]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if files["firmware:/boot/grub/background.png"] != "PICTURE" || files["firmware:/boot/grub/unicode.pf2"] != "FONT" {
		t.Errorf("files %v", files)
	}
	modules := strings.Join(grub{}.Requires(c.Machine).Inputs[0].Core.Modules, " ")
	for _, name := range []string{"chain", "gfxterm_background", "png"} {
		if !strings.Contains(modules, name) {
			t.Errorf("the core image lacks %s: %s", name, modules)
		}
	}
}

// GRUB's own parser takes every menu.
func TestGRUBParsesMenus(t *testing.T) {
	hosttest.Need(t, "grub-script-check")
	plain, full := grubConfig(espPartition, rootPartition), grubConfig(espPartition, rootPartition)
	full.Menu = Menu{Color: "white/black", Background: tree.Text("P"), Format: "tga", Lines: []string{"if [ -z \"$x\" ]; then set x=1; fi"}}
	full.Entries[0].Submenu = `a "b" $c; {d`
	for name, c := range map[string]Config{"plain": plain, "full": full} {
		text, _, err := grub{}.config(c, espPartition)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		hosttest.Run(t, "grub-script-check", file)
	}
}

func TestSystemdBootMenu(t *testing.T) {
	c := grubConfig(espPartition, rootPartition)
	c.Entries = []Entry{{Title: "memory test", Kernel: efiProgram, Plain: true, Cmdline: "x"}, {Title: "Linux", Kernel: c.Entries[1].Kernel, Plain: true}}
	c.Menu = Menu{Editor: "no", Mode: "max", Lines: []string{"auto-entries no"}}
	c.Inputs[systemdBootPath(c.Arch)] = tree.Text("EFI")
	a, err := systemdBoot{}.Artifacts(c)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range a.Files {
		files[f.Path] = content(t, f.Content)
	}
	if got, want := files["/loader/loader.conf"], "timeout 5\ndefault linux.conf\neditor no\nconsole-mode max\nauto-entries no\n"; got != want {
		t.Errorf("loader.conf is %q", got)
	}
	if got, want := files["/loader/entries/memory-test.conf"], "title memory test\nsort-key imprint-000\nefi /EFI/imprint/memtest.efi\noptions x\n"; got != want {
		t.Errorf("an entry is %q", got)
	}
	if got := files["/loader/entries/linux.conf"]; !strings.Contains(got, "\nlinux /EFI/imprint/abc-linux\n") {
		t.Errorf("an entry is %q", got)
	}
}

// A picture is looked at before it is copied.
func TestPictureFormat(t *testing.T) {
	for text, want := range map[string]string{
		"no picture": "is neither a PNG nor a JPEG nor a TGA", strings.Repeat("x", 16<<20+1): "more than 16777216",
	} {
		if _, err := PictureFormat(tree.Text(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.10s: %v", text, err)
		}
	}
}
