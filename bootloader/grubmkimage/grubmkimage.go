// Package grubmkimage makes core images of GNU GRUB 2 with the host's grub-mkimage, which gives the same bytes for the same modules.
package grubmkimage

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"imprint/internal/hosttool"

	"golang.org/x/sys/unix"
)

// limit is how many bytes an image may have; with all of GRUB's modules in it, it has a tenth of that.
const limit = 64 << 20

// Options say what an image is made of.
type Options struct {
	Dir     string   // of the modules; its last name is their format, such as "i386-pc" or "x86_64-efi"
	Format  string   // of the image, where it is not that of the modules: "i386-pc-eltorito"
	Prefix  string   // the directory that GRUB reads its configuration from, with or without a disk in parentheses
	Modules []string // by their names; those that they need come with them
}

// Make runs grub-mkimage and gives the image. The error matches hosttool.ErrMissing when the host lacks the program.
func Make(ctx context.Context, o Options) ([]byte, error) {
	image, err := run(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("make grub's core image of %s: %w", o.Dir, err)
	}
	return image, nil
}

// run has the program write to memory: it wants a file that it can sync, which a pipe is not.
func run(ctx context.Context, o Options) ([]byte, error) {
	fd, err := unix.MemfdCreate("core.img", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "core.img")
	defer file.Close()
	args := []string{
		"--format=" + cmp.Or(o.Format, filepath.Base(o.Dir)), "--directory=" + o.Dir, "--prefix=" + o.Prefix,
		fmt.Sprintf("--output=/proc/%d/fd/%d", os.Getpid(), fd),
	}
	if _, err := hosttool.Run(ctx, hosttool.Command{Name: "grub-mkimage", Args: append(args, o.Modules...)}); err != nil {
		return nil, err
	}
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, err
	case info.Size() == 0 || info.Size() > limit:
		return nil, fmt.Errorf("grub-mkimage wrote %d bytes", info.Size())
	}
	return io.ReadAll(io.NewSectionReader(file, 0, info.Size()))
}
