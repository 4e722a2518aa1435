package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"testing"

	disk "github.com/diskfs/go-diskfs/backend/file"
	"github.com/google/go-cmp/cmp"
)

// A goldenImage is the digests that imprint reports, and the regions of the image file.
type goldenImage struct {
	Digest  string         `json:"digest"`
	SHA256  string         `json:"sha256"`
	Regions []goldenRegion `json:"regions"`
}

// A goldenRegion is a partition, or a range of the disk outside of all partitions.
type goldenRegion struct {
	Name   string `json:"name"`
	Offset int64  `json:"offset"`           // bytes
	Size   int64  `json:"size"`             // bytes
	Digest string `json:"digest,omitempty"` // of a partition, from the manifest
	SHA256 string `json:"sha256"`           // of the bytes in the file

	Tree *goldenTree `json:"tree,omitempty"`
}

// A builtManifest is what OUT.json adds to the plan, and its partitions.
type builtManifest struct {
	Digest     string
	SHA256     string
	Size       int64
	Partitions []struct {
		Name         string
		Offset, Size int64
		Filesystem   string
		Digest       string
	}
}

// readImage checks that the manifest of an image agrees with the plan, and returns the digests of the manifest and of the file.
func readImage(t *testing.T, image string, plan []byte) *goldenImage {
	t.Helper()
	text := read(t, image+".json")
	var m builtManifest
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(inPlan(t, plan), inPlan(t, text)); d != "" {
		t.Errorf("the manifest differs from the plan:\n%s", d)
	}
	g := &goldenImage{Digest: m.Digest, SHA256: m.SHA256}
	f, err := disk.OpenFromPath(image, true)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	hashed := func(offset, size int64) string { return sha256Of(t, io.NewSectionReader(f, offset, size)) }
	end := int64(0)
	unused := func(name string, next int64) {
		if end < next {
			g.Regions = append(g.Regions, goldenRegion{Name: name, Offset: end, Size: next - end, SHA256: hashed(end, next-end)})
		}
	}
	for _, p := range m.Partitions {
		unused("before "+p.Name, p.Offset)
		end = p.Offset + p.Size
		r := goldenRegion{p.Name, p.Offset, p.Size, p.Digest, hashed(p.Offset, p.Size), nil}
		if fsys := openFilesystem(f, p.Filesystem, p.Offset, p.Size); fsys != nil {
			r.Tree = newGoldenTree(t, fsys)
		}
		g.Regions = append(g.Regions, r)
	}
	unused("the end", m.Size)
	if whole := hashed(0, m.Size); whole != m.SHA256 {
		t.Errorf("the image's SHA-256 is %s, the manifest has %s", whole, m.SHA256)
	}
	return g
}

// inPlan returns what a manifest and a plan have in common.
func inPlan(t *testing.T, text []byte) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"digest", "sha256", "verified"} {
		delete(m, key)
	}
	for _, p := range m["partitions"].([]any) {
		delete(p.(map[string]any), "digest")
		delete(p.(map[string]any), "largest")
	}
	inputs, _ := m["inputs"].([]any)
	for _, in := range inputs { // where it was found
		delete(in.(map[string]any), "from")
		delete(in.(map[string]any), "kept")
	}
	return m
}

func sha256Of(t *testing.T, r io.Reader) string {
	t.Helper()
	sum := sha256.New()
	if _, err := io.Copy(sum, r); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sum.Sum(nil))
}
