package remote

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"golang.org/x/sys/unix"

	"imprint/internal/hosttest"
)

var quick = Options{Attempts: 3, Pause: time.Millisecond, Stall: 100 * time.Millisecond}

var text = strings.Repeat("0123456789abcdef", 40_000)

// serve serves one handler and opens its directory.
func serve(t *testing.T, h http.HandlerFunc) *Dir {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	d, err := Open(s.URL+"/cache/", quick)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// plain serves the text with ranges.
func plain(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("ETag", `"1"`)
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(text))
}

// cut serves the text up to a number of bytes after the first that is asked for, and breaks off.
func cut(n int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1"`)
		var from int
		if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from); err == nil {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(text)-1, len(text)))
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(text)-from))
		if from > 0 {
			w.WriteHeader(http.StatusPartialContent)
		}
		io.WriteString(w, text[from:min(from+n, len(text))])
	}
}

// first calls handlers one after the other, the last one for ever.
func first(handlers ...http.HandlerFunc) http.HandlerFunc {
	var n atomic.Int32
	return func(w http.ResponseWriter, r *http.Request) {
		handlers[min(int(n.Add(1)), len(handlers))-1](w, r)
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// stall sends a little and then nothing.
func stall(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("ETag", `"1"`)
	w.Header().Set("Content-Length", fmt.Sprint(len(text)))
	io.WriteString(w, text[:1000])
	w.(http.Flusher).Flush()
	<-r.Context().Done()
}

// drip sends a byte from time to time.
func drip(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Length", fmt.Sprint(len(text)))
	for r.Context().Err() == nil {
		io.WriteString(w, "x")
		w.(http.Flusher).Flush()
		time.Sleep(20 * time.Millisecond)
	}
}

// whole sends everything, whatever is asked for.
func whole(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("ETag", `"1"`)
	io.WriteString(w, text)
}

// What fails for a moment succeeds in the end, with every byte once.
func TestRetry(t *testing.T) {
	for what, h := range map[string]http.HandlerFunc{
		"plain":          plain,
		"500, then 503":  first(status(500), status(503), plain),
		"429":            first(status(429), plain),
		"cut":            first(cut(100_000), cut(100_001), plain),
		"cut, no ranges": first(cut(70_000), whole),
		"cut in chunks": first(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"1"`)
			io.WriteString(w, text[:99_999])
			panic(http.ErrAbortHandler)
		}, plain),
		"many cuts":       cut(80_000),
		"stalled":         first(stall, plain),
		"no answer":       first(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, plain),
		"cut, then 500":   first(cut(100_000), status(500), plain),
		"cut before data": first(cut(0), plain),
	} {
		b, err := serve(t, h).ReadFile(t.Context(), "a/b.nar", 1<<20)
		if err != nil || string(b) != text {
			t.Errorf("%s: %d bytes, %v", what, len(b), err)
		}
	}
}

// What does not pass is an error with URL and reason, after a bounded number of attempts.
func TestErrors(t *testing.T) {
	other := func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("ETag", `"2"`); io.WriteString(w, text) }
	wrongRange := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Range", "bytes 0-9/10")
		w.WriteHeader(http.StatusPartialContent)
	}
	for what, c := range map[string]struct {
		h     http.HandlerFunc
		want  string
		calls int32
	}{
		"404":         {status(404), "the server answers 404 Not Found", 1},
		"403":         {status(403), "the server answers 403 Forbidden", 1},
		"odd":         {status(299), "the server answers 299", 1},
		"500":         {status(500), "the server answers 500 Internal Server Error (tried 3 times)", 3},
		"cut":         {cut(10), "the connection was closed before the end of the file (tried 3 times)", 3},
		"stalled":     {stall, "only 1000 bytes were received in 100ms (tried 3 times)", 3},
		"slow":        {drip, "bytes were received in 100ms (tried 3 times)", 3},
		"silent":      {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "nothing was received for 100ms (tried 3 times)", 3},
		"changed":     {first(cut(70_000), other), "it has changed while it was read", 2},
		"wrong range": {first(cut(70_000), wrongRange), `sends the range "bytes 0-9/10"`, 2},
		"encoded":     {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Encoding", "compress") }, `Content-Encoding "compress"`, 1},
		"no brotli": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "br")
			io.WriteString(w, "<html>")
		}, `damaged: brotli`, 1},
		"redirects": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }, "redirects more than 10 times", 11},
		"redirect to a file": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		}, `redirects to a URL with "file"`, 1},
	} {
		var calls atomic.Int32
		d := serve(t, func(w http.ResponseWriter, r *http.Request) { calls.Add(1); c.h(w, r) })
		_, err := d.ReadFile(t.Context(), "a/b.nar", 1<<20)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "fetch "+d.String()) || calls.Load() != c.calls {
			t.Errorf("%s: after %d requests %v", what, calls.Load(), err)
		}
		if errors.Is(err, fs.ErrNotExist) != (what == "404") || errors.Is(err, fs.ErrPermission) != (what == "403") {
			t.Errorf("%s: matches as another error", what)
		}
	}
}

func TestLimit(t *testing.T) {
	d := serve(t, plain)
	if _, err := d.ReadFile(t.Context(), "x", 100); err == nil || !strings.Contains(err.Error(), "more than 100 bytes") {
		t.Error(err)
	}
}

// A build that is interrupted waits for no server.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, errors.New("enough"))
	defer cancel()
	d := serve(t, first(cut(10), status(500)))
	d2, _ := Open(d.String(), Options{Pause: time.Hour})
	if _, err := d2.ReadFile(ctx, "x", 1<<20); err == nil || err.Error() != "enough" {
		t.Error(err)
	}
}

// Many files are fetched at a time, on connections that are kept.
func TestParallel(t *testing.T) {
	var now, most atomic.Int32
	d := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(20 * time.Millisecond)
		now.Add(-1)
	})
	errs := make(chan error)
	d, err := Open(d.String(), patient)
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		go func() { _, err := d.ReadFile(t.Context(), "x", 10); errs <- err }()
	}
	for range 100 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if most.Load() < 8 || most.Load() > connections {
		t.Errorf("at most %d requests at a time", most.Load())
	}
}

func TestLocal(t *testing.T) {
	dir := t.TempDir()
	os.MkdirAll(filepath.Join(dir, "c d/nar"), 0o755)
	os.WriteFile(filepath.Join(dir, "c d/nar/a=b"), []byte("x"), 0o644)
	os.WriteFile(filepath.Join(dir, "secret"), []byte("x"), 0o644)
	unix.Mkfifo(filepath.Join(dir, "c d/pipe"), 0o644)
	d, err := Open("file://"+dir+"/c%20d", Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"nar/a=b", "nar/a%3db?hash=1"} {
		if b, err := d.ReadFile(t.Context(), name, 10); string(b) != "x" || err != nil {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	if _, err := d.ReadFile(t.Context(), "none", 10); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	for name, want := range map[string]string{"pipe": "not a regular file", "nar": "not a regular file", "../secret": "is not the name of a file", "%2e%2e/secret": "is not the name"} {
		if _, err := d.ReadFile(t.Context(), name, 10); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParse(t *testing.T) {
	for address, want := range map[string]string{
		"https://cache.nixos.org": "", "http://[::1]:8080/a/": "", "file:///srv/cache": "", "https://user:word@host/x": "",
		"":                        `scheme ""`,
		"ftp://host":              `scheme "ftp" is not supported`,
		"file:cache":              "absolute path",
		"file://host/x":           "absolute path",
		"http:///x":               "the host is missing",
		"http://h/?priority=1":    `from "?" on`,
		"http://h/#x":             `from "#" on`,
		"http://user:word@h:port": "invalid port",
	} {
		_, err := Parse(address)
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "word")) {
			t.Errorf("%q: %v", address, err)
		}
	}
	d, err := Open("http://user:word@127.0.0.1:1/x", quick)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.ReadFile(t.Context(), "y", 1); err == nil || strings.Contains(err.Error(), "word") || !strings.Contains(err.Error(), "127.0.0.1:1/x/y: dial") {
		t.Error(err)
	}
}

// No name leads out of the directory.
func FuzzCheckName(f *testing.F) {
	for _, name := range []string{"nar/x.nar.xz", "nar/x?hash=y", "../x", "%2e%2e/x", "//host/x", "http://host/x", "a/../../x", "\\x", "a%2f..%2f..%2fx"} {
		f.Add(name)
	}
	s := newServer(must(Parse("http://host/cache")), Options{})
	hosttest.Fuzz(f, func(t *testing.T, name string) {
		if CheckName(name) != nil {
			return
		}
		path, _, _ := strings.Cut(name, "?")
		if u := s.base.JoinPath(path); u.Host != "host" || !strings.HasPrefix(u.Path, "/cache/") || strings.Contains(u.Path+"/", "/../") {
			t.Errorf("%q leads to %v", name, u)
		}
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// A server that is busy says how long to wait. A minute is the most.
func TestRetryAfter(t *testing.T) {
	for text, want := range map[string]time.Duration{"": 0, "7": 7 * time.Second, "86400": time.Minute, "-1": 0, "99999999999999999999": 0, "soon": 0} {
		if got := retryAfter(http.Header{"Retry-After": {text}}); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
	start := time.Now()
	d := serve(t, first(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
	}, plain))
	if b, err := d.ReadFile(t.Context(), "x", 1<<20); err != nil || string(b) != text || time.Since(start) < time.Second {
		t.Errorf("%d bytes after %v, %v", len(b), time.Since(start), err)
	}
}

// packed is the text as a server may send it.
func packed(t *testing.T, coding string) []byte {
	t.Helper()
	var b bytes.Buffer
	var z io.WriteCloser = gzip.NewWriter(&b)
	if coding == "br" {
		z = brotli.NewWriter(&b)
	}
	io.WriteString(z, noise(t))
	z.Close()
	return b.Bytes()
}

// noise is a text of which compressors make no less than can be cut off in the middle.
func noise(t *testing.T) string {
	t.Helper()
	b := make([]byte, 300_000)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return hex.EncodeToString(b)
}

// Texts may come encoded, also by a server that breaks off, but no more of them than is asked for. Other files may not.
func TestEncoded(t *testing.T) {
	for _, coding := range []string{"gzip", "br"} {
		content, n := packed(t, coding), 0
		d := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", coding)
			w.Header().Set("ETag", `"1"`)
			if n++; n == 1 {
				w.Header().Set("Content-Length", fmt.Sprint(len(content)))
				w.Write(content[:len(content)/2])
				return
			}
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
		})
		if got, err := d.ReadFile(t.Context(), "x.ls", 1<<20); err != nil || string(got) != noise(t) || n != 2 {
			t.Errorf("%s: %d bytes after %d requests, %v", coding, len(got), n, err)
		}
		if _, err := d.ReadFile(t.Context(), "x.ls", 1000); err == nil || !strings.Contains(err.Error(), "more than 1000 bytes") {
			t.Errorf("%s: %v", coding, err)
		}
		if _, err := d.Open(t.Context(), "x.nar"); err == nil || !strings.Contains(err.Error(), "which was not requested") {
			t.Errorf("%s: %v", coding, err)
		}
	}
}
