package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"imprint/internal/demostore"
	"imprint/internal/nixtest"
)

// A storeWorld is a sourceWorld with other stores beside it.
type storeWorld struct{ *sourceWorld }

func newStoreWorld(t *testing.T) storeWorld {
	w := storeWorld{newSourceWorld(t)}
	w.Setenv("XDG_CACHE_HOME", t.TempDir())
	return w
}

// at returns a store beside the first one.
func (w storeWorld) at(name string) *nixtest.Store {
	return nixtest.OpenStore(w, filepath.Join(w.dir, name))
}

// store runs imprint store, and returns its standard output.
func (w storeWorld) run(args ...string) string {
	w.Helper()
	return w.with("", args...)
}

// with is run with a standard input.
func (w storeWorld) with(stdin string, args ...string) string {
	w.Helper()
	if slices.Contains([]string{"copy", "import", "realise"}, args[0]) && len(args) > 1 {
		args = append([]string{args[0], "--no-sync"}, args[1:]...) // other tests write to the same disk
	}
	cmd := exec.Command("imprint", append([]string{"store"}, args...)...)
	cmd.Dir, cmd.Stdin = w.dir, strings.NewReader(stdin)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		w.Fatalf("imprint store %q: %v\n%s%s", args, err, out, &complaints)
	}
	return string(out)
}

func (w storeWorld) same(what, got, want string) {
	w.Helper()
	if got != want {
		w.Errorf("%s:\n%.2000q\nwant\n%.2000q", what, got, want)
	}
}

// registration returns what Nix says about some items of a store.
func (w storeWorld) registration(s *nixtest.Store) string {
	w.Helper()
	return s.Nix(w, "nix-store", append([]string{"--dump-db"}, s.Closure(w, w.roots...)...)...)
}

// What imprint store prints and writes is what Nix's commands print and write, and Nix finds the stores that it makes sound.
func TestStoreLikeNix(t *testing.T) {
	w := newStoreWorld(t)
	s, all := w.store, w.store.Closure(t, w.roots...)
	want := w.registration(s)
	shell := func(script string) string { return s.Nix(t, "sh", "-c", script) }

	export := shell("nix-store --export " + strings.Join(all, " "))
	w.same("export", strings.TrimSpace(w.run(append([]string{"export", s.Root}, all...)...)), export)
	w.same("export of a closure", strings.TrimSpace(w.run(append([]string{"export", "--closure", s.Root}, w.roots...)...)), export)
	w.same("export of one", strings.TrimSpace(w.run("export", s.Root, w.roots[0])), shell("nix-store --export "+w.roots[0]))
	w.same("dump-db", w.run("dump-db", s.Root), shell("nix-store --dump-db")+"\n")
	w.same("dump-db of items", w.run(append([]string{"dump-db", s.Root}, all...)...), want+"\n")
	w.same("closure", w.run(append([]string{"closure", s.Root}, w.roots...)...), strings.Join(all, "\n")+"\n")

	stream := filepath.Join(w.dir, "stream")
	shell("nix-store --export " + strings.Join(all, " ") + " > " + stream)
	imported := w.at("nix").Nix(t, "sh", "-c", "nix-store --import < "+stream)
	w.same("import", strings.TrimSpace(w.run("import", "imported", stream)), imported)
	w.same("import from standard input", strings.TrimSpace(w.with(string(read(t, stream)), "import", "imported-2")), imported)
	for _, name := range []string{"imported", "imported-2"} {
		w.at(name).Sound(t)
		w.same("registration after import", w.registration(w.at(name)), want)
	}

	w.run("copy", "--from", s.Root, "--to", "copied", w.roots[0], w.roots[1])
	w.at("copied").Sound(t)
	w.same("registration after copy", w.registration(w.at("copied")), want)
	w.run("verify", "copied")

	loaded := w.at("loaded")
	loaded.Nix(t, "nix-store", "--init")
	shell(fmt.Sprintf("cp -a %s/nix/store/* %s/nix/store", s.Root, loaded.Root))
	w.with(want+"\n", "load-db", "loaded")
	w.with(want+"\n", "load-db", "loaded") // again
	loaded.Sound(t)
	w.same("registration after load-db", w.registration(loaded), want)
	w.garbage()
}

