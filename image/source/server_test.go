package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"imprint/closure"
	"imprint/internal/cas"
	"imprint/internal/remote"
	"imprint/internal/tree"
)

// serve puts the listing and the other files where the server has them, and opens the cache of the server.
func (l *listed) serve(o CacheOptions) (*Cache, *closure.Item) {
	l.Helper()
	text, err := json.Marshal(map[string]any{"version": 1, "root": l.root})
	if err != nil {
		l.Fatal(err)
	}
	l.put("/"+digits(path(l, "x"))+".ls", text)
	o.Keep, o.Keys, o.Scratch, o.Compares = l.keep, trusted(l.T), l.dir, func(*tree.Node) bool { return l.compares }
	c, err := l.openWith(o)
	if err != nil {
		l.Fatal(err)
	}
	all, err := closureOf(l.T, "x", c)
	if err != nil {
		l.Fatal(err)
	}
	return c, &all.Items[0]
}

// archives returns how often the archive was asked for.
func (l *listed) archives() (n int) {
	for _, name := range l.take() {
		if name == "/"+l.name {
			n++
		}
	}
	return n
}

// What a server has is fetched while it is written, once, and kept on the way: after that nothing is asked for. Without keeping it is fetched each time.
func TestStreamFromServer(t *testing.T) {
	for _, noKeep := range []bool{false, true} {
		l := newListed(t)
		c, item := l.serve(CacheOptions{NoKeep: noKeep})
		if n := l.archives(); n > 0 || len(kept(t, filepath.Join(l.keep, "sha256"))) > 0 {
			t.Errorf("planning has fetched %d archives", n)
		}
		for range 2 {
			c.Stream(item.Info.Path).Ahead(t.Context())
			if err := l.hash(c, item); err != nil {
				t.Fatal(err)
			}
		}
		want := 1
		if noKeep {
			want = 2
		}
		if n := l.archives(); n != want {
			t.Errorf("keeping %t: fetched %d times", !noKeep, n)
		}
		if n := len(kept(t, filepath.Join(l.keep, "sha256"))); (n == 0) != noKeep {
			t.Errorf("keeping %t: %d are kept", !noKeep, n)
		}
		if left := kept(t, filepath.Join(l.keep, "partial")); len(left) > 0 {
			t.Errorf("left %q", left)
		}
		c, item = l.serve(CacheOptions{NoKeep: noKeep})
		if noKeep {
			if err := l.hash(c, item); err != nil {
				t.Fatal(err)
			}
		} else if c.Stream(item.Info.Path) != nil {
			t.Error("what is kept is streamed")
		}
		want = 0
		if noKeep {
			want = 2 // listing and archive
		}
		if asked := l.take(); len(asked) != want {
			t.Errorf("keeping %t: asked for %q", !noKeep, asked)
		}
	}
}

// A bad day of a server changes nothing: errors that pass, an archive that is cut off, and one that begins from the start again.
func TestStreamOnBadDay(t *testing.T) {
	l := newListedAs(t, "none")
	whole := l.files["/"+l.name]
	var n atomic.Int32
	l.odd = func(a http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/"+l.name {
			return false
		}
		a.Header().Set("Last-Modified", fixed.UTC().Format(http.TimeFormat))
		switch n.Add(1) {
		case 1, 3:
			a.WriteHeader(http.StatusInternalServerError)
		case 2:
			a.Header().Set("Content-Length", strconv.Itoa(len(whole)))
			a.Write(whole[:len(whole)/2])
		case 4:
			a.Header().Set("Content-Length", strconv.Itoa(len(whole)))
			a.Write(whole[:len(whole)-10])
		default:
			return false
		}
		return true
	}
	c, item := l.serve(CacheOptions{Remote: remote.Options{Pause: time.Millisecond}})
	if err := l.hash(c, item); err != nil {
		t.Fatal(err)
	}
	if n.Load() != 5 || len(kept(t, filepath.Join(l.keep, "sha256"))) != 1 {
		t.Errorf("asked %d times, or it was not kept", n.Load())
	}
}

