package base

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"imprint/image/description"
	"imprint/internal/cas"
	"imprint/internal/environment"
	"imprint/internal/hosttest"
	"imprint/internal/layer"
	"imprint/internal/oci"
	"imprint/internal/tree"

	"github.com/google/go-containerregistry/pkg/name"
	fallback "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
)

// A layered is a layer as a registry has it: an archive, perhaps compressed.
type layered struct {
	packed, plain []byte
	media         types.MediaType
}

func (l layered) Digest() (v1.Hash, error) {
	h, _, err := v1.SHA256(bytes.NewReader(l.packed))
	return h, err
}
func (l layered) DiffID() (v1.Hash, error) {
	h, _, err := v1.SHA256(bytes.NewReader(l.plain))
	return h, err
}
func (l layered) Compressed() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(l.packed)), nil
}
func (l layered) Uncompressed() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(l.plain)), nil
}
func (l layered) Size() (int64, error)                { return int64(len(l.packed)), nil }
func (l layered) MediaType() (types.MediaType, error) { return l.media, nil }

func gzipped(plain []byte) layered {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(plain)
	w.Close()
	return layered{b.Bytes(), plain, types.OCILayer}
}

func zstdPacked(plain []byte) layered {
	w, _ := zstd.NewWriter(nil)
	return layered{w.EncodeAll(plain, nil), plain, types.OCILayerZStd}
}

func unpacked(plain []byte) layered { return layered{plain, plain, types.OCIUncompressedLayer} }

// archive makes a tar archive. A file's content is its name, unless it has a PAX record "content".
func archive(headers ...tar.Header) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		h.ModTime = time.Unix(1_000_000_000, 0)
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		content := h.Name
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(content))
		}
		if err := w.WriteHeader(&h); err != nil {
			panic(err)
		}
		if h.Typeflag == tar.TypeReg {
			io.WriteString(w, content)
		}
	}
	w.Close()
	return b.Bytes()
}

func file(name string) tar.Header { return tar.Header{Typeflag: tar.TypeReg, Name: name} }
func dir(name string) tar.Header  { return tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755} }
func soft(name, to string) tar.Header {
	return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to}
}
func hard(name, to string) tar.Header {
	return tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: to}
}
func owned(h tar.Header, uid int) tar.Header {
	h.Uid, h.Gid = uid, uid
	h.PAXRecords = map[string]string{"SCHILY.xattr.user.note": "kept"}
	return h
}

// lower and upper are layers that other tools flatten wrongly: children before their directory, a hard link whose target is replaced above, an opaque
// directory beside what is new in it, a whiteout of a directory, and the mark of a whiteout after the file that replaces what it hides.
var (
	lower = archive(dir("etc/"), file("etc/a"), hard("etc/b", "etc/a"), owned(file("etc/owned"), 1000), dir("opaque/"), file("opaque/old"), dir("gone/"), file("gone/x"),
		soft("lib", "usr/lib"), dir("usr/"), dir("usr/lib/"), file("again"), tar.Header{Typeflag: tar.TypeChar, Name: "null", Devmajor: 1, Devminor: 3})
	upper = archive(file("late/child"), tar.Header{Typeflag: tar.TypeDir, Name: "late/", Mode: 0o700}, tar.Header{Typeflag: tar.TypeReg, Name: "./etc/a", Mode: 0o600},
		file("opaque/new"), file("opaque/.wh..wh..opq"), file(".wh.gone"), file("again"), file(".wh.again"), file("lib/x"))
	merged = []string{
		"again 644 0 =again", "etc 755 0", "etc/a 600 0 =./etc/a", "etc/b 644 0 =etc/a", "etc/owned 644 1000 =etc/owned user.note=kept", "late 700 0", "late/child 644 0 =late/child",
		"lib 777 0 ->usr/lib", "null 644 0 1:3", "opaque 755 0", "opaque/new 644 0 =opaque/new", "usr 755 0", "usr/lib 755 0", "usr/lib/x 644 0 =lib/x",
	}
)