// garbage compares the lists of GC roots and of garbage with Nix's, in a store with roots of every kind.
func (w storeWorld) garbage() {
	w.Helper()
	s := w.at("copied")
	state := filepath.Join(s.Root, "nix/var/nix")
	source := s.Closure(w, w.roots[0])[0]
	for _, link := range [][2]string{
		{source, "gcroots/direct"}, {source + "/run", "gcroots/inside"}, {filepath.Join(w.dir, "outside"), "gcroots/auto/indirect"},
		{"/nix/store/00000000000000000000000000000000-none", "gcroots/invalid"}, {"missing", "gcroots/dangling"}, {"direct", "gcroots/second"},
		{"p-1-link", "profiles/p"}, {source, "profiles/p-1-link"}, {source, "../../../../outside"},
	} {
		if err := os.Symlink(link[0], filepath.Join(state, link[1])); err != nil {
			w.Fatal(err)
		}
	}
	writeFile(w, filepath.Join(state, "gcroots", filepath.Base(source)), "")
	writeFile(w, filepath.Join(s.Root, "nix/store/00000000000000000000000000000000-left"), "")
	w.same("roots", w.run("roots", "copied"), s.Alone(w, "nix-store", "--gc", "--print-roots")+"\n")
	dead := s.Alone(w, "nix-store", "--gc", "--print-dead")
	w.same("dead", w.run("gc", "--dry-run", "copied"), dead+"\n")
	if n := strings.Count(dead, "\n") + 1; n < 3 || strings.Contains(dead, source) {
		w.Errorf("dead: %s", dead)
	}
	if err := os.Symlink(w.roots[0], filepath.Join(state, "gcroots/built")); err != nil {
		w.Fatal(err)
	}
	dead = s.Alone(w, "nix-store", "--gc", "--print-dead") // the derivation is alive by what it has made
	w.same("dead", w.run("gc", "--dry-run", "copied"), dead+"\n")
	if strings.Contains(dead, w.roots[1]) {
		w.Errorf("dead: %s", dead)
	}
}

// Items come from a store of any kind, and go to one of any kind; each copy is what Nix makes of it.
func TestStoreKinds(t *testing.T) {
	w := newStoreWorld(t)
	want := w.registration(w.store)
	key := filepath.Join(w.dir, "key")
	writeFile(t, key, w.store.Nix(t, "nix", "key", "generate-secret", "--key-name", "test-1"))
	socket := "unix://" + w.store.Daemon(t)
	image := w.image(fmt.Sprintf("path = %q", w.store.Root), t.TempDir())
	linked := filepath.Join(w.dir, "linked") // the store directory cannot be told from this socket
	if err := os.Symlink(strings.TrimPrefix(socket, "unix://"), linked); err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{socket, "unix://" + linked} {
		if got := w.image(fmt.Sprintf("url = %q", s), filepath.Join(w.dir, "build-store")); !bytes.Equal(got, image) {
			t.Errorf("%s gives another image than the database", s)
		}
	}
	from := []string{w.store.Root, socket, "unix://" + linked, "x.raw", "x.raw:root"}
	for _, c := range []string{"none", "xz", "zstd"} {
		cache := "file://" + filepath.Join(w.dir, c)
		w.run("copy", "--from", w.store.Root, "--to", cache, "--compression", c, "--listings", "--sign-key", key, w.roots[0], w.roots[1])
		w.at("nix-"+c).Nix(t, "nix", "copy", "--no-check-sigs", "--from", cache, w.roots[0])
		w.at("nix-"+c).Nix(t, "nix", "copy", "--no-check-sigs", "--from", cache, "--derivation", w.roots[1])
		w.same("Nix's copy from a cache with "+c, w.registration(w.at("nix-"+c)), want)
		from = append(from, cache)
	}
	w.run("copy", "--from", w.store.Root, "--to", "export:stream", w.roots[0], w.roots[1])
	from = append(from, "stream", "export:stream", "none")
	for i, f := range from {
		name := fmt.Sprint("to-", i)
		w.run("copy", "--from", f, "--to", name, w.roots[0], w.roots[1])
		w.at(name).Sound(t)
		w.same("the registration of a copy from "+f, w.registration(w.at(name)), want)
		if f != w.store.Root {
			w.run("verify", f, w.roots[0], w.roots[1])
		}
	}
	other := w.at("other")
	other.Nix(t, "nix-store", "--init")
	daemon := "unix://" + other.Daemon(t)
	for range 2 {
		w.run("copy", "--from", "to-0", "--to", daemon, w.roots[0], w.roots[1])
	}
	other.Sound(t)
	w.same("the registration of a copy to a daemon", w.registration(other), want)
	w.likeNixCache(key)
	s := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(w.dir, "zstd"))))
	defer s.Close()
	public := w.store.Nix(t, "sh", "-c", "nix key convert-secret-to-public < "+key)
	w.run("copy", "--from", s.URL, "--to", "from-server", "--trusted-public-key", public, w.roots[0], w.roots[1])
	w.at("from-server").Sound(t)
	w.same("the registration of a copy from a server", w.registration(w.at("from-server")), want)
	paths := w.run("realise", "realised", "--from", w.store.Root, w.roots[0])
	w.same("realise", paths, w.roots[0]+"\n")
	w.same("realise what is there", w.run("realise", "realised", w.roots[0]), w.roots[0]+"\n")
}

