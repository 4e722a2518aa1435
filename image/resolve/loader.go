package resolve

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"imprint/bootloader"
	"imprint/bootloader/grubmkimage"
	"imprint/closure"
	"imprint/internal/hosttree"
	"imprint/internal/tree"
)

// inputs finds the files that the loader is made of: named in the description, in a closure, in a tree of the image, or on the host.
func (f *bootFinder) inputs(ctx context.Context, inputs []bootloader.Input) error {
	f.boot.inputs = map[string]tree.Blob{}
	for _, in := range inputs {
		b, err := f.input(ctx, in)
		if err != nil {
			return err
		}
		if b != nil {
			f.boot.inputs[in.Path] = b
		}
	}
	return nil
}

// input returns one such file, pinned; nil after a problem.
func (f *bootFinder) input(ctx context.Context, in bootloader.Input) (tree.Blob, error) {
	if given := f.hosts[f.d.Boot.EFIBinary.Key]; given != nil && in.EFI {
		f.checkProgram(f.d.Boot.EFIBinary.Key, tree.HostPath(given.Blob), given.Blob, true, "")
		return given.Blob, nil
	}
	if in.Core != nil {
		return f.core(ctx, in)
	}
	at, found := f.inClosures(in.Path)
	switch {
	case found && at == nil:
		return nil, nil
	case found:
		b := at.Node.Inode().Blob()
		pinned, err := tree.PinContent(ctx, b)
		f.boot.read = append(f.boot.read, pinned)
		return b, err
	}
	if n := f.inTrees(in.Path); n != nil {
		return n.Blob(), nil
	}
	name, key := f.onHost(in.Path, in.Package), f.d.Boot.Loader.Key
	if name == "" {
		return nil, nil
	}
	file, problems := f.host().File(ctx, key, name)
	f.problems = append(f.problems, problems...)
	if file == nil {
		return nil, nil
	}
	return file.Blob, nil
}

// core has grub-mkimage make GRUB's core image from the modules in a directory, in a closure or on the host. The program reads
// the host's files by path, so for a closure the modules are compared before and after it runs: what it read is then what the
// closure has.
func (f *bootFinder) core(ctx context.Context, in bootloader.Input) (tree.Blob, error) {
	o := grubmkimage.Options{Format: in.Core.Format, Prefix: in.Core.Prefix, Modules: in.Core.Modules}
	index := in.Path + "/" + grubmkimage.Index
	at, found := f.inClosures(index)
	if !found {
		name := f.onHost(index, in.Package)
		if name == "" {
			return nil, nil
		}
		o.Dir = filepath.Dir(name)
		return makeCore(ctx, o)
	}
	if at == nil {
		return nil, nil
	}
	prefix, _, _ := strings.Cut(tree.HostPath(at.Node.Inode().Blob()), at.Item.String())
	o.Dir = prefix + path.Dir(at.Path)
	before, ok, err := f.modules(ctx, o, *at)
	if !ok || err != nil {
		return nil, err
	}
	image, err := makeCore(ctx, o)
	if err != nil {
		return nil, err
	}
	if after, _, err := f.modules(ctx, o, *at); err != nil || after != before {
		return nil, fmt.Errorf("make GRUB core image: modules in %s changed while it ran", o.Dir)
	}
	return image, nil
}

// makeCore runs grub-mkimage and pins the result. It is small enough to stay in memory.
func makeCore(ctx context.Context, o grubmkimage.Options) (tree.Blob, error) {
	image, err := grubmkimage.Make(ctx, o)
	if err != nil {
		return nil, err
	}
	return tree.PinContent(ctx, tree.Text(string(image)))
}

