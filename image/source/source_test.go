package source

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"imprint/closure"
	"imprint/closure/export"
	"imprint/closure/narinfo"
	"imprint/internal/cas"
	"imprint/internal/tree"
)

// fixed is the time of the files of a cache.
var fixed = time.Unix(1_000_000_000, 0)

// A closure is fetched from a cache, whatever its compression, and the second time nothing but the texts is asked for.
func TestCache(t *testing.T) {
	w := newWorld(t)
	w.add("a", "none")
	w.add("b", "gzip", "a")
	w.add("c", "zstd", "a", "b", "c")
	w.add("d", "br", "c")
	w.add("other", "none")
	keep := t.TempDir()
	for round := range 2 {
		c, err := w.open(keep, trusted(t))
		if err != nil {
			t.Fatal(err)
		}
		all, err := closureOf(t, "d", c)
		if err != nil {
			t.Fatal(err)
		}
		check(t, all)
		var names []string
		for _, item := range all.Items {
			names = append(names, item.Info.Path.Name())
			if want := path(t, item.Info.Path.Name()+".drv").String(); item.Info.Deriver != want || len(item.Info.Sigs) != 1 {
				t.Errorf("%+v", item.Info)
			}
		}
		if got := strings.Join(names, " "); got != "a b c d" {
			t.Errorf("closure %s", got)
		}
		archives := slices.DeleteFunc(w.take(), func(p string) bool { return !strings.HasPrefix(p, "/nar/") })
		if want := 4 * (1 - round); len(archives) != want {
			t.Errorf("round %d: fetched %q", round, archives)
		}
	}
	if all := kept(t, filepath.Join(keep, "sha256")); len(all) != 4 {
		t.Errorf("kept %q", all)
	}
}

// A damaged archive in the build store is fetched again.
func TestDamagedKept(t *testing.T) {
	w := newWorld(t)
	w.add("a", "zstd")
	keep := t.TempDir()
	for range 2 {
		c, err := w.open(keep, trusted(t))
		if err != nil {
			t.Fatal(err)
		}
		all, err := closureOf(t, "a", c)
		if err != nil {
			t.Fatal(err)
		}
		check(t, all)
		if !slices.Contains(w.take(), "/nar/a.nar") {
			t.Error("not fetched")
		}
		name := kept(t, filepath.Join(keep, "sha256"))[0]
		content, _ := os.ReadFile(name)
		content[len(content)/2] ^= 1
		os.WriteFile(name, content, 0o644)
	}
}

