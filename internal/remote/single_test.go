package remote

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"imprint/internal/hosttest"
)

func TestSplit(t *testing.T) {
	for address, want := range map[string]string{
		"https://example.org/a/b.bin":      "https://example.org/a/ b.bin",
		"http://example.org:80/b?v=1&w=/x": "http://example.org:80/ b?v=1&w=/x",
		"file:///srv/a%20b/c%20d":          "file:///srv/a%20b/ c%20d",
		"https://u:p@example.org/x%2Fy/z":  "https://u:p@example.org/x%2Fy/ z",
	} {
		dir, name, err := Split(address)
		if got := dir + " " + name; got != want || err != nil {
			t.Errorf("%s: %s, %v", address, got, err)
		}
	}
	for address, want := range map[string]string{
		"https://example.org/a/":  "name of a file is missing",
		"https://example.org":     "name of a file is missing",
		"https://example.org/..":  "not the name of a file",
		"https://example.org/a#b": "from \"#\" on",
		"ftp://example.org/a":     "not supported",
		"http:///a":               "the host is missing",
		"file:a":                  "absolute path",
		"https://e.org/%2E%2E":    "not the name of a file",
	} {
		if _, _, err := Split(address); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// What was split is requested as it was written.
func TestSplitOpens(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RequestURI) }))
	defer server.Close()
	for _, path := range []string{"/a/b%20c", "/b?x=1&y=%2F", "/a%2Fb/c"} {
		dir, name, err := Split(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		d, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := d.ReadFile(t.Context(), name, 100); string(got) != path || err != nil {
			t.Errorf("%s: %s, %v", path, got, err)
		}
		d.Close()
	}
	file := t.TempDir() + "/a b"
	if err := os.WriteFile(file, []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	dir, name, err := Split("file://" + strings.ReplaceAll(file, " ", "%20"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := d.ReadFile(t.Context(), name, 100); string(got) != "text" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func FuzzSplit(f *testing.F) {
	for _, s := range []string{"https://example.org/a/b?c", "file:///a%20b/c", "http://[::1]:80/%2F"} {
		f.Add(s)
	}
	hosttest.Fuzz(f, func(t *testing.T, address string) {
		dir, name, err := Split(address)
		if err != nil {
			return
		}
		if _, err := Open(dir, Options{}); err != nil {
			t.Errorf("%q: %q: %v", address, dir, err)
		}
		if err := CheckName(name); err != nil {
			t.Errorf("%q: %q: %v", address, name, err)
		}
	})
}
