package resolve_test

import (
	"archive/tar"
	"bytes"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"imprint/image/imagetest"
	"imprint/image/write"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// containerImage returns an image of a layer with one file, and with an environment.
func containerImage(t *testing.T) v1.Image {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	text := "from a container\n"
	w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "motd", Mode: 0o644, Uid: 7, Size: int64(len(text))})
	io.WriteString(w, text)
	w.Close()
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	i, err := mutate.AppendLayers(empty.Image, l)
	if err != nil {
		t.Fatal(err)
	}
	c, _ := i.ConfigFile()
	c = c.DeepCopy()
	c.OS, c.Architecture, c.Config = "linux", "amd64", v1.Config{Env: []string{"PATH=/bin"}, User: "7", WorkingDir: "/srv"}
	if i, err = mutate.ConfigFile(i, c); err != nil {
		t.Fatal(err)
	}
	return i
}

// A base makes the same image wherever it is, and its environment is in the plan.
func TestBase(t *testing.T) {
	w := imagetest.New(t)
	w.File("registration", "")
	w.File("store/x", "")
	i := containerImage(t)
	place, err := layout.Write(filepath.Join(w.Dir, "layout"), empty.Index)
	if err == nil {
		err = place.AppendImage(i)
	}
	tag, _ := name.NewTag("base")
	if err == nil {
		err = tarball.WriteToFile(filepath.Join(w.Dir, "saved.tar"), tag, i)
	}
	if err != nil {
		t.Fatal(err)
	}
	digest, _ := i.Digest()
	id, _ := i.ConfigName()
	var disks [][]byte
	for _, from := range []string{"oci-layout:layout@" + digest.String(), "docker-archive:saved.tar@" + id.String()} {
		p, err := w.Plan("[[partition]]\nname = \"root\"\ntype = \"root\"\nfilesystem = \"ext4\"\nuuid = \"3e4cbd52-8cf3-4f0c-a3a5-3d5b8a1a3d5e\"\n[[partition.layer]]\nfrom = \"" + from + "\"\n")
		if err != nil {
			t.Fatal(err)
		}
		b := p.Bases[0]
		if len(p.Bases) != 1 || b.From != from || b.Partition != "root" || b.Layers != 1 || b.Platform != "linux/amd64" || !slices.Equal(b.Env, []string{"PATH=/bin"}) || b.User != "7" || b.WorkingDir != "/srv" {
			t.Errorf("%+v", p.Bases)
		}
		if n := p.Partitions[0].Spec.Tree.Find("/motd"); n == nil || n.Attr.UID != 7 {
			t.Errorf("%+v", n)
		}
		disk, _, _ := imagetest.Build(t, p, write.Options{})
		disks = append(disks, disk)
	}
	if !bytes.Equal(disks[0], disks[1]) || !strings.Contains(string(disks[0]), "from a container\n") {
		t.Error("the disks differ, or have no content")
	}
}