// listed describes the tree of layers.
func listed(t *testing.T, layers []*layer.Layer) (list []string) {
	t.Helper()
	all, err := layer.Tree(layers, environment.Implied)
	if err != nil {
		t.Fatal(err)
	}
	for path, n := range all.Walk() {
		if path == "/" {
			continue
		}
		i := n.Inode()
		text := fmt.Sprintf("%s %o %d", path[1:], i.Attr.Mode, i.Attr.UID)
		switch i.Kind() {
		case tree.File:
			if _, pinned := tree.PinOf(i.Blob()); !pinned {
				t.Errorf("%s has no pin", path)
			}
			content, err := tree.ReadAll(i.Blob(), 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			text += " =" + string(content)
		case tree.Symlink:
			text += " ->" + i.Target()
		case tree.CharDevice:
			text += fmt.Sprintf(" %d:%d", i.Device().Major, i.Device().Minor)
		}
		for _, x := range i.Attr.Xattrs {
			text += fmt.Sprintf(" %s=%s", x.Name, x.Value)
		}
		list = append(list, text)
	}
	return list
}

// image makes an image of layers for an architecture.
func image(t testing.TB, arch string, layers ...v1.Layer) v1.Image {
	t.Helper()
	i := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	i, err := mutate.AppendLayers(i, layers...)
	if err != nil {
		t.Fatal(err)
	}
	c, err := i.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c = c.DeepCopy()
	c.OS, c.Architecture = "linux", arch
	c.Config.Env, c.Config.User, c.Config.WorkingDir = []string{"PATH=/bin", "A=b c"}, "web:www", "/srv"
	if i, err = mutate.ConfigFile(i, c); err != nil {
		t.Fatal(err)
	}
	return i
}

// index makes an index of images.
func index(t testing.TB, images ...v1.Image) v1.ImageIndex {
	t.Helper()
	all := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, i := range images {
		c, err := i.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		all = mutate.AppendManifests(all, mutate.IndexAddendum{Add: i, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: c.OS, Architecture: c.Architecture}}})
	}
	return all
}

// A world is a directory, a build store and an architecture.
type world struct {
	*testing.T
	Options
	arch string
}

func newWorld(t *testing.T) *world {
	return &world{t, Options{Dir: t.TempDir(), Keep: filepath.Join(t.TempDir(), "keep"), Scratch: t.TempDir()}, "x86_64"}
}

func (w *world) find(from string) (*Base, error) {
	w.Helper()
	text := fmt.Sprintf("name = \"x\"\narch = %q\n[[partition]]\nname = \"p\"\ntype = \"root\"\nfilesystem = \"ext4\"\n[[partition.layer]]\nfrom = %q\n", w.arch, from)
	d, err := description.Parse("image.toml", []byte(text))
	if err != nil {
		return nil, err
	}
	found, problems, err := Find(w.Context(), d, w.Options)
	if err == nil {
		err = problems.Err()
	}
	if err != nil {
		return nil, err
	}
	return found[d.Partition.Items[0].Layer.Items[0].Key], nil
}

// want finds a base, and fails the test unless it has the merged tree.
func (w *world) want(from string) *Base {
	w.Helper()
	b, err := w.find(from)
	if err != nil {
		w.Fatal(err)
	}
	if got := listed(w.T, b.Layers); !slices.Equal(got, merged) {
		w.Errorf("%s: got\n%s\nwant\n%s", from, strings.Join(got, "\n"), strings.Join(merged, "\n"))
	}
	return b
}

func (w *world) fails(from string, texts ...string) error {
	w.Helper()
	b, err := w.find(from)
	if err == nil {
		w.Errorf("%s: found %+v", from, b)
		return nil
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			w.Errorf("%s: %v\nlacks %q", from, err, text)
		}
	}
	return err
}

