package oci

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Bounds of what is read, in bytes, and of the layers of an image.
const (
	MaxDocument = 8 << 20
	maxLayers   = 1024
	maxImages   = 4096
)

// A Descriptor names a document or a layer.
type Descriptor struct {
	MediaType   string
	Digest      Digest
	Size        int64    // bytes; 0 if it is not said
	Platform    Platform // of a manifest in an index; zero if it is not said
	Tag         string   // of a manifest in a layout, likewise
	Attestation bool     // it is about another manifest, and no image
}

// A Platform is what an image runs on, in the words of Go.
type Platform struct{ OS, Architecture, Variant string }

// String returns OS/ARCHITECTURE[/VARIANT].
func (p Platform) String() string {
	text := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		text += "/" + p.Variant
	}
	return text
}

// A Document is a manifest, or an index of manifests.
type Document struct {
	Manifests []Descriptor // of an index; nil for a manifest
	Config    Descriptor   // of a manifest
	Layers    []Descriptor // the lowest first
}

// document is the JSON of manifests and indexes.
type document struct {
	SchemaVersion int              `json:"schemaVersion"`
	MediaType     string           `json:"mediaType"`
	Manifests     []jsonDescriptor `json:"manifests"`
	Config        *jsonDescriptor  `json:"config"`
	Layers        []jsonDescriptor `json:"layers"`
}

type jsonDescriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations"`
	Platform    struct {
		OS           string `json:"os"`
		Architecture string `json:"architecture"`
		Variant      string `json:"variant"`
	} `json:"platform"`
}

// Annotations of descriptors (OCI image specification, annotations.md; the second is BuildKit's).
const (
	refName       = "org.opencontainers.image.ref.name"
	referenceType = "vnd.docker.reference.type"
)

func (j jsonDescriptor) parse() (Descriptor, error) {
	digest, err := ParseDigest(j.Digest)
	if err == nil && j.Size < 0 {
		err = fmt.Errorf("a size of %d bytes", j.Size)
	}
	return Descriptor{
		MediaType: j.MediaType, Digest: digest, Size: j.Size, Tag: j.Annotations[refName], Attestation: j.Annotations[referenceType] != "",
		Platform: Platform{j.Platform.OS, j.Platform.Architecture, j.Platform.Variant},
	}, err
}

func parseAll(list []jsonDescriptor) (all []Descriptor, err error) {
	for _, j := range list {
		d, err := j.parse()
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

// ParseDocument reads a manifest or an index.
func ParseDocument(text []byte) (d Document, err error) {
	var j document
	if err := json.Unmarshal(text, &j); err != nil {
		return d, fmt.Errorf("is no manifest: %w", err)
	}
	switch {
	case j.SchemaVersion == 1:
		return d, errors.New("is a manifest of version 1, which has no digests of what its layers unpack to: push the image again")
	case j.Config == nil && j.Manifests == nil:
		return d, errors.New("is no manifest: it has neither config nor manifests")
	case len(j.Layers) > maxLayers || len(j.Manifests) > maxImages:
		return d, fmt.Errorf("has %d layers and %d manifests, more than %d and %d", len(j.Layers), len(j.Manifests), maxLayers, maxImages)
	case j.Config == nil:
		d.Manifests, err = parseAll(j.Manifests)
		return d, err
	}
	if d.Config, err = j.Config.parse(); err != nil {
		return d, err
	}
	if d.Layers, err = parseAll(j.Layers); err != nil {
		return d, err
	}
	for _, l := range d.Layers {
		if strings.HasSuffix(l.MediaType, "+encrypted") {
			return d, errors.New("has encrypted layers, which are not supported")
		}
	}
	return d, nil
}

// Select returns the manifest for a platform. Among several for one architecture the first one without a variant is taken, or else the first.
func (d Document) Select(want Platform) (Descriptor, error) {
	var found []Descriptor
	var there []string
	for _, m := range d.Manifests {
		if m.Attestation || m.Platform.OS == "unknown" {
			continue
		}
		there = append(there, m.Platform.String())
		if m.Platform.OS == want.OS && m.Platform.Architecture == want.Architecture {
			found = append(found, m)
		}
	}
	if len(found) == 0 {
		return Descriptor{}, &PlatformError{Want: want, There: there}
	}
	if i := slices.IndexFunc(found, func(m Descriptor) bool { return m.Platform.Variant == "" }); i >= 0 {
		return found[i], nil
	}
	return found[0], nil
}

// A PlatformError reports that an image is not for a platform.
type PlatformError struct {
	Want  Platform
	There []string
}

// Error implements error.
func (e *PlatformError) Error() string {
	there := strings.Join(slices.Compact(slices.Sorted(slices.Values(e.There))), ", ")
	if e.Want.Architecture == "" {
		return fmt.Sprintf("is for %s, and it is not said for which architecture it should be", there)
	}
	return fmt.Sprintf("is for %s, and not for %v", there, e.Want)
}

// A Config is the configuration of an image.
type Config struct {
	Platform   Platform
	DiffIDs    []Digest // of the unpacked archives of the layers, the lowest first
	Env        []string // "NAME=value"
	User       string   // name or number, perhaps with ":" and a group; "" for root
	WorkingDir string   // "" for "/"
}

// config is the JSON of a configuration.
type config struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Variant      string `json:"variant"`
	Config       struct {
		Env        []string
		User       string
		WorkingDir string
	} `json:"config"`
	RootFS struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
}

// ParseConfig reads a configuration.
func ParseConfig(text []byte) (c Config, err error) {
	var j config
	if err := json.Unmarshal(text, &j); err != nil {
		return c, fmt.Errorf("is no configuration of an image: %w", err)
	}
	if j.RootFS.Type != "layers" || len(j.RootFS.DiffIDs) > maxLayers {
		return c, fmt.Errorf("is no configuration of an image with layers: its file system is of type %.40q, with %d of them", j.RootFS.Type, len(j.RootFS.DiffIDs))
	}
	for _, text := range j.RootFS.DiffIDs {
		d, err := ParseDigest(text)
		if err != nil {
			return c, err
		}
		c.DiffIDs = append(c.DiffIDs, d)
	}
	for _, v := range append(j.Config.Env, j.Config.User, j.Config.WorkingDir) {
		if strings.ContainsRune(v, 0) {
			return c, errors.New("has a NUL in its environment")
		}
	}
	c.Platform = Platform{j.OS, j.Architecture, j.Variant}
	c.Env, c.User, c.WorkingDir = j.Config.Env, j.Config.User, j.Config.WorkingDir
	return c, nil
}

// architectures are those of images by their names in Linux.
var architectures = map[string]string{"x86_64": "amd64", "aarch64": "arm64", "riscv64": "riscv64"}

// PlatformOf returns the platform of Linux on an architecture by the name that Linux has for it.
func PlatformOf(arch string) Platform {
	return Platform{OS: "linux", Architecture: architectures[arch]}
}
