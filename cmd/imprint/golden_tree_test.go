package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/diskfs/go-diskfs/backend"
	"github.com/diskfs/go-diskfs/filesystem"
	"github.com/diskfs/go-diskfs/filesystem/ext4"
	"github.com/diskfs/go-diskfs/filesystem/fat12"
	"github.com/diskfs/go-diskfs/filesystem/fat16"
	"github.com/diskfs/go-diskfs/filesystem/fat32"
)

// A goldenTree is the content of a file system as go-diskfs reads it: a line for each file outside of store items, and the text of boot
// loader configurations. It makes the difference between two goldens readable; the digests detect it.
type goldenTree struct {
	Names []string            `json:"names"`
	Texts map[string][]string `json:"texts,omitempty"` // lines by path
}

// openFilesystem opens the file system at offset of an image. It returns nil if there is none, or none that go-diskfs can read.
func openFilesystem(image backend.Storage, kind string, offset, size int64) filesystem.FileSystem {
	switch kind {
	case "ext4":
		if fsys, err := ext4.Read(image, size, offset, 512); err == nil {
			return fsys
		}
	case "fat":
		if fsys, err := fat32.Read(image, size, offset, 512); err == nil {
			return fsys
		}
		if fsys, err := fat16.Read(image, size, offset, 512); err == nil {
			return fsys
		}
		if fsys, err := fat12.Read(image, size, offset, 512); err == nil {
			return fsys
		}
	}
	return nil
}

func newGoldenTree(t *testing.T, fsys filesystem.FileSystem) *goldenTree {
	g := &goldenTree{Texts: map[string][]string{}}
	g.Names = g.list(t, fsys, ".")
	return g
}

// list returns a line for each file below dir.
func (g *goldenTree) list(t *testing.T, fsys filesystem.FileSystem, dir string) (lines []string) {
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		t.Fatalf("go-diskfs: read %s: %v", dir, err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		name := path.Join(dir, e.Name())
		line := fmt.Sprintf("%d %s", info.ModTime().Unix(), name) // go-diskfs reports no permissions
		switch {
		case info.IsDir() && inStore(name):
			line += "/"
		case info.IsDir():
			lines = append(lines, line+"/")
			lines = append(lines, g.list(t, fsys, name)...)
			continue
		case info.Mode()&fs.ModeSymlink != 0:
			line += " -> " + readLink(t, fsys, name)
		default:
			line += g.content(t, fsys, name, info.Size())
		}
		lines = append(lines, line)
	}
	return lines
}

// inStore reports whether a path is that of an item or of something in one.
func inStore(name string) bool {
	return strings.HasPrefix(name, "store/") || strings.HasPrefix(name, "nix/store/") || strings.HasPrefix(name, "gnu/store/")
}

// content describes the content of a file.
func (g *goldenTree) content(t *testing.T, fsys filesystem.FileSystem, name string, size int64) string {
	if size == 0 {
		return " empty" // go-diskfs cannot open empty files on FAT
	}
	b, err := fs.ReadFile(fsys, name)
	if err != nil {
		t.Fatalf("go-diskfs: read %s: %v", name, err)
	}
	b = b[:size] // go-diskfs reads to the end of the cluster
	if ext := path.Ext(name); (ext == ".conf" || ext == ".cfg") && !inStore(name) {
		g.Texts[name] = strings.Split(string(b), "\n")
	}
	return fmt.Sprintf(" %d bytes %s", len(b), digest(b))
}

// digest returns the first 8 bytes of the SHA-256.
func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

func readLink(t *testing.T, fsys filesystem.FileSystem, name string) string {
	t.Helper()
	target, err := fsys.(interface{ ReadLink(string) (string, error) }).ReadLink(name)
	if err != nil {
		t.Fatalf("go-diskfs: read link %s: %v", name, err)
	}
	return target
}