// startRegistry starts Debian's docker-registry, and returns its address and what stops it.
func startRegistry(t *testing.T) (address string, stop func()) {
	t.Helper()
	hosttest.Need(t, "docker-registry")
	home := t.TempDir()
	settings := filepath.Join(home, "config.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: info}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: \"127.0.0.1:0\"}\n", home)
	if err := os.WriteFile(settings, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := exec.CommandContext(ctx, "docker-registry", "serve", settings)
	said, err := c.StderrPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	stop = func() { cancel(); c.Wait() }
	t.Cleanup(stop)
	form := regexp.MustCompile(`listening on (127\.0\.0\.1:[0-9]+)`)
	var out []byte
	for buf := make([]byte, 4096); ; {
		n, err := said.Read(buf)
		out = append(out, buf[:n]...)
		if m := form.FindSubmatch(out); m != nil {
			go io.Copy(io.Discard, said)
			return string(m[1]), stop
		}
		if err != nil {
			t.Fatalf("docker-registry: %v\n%s", err, out)
		}
	}
}

// A base comes from a registry once. The architecture says which image of an index is taken; layers may be compressed with gzip or zstd, or not.
func TestRegistry(t *testing.T) {
	address, stop := startRegistry(t)
	amd, arm := image(t, "amd64", gzipped(lower), zstdPacked(upper)), image(t, "arm64", unpacked(archive(file("arm"))))
	ref, err := name.ParseReference(address + "/a/base:v1")
	if err != nil {
		t.Fatal(err)
	}
	all := index(t, amd, arm)
	if err := remote.WriteIndex(ref, all); err != nil {
		t.Fatal(err)
	}
	digest, err := all.Digest()
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	pinned := "oci:" + address + "/a/base:v1@" + digest.String()
	w.fails("oci:"+address+"/a/base:v1", "image.toml:8:1: partition[0].layer[0].from: has no digest", "hint: write from = \""+pinned+"\"")
	w.fails("oci:"+address+"/a/base", "has no digest, and it cannot be found out: fetch "+address+"/a/base:latest: the registry answers 404")
	w.fails("oci:"+address+"/a/base@sha256:"+strings.Repeat("0", 64), "404")
	var fetches []*Fetch
	w.Fetching = func(f *Fetch) { fetches = append(fetches, f) }
	first := w.want(pinned)
	if c := first.Config; !slices.Equal(c.Env, []string{"PATH=/bin", "A=b c"}) || c.User != "web:www" || c.WorkingDir != "/srv" || c.Platform.String() != "linux/amd64" {
		t.Errorf("%+v", c)
	}
	if len(fetches) != 1 || fetches[0].Layers != 2 || fetches[0].Done() != fetches[0].Total || fetches[0].Total == 0 {
		t.Errorf("%+v", fetches)
	}
	other := newWorld(t)
	other.arch = "aarch64"
	if b, err := other.find(pinned); err != nil || !slices.Equal(listed(t, b.Layers), []string{"arm 644 0 =arm"}) {
		t.Errorf("%+v, %v", b, err)
	}
	other.arch = "riscv64"
	other.fails(pinned, "is for linux/amd64, linux/arm64, and not for linux/riscv64", "hint: arch says which of them is taken")

	stop() // the second time nobody is asked
	if again := w.want(pinned); again.Pin != first.Pin || len(fetches) != 1 {
		t.Errorf("%x, not %x; fetched %d times", again.Pin, first.Pin, len(fetches))
	}
	if err := os.RemoveAll(filepath.Join(w.Keep, "indexes")); err != nil { // they may be removed at any time
		t.Fatal(err)
	}
	w.want(pinned)
}

// A registry that wants a password gets that of docker login.
func TestPassword(t *testing.T) {
	inner := fallback.New(fallback.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "me" || password != "secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	defer server.Close()
	open := httptest.NewServer(inner)
	defer open.Close()
	i := image(t, "amd64", gzipped(lower), gzipped(upper))
	ref, err := name.ParseReference(strings.TrimPrefix(open.URL, "http://") + "/base")
	if err == nil {
		err = remote.Write(ref, i)
	}
	if err != nil {
		t.Fatal(err)
	}
	digest, _ := i.Digest()
	host := strings.TrimPrefix(server.URL, "http://")
	from := "oci:" + host + "/base@" + digest.String()
	w := newWorld(t)
	w.fails(from, "401 Unauthorized")
	w.Docker = t.TempDir()
	login := fmt.Sprintf(`{"auths": {%q: {"auth": "bWU6c2VjcmV0"}}}`, host)
	if err := os.WriteFile(filepath.Join(w.Docker, "config.json"), []byte(login), 0o600); err != nil {
		t.Fatal(err)
	}
	w.want(from)
}

// An image is the same base wherever it is on a disk, and needs no disk the second time.
func TestOnDisk(t *testing.T) {
	w := newWorld(t)
	i := image(t, "amd64", gzipped(lower), gzipped(upper))
	digest, _ := i.Digest()
	id, _ := i.ConfigName()
	place, err := layout.Write(filepath.Join(w.Dir, "layout"), index(t, i))
	if err != nil {
		t.Fatal(err)
	}
	if err := place.AppendImage(i, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "v1"})); err != nil {
		t.Fatal(err)
	}
	hosttest.Run(t, "tar", "-C", filepath.Join(w.Dir, "layout"), "-cf", filepath.Join(w.Dir, "layout.tar"), ".")
	tag, _ := name.NewTag("base:v1")
	if err := tarball.WriteToFile(filepath.Join(w.Dir, "saved.tar"), tag, i); err != nil {
		t.Fatal(err)
	}
	hosttest.Run(t, "gzip", "-k", filepath.Join(w.Dir, "saved.tar"))
	var pins [][32]byte
	for _, from := range []string{
		"oci-layout:layout@" + digest.String(), "oci-layout:layout:v1@" + digest.String(), "oci-archive:layout.tar:v1@" + digest.String(),
		"docker-archive:saved.tar@" + id.String(), "docker-archive:" + w.Dir + "/saved.tar.gz@" + id.String(),
	} {
		w.Keep = filepath.Join(t.TempDir(), "keep")
		b := w.want(from)
		pins = append(pins, b.Pin)
		if b.Config.User != "web:www" {
			t.Errorf("%s: %+v", from, b.Config)
		}
		here := w.Dir
		w.Dir = filepath.Join(w.Dir, "elsewhere")
		if !strings.Contains(from, here) {
			w.want(from)
		}
		w.Dir = here
	}
	if len(slices.Compact(pins)) != 1 {
		t.Errorf("%x", pins)
	}
	w.Keep = filepath.Join(t.TempDir(), "keep")
	w.fails("oci-layout:layout:v1", "hint: write from = \"oci-layout:layout:v1@"+digest.String()+"\"")
	w.fails("docker-archive:saved.tar", "hint: write from = \"docker-archive:saved.tar@"+id.String()+"\"")
	w.fails("oci-layout:layout:v2", `has 0 images with the tag "v2"; there are the tags`, `"v1"`)
	w.fails("docker-archive:saved.tar@"+digest.String(), "has 0 such images; there are", id.String())
	w.fails("oci-layout:none@"+digest.String(), "no such file")
	w.fails("docker-archive:layout.tar", "manifest.json")
	w.arch = "aarch64"
	w.fails("docker-archive:saved.tar@"+id.String(), "is for linux/amd64, and not for linux/arm64")
}

