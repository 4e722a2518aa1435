package resolve

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"

	"imprint/bootloader"
	"imprint/image/description"
	"imprint/internal/diag"
	"imprint/internal/extent"
	"imprint/internal/repro"
	"imprint/internal/tree"
	"imprint/internal/units"
)

// circles reports partitions with a hash tree that contain a root hash, and whether a partition that does is packed before everything else, so
// that root hashes must be known before.
func (r *resolved) circles(readable bool) (problems diag.List, packed bool) {
	for i := range r.d.Partition.Items {
		d := &r.d.Partition.Items[i]
		switch {
		case r.isSealed(d) && r.sealing.late[d.Name.V]:
			problems = append(problems, cmp.Or(d.Verity.Key, d.Key).Problem(
				"the content of the partition depends on a root hash, or on a partition UUID that derives from one",
				"remove the substitution or fstab from it, or write a partuuid for the partition and for that of its hash tree"))
		case !r.isSealed(d) && r.packs(d) && r.isLate(d):
			if packed = true; !readable {
				problems = append(problems, d.Key.Problem("contains a root hash, but is packed before the host tool that makes the partition with the hash tree has run",
					"use another file system for one of them"))
			}
		}
	}
	return problems, packed
}

// bootFilesLate finds partitions that stay the same, but get boot files that contain a root hash. Only the loader knows what it writes, so it is
// asked a second time, with other root hashes.
func (r *resolved) bootFilesLate(ctx context.Context) error {
	first := r.stayingFiles(r.sealing.files)
	if len(first) == 0 {
		return nil
	}
	p, err := r.identify(r.hosts, r.store, r.boot)
	if err != nil {
		return err
	}
	r.put(p)
	for _, part := range p.Partitions {
		if part.RootHash = strings.Repeat("f", len(part.RootHash)); part.Late {
			part.PartUUID = repro.UUID(bytes.Repeat([]byte{0xff}, 16))
		}
	}
	files, err := r.install(ctx, p, r.hosts, r.store, r.boot)
	if err != nil {
		return err
	}
	for i, f := range r.stayingFiles(files) {
		same, err := sameBytes(f.Content, first[i].Content)
		if err != nil {
			return err
		}
		if !same {
			r.sealing.late[f.Partition] = true
		}
	}
	return nil
}

// stayingFiles returns the files on partitions that stay the same.
func (r *resolved) stayingFiles(files []bootloader.File) (list []bootloader.File) {
	for _, f := range files {
		i := slices.IndexFunc(r.d.Partition.Items, func(d description.Partition) bool { return d.Name.V == f.Partition })
		if i >= 0 && r.stays(&r.d.Partition.Items[i]) {
			list = append(list, f)
		}
	}
	return list
}

// sameBytes reports whether two contents are equal.
func sameBytes(a, b tree.Blob) (bool, error) {
	if a == b || a.Size() != b.Size() {
		return a == b, nil
	}
	const piece = units.MiB
	for at := int64(0); at < a.Size(); at += piece {
		n := min(piece, a.Size()-at)
		one, two := make([]byte, n), make([]byte, n)
		if err := cmp.Or(extent.ReadAt(whole(a), one, at), extent.ReadAt(whole(b), two, at)); err != nil {
			return false, err
		}
		if !bytes.Equal(one, two) {
			return false, nil
		}
	}
	return true, nil
}

func whole(b tree.Blob) extent.List { return extent.List{{Len: b.Size(), Blob: b}} }
