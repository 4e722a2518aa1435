package menu

import (
	"strings"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/tree"

	"github.com/google/go-cmp/cmp"
)

var attr = &tree.Attr{Mode: 0o755}

// filesIn returns a tree with texts as files.
func filesIn(t testing.TB, files map[string]string) *tree.Tree {
	t.Helper()
	b := tree.NewBuilder(attr)
	for path, text := range files {
		if err := b.Add(path, tree.NewFile(path[strings.LastIndexByte(path, '/')+1:], attr, tree.Text(text)), ""); err != nil {
			t.Fatal(err)
		}
	}
	tr, err := b.Tree()
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestRead(t *testing.T) {
	got, problems := Read(filesIn(t, map[string]string{
		"/loader/entries/b.conf": "# text\ntitle\tOlder one\nversion 1\nlinux /k\ninitrd /a\ninitrd  /b\noptions  init=/x\noptions quiet\ndevicetree /d.dtb\n",
		"/loader/entries/README": "linux /no",
		"/efi/linux/note.txt":    "no program",
		"/boot/grub/grub.cfg": `set default=0 # linux (hd0)/no
menuentry --id 'one' --class os -- 'It'\''s "one"' { # a comment {
  search --fs-uuid --set=disk1 1234
  linux ($disk1)/vmlinuz root=PARTUUID=1 "dyndbg=a b" 'c;d' \
    quiet
  initrd ($disk1)/ucode ($disk1)/initrd
}
submenu "More" {
	menuentry "Two" --unrestricted { linux /two ; devicetree (hd0,1)/two.dtb }
	menuentry 'Setup' { fwsetup }
}
menuentry "Open end" { chainloader /EFI/x.efi`,
		"/extlinux/EXTLINUX.CONF": "DEFAULT a\nlabel none\n say hello\nLABEL a\n  MENU LABEL ^First\n  LINUX /k\n  INITRD /i,/j\n  FDT /f\n  APPEND x=y z\n",
		"/isolinux/isolinux.cfg":  "label live\n kernel vmlinuz\n append initrd=initrd.img boot=live ---\n",
	}))
	want := []Entry{
		{File: "/loader/entries/b.conf", Title: "Older one", Version: "1", Kernel: "/k", Initrd: []string{"/a", "/b"}, DeviceTree: "/d.dtb", Cmdline: "init=/x quiet"},
		{File: "/boot/grub/grub.cfg", Title: `It's "one"`, Kernel: "/vmlinuz", Initrd: []string{"/ucode", "/initrd"}, Cmdline: "root=PARTUUID=1 dyndbg=a b c;d quiet"},
		{File: "/boot/grub/grub.cfg", Title: "Two", Kernel: "/two", DeviceTree: "/two.dtb"},
		{File: "/boot/grub/grub.cfg", Title: "Open end", Kernel: "/EFI/x.efi"},
		{File: "/extlinux/EXTLINUX.CONF", Title: "First", Kernel: "/k", Initrd: []string{"/i", "/j"}, DeviceTree: "/f", Cmdline: "x=y z"},
		{File: "/isolinux/isolinux.cfg", Title: "live", Kernel: "vmlinuz", Initrd: []string{"initrd.img"}, Cmdline: "boot=live ---"},
	}
	if d := cmp.Diff(want, got); d != "" || problems != nil {
		t.Errorf("%v\n-want +got:\n%s", problems, d)
	}
}

func TestProblems(t *testing.T) {
	for want, files := range map[string]map[string]string{
		"more than the limit of 1048576":      {"/grub/grub.cfg": strings.Repeat(" ", maxMenu+1)},
		"no EFI program":                      {"/EFI/Linux/x.efi": "no program"},
		"more than 1000 entries in all menus": {"/syslinux.cfg": strings.Repeat("label a\nkernel b\n", 1002)},
	} {
		entries, problems := Read(filesIn(t, files))
		if len(problems) != 1 || !strings.Contains(problems[0].Err.Error(), want) || len(entries) > maxEntries {
			t.Errorf("%d entries, %v, want %q", len(entries), problems, want)
		}
	}
}

// Whatever a menu says, it is read in a bound of entries, each of which comes from a file that is there.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		"", "title a\nlinux b\noptions c", "menuentry 'a' {\nlinux (x)/b c\n}", "menuentry { { } } linux", "label a\nkernel b\nappend initrd=c",
		"menuentry a --id", `menuentry "\`, "menuentry 'a", "}}}{{{", "MZ", "MZ" + strings.Repeat("\x00", 58) + "\x40\x00\x00\x00PE\x00\x00",
	} {
		f.Add(seed)
	}
	hosttest.Fuzz(f, func(t *testing.T, text string) {
		files := map[string]string{
			"/loader/entries/a.conf": text, "/EFI/Linux/a.efi": text, "/boot/grub/grub.cfg": text, "/extlinux/extlinux.conf": text,
		}
		entries, _ := Read(filesIn(t, files))
		for _, e := range entries {
			if _, ok := files[e.File]; !ok {
				t.Errorf("an entry of %q", e.File)
			}
		}
		if len(entries) > maxEntries {
			t.Errorf("%d entries", len(entries))
		}
	})
}

func TestLoaderInfo(t *testing.T) {
	for text, want := range map[string]string{
		"#### LoaderInfo: systemd-stub 252.39-1 ####": "systemd-stub 252.39-1", "#### LoaderInfo: ": "", "systemd-stub": "", "": "",
	} {
		if got := loaderInfo(text); got != want {
			t.Errorf("%q is %q", text, got)
		}
	}
}
