package remote

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"imprint/internal/s3test"
	"imprint/internal/sigv4"
)

var good = sigv4.Keys{ID: "access", Secret: "secret"}

// Files of every size are there after they were put, under any name, also in place of others.
func TestPut(t *testing.T) {
	s := s3test.New(t)
	d := openBucket(t, s, withKeys(good), "")
	for _, size := range []int{0, 1, slow, asked - 1, asked, 3 << 20} {
		for _, name := range []string{"x", "nar/a%20b+c=d"} {
			text := strings.Repeat("b", size)
			if err := d.Put(t.Context(), name, TextUpload(text, "text/plain")); err != nil {
				t.Fatal(err)
			}
			if b, err := d.ReadFile(t.Context(), name, 4<<20); err != nil || string(b) != text {
				t.Errorf("%d bytes: %d, %v", size, len(b), err)
			}
			if n, err := d.Size(t.Context(), name); n != int64(size) || err != nil {
				t.Errorf("%d bytes: %d, %v", size, n, err)
			}
		}
	}
	if _, err := d.Size(t.Context(), "none"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	for _, name := range []string{"../x", "/x", "https://h/x"} {
		if err := d.Put(t.Context(), name, TextUpload("x", "text/plain")); err == nil || !strings.Contains(err.Error(), "not the name") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Nothing but a bucket takes files.
func TestPutElsewhere(t *testing.T) {
	for _, address := range []string{"http://u:secret@h.invalid/a", "file:///nowhere"} {
		d, err := Open(address, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Put(t.Context(), "x", TextUpload("x", "")); err == nil || !strings.Contains(err.Error(), "it is not a bucket") || strings.Contains(err.Error(), "secret") {
			t.Error(err)
		}
	}
}

// What passes is tried again, with all of the file, and what does not is not.
func TestPutRetries(t *testing.T) {
	s := s3test.New(t)
	refuse := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, "<Error><Code>RequestTimeout</Code></Error>")
	})
	broken := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	half := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.CopyN(io.Discard, r.Body, 100_000)
		panic(http.ErrAbortHandler)
	})
	content := strings.Repeat("0123456789", 100_000)
	for what, failure := range map[string]http.HandlerFunc{"503": status(503), "400": refuse, "broken": broken, "half": half} {
		h := httptest.NewServer(first(failure, failure, s.ServeHTTP))
		err := openBucket(t, &s3test.Server{URL: h.URL}, withKeys(good), "").Put(t.Context(), "x", TextUpload(content, "text/plain"))
		h.Close()
		if got := s.Get("bucket/a dir/x"); err != nil || string(got) != content {
			t.Errorf("%s: %d bytes, %v", what, len(got), err)
		}
		s.Remove("bucket/a dir/x")
	}
	s.Fail = func(*http.Request) int { return 503 }
	err := openBucket(t, s, withKeys(good), "").Put(t.Context(), "x", TextUpload(content, "text/plain"))
	if n := len(s.Take()); n < 3 || err == nil || !strings.HasPrefix(err.Error(), "put "+s.URL) || !strings.HasSuffix(err.Error(), "503 Service Unavailable (InternalError) (tried 3 times)") {
		t.Errorf("%d requests, %v", n, err)
	}
}

// Who may not write gets the server's reason at once, also for a file that is large.
func TestPutRefused(t *testing.T) {
	s := s3test.New(t)
	s.Public = "bucket"
	for what, c := range map[string]struct {
		o        Options
		readOnly bool
		want     string
		hint     string
	}{
		"no keys":   {withKeys(sigv4.Keys{}), false, "403 Forbidden (AccessDenied)", "there are no keys"},
		"wrong":     {withKeys(sigv4.Keys{ID: "access", Secret: "other"}), false, "403 Forbidden (SignatureDoesNotMatch)", "wrong one"},
		"read-only": {withKeys(good), true, "403 Forbidden (AccessDenied)", "right to write"},
	} {
		s.ReadOnly = c.readOnly
		for _, size := range []int{10, asked - 1, 1 << 20} {
			s.Take()
			err := openBucket(t, s, c.o, "").Put(t.Context(), "x", TextUpload(strings.Repeat("x", size), "text/plain"))
			n := len(s.Take())
			if err == nil || !strings.HasSuffix(err.Error(), c.want) || !strings.Contains(Hint(err), c.hint) || size < asked && n != 1 {
				t.Errorf("%s, %d bytes: %v, %q after %d requests", what, size, err, Hint(err), n)
			}
		}
	}
}

// A file that is too large for the server is not sent.
func TestPutTooLarge(t *testing.T) {
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, "<Error><Code>EntityTooLarge</Code></Error>")
	}))
	defer h.Close()
	var read atomic.Int64
	err := openBucket(t, &s3test.Server{URL: h.URL}, withKeys(good), "").Put(t.Context(), "x", Upload{readerAt{&read}, 6 << 30, [32]byte{}, "text/plain"})
	if err == nil || !strings.HasSuffix(err.Error(), "400 Bad Request (EntityTooLarge)") || !strings.Contains(Hint(err), "in one piece") || read.Load() > 0 {
		t.Errorf("%v, %q after %d bytes", err, Hint(err), read.Load())
	}
}

// A readerAt counts the bytes that were read.
type readerAt struct{ n *atomic.Int64 }

func (r readerAt) ReadAt(p []byte, _ int64) (int, error) { r.n.Add(int64(len(p))); return len(p), nil }

// A file that changes while it is sent is not stored: the server compares the hash.
func TestPutChanged(t *testing.T) {
	s := s3test.New(t)
	err := openBucket(t, s, withKeys(good), "").Put(t.Context(), "x", Upload{bytes.NewReader([]byte("new")), 3, sha256.Sum256([]byte("old")), "text/plain"})
	if err == nil || !strings.Contains(err.Error(), "(XAmzContentSHA256Mismatch)") || s.Get("bucket/a dir/x") != nil {
		t.Error(err)
	}
}

// A server that takes nothing any more ends an attempt; one that takes something all the time does not.
func TestPutStalls(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept() // and read nothing
			if err != nil {
				return
			}
			defer c.Close()
		}
	}()
	o := withKeys(good)
	o.Attempts, o.Stall = 2, 50*time.Millisecond
	err = openBucket(t, &s3test.Server{URL: "http://" + l.Addr().String()}, o, "").Put(t.Context(), "x", TextUpload(strings.Repeat("x", 64<<20), "text/plain"))
	if err == nil || !strings.Contains(err.Error(), "has taken nothing, and has not answered, for 50ms (tried 2 times)") {
		t.Error(err)
	}
	var n atomic.Int64
	clock := time.AfterFunc(time.Hour, func() {})
	defer clock.Stop()
	sent := &sending{r: io.TeeReader(io.LimitReader(zeros{}, 10*slow), counter{&n}), timer: clock, stall: time.Hour}
	clock.Stop()
	if _, err := io.Copy(io.Discard, sent); err != nil || n.Load() != 10*slow || !clock.Stop() {
		t.Errorf("the timer does not run after %d bytes, %v", n.Load(), err)
	}
}

// The end of the context ends it.
func TestPutCanceled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("enough")
	s := s3test.New(t)
	s.Fail = func(*http.Request) int { cancel(reason); return 503 }
	if err := openBucket(t, s, withKeys(good), "").Put(ctx, "x", TextUpload("x", "")); !errors.Is(err, reason) {
		t.Error(err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

type counter struct{ n *atomic.Int64 }

func (c counter) Write(p []byte) (int, error) { c.n.Add(int64(len(p))); return len(p), nil }
