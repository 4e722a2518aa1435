package input

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"imprint/image/description"
	"imprint/internal/cas"
	"imprint/internal/diag"
	"imprint/internal/hosttest"
	"imprint/internal/hosttool"
	"imprint/internal/tree"
)

// A world is a directory with files, a build store and a description with one input.
type world struct {
	*testing.T
	Options
	warnings []string
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, Options: Options{Dir: t.TempDir(), Keep: filepath.Join(t.TempDir(), "keep"), Env: []string{"HOME=" + t.TempDir()}}}
	w.Warn = func(key diag.Key, text, hint string) { w.warnings = append(w.warnings, text+"\n"+hint) }
	return w
}

func (w *world) file(name, content string) string {
	w.Helper()
	if err := os.WriteFile(filepath.Join(w.Dir, name), []byte(content), 0o644); err != nil {
		w.Fatal(err)
	}
	return content
}

// find finds an input with a hash, further keys and locators, and returns it with its content.
func (w *world) find(keys string, locators ...string) (*File, string, error) {
	w.Helper()
	text := fmt.Sprintf("name = \"x\"\n[[input]]\nname = \"in\"\nlocators = %s\n%s\n[[partition]]\nname = \"p\"\ntype = \"linux-generic\"\nfilesystem = \"none\"\ncontent = \"${input.in}\"\n",
		strings.ReplaceAll(fmt.Sprintf("%q", locators), "\" \"", "\", \""), keys)
	d, err := description.Parse("image.toml", []byte(text))
	if err != nil {
		w.Fatal(err)
	}
	found, problems, err := Find(w.Context(), d, w.Options)
	if err == nil {
		err = problems.Err()
	}
	if err != nil {
		return nil, "", err
	}
	f := found["in"]
	if _, pinned := tree.PinOf(f.Blob); !pinned {
		w.Error("the input is not pinned")
	}
	content, err := tree.ReadAll(f.Blob, 1<<20)
	if err != nil {
		w.Fatal(err)
	}
	return f, string(content), nil
}

func sum(content string) string {
	s := sha256.Sum256([]byte(content))
	return hex.EncodeToString(s[:])
}

func hash(content string) string { return fmt.Sprintf("sha256 = %q", sum(content)) }

// want finds an input, and fails the test if it is not what and where it should be.
func (w *world) want(content, from string, kept bool, locators ...string) {
	w.Helper()
	f, got, err := w.find(hash(content), locators...)
	if err != nil || got != content || f.From != from || f.Kept != kept {
		w.Errorf("%q: %+v, %.40q, %v", locators, f, got, err)
	}
}

// fails finds an input, and fails the test unless the error has some texts.
func (w *world) fails(keys string, locators []string, texts ...string) error {
	w.Helper()
	f, _, err := w.find(keys, locators...)
	if err == nil {
		w.Errorf("%q: found %+v", locators, f)
		return nil
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			w.Errorf("%q: %v\nlacks %q", locators, err, text)
		}
	}
	return err
}

// A server has files, and counts the requests.
type server struct {
	*httptest.Server
	files    map[string]string
	requests atomic.Int32
}

func serve(t *testing.T, start func(http.Handler) *httptest.Server, files map[string]string) *server {
	s := &server{files: files}
	s.Server = start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		content, ok := s.files[r.RequestURI]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Write([]byte(content))
	}))
	t.Cleanup(s.Close)
	return s
}

func plain(h http.Handler) *httptest.Server { return httptest.NewServer(h) }

// Places are tried in their order, and what is nowhere is reported with each of them.
func TestOrder(t *testing.T) {
	w := newWorld(t)
	text := w.file("b", w.file("a", "content"))
	w.want(text, "file:b", true, "file:none", "file:b", "file:a")
	w.want(text, "file:"+w.Dir+"/a", true, "file:"+w.Dir+"/a")
	w.want(text, "file://"+w.Dir+"/a", true, "file://"+w.Dir+"/a")
	w.fails(hash("other"), []string{"file:none", "file:/gone/x"}, "image.toml:4:1: input[0].locators", `input "in" is in none of its places; file:none: `, "; file:/gone/x: ")
	w.fails(hash("other"), []string{"file:."}, "is a directory, not a file")
}

// Whoever changes a file and not its hash is told both hashes, also if the build store has the old one.
func TestChanged(t *testing.T) {
	w := newWorld(t)
	text := w.file("a", "content")
	w.want(text, "file:a", true, "file:a")
	now := w.file("a", "Content")
	w.fails(hash(text), []string{"file:a"}, "image.toml:4:13: input[0].locators[0]: file:a has changed: its SHA-256 is "+sum(now)+", the description has "+sum(text),
		"hint: write sha256 = \""+sum(now)+"\"")
	w.want(now, "file:a", true, "file:a")
	holes := w.file("a", strings.Repeat("\x00", 1<<18)+"end")
	w.want(holes, "file:a", true, "file:a")
	w.fails(hash(text), []string{"file:a"}, sum(holes))
}

