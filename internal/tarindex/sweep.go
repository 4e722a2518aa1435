package tarindex

import (
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"imprint/internal/tree"
)

// errWanted is the error of opening an archive that is there.
var errWanted = errors.New("it is there")

// Sweep removes the indexes of archives that has does not report, and damaged ones.
func Sweep(dir string, has func(archive Digest, size int64) bool) error {
	paths, err := filepath.Glob(filepath.Join(dir, "[0-9a-f][0-9a-f]", "*"))
	if err != nil {
		return err
	}
	gone := func(d Digest, size int64) (tree.Blob, error) {
		if has(d, size) {
			return nil, errWanted
		}
		return nil, fs.ErrNotExist
	}
	for _, path := range paths {
		b, err := hex.DecodeString(filepath.Base(path))
		if err != nil || len(b) != len(Digest{}) || name(dir, Digest(b)) != path {
			continue
		}
		_, err = Read(dir, Digest(b), gone)
		if errors.Is(err, fs.ErrNotExist) {
			err = os.Remove(path)
		}
		if err != nil && !errors.Is(err, errWanted) && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
