package target

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"

	"imprint/closure/nar"
	"imprint/closure/narinfo"
	"imprint/internal/remote"
	"imprint/internal/scratch"
)

// OpenBucket opens a cache in a bucket, and makes one if there is none. Archives are packed in a directory of this machine, the scratch directory.
func OpenBucket(ctx context.Context, dir *remote.Dir, scratch string, o CacheOptions) (*Cache, error) {
	return openCache(ctx, o, &bucketFiles{dir, scratch})
}

// bucketFiles are those in a bucket.
type bucketFiles struct {
	*remote.Dir
	scratch string
}

// maxAbout is the maximum size in bytes of nix-cache-info.
const maxAbout = 64 << 10

func (b *bucketFiles) about(ctx context.Context) ([]byte, error) {
	text, err := b.ReadFile(ctx, narinfo.CacheFile, maxAbout)
	if isMissing(err) {
		err = fs.ErrNotExist
	}
	return text, err
}

// isMissing reports whether an error may mean that there is no such file. S3 answers "forbidden" to those who may not list a bucket; to those who
// may not write to it either, it says so later.
func isMissing(err error) bool {
	var refused *remote.RefusedError
	return !errors.As(err, &refused) && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission))
}

func (b *bucketFiles) has(ctx context.Context, name string) (bool, error) {
	_, err := b.Size(ctx, name)
	if isMissing(err) {
		return false, nil
	}
	return err == nil, err
}

func (b *bucketFiles) create(shown string) (*os.File, func(), error) {
	f, err := scratch.File(b.scratch, shown)
	if err != nil {
		return nil, nil, err
	}
	return f, func() { f.Close() }, nil
}

// cheap is the size in bytes of a file that is faster sent than looked for.
const cheap = 64 << 10

// add sends a file, unless an interrupted copy has done so: its name is the hash of its content.
func (b *bucketFiles) add(ctx context.Context, name string, f *os.File, size int64, hash nar.Digest) error {
	if size > cheap {
		there, err := b.Size(ctx, name)
		if err == nil && there == size {
			return nil
		}
		if err != nil && !isMissing(err) {
			return err
		}
	}
	return b.Put(ctx, name, remote.Upload{Content: f, Size: size, SHA256: [sha256.Size]byte(hash), Type: "application/x-nix-nar"})
}

// textTypes are the types of the contents of texts, as Nix has them; the others are those about items.
var textTypes = map[string]string{narinfo.CacheFile: "text/x-nix-cache-info"}

func (b *bucketFiles) write(ctx context.Context, name, text string) error {
	return b.Put(ctx, name, remote.TextUpload(text, cmp.Or(textTypes[name], "text/x-nix-narinfo")))
}