// What a server does wrong ends in an error that says what, and nothing is kept.
func TestHostileFiles(t *testing.T) {
	other := sha256.Sum256([]byte("other"))
	for what, c := range map[string]struct {
		spoil    func(w *world, i *narinfo.Info)
		want     string
		mismatch bool
	}{
		"missing":       {func(w *world, i *narinfo.Info) { delete(w.files, "/"+i.URL) }, "the server answers 404", false},
		"other content": {func(w *world, i *narinfo.Info) { w.files["/"+i.URL] = w.compress("zstd", make([]byte, i.NARSize)) }, "contents are not what was promised", true},
		"longer content": {func(w *world, i *narinfo.Info) {
			i.FileSize = 0
			w.publish(i)
			w.files["/"+i.URL] = w.compress("zstd", make([]byte, 1<<27))
		}, "there are more bytes", true},
		"shorter content": {func(w *world, i *narinfo.Info) {
			i.FileSize, i.FileHash = 0, nil
			w.publish(i)
			w.files["/"+i.URL] = w.compress("zstd", make([]byte, 10))
		}, "10 bytes, not", true},
		"not compressed":     {func(w *world, i *narinfo.Info) { w.files["/"+i.URL] = []byte("<html>") }, "damaged: zstd", true},
		"half of it":         {func(w *world, i *narinfo.Info) { w.files["/"+i.URL] = w.files["/"+i.URL][:i.FileSize/2] }, "damaged: zstd", true},
		"wrong hash of file": {func(w *world, i *narinfo.Info) { i.FileHash = &other; w.publish(i) }, "the file has the SHA-256", true},
		"longer than said":   {func(w *world, i *narinfo.Info) { i.FileSize = 10; w.publish(i) }, "the file has more than 10 bytes", true},
		"shorter than said":  {func(w *world, i *narinfo.Info) { i.FileSize++; w.publish(i) }, "bytes, not", true},
		"wrong hash":         {func(w *world, i *narinfo.Info) { i.NARHash = other; w.sign(i) }, "SHA-256", true},
		"wrong size":         {func(w *world, i *narinfo.Info) { i.NARSize += 8; w.sign(i) }, "not", true},
		"more than the disk": {func(w *world, i *narinfo.Info) { i.NARSize = 1 << 41; w.sign(i) }, "free, and the content has", false},
		"trailing bytes": {func(w *world, i *narinfo.Info) {
			i.FileSize, i.FileHash = 0, nil
			w.publish(i)
			w.files["/"+i.URL] = append(w.files["/"+i.URL], bytes.Repeat([]byte("x"), 1<<22)...)
		}, "contents are not what was promised", true},
		"endless empty frames": {func(w *world, i *narinfo.Info) {
			i.FileSize, i.FileHash = 0, nil
			w.publish(i)
			w.files["/"+i.URL] = bytes.Repeat(w.compress("zstd", nil), 1<<19)
		}, "the file has more than", true},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			c.spoil(w, w.add("a", "zstd"))
			keep := t.TempDir()
			cache, err := w.open(keep, trusted(t))
			if err != nil {
				t.Fatal(err)
			}
			_, err = closureOf(t, "a", cache)
			if !says(err, c.want) || !says(err, w.url+"/nar/a.nar") || !says(err, path(t, "a").String()) || errors.Is(err, cas.ErrMismatch) != c.mismatch {
				t.Errorf("%v, want %s", err, c.want)
			}
			if all := kept(t, keep); len(all) > 0 {
				t.Errorf("kept %q", all)
			}
		})
	}
}

