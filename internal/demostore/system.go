package demostore

import (
	"bytes"
	"compress/gzip"
	_ "embed" // the guest's scripts
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// The guest's programs are shell scripts that busybox runs.
var (
	//go:embed guest/initrd-init
	initrdInit []byte
	//go:embed guest/system-init
	systemInit string
	//go:embed guest/partuuid
	partuuid []byte
)

// applets are the links to busybox in its item.
var applets = strings.Fields(`sh awk basename cat chmod cp cut date dd df dmesg echo env find grep head hexdump id ln ls mkdir mknod mount mv
	poweroff readlink reboot rm sed sha256sum sleep sort stat sync tail tar test touch tr true umount uname wc xargs`)

// AddSystem adds a system that boots, and its references. Like a system of NixOS it is an item with kernel, initrd and init.
// Its init prints "imprint: hello from STORE-PATH" on the console, checks its root file system, runs /etc/rc if the image has one,
// prints "imprint: ready" and switches the machine off. If a check fails it prints "imprint: FAIL: REASON" instead.
func (s *Store) AddSystem(p Parts) (Item, error) {
	busybox, err := s.Add("busybox", nil, func(path string) error { return writeBusybox(path, p.Busybox) })
	if err != nil {
		return Item{}, err
	}
	linux, err := s.Add("linux-"+p.Kernel.Version, nil, func(path string) error { return writeKernel(path, p.Kernel) })
	if err != nil {
		return Item{}, err
	}
	initrd, err := s.Add("initrd", nil, func(path string) error { return writeInitrd(path, p) })
	if err != nil {
		return Item{}, err
	}
	needs := []string{busybox.Path, linux.Path, initrd.Path}
	if p.Programs != "" {
		programs, err := s.Add("boot-programs", nil, func(path string) error { return writePrograms(path, p.Programs) })
		if err != nil {
			return Item{}, err
		}
		needs = append(needs, programs.Path)
	}
	return s.Add("system", needs, func(path string) error {
		return writeSystem(path, map[string]string{
			"kernel": linux.Path + "/bzImage",
			"initrd": initrd.Path + "/initrd",
			"sw":     busybox.Path,
		})
	})
}

// Write writes the parts of a system to a new directory, from which something else makes store items: busybox, linux and initrd with the
// contents of AddSystem's items, and guest with the scripts partuuid and system-init, in which @busybox@ stands for busybox's store path.
func (p Parts) Write(dir string) error {
	guest := filepath.Join(dir, "guest")
	if err := os.MkdirAll(guest, 0o755); err != nil {
		return err
	}
	if err := writeBusybox(filepath.Join(dir, "busybox"), p.Busybox); err != nil {
		return err
	}
	if err := writeKernel(filepath.Join(dir, "linux"), p.Kernel); err != nil {
		return err
	}
	if err := writeInitrd(filepath.Join(dir, "initrd"), p); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(guest, "partuuid"), partuuid, 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(guest, "system-init"), []byte(systemInit), 0o644)
}

func writeBusybox(path, program string) error {
	bin := filepath.Join(path, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return err
	}
	if err := copyFile(filepath.Join(bin, "busybox"), program, 0o755); err != nil {
		return err
	}
	for _, name := range applets {
		if err := os.Symlink("busybox", filepath.Join(bin, name)); err != nil {
			return err
		}
	}
	return nil
}

func writeKernel(path string, k Kernel) error {
	if err := os.Mkdir(path, 0o755); err != nil {
		return err
	}
	return copyFile(filepath.Join(path, "bzImage"), k.Image, 0o644)
}

func writeInitrd(path string, p Parts) error {
	archive, err := initrdArchive(p)
	if err != nil {
		return err
	}
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := z.Write(archive); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(path, "initrd"), packed.Bytes(), 0o644)
}

// writePrograms copies the files that boot loaders are made of.
func writePrograms(path, from string) error {
	for _, dir := range []string{"lib/grub", "lib/systemd/boot/efi"} {
		if err := os.CopyFS(filepath.Join(path, dir), os.DirFS(filepath.Join(from, dir))); err != nil {
			return err
		}
	}
	return nil
}

// initrdArchive returns the archive of the initrd whose init is a script of this package.
func initrdArchive(p Parts) ([]byte, error) {
	a, err := p.archive(initrdInit)
	if err != nil {
		return nil, err
	}
	a.add(cpioEntry{path: "partuuid", mode: cpioFile | 0o644, content: partuuid})
	return a.bytes(), nil
}

// Initrd returns an initrd with another init, a shell script for busybox, and programs and libraries of this machine at their paths. It loads
// the modules in the order of /modules/order.
func (p Parts) Initrd(init string, files ...string) ([]byte, error) {
	a, err := p.archive([]byte(init))
	if err != nil {
		return nil, err
	}
	made := map[string]bool{"bin": true}
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		parts := strings.Split(strings.Trim(name, "/"), "/")
		for i := 1; i < len(parts); i++ {
			if dir := strings.Join(parts[:i], "/"); !made[dir] {
				a.add(cpioEntry{path: dir, mode: cpioDir | 0o755})
				made[dir] = true
			}
		}
		a.add(cpioEntry{path: strings.Join(parts, "/"), mode: cpioFile | 0o755, content: content})
	}
	return a.bytes(), nil
}

// archive begins the archive of an initrd: init, busybox, the modules, and the order in which to load them.
func (p Parts) archive(init []byte) (*cpioArchive, error) {
	busybox, err := os.ReadFile(p.Busybox)
	if err != nil {
		return nil, err
	}
	needed, err := p.Kernel.load(p.Modules...)
	if err != nil {
		return nil, err
	}
	a := &cpioArchive{}
	for _, dir := range []string{"bin", "dev", "modules", "proc", "sys", "sysroot"} {
		a.add(cpioEntry{path: dir, mode: cpioDir | 0o755})
	}
	a.add(cpioEntry{path: "dev/console", mode: cpioChar | 0o600, rdev: [2]int{5, 1}})
	a.add(cpioEntry{path: "bin/busybox", mode: cpioFile | 0o755, content: busybox})
	a.add(cpioEntry{path: "bin/sh", mode: cpioSymlink | 0o777, content: []byte("busybox")})
	a.add(cpioEntry{path: "init", mode: cpioFile | 0o755, content: init})
	var order strings.Builder
	for _, m := range needed {
		a.add(cpioEntry{path: "modules/" + m.name + ".ko", mode: cpioFile | 0o644, content: m.content})
		order.WriteString(m.name + "\n")
	}
	a.add(cpioEntry{path: "modules/order", mode: cpioFile | 0o644, content: []byte(order.String())})
	return a, nil
}

func writeSystem(path string, links map[string]string) error {
	if err := os.Mkdir(path, 0o755); err != nil {
		return err
	}
	for name, target := range links {
		if err := os.Symlink(target, filepath.Join(path, name)); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(path, "partuuid"), partuuid, 0o644); err != nil {
		return err
	}
	script := strings.ReplaceAll(systemInit, "@busybox@", links["sw"])
	return os.WriteFile(filepath.Join(path, "init"), []byte(script), 0o755)
}

func copyFile(to, from string, mode os.FileMode) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("copy: %v", err)
	}
	return os.WriteFile(to, content, mode)
}