// An archive that changes while it is read fails, and so does one that stalls. Nothing is left of them.
func TestStreamOnWorseDay(t *testing.T) {
	for what, c := range map[string]struct {
		answer func(a http.ResponseWriter, r *http.Request, whole []byte, n int32)
		want   string
	}{
		"changes": {func(a http.ResponseWriter, _ *http.Request, whole []byte, n int32) {
			a.Header().Set("ETag", fmt.Sprintf(`"%d"`, n))
			a.Header().Set("Content-Length", strconv.Itoa(len(whole)))
			a.Write(whole[:len(whole)/2])
		}, "it has changed while it was read"},
		"stalls": {func(a http.ResponseWriter, r *http.Request, whole []byte, _ int32) {
			a.Header().Set("Content-Length", strconv.Itoa(len(whole)))
			a.(http.Flusher).Flush()
			<-r.Context().Done()
		}, "nothing was received"},
		"500": {func(a http.ResponseWriter, _ *http.Request, _ []byte, _ int32) {
			a.WriteHeader(http.StatusInternalServerError)
		}, "500 Internal Server Error (tried 2 times)"},
	} {
		l := newListedAs(t, "none")
		whole := l.files["/"+l.name]
		var n atomic.Int32
		l.odd = func(a http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/"+l.name {
				return false
			}
			c.answer(a, r, whole, n.Add(1))
			return true
		}
		o := remote.Options{Attempts: 2, Pause: time.Millisecond}
		if what == "stalls" {
			o.Stall = time.Second // of any answer
		}
		cache, item := l.serve(CacheOptions{Remote: o})
		if err := l.hash(cache, item); !says(err, c.want) {
			t.Errorf("%s: %v, want %s", what, err, c.want)
		}
		for _, dir := range []string{"sha256", "partial"} {
			if all := kept(t, filepath.Join(l.keep, dir)); len(all) > 0 {
				t.Errorf("%s: kept %q", what, all)
			}
		}
	}
}

// What a server says wrongly in an archive fails the item, and nothing is kept, whether or not the contents of files are right.
func TestServerLies(t *testing.T) {
	for what, c := range map[string]struct {
		spoil func(l *listed)
		want  string
	}{
		"other file":  {func(l *listed) { l.files["/"+l.name] = l.compress("zstd", make([]byte, 2_000_000)) }, "another hash"},
		"other name":  {func(l *listed) { l.change("link", "lime") }, "other files than the listing"},
		"padding":     {func(l *listed) { l.change("text\x00", "text\x01") }, "other files than the listing"},
		"longer":      {func(l *listed) { l.change("", "more") }, "longer than its"},
		"cut":         {func(l *listed) { l.files["/"+l.name] = l.files["/"+l.name][:100] }, "the archive ends too early"},
		"not there":   {func(l *listed) { delete(l.files, "/"+l.name) }, "404 Not Found"},
		"not packed":  {func(l *listed) { l.files["/"+l.name] = []byte("<html>") }, "damaged: zstd"},
		"longer file": {func(l *listed) { l.files["/"+l.name] = append(l.files["/"+l.name], make([]byte, 1<<20)...) }, "the file has more than"},
	} {
		l := newListed(t)
		cache, item := l.serve(CacheOptions{})
		c.spoil(l)
		if err := l.hash(cache, item); !says(err, c.want) {
			t.Errorf("%s: %v, want %s", what, err, c.want)
		}
		for _, dir := range []string{"sha256", "partial"} {
			if all := kept(t, filepath.Join(l.keep, dir)); len(all) > 0 {
				t.Errorf("%s: kept %q", what, all)
			}
		}
	}
}

// change changes the archive: the first place with the old text, or what follows it.
func (l *listed) change(old, now string) {
	l.Helper()
	text := string(l.archive)
	if old == "" {
		text += now
	} else if text = strings.Replace(text, old, now, 1); text == string(l.archive) {
		l.Fatalf("the archive has no %q", old)
	}
	l.files["/"+l.name] = l.compress(l.compression, []byte(text))
}