// An archive is a base by its own hash, and whoever changes it is told.
func TestTar(t *testing.T) {
	w := newWorld(t)
	packed := zstdPacked(archive(file("x"), hard("y", "x"))).packed
	path := filepath.Join(w.Dir, "root.tar.zst")
	if err := os.WriteFile(path, packed, 0o644); err != nil {
		t.Fatal(err)
	}
	sum, _, _ := v1.SHA256(bytes.NewReader(packed))
	from := "tar:root.tar.zst@" + sum.String()
	w.fails("tar:root.tar.zst", "hint: write from = \""+from+"\"")
	for range 2 {
		b, err := w.find(from)
		if err != nil || !slices.Equal(listed(t, b.Layers), []string{"x 644 0 =x", "y 644 0 =x"}) {
			t.Fatalf("%+v, %v", b, err)
		}
	}
	if err := os.WriteFile(path, packed[:len(packed)-1], 0o644); err != nil {
		t.Fatal(err)
	}
	w.fails(from, "root.tar.zst has changed: its digest is sha256:")
	if err := os.WriteFile(path, packed, 0o644); err != nil {
		t.Fatal(err)
	}
	archives, _ := filepath.Glob(filepath.Join(w.Keep, "sha256/*/*"))
	if len(archives) != 1 {
		t.Fatalf("%q", archives)
	}
	whole, err := os.ReadFile(archives[0])
	if err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Hour) // who writes to what is kept is noticed
	if err := errors.Join(os.WriteFile(archives[0], make([]byte, len(whole)), 0o644), os.Chtimes(archives[0], later, later)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.find(from); err != nil {
		t.Error(err)
	}
	if mended, err := os.ReadFile(archives[0]); !bytes.Equal(mended, whole) || err != nil {
		t.Error("what was damaged is not fetched again", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := w.find(from); err != nil { // kept
		t.Error(err)
	}
}

// A layer of the build store is a base by its digest.
func TestStored(t *testing.T) {
	w := newWorld(t)
	store, err := environment.Open(w.Keep)
	if err != nil {
		t.Fatal(err)
	}
	l, err := layer.New([]layer.Entry{{Path: "/x", Node: tree.NewFile("x", &tree.Attr{Mode: 0o644}, tree.Text("=x"))}})
	if err != nil {
		t.Fatal(err)
	}
	sum, err := store.Add(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	b, err := w.find("layer:" + strings.TrimPrefix(oci.Text(sum), "sha256:"))
	if err != nil || b.Pin != environment.PinOf([][32]byte{sum}) {
		t.Errorf("%+v, %v", b, err)
	}
	w.fails("layer:"+strings.Repeat("0", 64), "is not in the build store")
	w.Keep = ""
	w.fails("layer:"+strings.Repeat("0", 64), "there is no build store")
}

// An image may have a layer twice, or none.
func TestTwice(t *testing.T) {
	w := newWorld(t)
	same := gzipped(archive(file("x")))
	b, err := w.find(w.hostile(same, same, gzipped(archive(file(".wh.x"))), same))
	if err != nil || len(b.Layers) != 4 || !slices.Equal(listed(t, b.Layers), []string{"x 644 0 =x"}) {
		t.Errorf("%+v, %v", b, err)
	}
	if b, err := w.find(w.hostile()); err != nil || len(b.Layers) != 0 {
		t.Errorf("%+v, %v", b, err)
	}
}

// hostile makes a layout with one image of layers, and returns a reference to it.
func (w *world) hostile(layers ...v1.Layer) string {
	w.Helper()
	i := image(w, "amd64", layers...)
	path := filepath.Join(w.TempDir(), "layout")
	place, err := layout.Write(path, empty.Index)
	if err == nil {
		err = place.AppendImage(i)
	}
	if err != nil {
		w.Fatal(err)
	}
	digest, _ := i.Digest()
	return "oci-layout:" + path + "@" + digest.String()
}

// Layers that lead out, or are not what their image says.
func TestHostile(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		layers []tar.Header
		want   string
	}{
		{[]tar.Header{file("../up")}, `name ".."`},
		{[]tar.Header{file("/etc/passwd")}, "absolute name"},
		{[]tar.Header{soft("l", "/etc"), file("l/passwd")}, "is below /l, a symlink"},
		{[]tar.Header{file(".wh...")}, "is a whiteout of"},
		{[]tar.Header{file(".wh.x/y")}, "is below a whiteout"},
		{[]tar.Header{hard("a", "../../etc/shadow")}, "hard link to"},
	} {
		if err := w.fails(w.hostile(gzipped(archive(c.layers...))), c.want); !errors.Is(err, cas.ErrMismatch) {
			t.Error(err)
		}
	}
	good := archive(file("x"))
	for _, l := range []layered{
		{gzipped(good).packed, lower, types.OCILayer},                        // unpacks to something else
		{gzipped(lower).packed[:200], lower, types.OCILayer},                 // cut off
		{append([]byte("\x1f\x8b\x08\x00"), good...), lower, types.OCILayer}, // damaged
		{gzipped(make([]byte, 64<<20)).packed, good, types.OCILayer},         // a bomb
	} {
		if err := w.fails(w.hostile(l)); !errors.Is(err, cas.ErrMismatch) {
			t.Error(err)
		}
	}
	from := w.hostile(gzipped(lower))
	blobs, _ := filepath.Glob(strings.TrimPrefix(strings.Split(from, "@")[0], "oci-layout:") + "/blobs/sha256/*")
	for _, blob := range blobs {
		if err := os.WriteFile(blob, []byte("{}"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.fails(from); !errors.Is(err, cas.ErrMismatch) {
		t.Error(err)
	}
	left, _ := filepath.Glob(filepath.Join(w.Keep, "partial/*"))
	if len(left) > 0 {
		t.Errorf("%q are left", left)
	}
	// Twice the same name, and a device, are what they are.
	b, err := w.find(w.hostile(gzipped(archive(file("x"), tar.Header{Typeflag: tar.TypeReg, Name: "./x", Mode: 0o600}, tar.Header{Typeflag: tar.TypeBlock, Name: "sda", Devmajor: 8}))))
	if err != nil || len(b.Layers[0].Entries()) != 2 {
		t.Errorf("%+v, %v", b, err)
	}
}
