package demostore

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A Kernel is Debian's kernel in the layout of its package, installed or only unpacked.
type Kernel struct {
	Version string // such as 6.1.0-56-cloud-amd64
	Image   string // the file boot/vmlinuz-VERSION
	modules string // the directory lib/modules/VERSION
}

// findKernel looks for a cloud kernel of a Debian architecture below the given directories. It returns the last version in the first
// directory that has one.
func findKernel(arch string, dirs ...string) (Kernel, error) {
	for _, dir := range dirs {
		images, err := filepath.Glob(filepath.Join(dir, "boot/vmlinuz-*-cloud-"+arch))
		if err != nil || len(images) == 0 {
			continue
		}
		image := images[len(images)-1]
		version := strings.TrimPrefix(filepath.Base(image), "vmlinuz-")
		return Kernel{version, image, filepath.Join(dir, "lib/modules", version)}, nil
	}
	return Kernel{}, fmt.Errorf("no boot/vmlinuz-*-cloud-%s below %s", arch, strings.Join(dirs, ", "))
}

// A module is a kernel module: its name and content.
type module struct {
	name    string
	content []byte
}

// load returns the named modules and their dependencies, each after those it depends on.
func (k Kernel) load(names ...string) ([]module, error) {
	files := map[string]string{}
	err := filepath.WalkDir(filepath.Join(k.modules, "kernel"), func(path string, _ fs.DirEntry, err error) error {
		if name, ok := strings.CutSuffix(filepath.Base(path), ".ko"); ok {
			files[strings.ReplaceAll(name, "-", "_")] = path
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	l := loader{files: files, seen: map[string]bool{}}
	for _, n := range names {
		if err := l.add(n); err != nil {
			return nil, err
		}
	}
	return l.order, nil
}

type loader struct {
	files map[string]string
	seen  map[string]bool
	order []module
}

func (l *loader) add(name string) error {
	if l.seen[name] {
		return nil
	}
	l.seen[name] = true
	content, err := os.ReadFile(l.files[name])
	if err != nil {
		return fmt.Errorf("kernel module %s: %v", name, err)
	}
	needed, err := dependencies(content)
	if err != nil {
		return fmt.Errorf("kernel module %s: %v", name, err)
	}
	for _, n := range needed {
		if err := l.add(n); err != nil {
			return err
		}
	}
	l.order = append(l.order, module{name, content})
	return nil
}

// dependencies reads the field "depends=a,b" of a module's .modinfo section, whose fields end in NUL.
func dependencies(content []byte) ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	section := f.Section(".modinfo")
	if section == nil {
		return nil, fmt.Errorf("no section .modinfo")
	}
	info, err := section.Data()
	if err != nil {
		return nil, err
	}
	for field := range strings.SplitSeq(string(info), "\x00") {
		if names, ok := strings.CutPrefix(field, "depends="); ok && names != "" {
			return strings.Split(strings.ReplaceAll(names, "-", "_"), ","), nil
		}
	}
	return nil, nil
}
