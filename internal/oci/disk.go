package oci

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"imprint/internal/hosttree"
	"imprint/internal/tree"
)

// A Files holds the files of an image on a disk: a directory, or a tar archive.
type Files struct {
	shown string
	find  func(name string) (tree.Blob, error)
}

// OpenDir returns the files of a directory.
func OpenDir(path string) (*Files, error) {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "read", Path: path, Err: errors.New("is no directory")}
	}
	return &Files{path, func(name string) (tree.Blob, error) { return hosttree.File(filepath.Join(path, name)) }}, err
}

// OpenArchive returns the files of a tar archive. unpack is that of [hosttree.TarOptions], for a compressed one.
func OpenArchive(path string, unpack func(io.Reader, string) (*os.File, error)) (*Files, error) {
	entries, err := hosttree.Tar(path, hosttree.TarOptions{Unpack: unpack})
	if err != nil {
		return nil, err
	}
	at := make(map[string]*tree.Node, len(entries))
	for _, e := range entries {
		at[e.Path] = e.Node
	}
	return &Files{path, func(name string) (tree.Blob, error) {
		n := at["/"+name]
		for range maxLinks { // docker save makes one layer of several images a link
			if n == nil || n.Kind() != tree.Symlink {
				break
			}
			dir := name[:strings.LastIndexByte(name, '/')+1]
			name = strings.TrimPrefix(filepath.Join("/", dir, n.Target()), "/")
			n = at["/"+name]
		}
		if n == nil || n.Inode().Kind() != tree.File {
			return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("there is no file %.80q in it: %w", name, fs.ErrNotExist)}
		}
		return n.Inode().Blob(), nil
	}}, nil
}

const maxLinks = 8

// document reads a small file.
func (f *Files) document(name string) ([]byte, error) {
	b, err := f.find(name)
	if err != nil {
		return nil, err
	}
	text, err := tree.ReadAll(b, MaxDocument)
	if err != nil {
		return nil, fmt.Errorf("read %s in %s: %w", name, f.shown, err)
	}
	return text, nil
}

// Blob returns a document or a layer of a layout.
func (f *Files) Blob(d Digest) (tree.Blob, error) {
	return f.find("blobs/sha256/" + hex.EncodeToString(d[:]))
}

// Manifest finds the manifest or index with a tag in a layout; "" is the only one.
func (f *Files) Manifest(tag string) (Digest, error) {
	text, err := f.document("index.json")
	if err != nil {
		return Digest{}, err
	}
	index, err := ParseDocument(text)
	if err != nil {
		return Digest{}, fmt.Errorf("%s: index.json %w", f.shown, err)
	}
	var tags []string
	var found []Descriptor
	for _, m := range index.Manifests {
		tags = append(tags, fmt.Sprintf("%.100q", m.Tag))
		if tag == "" || m.Tag == tag {
			found = append(found, m)
		}
	}
	if len(found) != 1 {
		return Digest{}, fmt.Errorf("%s has %d images with the tag %q; there are the tags %s", f.shown, len(found), tag, strings.Join(tags, ", "))
	}
	return found[0].Digest, nil
}

// A Saved is an image of docker save.
type Saved struct {
	Digest Digest // of the configuration
	Config []byte
	Layers []tree.Blob // archives, perhaps compressed, the lowest first
	Tags   []string
}

// Saved returns the image of docker save with a configuration; nil is the only one.
func (f *Files) Saved(want *Digest) (*Saved, error) {
	text, err := f.document("manifest.json")
	if err != nil {
		return nil, err
	}
	var list []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	if err := json.Unmarshal(text, &list); err != nil || len(list) > maxImages {
		return nil, fmt.Errorf("%s: manifest.json is not what docker save writes (%w)", f.shown, err)
	}
	var found []*Saved
	var there []string
	for _, one := range list {
		config, err := f.document(clean(one.Config))
		if err != nil {
			return nil, err
		}
		s := &Saved{Digest: sha256.Sum256(config), Config: config, Tags: one.RepoTags}
		there = append(there, strings.TrimSpace(fmt.Sprintf("%.200q %s", strings.Join(one.RepoTags, " "), Text(s.Digest))))
		if want != nil && s.Digest != *want {
			continue
		}
		for _, name := range one.Layers[:min(len(one.Layers), maxLayers)] {
			b, err := f.find(clean(name))
			if err != nil {
				return nil, err
			}
			s.Layers = append(s.Layers, b)
		}
		found = append(found, s)
	}
	if len(found) != 1 && !(len(found) > 1 && want != nil) {
		return nil, fmt.Errorf("%s has %d such images; there are %s", f.shown, len(found), strings.Join(slices.Compact(slices.Sorted(slices.Values(there))), ", "))
	}
	return found[0], nil
}

// clean returns a name without steps that lead out.
func clean(name string) string { return strings.TrimPrefix(filepath.Join("/", name), "/") }