// likeNixCache compares a cache with one that Nix makes.
func (w storeWorld) likeNixCache(key string) {
	w.Helper()
	w.store.Nix(w, "nix", "copy", "--to", "file://"+filepath.Join(w.dir, "nix-cache")+"?compression=none&write-nar-listing=true&secret-key="+key, w.roots[0])
	w.store.Nix(w, "nix", "copy", "--derivation", "--to", "file://"+filepath.Join(w.dir, "nix-cache")+"?compression=none&write-nar-listing=true&secret-key="+key, w.roots[1])
	ours, theirs := contents(w, filepath.Join(w.dir, "none")), contents(w, filepath.Join(w.dir, "nix-cache"))
	for name, text := range theirs {
		w.same(name, ours[name], text)
	}
	if len(ours) != len(theirs) {
		w.Errorf("%d files, Nix writes %d", len(ours), len(theirs))
	}
}

// contents returns the contents of the files below a directory.
func contents(t testing.TB, dir string) map[string]string {
	t.Helper()
	list := map[string]string{}
	if err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			text, readErr := os.ReadFile(path)
			list[strings.TrimPrefix(path, dir)], err = string(text), readErr
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return list
}

// A copy that is killed at any moment leaves nothing that disturbs, and the next one completes it.
func TestStoreKilled(t *testing.T) {
	dir := t.TempDir()
	roots := manyItems(t, filepath.Join(dir, "from"), 40)
	to := nixtest.OpenStore(t, filepath.Join(dir, "to"))
	args := append([]string{"store", "copy", "--no-sync", "--from", filepath.Join(dir, "from"), "--to", to.Root}, roots...)
	for i := range 6 {
		kill := exec.Command("imprint", args...)
		if err := kill.Start(); err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() { kill.Wait(); close(done) }()
		for there := 0; there < 1+6*i; { // each time with more items that were begun
			select {
			case <-done:
				there = 1 << 20
			default:
				list, _ := filepath.Glob(to.Root + "/nix/store/*item*")
				there = len(list)
			}
		}
		kill.Process.Kill()
		<-done
		if _, err := os.Stat(to.Root + "/nix/var/nix/db/db.sqlite"); err == nil {
			imprint(t, "store", "verify", to.Root)
		}
	}
	imprint(t, args...)
	imprint(t, "store", "verify", to.Root)
	to.Sound(t)
	if got, want := len(to.Closure(t, roots...)), len(roots); got != want {
		t.Errorf("%d items, want %d", got, want)
	}
	list, err := os.ReadDir(to.Root + "/nix/store")
	if err != nil || slices.ContainsFunc(list, func(e os.DirEntry) bool { return strings.HasSuffix(e.Name(), ".lock") }) || len(list) != len(roots)+1 {
		t.Errorf("%v: %q", err, list)
	}
	to.Alone(t, "nix-store", "--gc", "--print-roots") // which removes the files of programs that have ended
	if left, _ := filepath.Glob(to.Root + "/nix/var/nix/temproots/*"); len(left) > 0 {
		t.Errorf("left %q", left)
	}
}

