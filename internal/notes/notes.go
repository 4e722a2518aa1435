// Package notes keeps short texts by their names in a directory, so that they need not be asked for again. Each file has the SHA-256 of its text in
// the first line; what a power cut has damaged counts as missing. Files may be removed at any time.
package notes

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"

	"imprint/internal/tree"
)

// A Dir is a directory of texts; with the name "" it keeps nothing. Several processes may share one.
type Dir string

// limit is the maximum size of a text in bytes.
const limit = 8 << 20

// Get returns a text. A missing or damaged one, or one that cannot be read, is not found.
func (d Dir) Get(name string) (text []byte, found bool) {
	if d == "" || tree.CheckName(name) != nil {
		return nil, false
	}
	f, err := os.Open(filepath.Join(string(d), name))
	if err != nil {
		return nil, false
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit))
	if err != nil {
		return nil, false
	}
	sum, text, _ := bytes.Cut(b, []byte("\n"))
	return text, string(sum) == digest(text)
}

// Put keeps a text under a name, in place of an earlier one.
func (d Dir) Put(name string, text []byte) error {
	if d == "" || len(text) > limit-2*sha256.Size-1 {
		return nil
	}
	if err := tree.CheckName(name); err != nil {
		return err
	}
	if err := os.MkdirAll(string(d), 0o777); err != nil {
		return err
	}
	f, err := os.CreateTemp(string(d), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(digest(text) + "\n" + string(text))
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(string(d), name))
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// Remove removes a text.
func (d Dir) Remove(name string) {
	if d != "" && tree.CheckName(name) == nil {
		os.Remove(filepath.Join(string(d), name))
	}
}

func digest(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