// A file that is gone is taken from the build store.
func TestKept(t *testing.T) {
	w := newWorld(t)
	text := w.file("a", "content")
	w.want(text, "file:a", true, "file:a")
	if err := os.Remove(filepath.Join(w.Dir, "a")); err != nil {
		t.Fatal(err)
	}
	w.want(text, "", true, "file:a")
	w.Keep = ""
	w.fails(hash(text), []string{"file:a"}, "none of its places")
	w.file("a", text)
	w.want(text, "file:a", false, "file:a")
}

// Without a hash the error says which line to add, whatever the place.
func TestWithoutHash(t *testing.T) {
	w := newWorld(t)
	text := w.file("a", "content")
	s := serve(t, plain, map[string]string{"/a": text})
	hint := fmt.Sprintf("hint: add sha256 = %q and size = 7", sum(text))
	w.fails("", []string{"file:a"}, "image.toml:2:3: input[0].sha256: is required", hint)
	w.fails("", []string{"file:none", s.URL + "/a"}, hint)
	w.fails("", []string{"ipfs:f01551220" + sum(text)}, fmt.Sprintf("hint: add sha256 = %q", sum(text)))
	w.fails("", []string{"annex:SHA256E-s7--" + sum(text) + ".x"}, fmt.Sprintf("hint: add sha256 = %q", sum(text)))
	w.fails("", []string{"file:none"}, "no place has the file to compute it; file:none: ")
}

