package demostore

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
)

// Synthetic makes a store like Demo's whose contents are the same on every machine, for tests that compare an image with a recorded one.
// Its system has a kernel, an initrd and the programs of every boot loader that imprint takes from a closure, none of which can run.
// Other items contain equal files, long runs of zeros, symlinks, empty files and directories, long names and a directory with many
// names; there are items that are a file or a symlink, and one item that nothing refers to.
func Synthetic(dir, arch string) (*Store, Item, error) {
	m, ok := synthetic[arch]
	if !ok {
		return nil, Item{}, fmt.Errorf("no synthetic store for architecture %q", arch)
	}
	return layOut(dir, Nix, func(s *Store) (Item, error) { return s.addNixSystem(dir, m.addSystem) })
}

// GuixSynthetic makes a store like GuixDemo's with the contents of Synthetic's.
func GuixSynthetic(dir, arch string) (*Store, Item, error) {
	m, ok := synthetic[arch]
	if !ok {
		return nil, Item{}, fmt.Errorf("no synthetic store for architecture %q", arch)
	}
	return layOut(dir, Guix, func(s *Store) (Item, error) { return s.addGuixSystem(dir, m.addSystem) })
}

// SyntheticHost makes below dir the files that descriptions name outside of the store.
func SyntheticHost(dir string) error {
	files := entries{
		"usr/lib/grub/x86_64-efi/monolithic/gcdx64.efi": synthetic["x86_64"].program("gcdx64.efi", 50_000),
		"usr/lib/u-boot/qemu_arm64/u-boot.bin":          noise("u-boot.bin", 70_001),
		"boot/memtest86+x64.bin":                        synthetic["x86_64"].linux("memtest", 80_000),
		"data.bin":                                      append(make([]byte, 200_000), noise("data.bin", 100_000)...),
		"microcode":                                     noise("microcode", 10_001),
		"rootfs/etc/issue":                              []byte("synthetic\n"),
		"rootfs/etc/same-issue":                         []byte("synthetic\n"),
		"rootfs/usr/bin/true":                           prose("true", 5000),
		"rootfs/bin":                                    link("usr/bin"),
		"rootfs/srv":                                    nil,
	}
	if err := files.write(dir); err != nil {
		return err
	}
	return permissions(filepath.Join(dir, "rootfs"))
}

// permissions sets the permissions of a tree, which end up in images, regardless of the umask.
func permissions(root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type() == fs.ModeSymlink {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode()&0o100 != 0 {
			return os.Chmod(path, 0o755)
		}
		return os.Chmod(path, 0o640)
	})
}

// entries are the files below a directory by path: []byte is a file, string an executable file, link a symlink, nil an empty directory.
type entries map[string]any

type link string

func (e entries) write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, content := range e {
		if err := writeEntry(filepath.Join(dir, name), content); err != nil {
			return err
		}
	}
	return nil
}

func writeEntry(path string, content any) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	switch c := content.(type) {
	case []byte:
		return os.WriteFile(path, c, 0o644)
	case string:
		return os.WriteFile(path, []byte(c), 0o755)
	case link:
		return os.Symlink(string(c), path)
	}
	return os.Mkdir(path, 0o755)
}

// A shelf adds items to a store and keeps the first error.
type shelf struct {
	store *Store
	err   error
}

// add adds an item and returns its store path. content is entries, or the value of one entry.
func (s *shelf) add(name string, content any, references ...string) string {
	if s.err != nil {
		return ""
	}
	item, err := s.store.Add(name, references, func(path string) error {
		if e, ok := content.(entries); ok {
			return e.write(path)
		}
		return writeEntry(path, content)
	})
	s.err = err
	return item.Path
}