// What a text says wrongly is an error of the cache.
func TestHostileTexts(t *testing.T) {
	for what, c := range map[string]struct {
		spoil func(w *world, i *narinfo.Info)
		want  string
	}{
		"no text": {func(w *world, i *narinfo.Info) { w.put("/"+i.StorePath[11:43]+".narinfo", []byte("<html>\x1b[2J")) }, `line 1: "<html>\x1b[2J" is not`},
		"too long": {func(w *world, i *narinfo.Info) {
			w.put("/"+i.StorePath[11:43]+".narinfo", make([]byte, narinfo.MaxSize+1))
		}, "more than 4194304 bytes"},
		"another item":     {func(w *world, i *narinfo.Info) { i.StorePath += "x"; w.sign(i) }, "it is about"},
		"another store":    {func(w *world, i *narinfo.Info) { w.put("/nix-cache-info", []byte("StoreDir: /gnu/store\n")) }, "its items are those of stores in /gnu/store"},
		"no cache":         {func(w *world, i *narinfo.Info) { delete(w.files, "/nix-cache-info") }, "not a binary cache"},
		"no information":   {func(w *world, i *narinfo.Info) { w.put("/nix-cache-info", []byte("<html>")) }, "nix-cache-info: line 1"},
		"unsigned":         {func(w *world, i *narinfo.Info) { i.Sigs = nil; w.publish(i) }, "is not signed"},
		"signed by others": {func(w *world, i *narinfo.Info) { i.Sigs = []string{"other\x1b-1:AAAA"}; w.publish(i) }, `invalid signature`},
		"other signature":  {func(w *world, i *narinfo.Info) { i.Sigs[0] = "other-1:" + i.Sigs[0][7:]; w.publish(i) }, `is signed by "other-1", and not by a trusted key`},
		"changed":          {func(w *world, i *narinfo.Info) { i.References = nil; w.publish(i) }, `-a by "test-1" is not valid`},
		"another key of the name": {func(w *world, i *narinfo.Info) {
			i.Sigs = []string{"other-1:AAAA", "test-1:" + base64.StdEncoding.EncodeToString(make([]byte, 64))}
			w.publish(i)
		}, `by "test-1" is not valid`},
		"out of the cache": {func(w *world, i *narinfo.Info) { i.URL = "../secret"; w.publish(i) }, `URL: "../secret" is not`},
		"another server":   {func(w *world, i *narinfo.Info) { i.URL = "http://other/x"; w.publish(i) }, `URL: "http://other/x" is not`},
		"lz4":              {func(w *world, i *narinfo.Info) { i.Compression = "lz4"; w.publish(i) }, `compression "lz4" is not supported`},
		"odd reference":    {func(w *world, i *narinfo.Info) { i.References[0] = "../../etc"; w.sign(i) }, "reference: "},
		"odd deriver":      {func(w *world, i *narinfo.Info) { i.Deriver = "x"; w.publish(i) }, "deriver: "},
		"no size":          {func(w *world, i *narinfo.Info) { i.NARSize = 0; w.sign(i) }, "NAR size 0"},
		"odd ca":           {func(w *world, i *narinfo.Info) { i.CA = "x"; w.publish(i) }, "content address"},
	} {
		w := newWorld(t)
		w.add("b", "none")
		c.spoil(w, w.add("a", "zstd", "b"))
		cache, err := w.open(t.TempDir(), trusted(t))
		if err == nil {
			_, err = closureOf(t, "a", cache)
		}
		var invalid *InvalidError
		if !says(err, c.want) || !says(err, w.url) || !errors.As(err, &invalid) && what != "too long" {
			t.Errorf("%s: %v, want %s", what, err, c.want)
		}
	}
}

