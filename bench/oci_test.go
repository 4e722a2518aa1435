package main

import (
	"path/filepath"
	"strings"
	"testing"

	"imprint/internal/oci"
	"imprint/internal/tree"
)

// The container image of a workload has the digests that it says, and is made once.
func TestImage(t *testing.T) {
	w := small(t)
	i, err := w.image()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := w.image(); again != i || err != nil {
		t.Errorf("%+v, %v", again, err)
	}
	ref, err := oci.ParseReference(i.from)
	if err != nil {
		t.Fatal(err)
	}
	files, err := oci.OpenDir(ref.Name)
	if err != nil {
		t.Fatal(err)
	}
	read := func(d oci.Digest) []byte {
		b, err := files.Blob(d)
		if err != nil {
			t.Fatal(err)
		}
		text, err := tree.ReadAll(b, oci.MaxDocument)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	doc, err := oci.ParseDocument(read(*ref.Digest))
	if err != nil {
		t.Fatal(err)
	}
	config, err := oci.ParseConfig(read(doc.Config.Digest))
	if err != nil {
		t.Fatal(err)
	}
	packed, plain, err := unpackAndHash(i.layer)
	if err != nil || oci.Text(doc.Layers[0].Digest) != "sha256:"+packed || oci.Text(config.DiffIDs[0]) != "sha256:"+plain || !strings.HasSuffix(i.layer, filepath.Base(packed)) {
		t.Errorf("%s, %s: %+v, %+v, %v", packed, plain, doc, config, err)
	}
}