func (m machine) addSystem(store *Store) (Item, error) {
	s := &shelf{store: store}
	libc := s.add("libc-1.0", entries{
		"lib/libc.so.1": noise("libc", 150_000), "lib/libc.so": link("libc.so.1"), "share/locale": nil, "share/doc/README": []byte{},
	})
	shell := s.add("shell-2.1", entries{
		"bin/shell": "#!" + libc + "/lib/libc.so.1\n" + prose("the shell", 9000), "bin/sh": link("shell"),
	}, libc)
	linux := s.add("linux-6.1", entries{
		m.kernel: m.linux("linux", 300_000), "dtbs/acme/board.dtb": noise("board.dtb", 3000), "dtbs/board.dtb": link("acme/board.dtb"),
	})
	initrd := s.add("initrd", entries{"initrd": m.initrd()})
	programs := s.add("boot-programs", m.programs())
	needs := []string{shell, linux, initrd, programs, s.add("data-3", data()), s.add("single-file", []byte("all of this item\n")),
		s.add("single-link", link(libc+"/lib/libc.so"), libc)}
	s.add("garbage", []byte("nothing refers to this\n"), libc)
	system := s.add("system", entries{
		"kernel": link(linux + "/" + m.kernel), "dtbs": link(linux + "/dtbs"), "initrd": link(initrd + "/initrd"), "sw": link(shell),
		"init": "#!" + shell + "/bin/sh\n", "etc/needs": []byte(strings.Join(needs, "\n")),
	}, needs...)
	return store.items[system], s.err
}

func (m machine) initrd() []byte {
	var a cpioArchive
	a.add(cpioEntry{path: "dev", mode: cpioDir | 0o755})
	a.add(cpioEntry{path: "dev/console", mode: cpioChar | 0o600, rdev: [2]int{5, 1}})
	a.add(cpioEntry{path: "init", mode: cpioFile | 0o755, content: noise("init", 100_000)})
	return a.bytes()
}

// programs returns the files of boot loaders, at the paths where imprint looks for them in a closure.
func (m machine) programs() entries {
	const efi = "lib/systemd/boot/efi/"
	e := entries{
		efi + "systemd-boot" + m.suffix + ".efi": m.program("systemd-boot", 90_000),
		efi + "linux" + m.suffix + ".efi.stub":   m.program("stub", 60_000),
		"lib/grub/" + m.grub + "/moddep.lst":     []byte("normal:\n"),
		"lib/grub/" + m.grub + "/normal.mod":     noise("normal.mod", 5000),
	}
	if m.bios {
		maps.Copy(e, biosPrograms)
	}
	return e
}

var biosPrograms = entries{
	"lib/grub/i386-pc/moddep.lst":           []byte("normal:\n"),
	"lib/grub/i386-pc/boot.img":             noise("boot.img", 512),
	"lib/grub/i386-pc/boot_hybrid.img":      noise("boot_hybrid.img", 512),
	"lib/SYSLINUX/mbr.bin":                  noise("mbr.bin", 440),
	"lib/syslinux/modules/bios/menu.c32":    noise("menu.c32", 26_000),
	"lib/syslinux/modules/bios/libutil.c32": noise("libutil.c32", 22_000),
}

// data returns files that file systems treat in different ways.
func data() entries {
	same := noise("same", 20_000)
	zeros := make([]byte, 3<<20)
	copy(zeros, "begin")
	copy(zeros[2<<20:], "middle")
	e := entries{
		"same/one": same, "same/two": same, "same/program": string(same), "zeros": zeros, "zeros-alone": make([]byte, 100_000),
		"empty": []byte{}, "empty-directory": nil, "dangling": link("/nowhere"), "long-link": link(strings.Repeat("../", 300) + "etc"),
		"Größe/ünïcode": []byte("names are bytes\n"), "block": noise("block", 4096), "large": noise("large", 2_500_000),
		"names/" + strings.Repeat("n", 250): []byte("the longest name\n"),
	}
	for i := range 1500 {
		e[fmt.Sprintf("names/%04d-%s", i, strings.Repeat("x", i%60))] = []byte(prose("a small file", i%50))
	}
	return e
}
