package image

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"imprint/closure/nar"
	"imprint/partition/iso9660"
	"imprint/image/xorriso"
	"imprint/internal/processors"
	"imprint/internal/tree"

	"golang.org/x/sync/errgroup"
)

// verify compares what lies in the image with the plan: every name, kind and attribute, the NAR hash of every item, and every other content.
// So what is hashed is what was written.
func (w *isoWriter) verify(ctx context.Context, v *iso9660.Volume, img xorriso.Image) error {
	if v.ID != img.VolumeID || v.UUID() != xorriso.UUID(img.Modified) {
		return fmt.Errorf("xorriso wrote the volume %q with the UUID %s, not %q with %s", v.ID, v.UUID(), img.VolumeID, xorriso.UUID(img.Modified))
	}
	pairs, err := pairsOf(img.Tree, v.Tree)
	if err != nil || w.opts.NoVerify {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(processors.Count())
	check := func(do func() error) {
		group.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return do()
		})
	}
	for _, r := range w.layout.Regions {
		if r.Partition.Spec.Filesystem == filesystemFAT {
			check(func() error { return w.sameESP(ctx, r, v) })
		}
		if r.Partition.Spec.Tree != img.Tree {
			continue
		}
		for _, item := range r.Partition.Items {
			check(func() error { return sameItem(item, pairs[item.Node]) })
		}
		for n := range r.besides() {
			check(func() error { return w.sameContent(ctx, n, pairs[n], img.Boot.BIOS) })
		}
	}
	return group.Wait()
}

// pairsOf finds for every node of a plan the one that was read back.
func pairsOf(planned, found *tree.Tree) (map[*tree.Node]*tree.Node, error) {
	pairs := make(map[*tree.Node]*tree.Node, planned.Len())
	if planned.Len() != found.Len() {
		return nil, fmt.Errorf("the image has %d files, not %d", found.Len(), planned.Len())
	}
	id := 0
	for path, n := range planned.Walk() {
		other := found.Node(id)
		id++
		if err := same(n, other); err != nil {
			return nil, fmt.Errorf("%s is not in the image as it was planned: %v", path, err)
		}
		pairs[n] = other
	}
	return pairs, nil
}

// same compares all but contents. A further name of a file counts as one with its content.
func same(planned, found *tree.Node) error {
	n := planned.Inode()
	a, b := n.Attr, found.Attr
	size := n.Size()
	if inner, ok := n.Blob().(*innerImage); ok {
		size = inner.Size()
	}
	switch {
	case planned.Name != found.Name:
		return fmt.Errorf("its name is %q", found.Name)
	case n.Kind() != found.Kind():
		return fmt.Errorf("it is a %v, not a %v", found.Kind(), n.Kind())
	case a.Mode != b.Mode || a.UID != b.UID || a.GID != b.GID:
		return fmt.Errorf("mode %o of %d:%d, not %o of %d:%d", b.Mode, b.UID, b.GID, a.Mode, a.UID, a.GID)
	case a.Mtime.Sec != b.Mtime.Sec:
		return fmt.Errorf("time %d, not %d", b.Mtime.Sec, a.Mtime.Sec)
	case n.Target() != found.Target():
		return fmt.Errorf("it leads to %q, not %q", found.Target(), n.Target())
	case n.Kind() == tree.File && size != found.Size():
		return fmt.Errorf("%d bytes, not %d", found.Size(), size)
	}
	return nil
}

// sameItem compares the NAR hash of an item in the image with the registered one.
func sameItem(item *Item, found *tree.Node) error {
	got, _, err := nar.Hash(found)
	if err != nil {
		return fmt.Errorf("%v: %w", item.Info.Path, err)
	}
	if got != item.Info.NARHash {
		return &HashMismatch{Path: item.Info.Path, Registered: item.Info.NARHash, Found: got}
	}
	return nil
}

// sameContent compares a file's content with its pin, or with its source where that has none.
func (w *isoWriter) sameContent(ctx context.Context, planned, found *tree.Node, patched string) error {
	b := planned.Blob()
	want, pinned := w.plan.pins[b]
	isPatched := patched != "" && planned == w.find(patched)
	if !pinned || isPatched {
		return sameBytes(planned, found, isPatched)
	}
	got, _, err := hashBlob(ctx, found.Blob())
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("%s has other contents than when the plan was made: %w", hostName(b), ErrMismatch)
	}
	return nil
}

// sameESP compares the ESP in the image with its layout, and the host files in it with their pins.
func (w *isoWriter) sameESP(ctx context.Context, r *Region, v *iso9660.Volume) error {
	planned := tree.NewFile("ESP", nil, regionBlob{r})
	found := tree.NewFile("ESP", nil, section{w.file, espOffset(v), r.Size})
	if err := sameBytes(planned, found, false); err != nil {
		return err
	}
	for n := range r.Partition.Spec.Tree.Nodes() {
		want, pinned := w.plan.pins[n.Blob()]
		if n.Kind() != tree.File || !pinned {
			continue
		}
		if got, _, err := hashBlob(ctx, n.Blob()); err != nil {
			return err
		} else if got != want {
			return fmt.Errorf("%s has other contents than when the plan was made: %w", hostName(n.Blob()), ErrMismatch)
		}
	}
	return nil
}

// A section is a part of the image as content.
type section struct {
	image     io.ReaderAt
	off, size int64
}

// Size is the length in bytes.
func (s section) Size() int64 { return s.size }

// Open costs nothing.
func (s section) Open() (tree.Reader, error) {
	return sectionReader{io.NewSectionReader(s.image, s.off, s.size)}, nil
}

type sectionReader struct{ *io.SectionReader }

// Close implements io.Closer.
func (sectionReader) Close() error { return nil }

// find gives a node of the ISO's tree.
func (w *isoWriter) find(path string) *tree.Node {
	for _, r := range w.layout.Regions {
		if r.Partition.Spec.Filesystem == filesystemISO {
			return r.Partition.Spec.Tree.Find(path)
		}
	}
	return nil
}

// sameBytes compares two contents part by part, but for what xorriso patches.
func sameBytes(planned, found *tree.Node, patched bool) error {
	a, err := planned.Blob().Open()
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := found.Blob().Open()
	if err != nil {
		return err
	}
	defer b.Close()
	p, q := buffers.Get().(*[256 << 10]byte), buffers.Get().(*[256 << 10]byte)
	defer buffers.Put(p)
	defer buffers.Put(q)
	for off, size := int64(0), found.Size(); off < size; off += int64(len(p)) {
		n := min(int64(len(p)), size-off)
		if _, err := a.ReadAt(p[:n], off); err != nil && err != io.EOF {
			return err
		}
		if _, err := b.ReadAt(q[:n], off); err != nil && err != io.EOF {
			return err
		}
		if patched && off == 0 {
			for _, r := range xorriso.Patched {
				copy(p[r.Off:r.Off+r.Len], q[r.Off:r.Off+r.Len])
			}
		}
		if !bytes.Equal(p[:n], q[:n]) {
			return fmt.Errorf("%s has other contents in the image than in the plan: %w", found.Name, ErrMismatch)
		}
	}
	return nil
}
