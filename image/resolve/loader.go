package resolve

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"imprint/bootloader"
	"imprint/bootloader/grubmkimage"
	"imprint/internal/tree"
)

// inputs finds what the loader is made of: where the description says, in a closure, or on the host.
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

// input returns one input, pinned. It is nil when there is a problem.
func (f *bootFinder) input(ctx context.Context, in bootloader.Input) (tree.Blob, error) {
	if given := f.hosts[f.d.Boot.EFIBinary.Key]; given != nil && in.EFI {
		f.checkProgram(f.d.Boot.EFIBinary.Key, given.blob, true, "")
		return given.blob, nil
	}
	if in.Core != nil {
		return f.core(ctx, in)
	}
	if b := f.inClosures(in.Path); b != nil {
		pinned, err := pin(ctx, b)
		f.boot.read = append(f.boot.read, pinned)
		return b, err
	}
	name, key := f.onHost(in.Path, in.Package), f.d.Boot.Loader.Key
	if name == "" {
		return nil, nil
	}
	file := f.one(ctx, hosts{}, &f.problems, key, func(h *hostReader) *host { return h.file(key, name) })
	if file == nil {
		return nil, nil
	}
	return file.blob, nil
}

// core has GRUB's core image made of the modules in a directory, which is found by a file that every such directory has.
func (f *bootFinder) core(ctx context.Context, in bootloader.Input) (tree.Blob, error) {
	path := in.Path + "/moddep.lst"
	dir := ""
	if b := f.inClosures(path); b != nil {
		dir = filepath.Dir(tree.HostPath(b))
	} else if name := f.onHost(path, in.Package); name != "" {
		dir = filepath.Dir(name)
	} else {
		return nil, nil
	}
	image, err := grubmkimage.Make(ctx, grubmkimage.Options{Dir: dir, Format: in.Core.Format, Prefix: in.Core.Prefix, Modules: in.Core.Modules})
	if err != nil {
		return nil, err
	}
	return pin(ctx, tree.Text(string(image)))
}

// inClosures looks for a file by its path below a store item.
func (f *bootFinder) inClosures(path string) tree.Blob {
	for _, item := range f.store.items {
		if at, err := f.store.walker.File(item.Info.Path.String() + "/" + path); err == nil {
			return at.Node.Inode().Blob()
		}
	}
	return nil
}

// onHost looks for a file below the host's directories of programs; "" is a problem that is noted.
func (f *bootFinder) onHost(path, debian string) string {
	dirs := f.in.HostDirs
	if dirs == nil {
		dirs = []string{"/usr"}
	}
	for _, dir := range dirs {
		full := filepath.Join(dir, path)
		if _, err := os.Stat(full); !errors.Is(err, fs.ErrNotExist) {
			return full
		}
	}
	f.problem(f.d.Boot.Loader.Key, fmt.Sprintf("no %s in any closure, nor on the host below %s", path, strings.Join(dirs, ", ")),
		"give it with boot.efi-binary if it is an EFI program, or install it (Debian: apt-get install "+debian+")")
	return ""
}
