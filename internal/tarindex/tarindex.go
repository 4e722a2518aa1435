// Package tarindex remembers what a tar archive has: its layer, with the hash of each content and where it is. Whoever has an index of an archive needs
// to read neither headers nor contents to know the layer; contents are compared with their hashes when they are used.
//
// An index is named by the hash of a file, which may be compressed, and says the hash of the archive in it. It may be removed at any time. A damaged one
// is none.
package tarindex

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"imprint/internal/layer"
	"imprint/internal/scratch"
	"imprint/internal/tree"
)

// A Digest is the SHA-256 of a file.
type Digest = [sha256.Size]byte

// An Index is a layer in an archive.
type Index struct {
	Layer   *layer.Layer
	Archive Digest // of the tar archive
	Size    int64  // of that, bytes
}

// The form of an index: a line with the version and the SHA-256 of the rest, one with the hash and the size of the archive, one with an offset for
// each content in the order of the layer's files, then the record of the layer.
const (
	version = "imprint index 1 "
	header  = "archive %x %d\n"
)

// maxIndex bounds the size of an index, in bytes.
const maxIndex = 1 << 30

func name(dir string, file Digest) string {
	return filepath.Join(dir, hex.EncodeToString(file[:1]), hex.EncodeToString(file[:]))
}

// Write writes the index of a file. ok is false, and nothing is written, if a content of the layer is not one run of bytes in the archive.
func Write(dir string, file Digest, in Index) (ok bool, err error) {
	text, ok, err := encode(in)
	if !ok || err != nil {
		return false, err
	}
	path := name(dir, file)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return false, err
	}
	d, err := scratch.Dir(dir)
	if err != nil {
		return false, err
	}
	fresh := filepath.Join(d.Path, "index")
	if err = os.WriteFile(fresh, text, 0o666); err == nil {
		err = os.Rename(fresh, path)
	}
	return err == nil, errors.Join(err, d.Remove())
}

func encode(in Index) (text []byte, ok bool, err error) {
	body := fmt.Appendf(nil, header, in.Archive, in.Size)
	for _, f := range in.Layer.Files() {
		at, ok, err := offset(f.Node.Blob())
		if !ok || err != nil {
			return nil, false, err
		}
		body = append(strconv.AppendInt(body, at, 10), ' ')
	}
	body = append(body, '\n')
	record, err := in.Layer.Record()
	if err != nil {
		return nil, false, err
	}
	body = append(body, record...)
	return append(fmt.Appendf(nil, "%s%x\n", version, sha256.Sum256(body)), body...), true, nil
}

// offset returns where a content is in its archive.
func offset(b tree.Blob) (at int64, ok bool, err error) {
	whole, _ := tree.Origin(b) // a part that its archive stores in one run
	r, err := whole.Open()
	if err != nil {
		return 0, false, err
	}
	defer r.Close()
	_, at, ok = tree.Descriptor(r)
	return at, ok || b.Size() == 0, nil
}

// Read reads the index of a file. open returns the archive with a hash and a size, whose content is not read. The error matches [fs.ErrNotExist] if there is no
// index, a damaged one, or one that is older than its archive, which somebody has written to since then; else it is that of open.
func Read(dir string, file Digest, open func(Digest, int64) (tree.Blob, error)) (Index, error) {
	path := name(dir, file)
	info, err := os.Stat(path)
	if err != nil {
		return Index{}, err
	}
	if info.Size() > maxIndex || !info.Mode().IsRegular() {
		return Index{}, fmt.Errorf("%s is no index: %w", path, fs.ErrNotExist)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return Index{}, err
	}
	var refused error
	in, err := parse(text, func(d Digest, size int64) (b tree.Blob, err error) {
		if b, refused = open(d, size); refused != nil {
			return nil, refused
		}
		archive, err := os.Stat(tree.HostPath(b))
		if err == nil && archive.ModTime().After(info.ModTime()) {
			err = errors.New("it is older than the archive")
		}
		return b, err
	})
	switch {
	case refused != nil:
		return Index{}, refused
	case err != nil:
		return Index{}, fmt.Errorf("%s is damaged (%v): %w", path, err, fs.ErrNotExist)
	}
	return in, nil
}

var errForm = errors.New("is no index")

func parse(text []byte, open func(Digest, int64) (tree.Blob, error)) (in Index, err error) {
	first, body, ok := bytes.Cut(text, []byte("\n"))
	if !ok || string(first) != fmt.Sprintf("%s%x", version, sha256.Sum256(body)) {
		return in, errForm
	}
	about, rest, _ := bytes.Cut(body, []byte("\n"))
	offsets, record, ok := bytes.Cut(rest, []byte("\n"))
	var digest []byte
	if _, err := fmt.Sscanf(string(about)+"\n", header, &digest, &in.Size); err != nil || !ok || len(digest) != len(in.Archive) || in.Size < 0 {
		return in, errForm
	}
	in.Archive = Digest(digest)
	archive, err := open(in.Archive, in.Size)
	if err != nil {
		return in, err
	}
	next := strings.FieldsSeq(string(offsets))
	list := []int64{}
	for text := range next {
		at, err := strconv.ParseInt(text, 10, 64)
		if err != nil || at < 0 || at > in.Size {
			return in, errForm
		}
		list = append(list, at)
	}
	in.Layer, err = layer.Parse(record, func(_ string, f layer.File) (tree.Blob, error) {
		if len(list) == 0 || f.Size > in.Size-list[0] {
			return nil, errForm
		}
		b := tree.Slice(archive, list[0], f.Size)
		list = list[1:]
		if f.Data != nil {
			b = tree.Sparse(b, f.Data)
		}
		return tree.Pinned(b, f.Pin), nil
	})
	if err == nil && len(list) > 0 {
		err = errForm
	}
	return in, err
}
