// Package oci reads images of containers: references to them, their documents (OCI image specification, image-layout.md, manifest.md, config.md, and
// the older ones of Docker), and where they are on a disk: an image layout, or an archive of docker save. It fetches nothing.
package oci

import (
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"
)

// A Digest is a SHA-256. Other hashes, which images may have too, are not supported.
type Digest = [32]byte

// ParseDigest reads "sha256:" and 64 hexadecimal digits.
func ParseDigest(text string) (d Digest, err error) {
	digits, ok := strings.CutPrefix(text, "sha256:")
	b, err := hex.DecodeString(digits)
	if err != nil || !ok || len(b) != len(d) || strings.ToLower(digits) != digits {
		return d, fmt.Errorf("%.90q is no digest: \"sha256:\" and 64 hexadecimal digits", text)
	}
	return Digest(b), nil
}

// Text is the inverse of ParseDigest.
func Text(d Digest) string { return "sha256:" + hex.EncodeToString(d[:]) }

// A Kind is what a reference leads to.
type Kind string

// The kinds, as references begin.
const (
	Registry      Kind = "oci"            // oci:[HOST/]NAME[:TAG]
	Layout        Kind = "oci-layout"     // oci-layout:DIR[:TAG]
	LayoutArchive Kind = "oci-archive"    // oci-archive:FILE[:TAG], a layout in a tar archive
	DockerArchive Kind = "docker-archive" // docker-archive:FILE, what docker save writes
	Tar           Kind = "tar"            // tar:FILE, an archive of a tree
	Layer         Kind = "layer"          // layer:DIGEST, in the build store
)

// A Reference is the text KIND:NAME[:TAG][@DIGEST].
type Reference struct {
	Kind   Kind
	Name   string  // of a repository, or a path
	Tag    string  // "" if there is none
	Digest *Digest // of a manifest or an index; of docker-archive that of the configuration, of tar that of the file; nil if there is none
}

const forms = "oci:NAME@sha256:…, oci-layout:DIR@…, oci-archive:FILE@…, docker-archive:FILE@…, tar:FILE@… or layer:DIGEST"

// longest is the length in bytes of the longest reference.
const longest = 8 << 10

// ParseReference reads a reference.
func ParseReference(text string) (r Reference, err error) {
	kind, rest, ok := strings.Cut(text, ":")
	switch {
	case len(text) > longest:
		return Reference{}, fmt.Errorf("has %d bytes, more than %d", len(text), longest)
	case !ok:
		return Reference{}, fmt.Errorf("is no reference: it has the form of %s", forms)
	}
	r.Kind = Kind(kind)
	if r.Kind == Layer {
		d, err := ParseDigest("sha256:" + strings.TrimPrefix(rest, "sha256:"))
		return Reference{Kind: Layer, Digest: &d}, err
	}
	if name, digest, has := strings.Cut(rest, "@"); has {
		d, err := ParseDigest(digest)
		if err != nil {
			return Reference{}, err
		}
		rest, r.Digest = name, &d
	}
	r.Name = rest
	switch r.Kind {
	case Registry, Layout, LayoutArchive:
		if colon := strings.LastIndexByte(rest, ':'); colon > strings.LastIndexByte(rest, '/') {
			r.Name, r.Tag = rest[:colon], rest[colon+1:]
			if r.Tag == "" {
				return Reference{}, errors.New("has an empty tag")
			}
		}
	case DockerArchive, Tar:
	default:
		return Reference{}, fmt.Errorf("%.40q is no kind of base: it has the form of %s", kind, forms)
	}
	switch {
	case r.Name == "" || strings.ContainsAny(r.Name, "\x00\n"):
		return Reference{}, fmt.Errorf("%.80q is no name", r.Name)
	case r.Kind == Registry && (path.Clean(r.Name) != r.Name || !filepath.IsLocal(r.Name)):
		return Reference{}, fmt.Errorf("%.80q is no name of a repository", r.Name)
	}
	return r, nil
}

// String is the inverse of ParseReference.
func (r Reference) String() string {
	if r.Kind == Layer {
		return "layer:" + strings.TrimPrefix(Text(*r.Digest), "sha256:")
	}
	text := string(r.Kind) + ":" + r.Name
	if r.Tag != "" {
		text += ":" + r.Tag
	}
	if r.Digest != nil {
		text += "@" + Text(*r.Digest)
	}
	return text
}

// With returns the reference with a digest.
func (r Reference) With(d Digest) Reference {
	r.Digest = &d
	return r
}

// OnDisk reports whether the name is a path.
func (r Reference) OnDisk() bool { return r.Kind != Registry && r.Kind != Layer }
