package oci

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imprint/internal/hosttest"
)

var zeros = strings.Repeat("0", 64)

func TestReference(t *testing.T) {
	for text, want := range map[string]Reference{
		"oci:debian":                           {Kind: Registry, Name: "debian"},
		"oci:localhost:5000/a/b:v1":            {Kind: Registry, Name: "localhost:5000/a/b", Tag: "v1"},
		"oci:localhost:5000/a@sha256:" + zeros: {Kind: Registry, Name: "localhost:5000/a", Digest: &Digest{}},
		"oci-layout:/srv/x:y/z":                {Kind: Layout, Name: "/srv/x:y/z"},
		"oci-archive:a.tar:v1@sha256:" + zeros: {Kind: LayoutArchive, Name: "a.tar", Tag: "v1", Digest: &Digest{}},
		"docker-archive:a:b.tar":               {Kind: DockerArchive, Name: "a:b.tar"},
		"tar:root.tar.zst@sha256:" + zeros:     {Kind: Tar, Name: "root.tar.zst", Digest: &Digest{}},
		"layer:" + zeros:                       {Kind: Layer, Digest: &Digest{}},
	} {
		got, err := ParseReference(text)
		if err != nil || got.Kind != want.Kind || got.Name != want.Name || got.Tag != want.Tag || (got.Digest == nil) != (want.Digest == nil) || got.String() != text {
			t.Errorf("%s: %+v, %v, %s", text, got, err, got)
		}
	}
	for text, want := range map[string]string{
		"":                          "is no reference",
		"debian":                    "is no reference",
		"docker:debian":             `"docker" is no kind of base`,
		"oci:":                      "is no name",
		"oci:../x":                  "no name of a repository",
		"oci:/x":                    "no name of a repository",
		"oci:x:":                    "empty tag",
		"oci:x@sha512:00":           "is no digest",
		"oci:x@sha256:" + zeros[1:]: "is no digest",
		"oci:x@sha256:" + strings.Repeat("A", 64): "is no digest",
		"layer:x":                          "is no digest",
		"tar:a\nb":                         "is no name",
		"tar:" + strings.Repeat("x", 9000): "9004 bytes",
	} {
		if r, err := ParseReference(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %+v, %v", text, r, err)
		}
	}
}

func descriptor(more string) string {
	return fmt.Sprintf(`{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": "sha256:%s", "size": 1%s}`, zeros, more)
}

