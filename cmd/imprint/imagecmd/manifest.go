package imagecmd

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"

	"imprint/image/plan"
)

// maxManifest is the largest size of a manifest in bytes, far more than that of one with a hundred thousand store items.
const maxManifest = 64 << 20

// ReadManifest reads the manifest of an image. It returns nil if the file is not a manifest, or if this user may not read it. The error is one of
// the machine.
func ReadManifest(path string) (*plan.Manifest, error) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return nil, unlessAbsent(err)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, unlessAbsent(err)
	}
	defer f.Close()
	var m plan.Manifest
	err = json.NewDecoder(io.LimitReader(f, maxManifest)).Decode(&m)
	var read *fs.PathError
	if errors.As(err, &read) {
		return nil, err
	}
	if err != nil || m.Seed == "" || m.Table == "" || m.SectorSize <= 0 {
		return nil, nil
	}
	return &m, nil
}

// unlessAbsent drops the error of a file that does not exist, or that this user may not read.
func unlessAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}