// An archive with the right hash may still be no archive, or not as Nix would write it.
func TestHostileArchives(t *testing.T) {
	for archive, want := range map[string]string{"x": "damaged", strings.Repeat("\xff", 100): "damaged"} {
		w := newWorld(t)
		w.addArchive("a", "none", []byte(archive))
		cache, err := w.open(t.TempDir(), trusted(t))
		if err != nil {
			t.Fatal(err)
		}
		all, err := closureOf(t, "a", cache)
		if err != nil {
			t.Fatal(err)
		}
		_, err = all.Items[0].Store.Item(t.Context(), all.Items[0].Info.Path)
		var invalid *InvalidError
		if !says(err, want) || !errors.As(err, &invalid) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// What passes does no harm: errors of the server, and connections that end.
func TestBadDay(t *testing.T) {
	w := newWorld(t)
	w.add("a", "none")
	w.add("b", "gzip", "a")
	var n atomic.Int32
	w.odd = func(a http.ResponseWriter, r *http.Request) bool {
		switch n.Add(1) % 4 {
		case 1:
			a.WriteHeader(http.StatusServiceUnavailable)
		case 2:
			a.Header().Set("Content-Length", "1000000")
			a.Header().Set("Last-Modified", fixed.UTC().Format(http.TimeFormat))
			w.mu.Lock()
			content := w.files[r.URL.Path]
			w.mu.Unlock()
			a.Write(content[:len(content)/2])
		default:
			return false
		}
		return true
	}
	c, err := w.open(t.TempDir(), trusted(t))
	if err != nil {
		t.Fatal(err)
	}
	all, err := closureOf(t, "b", c)
	if err != nil {
		t.Fatal(err)
	}
	check(t, all)
}

// Texts are asked for many at a time: a wide closure takes a few times the time of one answer, not one for each.
func TestAhead(t *testing.T) {
	w := newWorld(t)
	var names []string
	for i := range 100 {
		names = append(names, fmt.Sprint("leaf", i))
		w.add(names[i], "none")
	}
	w.add("top", "none", names...)
	var now, most atomic.Int32
	w.odd = func(http.ResponseWriter, *http.Request) bool {
		k := now.Add(1)
		for m := most.Load(); k > m && !most.CompareAndSwap(m, k); m = most.Load() {
		}
		time.Sleep(10 * time.Millisecond)
		now.Add(-1)
		return false
	}
	c, err := w.open(t.TempDir(), trusted(t))
	if err != nil {
		t.Fatal(err)
	}
	roots := []closure.Path{path(t, "top")}
	Ahead(t.Context(), []closure.Store{c}, roots)
	w.take()
	all, err := closure.Compute(t.Context(), []closure.Store{c}, roots)
	if err != nil || len(all.Items) != 101 {
		t.Fatalf("%v", err)
	}
	if asked := w.take(); len(asked) > 0 || most.Load() < 16 {
		t.Errorf("at most %d requests at a time, then %d more", most.Load(), len(asked))
	}
}

// An item that one source lacks comes from the next. The error for an item that no source has names all of them.
func TestSeveral(t *testing.T) {
	first, second := newWorld(t), newWorld(t)
	first.add("b", "none", "a")
	second.add("a", "none", "gone")
	keep := t.TempDir()
	one, err := first.open(keep, trusted(t))
	if err != nil {
		t.Fatal(err)
	}
	two, err := second.open(keep, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := closureOf(t, "b", one, two); !says(err, path(t, "gone").String()+": not valid in "+first.url+", nor in "+second.url) {
		t.Error(err)
	}
	two, _ = second.open(keep, nil)
	second.add("gone", "gzip")
	second.publish(func() *narinfo.Info { i := second.add("a", "none", "gone"); i.Sigs = nil; return i }())
	all, err := closureOf(t, "b", one, two)
	if err != nil {
		t.Fatal(err)
	}
	check(t, all)
}

// The outputs of a derivation are those in its content.
func TestDerivation(t *testing.T) {
	text := fmt.Sprintf(`Derive([("out",%q,"","")],[],[],"x","x",[],[])`, path(t, "out"))
	w := newWorld(t)
	w.addArchive("a.drv", "gzip", archiveOf(t, text))
	c, err := w.open(t.TempDir(), trusted(t))
	if err != nil {
		t.Fatal(err)
	}
	all, err := closureOf(t, "a.drv", c)
	if err != nil || len(all.Items[0].Info.Outputs) != 1 || all.Items[0].Info.Outputs[0].Path != path(t, "out") {
		t.Errorf("%v", err)
	}
}

// archiveOf returns the archive of a file.
func archiveOf(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	stream(t, &b, export.Item{Node: tree.NewFile("", closure.CanonicalAttr(tree.File, 0), tree.Text(text))})
	items, err := export.Read(tree.Text(b.String()), closure.CanonicalAttr)
	if err != nil {
		t.Fatal(err)
	}
	archive, err := tree.ReadAll(items[0].Archive, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return archive
}

func stream(t *testing.T, to io.Writer, items ...export.Item) {
	t.Helper()
	w := export.NewWriter(to)
	for _, i := range items {
		err := w.Add(i, func(w io.Writer, n *tree.Node) error { return tree.Copy(t.Context(), w, n.Blob(), nil) })
		if err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
}

func TestExport(t *testing.T) {
	item := func(name, text string, refs ...string) export.Item {
		i := export.Item{Path: path(t, name).String(), Node: tree.NewFile("", closure.CanonicalAttr(tree.File, 0), tree.Text(text))}
		for _, r := range refs {
			i.References = append(i.References, path(t, r).String())
		}
		return i
	}
	open := func(items ...export.Item) (*Export, error) {
		var b bytes.Buffer
		stream(t, &b, items...)
		name := filepath.Join(t.TempDir(), "x.nar")
		os.WriteFile(name, b.Bytes(), 0o644)
		return OpenExport(t.Context(), ExportOptions{File: name, Scratch: t.TempDir(), Flavor: closure.Nix})
	}
	x, err := open(item("a", "text"), item("b", "more", "b", "a", "b"))
	if err != nil {
		t.Fatal(err)
	}
	all, err := closureOf(t, "b", x)
	if err != nil || len(all.Items) != 2 || len(all.Items[1].Info.References) != 2 {
		t.Fatalf("%v", err)
	}
	check(t, all)
	for want, items := range map[string][]export.Item{
		"there twice, with different contents": {item("a", "text"), item("a", "other")},
		`store path "/a" does not start`:       {{Path: "/a", Node: item("a", "").Node}},
		"reference: store path":                {{Path: path(t, "a").String(), References: []string{"x"}, Node: item("a", "").Node}},
		"derivation":                           {item("a.drv", "x")},
	} {
		_, err := open(items...)
		var invalid *InvalidError
		if !says(err, want) || !errors.As(err, &invalid) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	name := filepath.Join(t.TempDir(), "x")
	os.WriteFile(name, []byte("no stream"), 0o644)
	if _, err := OpenExport(t.Context(), ExportOptions{File: name, Scratch: t.TempDir(), Flavor: closure.Nix}); !says(err, "this is not a stream") {
		t.Error(err)
	}
}

// What an earlier build has learnt from a cache is not asked for again, but checked again: a build with other keys asks for signatures by them. If
// the cache has moved a file meanwhile, it is found.
func TestRemembered(t *testing.T) {
	w := newWorld(t)
	w.add("b", "none")
	info := w.add("a", "zstd", "b")
	keep := t.TempDir()
	build := func(keys []narinfo.Key) error {
		c, err := w.open(keep, keys)
		if err != nil {
			return err
		}
		all, err := closureOf(t, "a", c)
		if err == nil {
			check(t, all)
		}
		return err
	}
	requests := func(what string, want int) {
		t.Helper()
		if asked := w.take(); len(asked) != want {
			t.Errorf("%s: asked for %q", what, asked)
		}
	}
	if err := build(trusted(t)); err != nil {
		t.Fatal(err)
	}
	requests("first", 5)
	if err := build(trusted(t)); err != nil {
		t.Fatal(err)
	}
	requests("second", 0)
	other, err := narinfo.ParseKey("other-1:" + base64.StdEncoding.EncodeToString(key))
	if err != nil {
		t.Fatal(err)
	}
	if err := build([]narinfo.Key{other}); !says(err, `is signed by "test-1", and not by a trusted key`) {
		t.Error(err)
	}
	if w.take() == nil {
		t.Error("a signature by another key was not looked for in the cache")
	}

	texts := filepath.Join(keep, "narinfo")
	os.RemoveAll(filepath.Join(keep, "sha256"))
	w.put("/moved.nar", w.files["/"+info.URL])
	delete(w.files, "/"+info.URL)
	info.URL = "moved.nar"
	w.publish(info)
	if err := build(trusted(t)); err != nil {
		t.Error(err)
	}
	requests("moved", 4)
	os.RemoveAll(filepath.Join(keep, "sha256"))
	delete(w.files, "/moved.nar")
	if err := build(trusted(t)); !says(err, "404") {
		t.Error(err)
	}
	w.take()
	for _, name := range kept(t, texts) {
		if err := os.WriteFile(name, []byte("damaged"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	w.put("/moved.nar", w.files["/nar/b.nar"])
	if err := build(trusted(t)); !says(err, "contents are not what was promised") {
		t.Error(err)
	}
	if asked := w.take(); !slices.Contains(asked, "/nix-cache-info") || !slices.Contains(asked, "/moved.nar") {
		t.Errorf("damaged: asked for %q", asked)
	}
}
