// Package oci writes an image of the Open Container Initiative (image-spec 1.0) as a tar archive of an image layout, which skopeo and podman
// call oci-archive: the layers, a configuration and a manifest, each a blob that is named by its SHA-256.
//
// Layers come in pieces, like a disk, and each begins with a piece: those of all layers are packed in parallel, and appended in order.
package oci

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"slices"
	"sync"

	"imprint/internal/pieces"
)

// An Image describes what the layers are for.
type Image struct {
	Arch       string // as Linux calls it, such as x86_64
	Created    int64  // seconds since 1970
	Layers     []Layer
	Entrypoint []string
	Cmd        []string
	Env        []string // NAME=VALUE
	Workdir    string
	User       string
}

// A Layer is a tar archive in the pieces.
type Layer struct {
	Off, Size int64  // bytes
	Comment   string // for the history of the image
}

// A Packing says how layers are stored.
type Packing struct {
	Suffix string // of the media type of a layer: "", "+gzip" or "+zstd"
	// Pack appends the packed form of a piece to dst. It is called from several goroutines. It is nil if layers are stored as they are.
	Pack    func(dst, part []byte) ([]byte, error)
	Workers int // layers that are hashed at a time
}

// Check returns an error for an image that cannot be written.
func (i *Image) Check() error {
	if architectures[i.Arch] == "" {
		return fmt.Errorf("an image needs one of the architectures x86_64, aarch64 and riscv64")
	}
	return nil
}

// Create returns a writer of an image. layers has their bytes, once all pieces are put; spool is a scratch file.
func Create(file, spool pieces.File, layers io.ReaderAt, d pieces.Disk, image Image, how Packing) (pieces.Writer, error) {
	w := &writer{file: file, layers: layers, disk: d, image: image, how: how}
	if err := image.Check(); err != nil {
		return nil, err
	}
	w.disk.Cut = w.cut
	pack := how.Pack
	if pack == nil {
		pack = func(dst, part []byte) ([]byte, error) { return append(dst, part...), nil }
	}
	for _, dir := range []string{"blobs/", "blobs/sha256/"} {
		w.entry(&tar.Header{Name: dir, Typeflag: tar.TypeDir, Mode: 0o755}, nil)
	}
	w.entry(&tar.Header{Name: "oci-layout", Mode: 0o644}, []byte(`{"imageLayoutVersion":"1.0.0"}`))
	w.Ordered = pieces.NewOrdered(w.disk, pieces.Sink{Spool: spool}, pieces.Packing{Pack: pack, Emit: w.emit, Close: w.close})
	return w, w.err
}

// A writer is the state of writing an image.
type writer struct {
	*pieces.Ordered
	file   pieces.File
	layers io.ReaderAt
	disk   pieces.Disk
	image  Image
	how    Packing

	end   int64 // of what is written, bytes
	blobs []blob
	start int64     // of the layer that is written
	sum   hash.Hash // of what is written of it
	err   error
}

// A blob is a descriptor of stored content.
type blob struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Platform    *platform         `json:"platform,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// layer returns the number of the layer that a piece is of.
func (w *writer) layer(n int64) int {
	i, _ := slices.BinarySearchFunc(w.image.Layers, n*w.disk.Piece+1, func(l Layer, off int64) int {
		if l.Off < off {
			return -1
		}
		return 1
	})
	return i - 1
}

// cut returns how many bytes of a piece are of its layer.
func (w *writer) cut(n int64) int64 {
	l := w.image.Layers[w.layer(n)]
	return min(w.disk.Piece, l.Off+l.Size-n*w.disk.Piece)
}

// Put implements pieces.Writer.
func (w *writer) Put(n int64, content []byte) error { return w.Ordered.Put(n, content[:w.cut(n)]) }

// emit appends a packed piece to the blob of its layer.
func (w *writer) emit(n int64, packed []byte) error {
	k := w.layer(n)
	l := w.image.Layers[k]
	if n*w.disk.Piece == l.Off {
		w.start, w.sum = w.end, sha256.New()
		w.end += blockSize
	}
	w.sum.Write(packed)
	w.write(packed)
	if n*w.disk.Piece+w.cut(n) < l.Off+l.Size {
		return w.err
	}
	size := w.end - w.start - blockSize
	w.blobs = append(w.blobs, blob{MediaType: layerType + w.how.Suffix, Digest: digestOf(w.sum), Size: size})
	w.header(w.start, &tar.Header{Name: blobName(digestOf(w.sum)), Mode: 0o644, Size: size})
	w.end = padded(w.end)
	return w.err
}

const (
	blockSize = 512
	ending    = 2 * blockSize // zeros that end an archive
)

func padded(n int64) int64 { return (n + blockSize - 1) / blockSize * blockSize }

// write appends bytes.
func (w *writer) write(p []byte) {
	if w.err == nil {
		_, w.err = w.file.WriteAt(p, w.end)
	}
	w.end += int64(len(p))
}

// header writes the header of an entry, which is one block: the form of GNU has room for any size.
func (w *writer) header(at int64, h *tar.Header) {
	var b bytes.Buffer
	h.Format = tar.FormatGNU
	if err := tar.NewWriter(&b).WriteHeader(h); w.err == nil {
		w.err = err
	}
	if w.err == nil {
		_, w.err = w.file.WriteAt(b.Bytes(), at)
	}
}

// entry appends an entry with its content.
func (w *writer) entry(h *tar.Header, content []byte) {
	h.Size = int64(len(content))
	w.header(w.end, h)
	w.end += blockSize
	w.write(content)
	w.end = padded(w.end)
}

// add appends a blob.
func (w *writer) add(mediaType string, content []byte) blob {
	sum := sha256.New()
	sum.Write(content)
	b := blob{MediaType: mediaType, Digest: digestOf(sum), Size: int64(len(content))}
	if !slices.ContainsFunc(w.blobs, func(other blob) bool { return other.Digest == b.Digest }) {
		w.entry(&tar.Header{Name: blobName(b.Digest), Mode: 0o644}, content)
	}
	return b
}

func digestOf(h hash.Hash) string { return fmt.Sprintf("sha256:%x", h.Sum(nil)) }

func blobName(digest string) string { return "blobs/sha256/" + digest[len("sha256:"):] }

// close writes the configuration, the manifest and the index.
func (w *writer) close() error {
	diffs, err := w.diffs()
	if err != nil {
		return err
	}
	config := w.add(configType, w.image.config(diffs))
	w.index(w.add(manifestType, manifest(config, w.blobs)))
	if w.err != nil {
		return w.err
	}
	return w.file.Truncate(w.end + ending)
}

// diffs returns the digests of the layers before they were packed, several of which are read at a time.
func (w *writer) diffs() ([]string, error) {
	list, errs := make([]string, len(w.blobs)), make([]error, len(w.blobs))
	if w.how.Pack == nil {
		for i, b := range w.blobs {
			list[i] = b.Digest
		}
		return list, nil
	}
	var all sync.WaitGroup
	free := make(chan struct{}, max(1, w.how.Workers))
	for i, l := range w.image.Layers {
		free <- struct{}{}
		all.Go(func() {
			sum := sha256.New()
			_, errs[i] = io.Copy(sum, io.NewSectionReader(w.layers, l.Off, l.Size))
			list[i] = digestOf(sum)
			<-free
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}
