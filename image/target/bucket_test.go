package target

import (
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"imprint/closure"
	"imprint/closure/narinfo"
	"imprint/internal/awskeys"
	"imprint/internal/remote"
	"imprint/internal/s3test"
	"imprint/internal/sigv4"
)

// bucket opens a cache in a bucket of a server.
func (w *world) bucket(s *s3test.Server, secret string) (*Cache, error) {
	w.Helper()
	dir, err := remote.Open("s3://bucket/cache?endpoint="+url.QueryEscape(s.URL), remote.Options{
		Attempts: 3, Pause: time.Millisecond, Now: time.Now,
		Account: func(string) (awskeys.Account, error) {
			return awskeys.Account{Keys: sigv4.Keys{ID: "access", Secret: secret}}, nil
		},
	})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(dir.Close)
	return OpenBucket(w.Context(), dir, w.TempDir(), CacheOptions{Flavor: w.flavor, Compression: "zstd"})
}

// copy copies the items to a bucket, and returns the names of what was stored.
func (w *world) copy(s *s3test.Server) ([]string, error) {
	w.Helper()
	c, err := w.bucket(s, "secret")
	if err != nil {
		w.Fatal(err)
	}
	_, err = Copy(w.Context(), c, w.items, nil, nil)
	return s.Stored(), err
}

// inOrder complains about files that have come before one that they lead to.
func (w *world) inOrder(s *s3test.Server, stored []string) {
	w.Helper()
	for _, item := range w.items {
		name := "bucket/cache/" + about(item.Info.Path)
		text, err := narinfo.Parse(string(s.Get(name)))
		if err != nil {
			w.Fatalf("%s: %v", name, err)
		}
		needs := []string{"bucket/cache/" + text.URL}
		for _, r := range item.Info.References {
			needs = append(needs, "bucket/cache/"+about(r))
		}
		for _, n := range needs {
			if s.Get(n) == nil || slices.Index(stored, n) > slices.Index(stored, name) {
				w.Errorf("%s came before %s", name, n)
			}
		}
	}
}

// A bucket has the files that a directory has, each after what it leads to, and a second copy stores nothing. What fails for a while is tried again.
func TestBucket(t *testing.T) {
	for _, f := range closure.Flavors() {
		w, s := newWorld(t, f, 12), s3test.New(t)
		var mu sync.Mutex
		failed := map[string]int{}
		s.Fail = func(r *http.Request) int {
			mu.Lock()
			defer mu.Unlock()
			if r.Method != http.MethodPut || failed[r.URL.Path] == 2 {
				return 0
			}
			failed[r.URL.Path]++
			return http.StatusServiceUnavailable
		}
		stored, err := w.copy(s)
		if err != nil || len(stored) != 25 || stored[0] != "bucket/cache/nix-cache-info" {
			t.Fatalf("%d files, %v", len(stored), err)
		}
		w.inOrder(s, stored)
		s.Fail = nil
		if again, err := w.copy(s); err != nil || len(again) != 0 {
			t.Errorf("%q, %v", again, err)
		}
		dir := t.TempDir()
		c, err := OpenCache(t.Context(), dir, CacheOptions{Flavor: f, Compression: "zstd"})
		if err == nil {
			_, err = Copy(t.Context(), c, w.items, nil, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range stored {
			text, err := os.ReadFile(filepath.Join(dir, strings.TrimPrefix(name, "bucket/cache/")))
			if err != nil || string(text) != string(s.Get(name)) {
				t.Errorf("%s is different in a directory: %v", name, err)
			}
		}
	}
}

// A copy that ends in between leaves a cache that is complete in itself. The next one sends what lacks, but no archive again that is large.
func TestBucketInterrupted(t *testing.T) {
	w, s := newWorldOf(t, closure.Nix, 12, func(i int) string {
		b := make([]byte, cheap+1000)
		rand.NewChaCha8([32]byte{byte(i)}).Read(b)
		return string(b)
	}), s3test.New(t)
	s.Fail = func(r *http.Request) int {
		if r.Method != http.MethodPut || !strings.HasSuffix(r.URL.Path, about(w.items[5].Info.Path)) {
			return 0
		}
		for len(s.Names()) < 1+12+5 { // all archives, since those wait for nothing
			time.Sleep(time.Millisecond)
		}
		return http.StatusInternalServerError
	}
	first, err := w.copy(s)
	if err == nil || !strings.Contains(err.Error(), "500 Internal Server Error (InternalError) (tried 3 times)") {
		t.Fatal(err)
	}
	texts := slices.DeleteFunc(slices.Clone(first), func(name string) bool { return !strings.HasSuffix(name, ".narinfo") })
	if len(texts) != 5 {
		t.Errorf("%q", texts)
	}
	s.Fail = nil
	second, err := w.copy(s)
	if err != nil || len(first) != 18 || len(second) != 7 {
		t.Errorf("%d and then %d files, %v", len(first), len(second), err)
	}
	w.inOrder(s, append(first, second...))
}

// An item with other contents than are registered is not in the bucket, nor is what needs it.
func TestBucketMismatch(t *testing.T) {
	w, s := newWorld(t, closure.Nix, 4), s3test.New(t)
	bad := *w.items[2].Info
	bad.NARHash[3] ^= 1
	w.items[2].Info = &bad
	stored, err := w.copy(s)
	if err == nil || !strings.Contains(err.Error(), bad.Path.String()) {
		t.Error(err)
	}
	for _, item := range w.items[2:] {
		if name := "bucket/cache/" + about(item.Info.Path); s.Get(name) != nil {
			t.Errorf("%s is there: %q", name, stored)
		}
	}
}

// A bucket that refuses the keys, or holds a cache for other stores, or none that is one, is left alone.
func TestBucketRefused(t *testing.T) {
	w, s := newWorld(t, closure.Nix, 1), s3test.New(t)
	if _, err := w.bucket(s, "other"); err == nil || !strings.Contains(err.Error(), "(SignatureDoesNotMatch)") {
		t.Error(err)
	}
	s.ReadOnly = true
	if _, err := w.bucket(s, "secret"); err == nil || !strings.Contains(err.Error(), "(AccessDenied)") || remote.Hint(err) == "" {
		t.Error(err)
	}
	s.ReadOnly = false
	for text, want := range map[string]string{
		narinfo.CacheText("/gnu/store"): `its items are those of stores in "/gnu/store", not in /nix/store`,
		"x":                             "nix-cache-info",
		strings.Repeat("x\n", maxAbout): "more than",
	} {
		s.Put("bucket/cache/nix-cache-info", []byte(text))
		if _, err := w.bucket(s, "secret"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	if stored := s.Stored(); len(stored) != 0 {
		t.Errorf("%q", stored)
	}
}
