package registry

import (
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"imprint/internal/oci"
)

// serve answers requests for a repository "x".
func serve(t *testing.T, o Options, answer http.HandlerFunc) *Repository {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/v2/", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/v2/x/", answer)
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	r, err := Open(strings.TrimPrefix(s.URL, "http://")+"/x", o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A server that stops in the middle of a layer does not block a build for ever.
func TestStall(t *testing.T) {
	over := make(chan struct{})
	defer close(over)
	r := serve(t, Options{Stall: 50 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		w.Write(make([]byte, 100))
		w.(http.Flusher).Flush()
		select {
		case <-over:
		case <-r.Context().Done():
		}
	})
	b, err := r.Blob(t.Context(), oci.Digest{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if n, err := io.Copy(io.Discard, b); n > 100 || err == nil || !strings.Contains(err.Error(), "nothing was received for 50ms") {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// Errors say what the registry answers, and match what callers ask for; its text, which may be anything, is not in them.
func TestAnswers(t *testing.T) {
	for code, match := range map[int]error{http.StatusNotFound: fs.ErrNotExist, http.StatusForbidden: fs.ErrPermission, http.StatusUnauthorized: fs.ErrPermission, http.StatusTeapot: errAnswer} {
		r := serve(t, Options{}, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "\x1b[31mhostile", code) })
		_, _, err := r.Tagged(t.Context(), "")
		_, blob := r.Blob(t.Context(), oci.Digest{})
		for _, err := range []error{err, blob} {
			if !errors.Is(err, match) || strings.Contains(err.Error(), "hostile") || !strings.Contains(err.Error(), http.StatusText(code)) {
				t.Errorf("%d: %v", code, err)
			}
		}
	}
	r := serve(t, Options{}, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("{}")) })
	if _, err := r.Manifest(t.Context(), oci.Digest{1}); err == nil || !strings.Contains(err.Error(), "digest") {
		t.Errorf("another manifest than that of the digest: %v", err)
	}
}

// The names of repositories are checked, and passwords that cannot be read are an error.
func TestOpen(t *testing.T) {
	if _, err := Open("UPPER/x", Options{}); err == nil {
		t.Error("a name in capitals")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := serve(t, Options{Docker: dir}, func(w http.ResponseWriter, _ *http.Request) {})
	if _, _, err := r.Tagged(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "config.json") {
		t.Error(err)
	}
}