// modules checks that what grub-mkimage will read in a directory of the host is what the closure has there. The program
// follows symlinks, and one that leads out of the image's items, or into this machine's own store, would make it read
// something else. It returns a digest of the modules.
func (f *bootFinder) modules(ctx context.Context, o grubmkimage.Options, index closure.Location) (digest string, ok bool, err error) {
	const maxIndex = 1 << 20 // bytes; GRUB's is 5 KB
	text, err := tree.ReadAll(index.Node.Inode().Blob(), maxIndex)
	if err != nil {
		return "", false, err
	}
	all, key := sha256.New(), f.d.Boot.Loader.Key
	reported := len(f.problems)
	for _, name := range grubmkimage.Reads(string(text), o.Modules) {
		at, err := f.store.Walker.File(path.Dir(index.Path) + "/" + name)
		var nowhere *closure.NowhereError
		if errors.As(err, &nowhere) { // grub-mkimage reports it if it needs the file
			continue
		}
		if err != nil {
			f.problem(key, err.Error(), "grub-mkimage would follow the link on this machine: the item has to contain the module itself")
			continue
		}
		inside, outside, err := pinBoth(ctx, at.Node.Inode().Blob(), filepath.Join(o.Dir, name))
		if err != nil {
			return "", false, err
		}
		if inside != outside {
			f.problem(key, fmt.Sprintf("%s is not what grub-mkimage would read on this machine, in %s", at.Path, filepath.Join(o.Dir, name)),
				"the item has to contain the module itself, or a relative link")
		}
		all.Write(inside[:])
	}
	return string(all.Sum(nil)), len(f.problems) == reported, nil
}

// pinBoth returns the pin of a blob, and that of the file that a path on the host leads to; zero if there is none.
func pinBoth(ctx context.Context, b tree.Blob, name string) (inside, outside tree.Pin, err error) {
	if b, err = tree.PinContent(ctx, b); err != nil {
		return inside, outside, err
	}
	inside, _ = tree.PinOf(b)
	file, err := hosttree.File(name)
	if err != nil {
		return inside, outside, nil
	}
	if file, err = tree.PinContent(ctx, file); err == nil {
		outside, _ = tree.PinOf(file)
	}
	return inside, outside, err
}

// inClosures looks for a file by its path below a store item. at is nil with found set after a problem: an item has the
// beginning of the path, but a symlink leads out of the image's items.
func (f *bootFinder) inClosures(name string) (at *closure.Location, found bool) {
	first, _, _ := strings.Cut(name, "/")
	for _, item := range f.store.Items {
		below := item.Info.Path.String() + "/"
		at, err := f.store.Walker.File(below + name)
		if err == nil {
			return &at, true
		}
		var outside *closure.OutsideError
		var absent *closure.AbsentError
		if !errors.As(err, &outside) && !errors.As(err, &absent) {
			continue
		}
		if _, out := f.store.Walker.Find(below + first); out == nil {
			f.problem(f.d.Boot.Loader.Key, err.Error(), "a boot loader's files come from the image's items or from the host; links from one to the other are not followed")
			return nil, true
		}
	}
	return nil, false
}

// inTrees looks for a file below /usr in the trees of the image. A loader that is made of a core image has none of its files there: a host tool
// would read that image's modules by path, and its boot code has to be of the same version.
func (f *bootFinder) inTrees(path string) *tree.Node {
	hasCore := func(in bootloader.Input) bool { return in.Core != nil }
	if slices.ContainsFunc(f.boot.loader.Requires(f.boot.machine).Inputs, hasCore) {
		return nil
	}
	for _, t := range f.stated {
		if t == nil {
			continue
		}
		if n, _ := t.Follow("/usr/" + path); n != nil && n.Kind() == tree.File && !t.IsLate(n) {
			return n
		}
	}
	return nil
}

// onHost looks for a file below the host's directories of programs; "" after a problem.
func (f *bootFinder) onHost(path, debian string) string {
	if full := f.below(path); full != "" {
		return full
	}
	f.problem(f.d.Boot.Loader.Key, fmt.Sprintf("%s is neither in a closure, nor below /usr in a tree, nor on the host below %s", path, strings.Join(f.hostDirs(), ", ")),
		"name it with boot.efi-binary if it is an EFI program, or install it (Debian: apt-get install "+debian+")")
	return ""
}

// below looks for a file below the host's directories of programs; "" if there is none.
func (f *bootFinder) below(path string) string {
	for _, dir := range f.hostDirs() {
		full := filepath.Join(dir, path)
		if _, err := os.Stat(full); !errors.Is(err, fs.ErrNotExist) {
			return full
		}
	}
	return ""
}

// hostDirs returns the directories below which a host has the files of boot loaders. Tests replace /usr.
func (f *bootFinder) hostDirs() []string {
	if f.in.HostDirs == nil {
		return []string{"/usr"}
	}
	return f.in.HostDirs
}
