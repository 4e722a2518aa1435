package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// archive writes an archive of the files, in a directory that is named after the version.
func (r release) archive(name string, files []file) error {
	content, err := tarball("imprint-"+r.number()+"/", files, r.epoch)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return os.WriteFile(name, content, 0o644)
}

// tarball returns a compressed tar archive of the files and their directories below a prefix. Everything belongs to root, has the same
// time, and is in the order of its path.
func tarball(prefix string, files []file, epoch time.Time) ([]byte, error) {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	w := tar.NewWriter(z)
	header := tar.Header{Uname: "root", Gname: "root", ModTime: epoch, Format: tar.FormatUSTAR}
	for _, dir := range append([]string{""}, directories(files)...) {
		h := header
		h.Typeflag, h.Name, h.Mode = tar.TypeDir, strings.TrimSuffix(prefix+dir, "/")+"/", 0o755
		if err := w.WriteHeader(&h); err != nil {
			return nil, err
		}
	}
	for _, f := range slices.SortedFunc(slices.Values(files), func(a, b file) int { return strings.Compare(a.path, b.path) }) {
		h := header
		h.Typeflag, h.Name, h.Mode, h.Size = tar.TypeReg, prefix+f.path, f.mode, int64(len(f.content))
		if err := w.WriteHeader(&h); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// regularFiles returns the paths of the regular files in a tree, sorted.
func regularFiles(root fs.FS) (names []string, err error) {
	err = fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			names = append(names, name)
		}
		return err
	})
	return names, err
}

func sorted(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }
