// Package grubmkimage makes core images of GNU GRUB 2 with the host's grub-mkimage, whose output depends on the modules and
// options alone.
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

// limit is the largest size of an image in bytes, ten times that of one with all of GRUB's modules.
const limit = 64 << 20

// Options describe an image.
type Options struct {
	Dir     string   // of the modules; its last element is their format, such as "i386-pc" or "x86_64-efi"
	Format  string   // of the image, such as "i386-pc-eltorito"; "" for that of the modules
	Prefix  string   // the directory that GRUB reads its configuration from, with or without a disk in parentheses
	Modules []string // their names; modules that these depend on are added
}

// Make runs grub-mkimage and returns the image. The error matches [hosttool.ErrMissing] when the host lacks the program.
func Make(ctx context.Context, o Options) ([]byte, error) {
	image, err := run(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("make GRUB core image from %s: %w", o.Dir, err)
	}
	return image, nil
}

// run runs the program and returns its output. The program calls fsync, which fails on a pipe, so it writes to a memfd.
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
		return nil, fmt.Errorf("grub-mkimage wrote %d bytes, 1 to %d are allowed", info.Size(), int64(limit))
	}
	return io.ReadAll(io.NewSectionReader(file, 0, info.Size()))
}
