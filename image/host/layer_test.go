package host_test

import (
	"archive/tar"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imprint/image/host"
	"imprint/image/imagetest"
	"imprint/image/plan"
	"imprint/image/write"
	"imprint/internal/diag"
	"imprint/internal/environment"
	"imprint/internal/objects"
	"imprint/internal/tree"
)

const layered = `
[[partition]]
name = "root"
type = "root"
filesystem = "ext4"
`

// keep makes an environment "web" of two layers, with the first one tagged "old", and returns its store and pins.
func keep(t *testing.T, w imagetest.World) (s *environment.Store, pins []objects.Digest) {
	t.Helper()
	s, err := environment.Open(filepath.Join(w.Dir, "build-store"))
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"lower", "upper"} {
		l, problems := host.Reader{Dir: w.Dir, Epoch: 1}.Layer(t.Context(), diag.Key{}, name)
		if problems != nil {
			t.Fatal(problems)
		}
		d, err := s.Add(t.Context(), l)
		if err != nil {
			t.Fatal(err)
		}
		var pin objects.Digest
		if i == 0 {
			pin, err = s.Init(t.Context(), "web", d)
		} else {
			pin, _, err = s.Append(t.Context(), "web", "", d)
		}
		if err != nil {
			t.Fatal(err)
		}
		pins = append(pins, pin)
	}
	if _, err := s.Tag(t.Context(), "web", "old", environment.Root); err != nil {
		t.Fatal(err)
	}
	return s, pins
}

func paths(p *plan.Plan) string {
	var list []string
	for path, n := range p.Partitions[0].Spec.Tree.Walk() {
		if n.Kind() == tree.File {
			text, _ := tree.ReadAll(n.Blob(), 100)
			path += "=" + string(text)
		}
		list = append(list, path)
	}
	return strings.Join(list, " ")
}

// A description takes the layers of an environment, of a directory, of an archive, and by digest, and trees come on top.
func TestLayers(t *testing.T) {
	w := imagetest.New(t)
	w.File("lower/a", "1")
	w.File("lower/d/x", "1")
	w.File("lower/d/y", "1")
	w.File("upper/d/x", "2")
	w.File("upper/d/.wh.y", "")
	w.File("tree/t", "3")
	w.File("oci.tar", imagetest.Tar(t, tar.Header{Name: "d/.wh..wh..opq", Typeflag: tar.TypeReg}, tar.Header{Name: "d/", Typeflag: tar.TypeDir, Mode: 0o755},
		tar.Header{Name: "d/z", Typeflag: tar.TypeReg, Mode: 0o600}))
	s, pins := keep(t, w)
	stack, err := s.Stack(pins[1])
	if err != nil {
		t.Fatal(err)
	}
	upper := objects.Text(stack[1].Layer)
	seeds := map[string]string{}
	for text, want := range map[string]string{
		`env = "web"`:                                                        "/ /a=1 /d /d/x=2",
		`env = "web"` + "\ntag = \"current\"":                                "/ /a=1 /d /d/x=2",
		`env = "web"` + "\ntag = \"old\"":                                    "/ /a=1 /d /d/x=1 /d/y=1",
		`env = "web"` + "\ntag = \"" + objects.Text(pins[0])[:9] + `"`:       "/ /a=1 /d /d/x=1 /d/y=1",
		`env = "web"` + "\ndigest = \"sha256:" + objects.Text(pins[1]) + `"`: "/ /a=1 /d /d/x=2",
		`source = "lower"`:                                                   "/ /a=1 /d /d/x=1 /d/y=1",
		`source = "upper"` + "\ndigest = \"" + upper + `"`:                   "/ /d /d/x=2",
		`digest = "` + upper + `"`:                                           "/ /d /d/x=2",
		`env = "web"` + "\n[[partition.layer]]\nsource = \"oci.tar\"\n[[partition.tree]]\nsource = \"tree\"": "/ /a=1 /d /d/z=d/z /t=3",
	} {
		p, err := w.Plan(layered + "[[partition.layer]]\n" + text + "\n")
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := paths(p); got != want {
			t.Errorf("%s gives %s, want %s", text, got, want)
		}
		seeds[text] = p.Seed.String()
	}
	if seeds[`digest = "`+upper+`"`] != seeds[`source = "upper"`+"\ndigest = \""+upper+`"`] {
		t.Error("the identity depends on where a layer is")
	}
	if seeds[`env = "web"`] == seeds[`env = "web"`+"\ntag = \"old\""] || seeds[`env = "web"`] != seeds[`env = "web"`+"\ntag = \"current\""] {
		t.Error("the identity does not depend on the layers alone")
	}
}

