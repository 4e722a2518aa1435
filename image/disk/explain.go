package disk

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"imprint/closure"
)

// Explain says what the byte at an offset of the region belongs to; in a file that is a region itself, what it is there.
func (r *Region) Explain(off int64) string {
	text, _, _ := r.explain(off)
	return text
}

// explain is Explain. For a byte of a file's content it also returns the path, and the region that has the file.
func (r *Region) explain(off int64) (text string, in *Region, path string) {
	if r.Volume == nil {
		return fmt.Sprintf("partition %v, byte %d", r, off), r, ""
	}
	text = r.Volume.Explain(off)
	path, at, ok := cutFile(text)
	if !ok {
		return text, r, ""
	}
	for _, inner := range r.inner {
		if inner.Path == path {
			text, in, path = inner.explain(at)
			return fmt.Sprintf("%s: %s", inner.Path, text), in, path
		}
	}
	return text, r, path
}

// cutFile returns the path and the offset in "file PATH, byte OFFSET", which is what file systems say of contents.
func cutFile(text string) (path string, at int64, ok bool) {
	text, ok = strings.CutPrefix(text, "file ")
	i := strings.LastIndex(text, ", byte ")
	if !ok || i < 0 {
		return "", 0, false
	}
	at, err := strconv.ParseInt(text[i+len(", byte "):], 10, 64)
	return text[:i], at, err == nil
}

// Explain says what the byte at an offset of the disk belongs to.
func (d *Disk) Explain(off int64) string {
	text, _, _ := d.explainByte(off)
	return text
}

// explainByte is Explain. For a byte of a file's content it also returns the path, and the region that has the file.
func (d *Disk) explainByte(off int64) (text string, in *Region, path string) {
	r := d.at(off)
	switch {
	case r != nil && !d.inTable(r, off) && r.Volume == nil:
		return fmt.Sprintf("%v, byte %d", r, off-r.Offset), nil, ""
	case r != nil && !d.inTable(r, off):
		text, in, path = r.explain(off - r.Offset)
		return fmt.Sprintf("%v: %s", r, text), in, path
	case d.explain == nil:
		return "outside of every file system", nil, ""
	}
	return d.explain(off), nil, ""
}

// Cover says whether a hash in the image covers the byte at an offset of the disk, if that is in the content of a file; else it is "".
func (d *Disk) Cover(ctx context.Context, off int64) string {
	_, in, path := d.explainByte(off)
	if path == "" {
		return ""
	}
	return in.cover(ctx, path)
}

// cover names the hash that covers the content of a file: the NAR hash of a registered store item.
func (r *Region) cover(ctx context.Context, path string) string {
	const none = "no hash in the image covers it"
	items := closure.Mentions(path)
	if len(items) == 0 || !strings.HasPrefix(path, items[0].String()) {
		return none
	}
	stores, _ := r.Stores(ctx) // of which verify reports what is damaged
	covered := false
	for _, store := range stores {
		_, err := store.Info(ctx, items[0])
		covered = covered || err == nil
		store.Close()
	}
	if covered {
		return "the NAR hash of its store item covers it"
	}
	return none
}

// at returns the region at an offset: of several the smallest, since an ISO spans the partitions that follow its tree.
func (d *Disk) at(off int64) (found *Region) {
	for _, r := range d.Regions {
		if r.In == nil && off >= r.Offset && off < r.Offset+r.Size && (found == nil || r.Size < found.Size) {
			found = r
		}
	}
	return found
}

// isoSystemArea is what the front of an ISO leaves to boot code and the partition table, in bytes (ECMA-119, 6.2.1).
const isoSystemArea = 32 << 10

// inTable reports whether a byte of an ISO is the partition table's.
func (d *Disk) inTable(r *Region, off int64) bool {
	return d.explain != nil && r.Volume != nil && r.Volume.Filesystem.WholeDisk && off < isoSystemArea
}
