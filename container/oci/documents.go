package oci

import (
	"archive/tar"
	"encoding/json"
	"time"
)

// Media types (image-spec, media-types.md).
const (
	layerType    = "application/vnd.oci.image.layer.v1.tar"
	configType   = "application/vnd.oci.image.config.v1+json"
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	indexType    = "application/vnd.oci.image.index.v1+json"
)

// refName is the annotation that tags an image in an index, and tag its value, which umoci and podman need.
const (
	refName = "org.opencontainers.image.ref.name"
	tag     = "latest"
)

// architectures maps the names of Linux to those of Go, which images have.
var architectures = map[string]string{"x86_64": "amd64", "aarch64": "arm64", "riscv64": "riscv64"}

// A platform is the kind of machine that an image is for.
type platform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
}

// A configuration is that of an image (config.md).
type configuration struct {
	Created string `json:"created"`
	platform
	Config struct {
		User       string   `json:"User,omitempty"`
		Env        []string `json:"Env,omitempty"`
		Entrypoint []string `json:"Entrypoint,omitempty"`
		Cmd        []string `json:"Cmd,omitempty"`
		WorkingDir string   `json:"WorkingDir,omitempty"`
	} `json:"config"`
	Root struct {
		Type  string   `json:"type"`
		Diffs []string `json:"diff_ids"`
	} `json:"rootfs"`
	History []event `json:"history"`
}

// An event says how a layer came to be.
type event struct {
	Created   string `json:"created"`
	CreatedBy string `json:"created_by"`
	Comment   string `json:"comment,omitempty"`
}

// config returns the configuration, given the digests of the layers before they were packed.
func (i *Image) config(diffs []string) []byte {
	c := configuration{Created: time.Unix(i.Created, 0).UTC().Format(time.RFC3339), platform: platform{architectures[i.Arch], "linux"}}
	c.Config.User, c.Config.WorkingDir = i.User, i.Workdir
	c.Config.Env, c.Config.Entrypoint, c.Config.Cmd = i.Env, i.Entrypoint, i.Cmd
	c.Root.Type, c.Root.Diffs = "layers", diffs
	for _, l := range i.Layers {
		c.History = append(c.History, event{c.Created, "imprint", l.Comment})
	}
	return text(c)
}

// manifest returns the manifest of an image.
func manifest(config blob, layers []blob) []byte {
	return text(map[string]any{"schemaVersion": 2, "mediaType": manifestType, "config": config, "layers": layers})
}

// index writes the index, which leads to the only manifest.
func (w *writer) index(manifest blob) {
	manifest.Platform = &platform{architectures[w.image.Arch], "linux"}
	manifest.Annotations = map[string]string{refName: tag}
	w.entry(&tar.Header{Name: "index.json", Mode: 0o644}, text(map[string]any{
		"schemaVersion": 2, "mediaType": indexType, "manifests": []blob{manifest},
	}))
}

func text(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // it has only texts and numbers
	}
	return b
}
