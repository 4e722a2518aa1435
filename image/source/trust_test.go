package source

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"strings"
	"testing"

	"imprint/closure"
	"imprint/closure/listing"
	"imprint/closure/nar"
	"imprint/closure/narinfo"
	"imprint/internal/cas"
	"imprint/internal/tree"
)

// Paths that Nix gives to a file with the text "a source\n", as a source and by the hash of the file, and to a text that refers to the first.
const (
	addressed = "/nix/store/pcxry34j8qa0c8x76rx2xr0cnmwzh87w-source"
	flat      = "/nix/store/sgj7zi9k2ac33kpz5qb8alkv8w43j866-flat"
	note      = "/nix/store/sxfpnyyi7lnk6qyb18fvn46pxaq8i12j-note"
)

// addAddressed adds a file that is not signed, and has a content address of a kind for the text honest.
func (w *world) addAddressed(path, kind, honest, text string, mode uint16, refs ...string) *narinfo.Info {
	w.Helper()
	node := tree.NewFile("", closure.CanonicalAttr(tree.File, mode), tree.Text(text))
	list, err := listing.Text(node)
	if err != nil {
		w.Fatal(err)
	}
	w.put("/"+path[11:43]+".ls", list)
	var archive, whole bytes.Buffer
	for to, text := range map[*bytes.Buffer]string{&archive: text, &whole: honest} {
		if err := nar.Write(to, tree.NewFile("", closure.CanonicalAttr(tree.File, mode), tree.Text(text)), func(out io.Writer, n *tree.Node) error {
			return tree.Copy(w.Context(), out, n.Blob(), nil)
		}); err != nil {
			w.Fatal(err)
		}
	}
	i := w.addArchive("x", "zstd", archive.Bytes())
	delete(w.files, "/"+i.StorePath[11:43]+".narinfo")
	sum := sha256.Sum256([]byte(honest))
	if kind == "fixed:r" {
		sum = sha256.Sum256(whole.Bytes())
	}
	w.put("/"+path[11:]+".nar", w.files["/"+i.URL])
	i.StorePath, i.URL, i.Deriver, i.Sigs, i.CA = path, path[11:]+".nar", "", nil, kind+":sha256:"+nar.EncodeBase32(sum[:])
	for _, r := range refs {
		i.References = append(i.References, r[11:])
	}
	w.publish(i)
	return i
}

// realiseAt fetches the closure of a path with the keys of the tests.
func (w *world) realiseAt(at string) (*closure.Closure, error) {
	w.Helper()
	c, err := w.openWith(CacheOptions{Keys: trusted(w.T), Keep: w.TempDir(), Compares: func(*tree.Node) bool { return false }})
	if err != nil {
		w.Fatal(err)
	}
	root, err := closure.Nix.ParsePath(at)
	if err != nil {
		w.Fatal(err)
	}
	all, err := closure.Compute(w.Context(), []closure.Store{c}, []closure.Path{root})
	if err != nil {
		return nil, err
	}
	return all, Realise(w.Context(), all, nil)
}

// Items whose paths follow from their contents need no signature, as with Nix.
func TestContentAddressed(t *testing.T) {
	w := newWorld(t)
	w.addAddressed(addressed, "fixed:r", "a source\n", "a source\n", 0o444)
	w.addAddressed(flat, "fixed", "a source\n", "a source\n", 0o444)
	w.addAddressed(note, "text", "see "+addressed+"\n", "see "+addressed+"\n", 0o444, addressed)
	for _, at := range []string{note, flat} {
		all, err := w.realiseAt(at)
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range all.Items {
			if streamed := item.Store.(*Cache).Stream(item.Info.Path) != nil; streamed != (item.Info.Path.String() == addressed) {
				t.Errorf("%v is streamed: %v", item.Info.Path, streamed)
			}
		}
		check(t, all)
	}
}

// A path that does not follow from what the cache says, or not from the contents, needs one.
func TestContentAddressedFalsely(t *testing.T) {
	for what, c := range map[string]struct {
		at    string
		spoil func(w *world)
		want  string
	}{
		"source": {addressed, func(w *world) { w.addAddressed(addressed, "fixed:r", "a source\n", "another\n", 0o444) }, "-source is not signed"},
		"source of other references": {addressed, func(w *world) {
			w.addAddressed(addressed, "fixed:r", "a source\n", "a source\n", 0o444, flat)
		}, "-source is not signed"},
		"text":           {note, func(w *world) { w.addAddressed(note, "text", "see "+addressed+"\n", "another\n", 0o444, addressed) }, "not what was promised"},
		"text of others": {note, func(w *world) { w.addAddressed(note, "text", "see "+addressed+"\n", "see "+addressed+"\n", 0o444) }, "-note is not signed"},
		"flat":           {flat, func(w *world) { w.addAddressed(flat, "fixed", "a source\n", "another\n", 0o444) }, "not what was promised"},
		"program":        {flat, func(w *world) { w.addAddressed(flat, "fixed", "a source\n", "a source\n", 0o555) }, "its content address is fixed:sha256:"},
		"no address": {flat, func(w *world) {
			i := w.addAddressed(flat, "fixed", "a source\n", "a source\n", 0o444)
			i.CA = ""
			w.publish(i)
		}, "-flat is not signed"},
		"another kind": {flat, func(w *world) { w.addAddressed(flat, "text", "a source\n", "a source\n", 0o444) }, "-flat is not signed"},
	} {
		w := newWorld(t)
		w.addAddressed(addressed, "fixed:r", "a source\n", "a source\n", 0o444)
		c.spoil(w)
		_, err := w.realiseAt(c.at)
		var invalid *InvalidError
		promised := strings.Contains(c.want, "signed")
		if !says(err, c.want) || errors.As(err, &invalid) != promised || errors.Is(err, cas.ErrMismatch) == promised {
			t.Errorf("%s: %v, want %s", what, err, c.want)
		}
	}
}
