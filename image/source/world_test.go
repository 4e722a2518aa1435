package source

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"imprint/closure"
	"imprint/closure/nar"
	"imprint/closure/narinfo"
	"imprint/internal/tree"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

var key, secret, _ = ed25519.GenerateKey(strings.NewReader(strings.Repeat("seed", 20)))

// trusted is the key that signs the items of the tests.
func trusted(t *testing.T) []narinfo.Key {
	t.Helper()
	k, err := narinfo.ParseKey("test-1:" + base64.StdEncoding.EncodeToString(key))
	if err != nil {
		t.Fatal(err)
	}
	return []narinfo.Key{k}
}

// path returns the store path of a name.
func path(t testing.TB, name string) closure.Path {
	t.Helper()
	sum := sha256.Sum256([]byte(name))
	p, err := closure.Nix.ParsePath("/nix/store/" + nar.EncodeBase32(sum[:20]) + "-" + name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A world is a cache that a server has, and what was asked of it.
type world struct {
	*testing.T
	files map[string][]byte
	url   string
	odd   func(w http.ResponseWriter, r *http.Request) bool // answers some requests itself

	mu    sync.Mutex
	asked []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, files: map[string][]byte{"/nix-cache-info": []byte("StoreDir: /nix/store\nWantMassQuery: 1\n")}}
	s := httptest.NewServer(w)
	t.Cleanup(s.Close)
	w.url = s.URL
	return w
}

// ServeHTTP implements http.Handler.
func (w *world) ServeHTTP(a http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	w.asked = append(w.asked, r.URL.Path)
	odd, content := w.odd, w.files[r.URL.Path]
	w.mu.Unlock()
	switch {
	case odd != nil && odd(a, r):
	case content == nil:
		http.NotFound(a, r)
	default:
		http.ServeContent(a, r, "", fixed, bytes.NewReader(content))
	}
}

// add adds an item to the cache: a directory with a program whose content is its name, many times.
func (w *world) add(name, compression string, refs ...string) *narinfo.Info {
	w.Helper()
	node := tree.NewDir("", closure.CanonicalAttr(tree.Dir, 0), []*tree.Node{
		tree.NewFile("run", closure.CanonicalAttr(tree.File, 0o555), tree.Text(strings.Repeat(name, 20_000))),
		tree.NewSymlink("self", closure.CanonicalAttr(tree.Symlink, 0), path(w, name).String()),
	})
	var archive bytes.Buffer
	err := nar.Write(&archive, node, func(out io.Writer, n *tree.Node) error { return tree.Copy(context.Background(), out, n.Blob(), nil) })
	if err != nil {
		w.Fatal(err)
	}
	return w.addArchive(name, compression, archive.Bytes(), refs...)
}

func (w *world) addArchive(name, compression string, archive []byte, refs ...string) *narinfo.Info {
	w.Helper()
	file := w.compress(compression, archive)
	sum := nar.Digest(sha256.Sum256(file))
	i := &narinfo.Info{
		StorePath: path(w, name).String(), URL: "nar/" + name + ".nar", Compression: compression,
		FileHash: &sum, FileSize: int64(len(file)), NARHash: sha256.Sum256(archive), NARSize: int64(len(archive)), Deriver: path(w, name+".drv").Base(),
	}
	for _, r := range refs {
		i.References = append(i.References, path(w, r).Base())
	}
	w.put("/"+i.URL, file)
	w.sign(i)
	return i
}

// sign publishes a text with a signature.
func (w *world) sign(i *narinfo.Info) {
	i.Sigs = []string{"test-1:" + base64.StdEncoding.EncodeToString(ed25519.Sign(secret, []byte(i.Fingerprint("/nix/store"))))}
	w.publish(i)
}

func (w *world) publish(i *narinfo.Info) {
	digits, _, _ := strings.Cut(i.StorePath[len("/nix/store/"):], "-")
	w.put("/"+digits+".narinfo", []byte(i.String()))
}

func (w *world) put(name string, content []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.files[name] = content
}

func (w *world) compress(by string, content []byte) []byte {
	w.Helper()
	var b bytes.Buffer
	var z io.WriteCloser
	switch by {
	case "none":
		return content
	case "gzip":
		z = gzip.NewWriter(&b)
	case "zstd":
		z, _ = zstd.NewWriter(&b)
	case "br":
		z = brotli.NewWriter(&b)
	default:
		w.Fatal(by)
	}
	z.Write(content)
	z.Close()
	return b.Bytes()
}

// take empties the list of what was asked, and returns it.
func (w *world) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer func() { w.asked = nil }()
	return w.asked
}

// open opens the cache; keep is the build store.
func (w *world) open(keep string, keys []narinfo.Key) (*Cache, error) {
	w.Helper()
	return w.openWith(CacheOptions{Keys: keys, Keep: keep})
}

// openWith opens the cache with further options.
func (w *world) openWith(o CacheOptions) (*Cache, error) {
	w.Helper()
	o.URL, o.Flavor, o.Whole = w.url, closure.Nix, w.Context()
	c, err := OpenCache(w.Context(), o)
	if err == nil {
		w.Cleanup(func() { c.Close() })
	}
	return c, err
}

// closureOf computes and realises the closure of an item.
func closureOf(t *testing.T, name string, stores ...closure.Store) (*closure.Closure, error) {
	t.Helper()
	roots := []closure.Path{path(t, name)}
	Ahead(t.Context(), stores, roots)
	all, err := closure.Compute(t.Context(), stores, roots)
	if err != nil {
		return nil, err
	}
	return all, Realise(t.Context(), all, nil)
}

// check compares every item with its registration.
func check(t *testing.T, all *closure.Closure) {
	t.Helper()
	for _, item := range all.Items {
		n, err := item.Store.Item(t.Context(), item.Info.Path)
		if err != nil {
			t.Fatal(err)
		}
		hash, size, err := nar.Hash(n)
		if err != nil || hash != item.Info.NARHash || size != item.Info.NARSize || n.Name != item.Info.Path.Base() {
			t.Errorf("%v: %s of %d bytes, %v", item.Info.Path, n.Name, size, err)
		}
	}
}

// kept returns the files in a build store.
func kept(t *testing.T, dir string) (names []string) {
	t.Helper()
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && d.Name() != "CACHEDIR.TAG" {
			names = append(names, path)
		}
		return err
	})
	return names
}

func says(err error, text string) bool { return err != nil && strings.Contains(fmt.Sprint(err), text) }