func TestDocument(t *testing.T) {
	d, err := ParseDocument([]byte(`{"schemaVersion": 2, "config": ` + descriptor("") + `, "layers": [` + descriptor("") + `]}`))
	if err != nil || d.Manifests != nil || len(d.Layers) != 1 || d.Layers[0].Size != 1 {
		t.Errorf("%+v, %v", d, err)
	}
	platform := func(os, arch, variant string) string {
		return fmt.Sprintf(`, "platform": {"os": %q, "architecture": %q, "variant": %q}`, os, arch, variant)
	}
	d, err = ParseDocument([]byte(`{"schemaVersion": 2, "manifests": [` + strings.Join([]string{
		descriptor(platform("windows", "amd64", "")), descriptor(platform("linux", "arm64", "v9")), descriptor(platform("linux", "arm64", "")),
		descriptor(platform("linux", "amd64", "") + `, "annotations": {"vnd.docker.reference.type": "attestation-manifest"}`), descriptor(platform("linux", "amd64", "v2")),
	}, ",") + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	for arch, variant := range map[string]string{"x86_64": "v2", "aarch64": ""} {
		if m, err := d.Select(PlatformOf(arch)); err != nil || m.Platform.Variant != variant {
			t.Errorf("%s: %+v, %v", arch, m, err)
		}
	}
	if _, err := d.Select(PlatformOf("riscv64")); err == nil || !strings.Contains(err.Error(), "is for linux/amd64/v2, linux/arm64, linux/arm64/v9, windows/amd64, and not for linux/riscv64") {
		t.Error(err)
	}
	if _, err := d.Select(PlatformOf("")); err == nil || !strings.Contains(err.Error(), "and it is not said for which architecture") {
		t.Error(err)
	}
	for text, want := range map[string]string{
		``:                                    "is no manifest",
		`{}`:                                  "neither config nor manifests",
		`{"schemaVersion": 1}`:                "version 1",
		`{"config": {"digest": "sha512:00"}}`: "is no digest",
		`{"config": ` + descriptor(``) + `, "layers": [` + strings.Replace(descriptor(``), `.tar"`, `.tar+encrypted"`, 1) + `]}`:    "encrypted",
		`{"config": ` + strings.Replace(descriptor(``), `1}`, `-1}`, 1) + `}`:                                                       "size of -1",
		`{"config": ` + descriptor(``) + `, "layers": [` + strings.TrimSuffix(strings.Repeat(descriptor(``)+",", 2000), ",") + `]}`: "2000 layers",
	} {
		if d, err := ParseDocument([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %+v, %v", text, d, err)
		}
	}
}

func TestConfig(t *testing.T) {
	c, err := ParseConfig([]byte(`{"os": "linux", "architecture": "arm64", "variant": "v8", "config": {"Env": ["A=b"], "User": "1:2", "WorkingDir": "/x"},
		"rootfs": {"type": "layers", "diff_ids": ["sha256:` + zeros + `"]}}`))
	if err != nil || c.Platform.String() != "linux/arm64/v8" || len(c.DiffIDs) != 1 || c.Env[0] != "A=b" || c.User != "1:2" || c.WorkingDir != "/x" {
		t.Errorf("%+v, %v", c, err)
	}
	for text, want := range map[string]string{
		`[]`: "is no configuration",
		`{}`: "of type \"\"",
		`{"rootfs": {"type": "layers", "diff_ids": ["x"]}}`:               "is no digest",
		`{"rootfs": {"type": "layers"}, "config": {"Env": ["A=\u0000"]}}`: "NUL",
	} {
		if c, err := ParseConfig([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v", text, c, err)
		}
	}
}

// What leads out of an archive, or says too much, is an error and not a file of the host.
func TestFilesRefuse(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("manifest.json", `[{"Config": "../../../etc/hostname", "Layers": ["x"]}]`)
	write("index.json", `{"manifests": []}`)
	f, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := f.Saved(nil); err == nil || !strings.Contains(err.Error(), dir+"/etc/hostname") {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := f.Manifest(""); err == nil || !strings.Contains(err.Error(), "has 0 images") {
		t.Error(err)
	}
	write("manifest.json", `{}`)
	if _, err := f.Saved(nil); err == nil {
		t.Error("is no list")
	}
	write("manifest.json", strings.Repeat(" ", MaxDocument+1))
	if _, err := f.Saved(nil); err == nil {
		t.Error("is too long")
	}
	if err := os.Symlink("loop", filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	write("manifest.json", `[{"Config": "loop", "Layers": []}]`)
	hosttest.Run(t, "tar", "-C", dir, "-cf", dir+".tar", ".")
	f, err = OpenArchive(dir+".tar", nil)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := f.Saved(nil); err == nil || !strings.Contains(err.Error(), `there is no file "loop"`) {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := OpenDir(dir + ".tar"); err == nil {
		t.Error("an archive is no directory")
	}
}

func FuzzReference(f *testing.F) {
	f.Add("oci:localhost:5000/a:v1@sha256:" + zeros)
	f.Add("layer:" + zeros)
	hosttest.Fuzz(f, func(t *testing.T, text string) {
		r, err := ParseReference(text)
		if err != nil {
			return
		}
		if again, err := ParseReference(r.String()); err != nil || again.String() != r.String() {
			t.Errorf("%q: %q, %v", text, r, err)
		}
	})
}

func FuzzDocument(f *testing.F) {
	f.Add([]byte(`{"schemaVersion": 2, "config": ` + descriptor("") + `, "layers": [` + descriptor("") + `]}`))
	f.Add([]byte(`{"manifests": [` + descriptor(`, "platform": {"os": "linux", "architecture": "amd64"}`) + `]}`))
	f.Add([]byte(`{"rootfs": {"type": "layers", "diff_ids": ["sha256:` + zeros + `"]}}`))
	hosttest.Fuzz(f, func(t *testing.T, text []byte) {
		if d, err := ParseDocument(text); err == nil {
			d.Select(PlatformOf("x86_64"))
		}
		if c, err := ParseConfig(text); err == nil && !json.Valid(text) {
			t.Errorf("%+v", c)
		}
	})
}
