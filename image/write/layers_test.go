package write_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"imprint/container"
	"imprint/image/imagetest"
	"imprint/image/plan"
	"imprint/image/write"
	"imprint/internal/output"
)

// layered writes a plan as a container image, and returns the names in each layer, by its comment, and the digest of each.
func layered(t *testing.T, p *plan.Plan) (names map[string][]string, digests map[string]string) {
	t.Helper()
	l, err := p.Layout(nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	disk, err := output.Create(filepath.Join(dir, "disk"))
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Discard()
	out, err := output.Create(filepath.Join(dir, "x.oci.tar"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Discard()
	o := write.Options{Scratch: true, Formats: []write.Formatted{{Output: out, Format: container.Named("oci"), Partition: "root"}}}
	if _, err := write.Image(t.Context(), disk.File, p, l, o); err != nil {
		t.Fatal(err)
	}
	blobs := map[string][]byte{}
	for name, b := range members(t, content(t, out.File)) {
		blobs[strings.Replace(name, "blobs/sha256/", "sha256:", 1)] = b
	}
	var list struct {
		Manifests, Layers []struct{ Digest string }
		Config            struct{ Digest string }
		History           []struct{ Comment string }
	}
	read := func(name string) {
		if err := json.Unmarshal(blobs[name], &list); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	read("index.json")
	read(list.Manifests[0].Digest)
	config := list.Config.Digest
	read(config)
	names, digests = map[string][]string{}, map[string]string{}
	for i, layer := range list.Layers {
		comment := list.History[i].Comment
		digests[comment] = layer.Digest
		for name := range members(t, blobs[layer.Digest]) {
			names[comment] = append(names[comment], name)
		}
	}
	return names, digests
}

// members returns the contents in an archive by name.
func members(t *testing.T, archive []byte) map[string][]byte {
	t.Helper()
	files, all := tar.NewReader(bytes.NewReader(archive)), map[string][]byte{}
	for {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if all[h.Name], err = io.ReadAll(files); err != nil {
			t.Fatal(err)
		}
	}
}

const inLayers = "epoch = %d\n[store]\nhard-link = %v\n" + store + "[[partition]]\nname = \"root\"\ntype = \"root\"\nfilesystem = \"ext4\"\nclosures = [\"system\"]\n"

// Each store item has a layer that only it makes: other files, times and links of the image make no difference. All layers together have all
// files.
func TestLayers(t *testing.T) {
	w, system := imagetest.Boot(t)
	p := planned(t, w, fmt.Sprintf(inLayers, 5, false, system))
	names, digests := layered(t, p)
	if len(names) != len(p.Items)+1 {
		t.Errorf("%d layers of %d items", len(names), len(p.Items))
	}
	total := 0
	for comment, list := range names {
		total += len(list)
		for _, name := range list {
			if comment != "" && name != "."+comment && !strings.HasPrefix(name, "."+comment+"/") {
				t.Errorf("%s is in the layer of %s", name, comment)
			}
		}
	}
	if total != p.Partitions[0].Spec.Tree.Len() {
		t.Errorf("%d entries for %d nodes", total, p.Partitions[0].Spec.Tree.Len())
	}
	_, others := layered(t, planned(t, w, fmt.Sprintf(inLayers, 9, true, system)))
	for comment, digest := range digests {
		if same := others[comment] == digest; same != (comment != "") {
			t.Errorf("the layer %q of another image is the same: %v", comment, same)
		}
	}
}

// However many items there are, there are at most 100 layers; the largest have their own.
func TestManyLayers(t *testing.T) {
	w := imagetest.New(t)
	var refs []string
	for i := range 120 {
		refs = append(refs, w.Item(fmt.Sprintf("item%03d", i), nil, map[string]string{"file": strings.Repeat("x", 1+i*100)}))
	}
	system := w.Item("system", refs, map[string]string{"init": "init"})
	names, _ := layered(t, planned(t, w, fmt.Sprintf(inLayers, 5, false, system)))
	if len(names) != 100 || names[refs[119]] == nil || names[refs[0]] != nil || len(names["other store items"]) != 2*(121-98) {
		t.Errorf("%d layers, %d entries in that of other items", len(names), len(names["other store items"]))
	}
}

// What would remove a file of a lower layer is an error.
func TestWhiteoutInLayers(t *testing.T) {
	w := imagetest.New(t)
	w.File("rootfs/.wh.a", "")
	p := planned(t, w, "[[partition]]\nname = \"root\"\ntype = \"root\"\nfilesystem = \"ext4\"\n[[partition.tree]]\nsource = \"rootfs\"\n")
	l, err := p.Layout(nil)
	if err != nil {
		t.Fatal(err)
	}
	out, err := output.Create(filepath.Join(t.TempDir(), "x.oci.tar"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Discard()
	o := write.Options{Scratch: true, Formats: []write.Formatted{{Output: out, Format: container.Named("oci"), Partition: "root"}}}
	if _, err := write.Image(t.Context(), out.File, p, l, o); err == nil || !strings.Contains(err.Error(), "/.wh.a would remove a file of a lower layer") {
		t.Errorf("got %v", err)
	}
}
