package oci_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imprint/container/oci"
	"imprint/internal/pieces"
)

const piece = 1 << 12

// members packs each piece as a member of gzip.
func members(dst, part []byte) ([]byte, error) {
	b := bytes.NewBuffer(dst)
	w := gzip.NewWriter(b)
	w.Write(part)
	err := w.Close()
	return b.Bytes(), err
}

// made writes an image of layers with the given contents, whose pieces come in some order.
func made(t *testing.T, contents []string, order func(n, count int64) int64, how oci.Packing) []byte {
	t.Helper()
	image := oci.Image{Arch: "aarch64", Created: 86400, Cmd: []string{"sh"}, Env: []string{"A=b"}, Workdir: "/srv", User: "7"}
	var all []byte
	for i, content := range contents {
		off := (int64(len(all)) + piece - 1) / piece * piece
		all = append(append(all, make([]byte, off-int64(len(all)))...), content...)
		image.Layers = append(image.Layers, oci.Layer{Off: off, Size: int64(len(content)), Comment: fmt.Sprint("layer ", i)})
	}
	d := pieces.Disk{Size: int64(len(all)), Piece: piece}
	bytesOf := func(n int64) []byte {
		p := make([]byte, piece)
		copy(p, all[n*piece:])
		return p[:min(piece, d.Size-n*piece)]
	}
	d.Hole = func(n int64) bool { return pieces.IsZero(bytesOf(n)) }
	file, spool := temporary(t), temporary(t)
	w, err := oci.Create(file, spool, bytes.NewReader(all), d, image, how)
	if err != nil {
		t.Fatal(err)
	}
	for i := range d.Count() {
		if n := order(i, d.Count()); !d.Hole(n) {
			if err := w.Put(n, bytesOf(n)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func temporary(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// A document is any of those in an image, as far as the test reads them.
type document struct {
	Manifests, Layers []struct{ MediaType, Digest string }
	Config            struct {
		Digest     string
		Cmd        []string
		WorkingDir string
	}
	Architecture, OS, Created string
	Rootfs                    struct {
		Diffs []string `json:"diff_ids"`
	}
	History []struct{ Comment string }
}

// Layers of any length have their bytes and digests, packed and not, in whatever order their pieces come; the bytes are always the same.
func TestImage(t *testing.T) {
	contents := []string{"a", strings.Repeat("b", piece), strings.Repeat("\x00", 3*piece+5), strings.Repeat("c", 2*piece) + strings.Repeat("\x00", piece-1), "e"}
	for _, how := range []oci.Packing{{}, {Suffix: "+gzip", Pack: members, Workers: 2}} {
		image := made(t, contents, func(n, _ int64) int64 { return n }, how)
		if back := made(t, contents, func(n, count int64) int64 { return count - 1 - n }, how); !bytes.Equal(image, back) {
			t.Error("another order gives other bytes")
		}
		blobs := map[string]string{}
		files := tar.NewReader(bytes.NewReader(image))
		for {
			h, err := files.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			content, readErr := io.ReadAll(files)
			if err := errors.Join(err, readErr); err != nil {
				t.Fatal(err)
			}
			blobs[h.Name] = string(content)
			if sum, ok := strings.CutPrefix(h.Name, "blobs/sha256/"); ok && sum != "" && sum != fmt.Sprintf("%x", sha256.Sum256(content)) {
				t.Errorf("%s has another digest", h.Name)
			}
		}
		get := func(text string) (d document) {
			if err := json.Unmarshal([]byte(text), &d); err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			return d
		}
		blob := func(digest string) string { return blobs["blobs/sha256/"+strings.TrimPrefix(digest, "sha256:")] }
		manifest := get(blob(get(blobs["index.json"]).Manifests[0].Digest))
		config := get(blob(manifest.Config.Digest))
		if config.Architecture != "arm64" || config.OS != "linux" || config.Created != "1970-01-02T00:00:00Z" || config.Config.Cmd[0] != "sh" || config.Config.WorkingDir != "/srv" {
			t.Errorf("the configuration is %+v", config)
		}
		for i, l := range manifest.Layers {
			content := blob(l.Digest)
			if how.Pack != nil {
				r, err := gzip.NewReader(strings.NewReader(content))
				if err != nil {
					t.Fatal(err)
				}
				unpacked, err := io.ReadAll(r)
				if err != nil {
					t.Fatal(err)
				}
				content = string(unpacked)
			}
			if content != contents[i] || config.Rootfs.Diffs[i] != fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(contents[i]))) || l.MediaType != "application/vnd.oci.image.layer.v1.tar"+how.Suffix {
				t.Errorf("layer %d, %s, has %d bytes of %d, and the digest %s", i, l.MediaType, len(content), len(contents[i]), config.Rootfs.Diffs[i])
			}
			if config.History[i].Comment != fmt.Sprint("layer ", i) {
				t.Errorf("layer %d is %q", i, config.History[i].Comment)
			}
		}
	}
}

func TestArchitecture(t *testing.T) {
	if _, err := oci.Create(nil, nil, nil, pieces.Disk{}, oci.Image{Arch: "vax"}, oci.Packing{}); err == nil || !strings.Contains(err.Error(), "x86_64") {
		t.Errorf("got %v", err)
	}
}