// What is on a server is verified while it is fetched, and then never asked for again; a server with something else is told of and passed over.
func TestServer(t *testing.T) {
	w := newWorld(t)
	text := strings.Repeat("content", 10_000)
	s := serve(t, plain, map[string]string{"/d/a%20b?v=1": text, "/other": "other", "/short": text[:100]})
	w.want(text, s.URL+"/d/a%20b?v=1", true, s.URL+"/other", s.URL+"/d/a%20b?v=1")
	if len(w.warnings) != 1 || !strings.Contains(w.warnings[0], "/other has changed: its SHA-256 is "+sum("other")+", the description has "+sum(text)) {
		t.Errorf("%q", w.warnings)
	}
	n := s.requests.Load()
	w.want(text, "", true, s.URL+"/other", s.URL+"/d/a%20b?v=1")
	if s.requests.Load() != n {
		t.Error("what is kept is asked for again")
	}
	kept, err := filepath.Glob(filepath.Join(w.Keep, "sha256/*/*"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("%q, %v", kept, err)
	}
	if err := os.WriteFile(kept[0], []byte("damage"), 0o644); err != nil {
		t.Fatal(err)
	}
	w.want(text, s.URL+"/d/a%20b?v=1", true, s.URL+"/d/a%20b?v=1")

	for _, keys := range []string{hash("x"), hash("x") + "\nsize = 1"} {
		if err := w.fails(keys, []string{s.URL + "/none", s.URL + "/short"}, "404 Not Found", "contents are not what was promised"); !errors.Is(err, cas.ErrMismatch) {
			t.Error(err)
		}
	}
	w.Keep = ""
	w.fails(hash("y"), []string{s.URL + "/other"}, "there is no build store")
}

// The size ends what is longer early, and must be right.
func TestSize(t *testing.T) {
	w := newWorld(t)
	text := w.file("a", "content")
	w.fails(hash(text)+"\nsize = 8", []string{"file:a"}, "input[0].size: is 8, but file:a has 7 bytes, and the right hash\nhint: write size = 7")
	if _, _, err := w.find(hash(text)+"\nsize = 7", "file:a"); err != nil {
		t.Error(err)
	}
}

// A server with a certificate that this machine trusts.
func TestHTTPS(t *testing.T) {
	w := newWorld(t)
	s := serve(t, func(h http.Handler) *httptest.Server { return httptest.NewTLSServer(h) }, map[string]string{"/a": "content"})
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", ca)
	w.want("content", s.URL+"/a", true, s.URL+"/a")
}

// A gateway in the form of IPFS's: a file by its CID, or below one. One that is a hash of the file is compared before anything is fetched.
func TestIPFS(t *testing.T) {
	w := newWorld(t)
	const v0 = "QmZULkCELmmk5XNfCgTnCyFgAVxBRBXyDHGGMVoLFLiXEN"
	raw := "f01551220" + sum("raw")
	s := serve(t, plain, map[string]string{"/ipfs/" + v0: "node", "/ipfs/" + v0 + "/a/b": "below", "/ipfs/" + raw: "raw"})
	w.fails(hash("node"), []string{"ipfs:" + v0}, "there is no gateway to IPFS")
	w.Gateway = s.URL
	w.want("node", "ipfs:"+v0, true, "ipfs:"+v0)
	w.want("below", "ipfs:"+v0+"/a/b", true, "ipfs:"+v0+"/a/b")
	w.want("raw", "ipfs:"+raw, true, "ipfs:"+raw)
	n := s.requests.Load()
	w.fails(hash("other"), []string{"ipfs:" + raw}, sum("raw"), sum("other"))
	if s.requests.Load() != n {
		t.Error("a hash in the locator was not enough")
	}
	w.fails(hash("x"), []string{"ipfs:" + v0 + "/none"}, "404")
}

// A store path is in the first source that has it.
func TestStore(t *testing.T) {
	w := newWorld(t)
	w.fails(hash("x"), []string{"store:/nix/store/0123-none"}, "none of its places; store:/nix/store/0123-none: ")
	const path = "/nix/store/0123-firmware"
	if err := os.MkdirAll(filepath.Join(w.Dir, "src/nix/store"), 0o755); err != nil {
		t.Fatal(err)
	}
	text := w.file("src"+path, "content")
	sources := "\n[[source]]\npath = \"none\"\n[[source]]\npath = \"src\"\n"
	f, got, err := w.find(hash(text)+sources, "store:"+path)
	if err != nil || got != text || f.From != "store:"+path || !f.Kept {
		t.Errorf("%+v, %q, %v", f, got, err)
	}
	w.fails(sources, []string{"store:" + path}, fmt.Sprintf("hint: add sha256 = %q and size = 7", sum(text)))
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	c := exec.Command("git", args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "HOME="+t.TempDir(), "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("git %q: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// A content of git-annex is got when it is needed, stays in the annex, and is compared by its key before that.
func TestAnnex(t *testing.T) {
	hosttest.Need(t, "git", "git-annex")
	w := newWorld(t)
	origin, clone := filepath.Join(w.Dir, "origin"), filepath.Join(w.Dir, "clone")
	t.Cleanup(func() { exec.Command("chmod", "-R", "u+w", w.Dir).Run() })
	if err := os.Mkdir(origin, 0o755); err != nil {
		t.Fatal(err)
	}
	git(t, origin, "init", "-q")
	git(t, origin, "annex", "init", "-q", "origin")
	text := w.file("origin/fw.bin", "the firmware")
	git(t, origin, "annex", "add", "--quiet", "fw.bin")
	weak := w.file("origin/weak.bin", "by another hash")
	git(t, origin, "-c", "annex.backend=MD5E", "annex", "add", "--quiet", "weak.bin")
	git(t, origin, "commit", "-qm", "x")
	git(t, w.Dir, "clone", "-q", origin, clone)
	git(t, clone, "annex", "init", "-q", "clone")
	key := git(t, clone, "annex", "lookupkey", "fw.bin")

	here := func() bool { _, err := os.Stat(filepath.Join(clone, "fw.bin")); return err == nil }
	w.fails(hash("other"), []string{"annex:clone/fw.bin"}, sum(text), sum("other"))
	w.fails(hash("other"), []string{"annex:clone/" + key}, sum(text), sum("other"))
	w.fails("", []string{"annex:clone/fw.bin"}, "hint: add sha256 = \""+sum(text)+"\" and size = 12")
	if here() {
		t.Error("the key was not enough")
	}
	for _, name := range []string{"fw.bin", key} {
		w.want(text, "annex:clone/"+name, false, "annex:clone/"+name)
		if !here() {
			t.Error("it was not got")
		}
		w.want(text, "annex:clone/"+name, false, "annex:clone/"+name)
		git(t, clone, "annex", "drop", "--quiet", "fw.bin")
	}
	w.want(weak, "annex:clone/weak.bin", false, "annex:clone/weak.bin")
	w.fails(hash("other"), []string{"annex:clone/weak.bin"}, sum(weak))
	if entries, err := os.ReadDir(filepath.Join(w.Keep, "sha256")); err == nil && len(entries) > 0 {
		t.Errorf("there is a second copy: %v", entries)
	}
	w.fails(hash(text), []string{"annex:clone/none"}, "none of its places")
	if err := os.Rename(origin, origin+"2"); err != nil {
		t.Fatal(err)
	}
	w.fails(hash(text), []string{"annex:clone/fw.bin"}, "git annex get")
	w.file("plain.bin", text)
	w.want(text, "annex:plain.bin", false, "annex:plain.bin") // not in the annex, which changes nothing
}

// Without git-annex the error says which package has it.
func TestAnnexMissing(t *testing.T) {
	w := newWorld(t)
	w.Setenv("PATH", t.TempDir())
	if _, err := hosttool.Find("git-annex"); err == nil {
		t.Skip("git-annex is in a directory of the system")
	}
	if err := w.fails(hash("x"), []string{"annex:SHA256E-s1--" + sum("x") + ".bin"}, "Debian has it in the package git-annex"); !errors.Is(err, hosttool.ErrMissing) {
		t.Error(err)
	}
}

// An input that nothing uses is not looked for.
func TestUnused(t *testing.T) {
	w := newWorld(t)
	d, err := description.Parse("image.toml", []byte("name = \"x\"\n[[input]]\nname = \"in\"\nlocators = [\"file:none\"]\n[[partition]]\nname = \"p\"\ntype = \"linux-generic\"\nfilesystem = \"ext4\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	found, problems, err := Find(t.Context(), d, w.Options)
	if len(found) > 0 || len(problems) > 0 || err != nil || len(w.warnings) != 1 || !strings.Contains(w.warnings[0], `input "in" is not used`) {
		t.Errorf("%v, %v, %v, %q", found, problems, err, w.warnings)
	}
}