// What is wrong with a layer is reported at its key.
func TestLayerProblems(t *testing.T) {
	w := imagetest.New(t)
	w.File("lower/a", "1")
	w.File("upper/b", "1")
	w.File("bad/.wh.", "")
	w.File("below.tar", imagetest.Tar(t, tar.Header{Name: "a/b", Typeflag: tar.TypeReg}))
	s, pins := keep(t, w)
	zeros := strings.Repeat("0", 64)
	for text, want := range map[string]string{
		`env = "wep"`:                                                `partition[0].layer[0].env: there is no environment "wep" in ` + s.Dir() + "\nhint: did you mean \"web\"?",
		"env = \"web\"\ntag = \"odl\"":                               `partition[0].layer[0].tag: there is no tag or pin "odl" in ` + s.Dir() + "\nhint: did you mean \"old\"?",
		"env = \"web\"\ndigest = \"" + zeros + "\"":                  "partition[0].layer[0].digest: the pin of web is " + objects.Text(pins[1]),
		"source = \"lower\"\ndigest = \"" + zeros + "\"":             "partition[0].layer[0].digest: the digest of the layer is ",
		"digest = \"" + zeros + "\"":                                 "partition[0].layer[0].digest: read the layer " + zeros + ": " + zeros + " is not in the build store",
		`source = "none"`:                                            "partition[0].layer[0].source: stat ",
		`source = "bad"`:                                             "partition[0].layer[0].source: read " + filepath.Join(w.Dir, "bad") + ": /.wh.: is a whiteout of empty name",
		"env = \"web\"\n[[partition.layer]]\nsource = \"below.tar\"": "partition[0].layer[1]: /a/b: /a is a file, not a directory (partition[0].layer[0])",
		"source = \"lower\"\n[[partition.tree]]\nsource = \"lower\"": "partition[0].tree[0]: /a: a file is there already (partition[0].layer[0])",
		`tag = "x"`:                         "partition[0].layer[0]: has neither from nor env nor source nor digest",
		"source = \"lower\"\ntag = \"x\"":   "partition[0].layer[0].tag: is for a layer with env",
		"source = \"lower\"\nenv = \"web\"": "partition[0].layer[0].source: excludes env",
		`digest = "12"`:                     "partition[0].layer[0].digest: ",
		`env = "../x"`:                      "partition[0].layer[0].env: ",
	} {
		_, err := w.Plan(layered + "[[partition.layer]]\n" + text + "\n")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n%v\nwant\n%s", text, err, want)
		}
	}
}

// A content of the build store that is gone or damaged is noticed before an image has it.
func TestLayerDamaged(t *testing.T) {
	w := imagetest.New(t)
	w.File("lower/a", "1")
	w.File("upper/b", "22")
	keep(t, w)
	const text = layered + "[[partition.layer]]\nenv = \"web\"\n"
	p, err := w.Plan(text)
	if err != nil {
		t.Fatal(err)
	}
	path := tree.HostPath(p.Partitions[0].Spec.Tree.Find("/b").Blob())
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	w.File("x", "23")
	if err := os.Rename(filepath.Join(w.Dir, "x"), path); err != nil {
		t.Fatal(err)
	}
	if p, err = w.Plan(text); err != nil {
		t.Fatal(err)
	}
	l, err := p.Layout(nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := write.Image(t.Context(), f, p, l, write.Options{}); !errors.Is(err, write.ErrMismatch) {
		t.Errorf("a damaged content is written: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Plan(text); err == nil || !strings.Contains(err.Error(), "partition[0].layer[0].env: read the layer ") || !strings.Contains(err.Error(), "the content of /b: ") {
		t.Errorf("got %v", err)
	}
}
