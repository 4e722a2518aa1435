// Package syslinux installs SYSLINUX on a FAT volume in a disk file. It runs the host's syslinux, which writes to the volume through mtools,
// without a mount, a loop device or root.
package syslinux

import (
	"bytes"
	"context"
	"encoding/binary"
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

const sectorSize = 512

// Offsets of fields in a boot sector (Microsoft Extensible Firmware Initiative FAT32 File System Specification, 1.03).
const (
	sectorField  = 11 // BPB_BytsPerSec
	fatSizeField = 22 // BPB_FATSz16, which is 0 in FAT32
	backupField  = 50 // BPB_BkBootSec
)

var le = binary.LittleEndian

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
	switch {
	case err != nil:
		return err
	case bytes.Equal(before, after):
		return errors.New("install syslinux: it ended without an error, and the boot sector is as it was")
	}
	return backUp(after, file, offset)
}

// bootSector reads the first sector of the volume.
func bootSector(file string, offset int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p := make([]byte, sectorSize)
	_, err = f.ReadAt(p, offset)
	return p, err
}

// backUp writes the boot sector of a FAT32 volume also to the place of its backup, which syslinux leaves as it was.
func backUp(boot []byte, file string, offset int64) error {
	at, sector := int64(le.Uint16(boot[backupField:])), int64(le.Uint16(boot[sectorField:]))
	if le.Uint16(boot[fatSizeField:]) != 0 || at == 0 {
		return nil
	}
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(boot, offset+at*sector)
	return errors.Join(err, f.Close())
}
