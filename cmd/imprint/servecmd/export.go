package servecmd

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"imprint/cmd/imprint/imagecmd"
	"imprint/image/disk"
	"imprint/image/plan"
	"imprint/image/serve"
	"imprint/image/write"
	"imprint/internal/nbd"
	"imprint/internal/overlay"
	"imprint/internal/scratch"
)

// An export is a disk to serve.
type export struct {
	disk     *serve.Disk
	name     string         // of the image
	file     string         // name of the image as a file
	manifest *plan.Manifest // nil for an image without one

	prepared *write.Prepared    // of a description
	scratch  *scratch.Directory // likewise
	image    *disk.Disk         // of an image
	path     string             // of the image
	packed   bool               // the image is in a file of another format than raw
	opened   []func()
}

// close closes the disk and all files. The export must not be used after that.
func (e *export) close() {
	for i := len(e.opened) - 1; i >= 0; i-- {
		e.opened[i]()
	}
}

// export opens a description or an image. The caller closes the export.
func (w World) export(ctx context.Context, file string) (e *export, err error) {
	e = &export{}
	defer func() {
		if err != nil {
			e.close()
		}
	}()
	image, err := isImage(file)
	if err != nil {
		return e, err
	}
	if image {
		return e, e.openImage(ctx, file)
	}
	return e, w.openDescription(ctx, e, file)
}

// isImage reports whether a file is an image, and not a description: every image has a NUL where boot code or a partition table may be, and no
// description has one anywhere.
func isImage(name string) (bool, error) {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode()&fs.ModeNamedPipe != 0:
		return false, nil // reading the description reports it
	case err != nil:
		return false, err
	case info.Mode().Type() != 0:
		return true, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	head := make([]byte, 4096)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	return bytes.IndexByte(head[:n], 0) >= 0, nil
}

// openDescription resolves a description. Host tools work in a directory for temporary files.
func (w World) openDescription(ctx context.Context, e *export, file string) error {
	d, err := w.Parse(ctx, file)
	if err != nil {
		return err
	}
	if err := e.makeScratch(); err != nil {
		return err
	}
	p, layout, err := w.Resolve(ctx, file, d, e.scratch.Path)
	if err != nil {
		return err
	}
	w.Stage("prepare", "")
	if e.prepared, err = write.Prepare(ctx, p, layout); err != nil {
		return err
	}
	e.opened = append(e.opened, e.prepared.Discard)
	e.manifest = e.prepared.Plan.Manifest(e.prepared.Layout, 0)
	e.name, e.file = p.Name, p.Name+"."+p.Format
	if e.disk, err = serve.Layout(ctx, e.prepared); err == nil {
		e.opened = append(e.opened, e.disk.Close)
	}
	return err
}

// makeScratch creates the scratch directory, once.
func (e *export) makeScratch() (err error) {
	if e.scratch != nil {
		return nil
	}
	if e.scratch, err = scratch.Dir(os.TempDir()); err == nil {
		e.opened = append(e.opened, func() { e.scratch.Remove() })
	}
	return err
}

// openImage opens an image. Its manifest is used unless the image was modified after it.
func (e *export) openImage(ctx context.Context, name string) error {
	image, f, err := imagecmd.Open(ctx, name, os.TempDir())
	if err != nil {
		return err
	}
	e.opened = append(e.opened, func() { f.Close() })
	if e.manifest, err = imagecmd.ReadManifest(name + ".json"); err != nil {
		return err
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	e.packed = size != image.Size // a raw disk is the whole file
	digest := ""
	if m := e.manifest; m != nil && m.Size == image.Size && !newer(name, name+".json") {
		digest = m.Digest
	}
	e.name, e.file, e.image, e.path = filepath.Base(name), filepath.Base(name), image, name
	if e.disk, err = serve.File(name, image, digest); err == nil {
		e.opened = append(e.opened, e.disk.Close)
	}
	return err
}

// newer reports whether file a was modified after file b.
func newer(a, b string) bool {
	first, err1 := os.Stat(a)
	second, err2 := os.Stat(b)
	return err1 != nil || err2 != nil || first.ModTime().After(second.ModTime())
}

// device returns the disk for NBD clients, which is writable if there is a file for their writes.
func (e *export) device(file string) (nbd.Export, error) {
	if file == "" {
		return e.disk, nil
	}
	id, err := e.disk.Identity()
	if err != nil {
		return nil, err
	}
	over, err := overlay.Open(file, e.disk, id)
	if err != nil {
		return nil, err
	}
	e.opened = append(e.opened, func() { over.Sync(); over.Close() })
	return over, nil
}
