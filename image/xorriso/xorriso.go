// Package xorriso makes ISO 9660 images with Rock Ridge by the program of that name: whole file trees, bootable from CD, USB stick and
// hard disk.
//
// The tree need not be staged. xorriso is told by a script where the content of every file lies: in a file of the host, from which byte
// on. What lies in no file of the host, such as generated texts, is gathered in one spool file. xorriso reads by itself and once.
//
// Nothing of the host reaches the image: attributes are set for every node, and no content is told to xorriso as a file of the host,
// whose inode number it would order contents by, and whose hard links it would keep. The exception are contents that have several names
// in the tree; see script.
package xorriso

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"imprint/internal/hosttool"
	"imprint/internal/repro"
	"imprint/internal/tree"
)

// An Image is an ISO image to be made.
type Image struct {
	Tree     *tree.Tree
	VolumeID string     // up to 32 of A-Z 0-9 _
	Created  int64      // seconds since 1970
	Modified int64      // likewise; its digits are what mount, udev and GRUB take for the UUID
	DiskGUID repro.UUID // of the GPT; those of its partitions derive from it
	Boot     Boot
	Scratch  string // directory for what xorriso must have as files besides; it is empty again afterwards
}

// Boot says how an image boots. What is nil or empty is left out.
type Boot struct {
	BIOS string    // path in the tree of GRUB's El Torito image (i386-pc-eltorito); xorriso patches it
	MBR  tree.Blob // GRUB's boot_hybrid.img: starts the same from a disk
	ESP  tree.Blob // FAT image that UEFI boots from, appended behind the ISO's tree and a partition of the GPT
}

// Patched are the bytes of the El Torito image that xorriso changes: the boot info table (isolinux.txt, "EL TORITO") and the address
// that GRUB's cdboot.S reads.
var Patched = []tree.Range{{Off: 8, Len: 56}, {Off: 2548, Len: 8}}

// Write has xorriso write the image to file, which is empty. The error is a *hosttool.MissingError when the host lacks xorriso.
func Write(ctx context.Context, img Image, file *os.File) (err error) {
	if err := Check(img.Tree); err != nil {
		return err
	}
	sp, err := newSpool(img.Scratch)
	if err != nil {
		return fmt.Errorf("make a spool file for xorriso: %v", err)
	}
	defer func() { err = errors.Join(err, sp.remove()) }()
	s, err := newScript(ctx, img, sp)
	if err != nil {
		return err
	}
	_, err = hosttool.Run(ctx, hosttool.Command{
		Name: "xorriso", Args: arguments, Stdin: strings.NewReader(s), Files: []*os.File{file},
	})
	return err
}

// Installed says whether the host has xorriso: a *hosttool.MissingError when not.
func Installed() error {
	_, err := hosttool.Find("xorriso")
	return err
}

// arguments are the same for every image. Only as the first one does -no_rc keep the host's startup files out; then the output cannot be the
// standard one, but another descriptor, so that a file needs no name. Links that are given as paths of contents are followed. Names are
// bytes, which this character set leaves as they are.
var arguments = strings.Fields(`-no_rc -outdev stdio:/dev/fd/3 -report_about WARNING -abort_on SORRY -return_with SORRY 32
	-local_charset ISO-8859-1 -charset ISO-8859-1 -iso_rr_pattern off -disk_pattern off -backslash_codes with_quoted_input -follow param
	-compliance iso_9660_level=3:no_emul_toc -stdio_sync off -fs 64m -padding 0 -options_from_file /dev/stdin -commit -end`)