// manyItems makes a store with so many items, each of which refers to the one before, and returns their paths.
func manyItems(t *testing.T, root string, n int) (paths []string) {
	t.Helper()
	s, err := demostore.Create(root, demostore.Nix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { exec.Command("chmod", "-R", "u+w", root).Run() })
	var registration strings.Builder
	for i := range n {
		var references []string
		if i > 0 {
			references = paths[i-1:]
		}
		item, err := s.Add(fmt.Sprintf("item-%d", i), references, func(path string) error {
			for _, name := range []string{"a/b/c", "d"} {
				at := filepath.Join(path, name)
				if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
					return err
				}
				if err := os.WriteFile(at, bytes.Repeat([]byte(strings.Join(references, "")+name), 1000), 0o644); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, item.Path)
		fmt.Fprintf(&registration, "%s\n%x\n%d\n\n%d\n", item.Path, item.Hash, item.NARSize, len(references))
		for _, r := range references {
			fmt.Fprintln(&registration, r)
		}
	}
	load := exec.Command("imprint", "store", "load-db", root)
	load.Stdin = strings.NewReader(registration.String())
	if out, err := load.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return paths
}

// While a program uses items, by the daemon or without it, no garbage collection takes them. After that one does.
func TestStoreHeld(t *testing.T) {
	for _, source := range []string{"directory", "daemon"} {
		t.Run(source, func(t *testing.T) {
			w := newStoreWorld(t)
			root := filepath.Join(w.store.Root, "nix/var/nix/gcroots/root")
			if err := os.Symlink(w.roots[0], root); err != nil {
				t.Fatal(err)
			}
			w.roots = []string{w.roots[0], w.roots[0]}
			text := fmt.Sprintf("path = %q", w.store.Root)
			if source == "daemon" {
				text = fmt.Sprintf("url = %q", "unix://"+w.store.Daemon(t))
			}
			w.held(text, root)
		})
	}
}

// held serves an image, and collects garbage meanwhile.
func (w storeWorld) held(source, root string) {
	w.Helper()
	file := filepath.Join(w.dir, "image.toml")
	writeFile(w, file, fmt.Sprintf("name = \"x\"\narch = \"x86_64\"\n[[source]]\n%s\n[[closure]]\nname = \"c\"\nroots = [%q]\n"+
		"[[partition]]\nname = \"root\"\ntype = \"root\"\nfilesystem = \"ext4\"\nclosures = [\"c\"]\n", source, w.roots[0]))
	socket := filepath.Join(w.dir, "nbd")
	serve := exec.Command("imprint", "serve", file, "--nbd", "unix:"+socket)
	var said bytes.Buffer
	serve.Stderr = &said
	if err := serve.Start(); err != nil {
		w.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { serve.Wait(); close(ended) }()
	for waiting := true; waiting; {
		_, err := os.Stat(socket)
		select {
		case <-ended:
			w.Fatalf("serve has ended: %s", &said)
		default:
			waiting = err != nil
			time.Sleep(time.Millisecond)
		}
	}
	if err := os.Remove(root); err != nil {
		w.Fatal(err)
	}
	item := w.store.Root + w.roots[0]
	w.store.Alone(w, "nix-store", "--gc")
	if _, err := os.Stat(item); err != nil {
		w.Errorf("a collection took it: %v", err)
	}
	serve.Process.Signal(os.Interrupt)
	<-ended
	if left, _ := filepath.Glob(w.store.Root + "/nix/var/nix/temproots/*"); strings.HasPrefix(source, "path") && len(left) > 0 {
		w.Errorf("left %q", left)
	}
	w.store.Alone(w, "nix-store", "--gc")
	if _, err := os.Stat(item); err == nil {
		w.Error("nothing keeps it, and the collection did not take it")
	}
}
