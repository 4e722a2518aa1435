// Package syslinux installs SYSLINUX on a FAT volume in a disk file. It runs the host's syslinux, which writes to the volume through mtools,
// without a mount, a loop device or root.
package syslinux

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"imprint/internal/hosttool"
	"imprint/internal/repro"
	"imprint/internal/scratch"
	"imprint/internal/units"
)

// Room is the number of bytes that must be free on the volume for the files that are installed, ldlinux.sys and ldlinux.c32.
const Room = 512 * units.KiB

// Install writes SYSLINUX's boot sector and files to the volume at offset of a file. The volume's hidden sectors must be offset in sectors.
// The files have the time epoch, in seconds since 1970. syslinux writes a configuration for mtools into a [scratch.Directory] below parent.
// The error matches [hosttool.ErrMissing] if the host lacks the program.
func Install(ctx context.Context, file string, offset, epoch int64, parent string) error {
	epoch = max(epoch, repro.FATEpoch)
	dir, err := scratch.Dir(parent)
	if err != nil {
		return err
	}
	defer dir.Remove()
	before, err := bootSector(file, offset)
	if err != nil {
		return err
	}
	r, err := hosttool.Run(ctx, hosttool.Command{
		Name:  "syslinux",
		Args:  []string{"--offset", fmt.Sprint(offset), "--install", file},
		Env:   []string{fmt.Sprintf("SOURCE_DATE_EPOCH=%d", epoch), "MTOOLSRC=/dev/null", "TMPDIR=" + dir.Path},
		Merge: true,
	})
	if err != nil {
		return fmt.Errorf("install syslinux: %w", err)
	}
	if len(r.Output) > 0 { // it prints only errors, and exits with 0 even then
		return fmt.Errorf("install syslinux: %s", r.Output)
	}
	after, err := bootSector(file, offset)
	if err == nil && bytes.Equal(before, after) {
		err = errors.New("install syslinux: it ended without an error, and the boot sector is as it was")
	}
	return err
}

// bootSector reads the first sector of the volume.
func bootSector(file string, offset int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p := make([]byte, 512)
	_, err = f.ReadAt(p, offset)
	return p, err
}
