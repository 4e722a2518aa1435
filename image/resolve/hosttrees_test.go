package resolve_test

import (
	"archive/tar"
	"os"
	"strings"
	"testing"

	"imprint/image/imagetest"
)

const inRoot = `
[[partition]]
name = "root"
type = "linux-generic"
filesystem = "ext4"
`

// How the host keeps a directory that is taken says nothing of the image; what an archive or the description says counts.
func TestTopOfTrees(t *testing.T) {
	private := imagetest.Tar(t, tar.Header{Typeflag: tar.TypeDir, Name: "./", Mode: 0o700, Uid: 1000, Gid: 1000}, tar.Header{Typeflag: tar.TypeReg, Name: "./f", Mode: 0o644})
	const dir = "[[partition.tree]]\nsource = \"tree\"\n"
	const archive = "[[partition.tree]]\nsource = \"a.tar\"\n"
	for _, c := range []struct {
		text, path string
		mode       uint16
		warning    string
	}{
		{dir, "/", 0o755, ""},
		{dir + "target = \"/srv/www\"\n", "/srv/www", 0o755, ""},
		{dir + "target = \"/srv/www\"\n[[partition.dir]]\npath = \"/srv/www\"\nmode = \"0750\"\n", "/srv/www", 0o750, ""},
		{archive, "/", 0o700, "mode 0700 and owner 1000:1000"},
		{archive + dir, "/", 0o700, "mode 0700"},
		{archive + "[[partition.dir]]\npath = \"/\"\nmode = \"0755\"\n", "/", 0o755, ""},
		{archive + "target = \"/srv\"\n" + dir + "target = \"/srv\"\n", "/srv", 0o700, ""},
	} {
		w := imagetest.New(t)
		w.File("a.tar", private)
		w.File("tree/g", "x")
		if err := os.Chmod(w.Dir+"/tree", 0o700); err != nil {
			t.Fatal(err)
		}
		p, err := w.Plan(inRoot + c.text)
		if err != nil {
			t.Fatalf("%s: %v", c.text, err)
		}
		if a := p.Partitions[0].Spec.Tree.Find(c.path).Attr; a.Mode != c.mode {
			t.Errorf("%s: %s has mode %#o", c.text, c.path, a.Mode)
		}
		if got := p.Warnings.Error(); len(p.Warnings) > 1 || (c.warning == "") != (got == "") || !strings.Contains(got, c.warning) {
			t.Errorf("%s: warnings %q", c.text, got)
		}
	}
}
