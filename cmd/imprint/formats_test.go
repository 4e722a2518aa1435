package main

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"imprint/internal/hosttest"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// The outputs of a description in configs are what other programs take them for, and the disks in them are equal.
func TestOutputsOfDescription(t *testing.T) {
	hosttest.Need(t, "qemu-img", "zstd", "skopeo", "tar", "gzip")
	dir := configs(t)
	file, raw := filepath.Join(dir, "appliance.toml"), filepath.Join(dir, "appliance.img")
	build := exec.Command("imprint", "build", file)
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	imprint(t, "build", file, "-o", raw)
	at := func(suffix string) string { return filepath.Join(dir, "appliance"+suffix) }

	hosttest.Run(t, "qemu-img", "check", "-q", at(".qcow2"))
	hosttest.Run(t, "qemu-img", "compare", "-q", at(".qcow2"), raw)
	hosttest.Run(t, "zstd", "--quiet", "-d", at(".zst"), "-o", at(".expanded"))
	sameFiles(t, at(".expanded"), raw)
	for suffix, format := range map[string]string{".qcow2": "qcow2", ".zst": "raw.zst"} {
		var m struct{ FileFormat, Digest string }
		if err := json.Unmarshal(read(t, at(suffix)+".json"), &m); err != nil || m.FileFormat != format || m.Digest == "" {
			t.Errorf("the manifest of %s has %+v, %v", suffix, m, err)
		}
	}

	items := strings.Fields(imprint(t, "ls", raw+":root", "/nix/store"))
	var container struct{ Layers []string }
	if err := json.Unmarshal([]byte(hosttest.Run(t, "skopeo", "inspect", "oci-archive:"+at(".oci.tar"))), &container); err != nil {
		t.Fatal(err)
	}
	if len(container.Layers) < 5 || len(container.Layers) > len(items)+1 {
		t.Errorf("%d layers for %d names in the store", len(container.Layers), len(items))
	}
	listed := hosttest.Run(t, "tar", "-tzf", at(".tar.gz"))
	for _, item := range items {
		if !strings.Contains(listed, "./nix/store/"+item) {
			t.Errorf("no %s in the archive", item)
		}
	}
	t.Run("containers", func(t *testing.T) { containersAreValid(t, dir) })
}

// containersAreValid checks that the library which many programs for containers use finds nothing wrong in an image: index, manifest,
// configuration, and the hashes, sizes and archives of all layers, with and without compression. Layers have the same contents in all of them.
func containersAreValid(t *testing.T, dir string) {
	t.Helper()
	text := string(read(t, filepath.Join(dir, "appliance.toml")))
	head, rest, _ := strings.Cut(text, "[[output]]")
	_, rest, _ = strings.Cut(rest, "[[closure]]")
	media := map[string]types.MediaType{"": types.OCIUncompressedLayer, "zstd": types.OCILayerZStd, "deflate": types.OCILayer}
	for compression := range media {
		line := ""
		if compression != "" {
			line = fmt.Sprintf("compression = %q\n", compression)
		}
		head += fmt.Sprintf("[[output]]\npath = \"image%s.oci.tar\"\n%sentrypoint = [\"${closure.system}/init\"]\n", compression, line)
	}
	file := filepath.Join(dir, "containers.toml")
	writeFile(t, file, head+"[[closure]]"+rest)
	build := exec.Command("imprint", "build", file)
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var contents []string
	for compression, want := range media {
		got := validLayers(t, filepath.Join(dir, "image"+compression+".oci.tar"), want)
		if contents == nil {
			contents = got
		}
		if len(got) < 5 || fmt.Sprint(got) != fmt.Sprint(contents) {
			t.Errorf("compression %q: layers %v, others have %v", compression, got, contents)
		}
	}
}

// validLayers validates the archive of a container image, whose layers have a media type, and returns the digests of their contents.
func validLayers(t *testing.T, archive string, media types.MediaType) (contents []string) {
	t.Helper()
	dir := t.TempDir()
	hosttest.Run(t, "tar", "-xf", archive, "-C", dir)
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	var how []validate.Option
	if media != types.OCILayer { // all other layers would be unpacked as if gzip had packed them
		how = append(how, validate.Fast)
	}
	if err := validate.Index(index, how...); err != nil {
		t.Errorf("%s: %v", filepath.Base(archive), err)
	}
	m, err := index.IndexManifest()
	if err != nil || len(m.Manifests) != 1 {
		t.Fatalf("the index %+v, %v", m, err)
	}
	image, err := index.Image(m.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	c, err := image.ConfigFile()
	if err != nil || c.Architecture != "amd64" || c.OS != "linux" || !strings.HasSuffix(strings.Join(c.Config.Entrypoint, " "), "/init") || len(c.History) != len(c.RootFS.DiffIDs) {
		t.Errorf("the configuration %+v, %v", c, err)
	}
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		if kind, err := l.MediaType(); err != nil || kind != media {
			t.Errorf("a layer of %s, want %s: %v", kind, media, err)
		}
		id, err := l.DiffID()
		if err != nil {
			t.Fatal(err)
		}
		contents = append(contents, id.String())
		r, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		if sum, _, err := v1.SHA256(r); err != nil || sum != id {
			t.Errorf("a layer has the contents %v, and the configuration says %v: %v", sum, id, err)
		}
		r.Close()
	}
	return contents
}