// A server without listings is not asked for the listing of every item.
func TestNoListings(t *testing.T) {
	w := newWorld(t)
	var names []string
	for i := range 3 * probes {
		names = append(names, fmt.Sprint("leaf", i))
		w.add(names[i], "none")
	}
	w.add("top", "none", names...)
	c, err := w.openWith(CacheOptions{Keep: t.TempDir(), Keys: trusted(t), Compares: func(*tree.Node) bool { return false }})
	if err != nil {
		t.Fatal(err)
	}
	all, err := closureOf(t, "top", c)
	if err != nil {
		t.Fatal(err)
	}
	check(t, all)
	n := 0
	for _, name := range w.take() {
		if strings.HasSuffix(name, ".ls") {
			n++
		}
	}
	if n != probes {
		t.Errorf("asked for %d listings", n)
	}
}

// Files that are compared are unpacked before they are written, from a local cache to a file apart, unverified as long as nothing else reads them; what a
// server has is kept.
func TestCompared(t *testing.T) {
	for _, local := range []bool{true, false} {
		l := newListedAs(t, "gzip")
		l.compares = true
		var c *Cache
		var item *closure.Item
		if local {
			var err error
			if c, item, err = l.realise(); err != nil {
				t.Fatal(err)
			}
		} else if c, item = l.serve(CacheOptions{}); c.Stream(item.Info.Path) != nil {
			t.Error("it is streamed")
			continue
		}
		n, err := c.Item(t.Context(), item.Info.Path)
		if err != nil {
			t.Fatal(err)
		}
		if local {
			end, err := c.Stream(item.Info.Path).Compare(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got, err := tree.ReadAll(n.Children()[0].Blob(), 10); err != nil || string(got) != "text" {
				t.Errorf("%q, %v", got, err)
			}
			end()
			if err := l.hash(c, item); err != nil {
				t.Error(err)
			}
		}
		if got, err := tree.ReadAll(n.Children()[0].Blob(), 10); err != nil || string(got) != "text" {
			t.Errorf("%q, %v", got, err)
		}
		if n := len(kept(t, filepath.Join(l.keep, "sha256"))); (n == 0) != local {
			t.Errorf("%d are kept", n)
		}
	}
}

// What was compared is verified before anything else reads it.
func TestComparedLies(t *testing.T) {
	l := newListedAs(t, "gzip")
	l.compares = true
	l.change("text\x00", "test\x00")
	c, item, err := l.realise()
	if err != nil {
		t.Fatal(err)
	}
	n, err := c.Item(t.Context(), item.Info.Path)
	if err != nil {
		t.Fatal(err)
	}
	end, err := c.Stream(item.Info.Path).Compare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := tree.ReadAll(n.Children()[0].Blob(), 10); err != nil || string(got) != "test" {
		t.Errorf("%q, %v", got, err)
	}
	end()
	if _, err := tree.ReadAll(n.Children()[0].Blob(), 10); !errors.Is(err, cas.ErrMismatch) {
		t.Errorf("read before it is verified: %v", err)
	}
	if err := l.hash(c, item); !says(err, "another hash") {
		t.Error(err)
	}
	if _, err := tree.ReadAll(n.Children()[0].Blob(), 10); !errors.Is(err, cas.ErrMismatch) {
		t.Errorf("read after it was found wrong: %v", err)
	}
}

// What cannot be kept is written all the same, and that is said.
func TestNotKept(t *testing.T) {
	l := newListed(t)
	var said []error
	c, item := l.serve(CacheOptions{NotKept: func(err error) { said = append(said, err) }})
	if err := os.RemoveAll(filepath.Join(l.keep, "partial")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := l.hash(c, item); err != nil {
			t.Fatal(err)
		}
	}
	if len(said) != 1 || !says(said[0], l.url) {
		t.Errorf("said %v", said)
	}
}

// While an archive passes by, whoever reads it in another order need not wait for that.
func TestBothOrders(t *testing.T) {
	l := newListed(t)
	c, item := l.serve(CacheOptions{})
	n, err := c.Item(t.Context(), item.Info.Path)
	if err != nil {
		t.Fatal(err)
	}
	end, err := c.Stream(item.Info.Path).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []int{1, 0} {
		if _, err := tree.ReadAll(n.Children()[k].Blob(), 1<<21); err != nil {
			t.Fatal(err)
		}
	}
	if err := end(true); err != nil {
		t.Error(err)
	}
	if all := kept(t, filepath.Join(l.keep, "sha256")); len(all) != 1 {
		t.Errorf("kept %q", all)
	}
}
