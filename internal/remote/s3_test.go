package remote

import (
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"imprint/internal/awskeys"
	"imprint/internal/hosttest"
	"imprint/internal/s3test"
	"imprint/internal/sigv4"
)

// patient options do not repeat a request because the machine is busy.
var patient = Options{Attempts: 3, Pause: time.Millisecond}

// withKeys returns options for an account.
func withKeys(k sigv4.Keys) Options {
	o := patient
	o.Now, o.Account = time.Now, func(string) (awskeys.Account, error) { return awskeys.Account{Keys: k}, nil }
	return o
}

// openBucket opens a directory of a bucket of a server.
func openBucket(t *testing.T, s *s3test.Server, o Options, more string) *Dir {
	t.Helper()
	d, err := Open("s3://bucket/a dir?endpoint="+url.QueryEscape(s.URL)+more, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// Requests are signed so that a server accepts them, whatever is in a name, with tokens and in every region.
func TestBucket(t *testing.T) {
	s := s3test.New(t)
	s.Tokens = map[string]string{"access": "token"}
	s.Region = "eu-west-9"
	for _, name := range []string{"x", "nar/a+b=c~d e!*'()$@:.nar", "ü"} {
		s.Put("bucket/a dir/"+name, []byte(name))
		d := openBucket(t, s, withKeys(sigv4.Keys{ID: "access", Secret: "secret", Token: "token"}), "&region=eu-west-9")
		if b, err := d.ReadFile(t.Context(), (&url.URL{Path: name}).EscapedPath(), 100); err != nil || string(b) != name {
			t.Errorf("%q: %q, %v", name, b, err)
		}
		if _, err := d.ReadFile(t.Context(), "none", 100); !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	}
}

// A bucket that everyone may read needs no keys. Others refuse requests without them, and with wrong ones, with a reason and a hint.
func TestKeys(t *testing.T) {
	s := s3test.New(t)
	s.Public = "bucket"
	s.Put("bucket/a dir/x", []byte("x"))
	for what, o := range map[string]Options{"no account": patient, "no keys": withKeys(sigv4.Keys{})} {
		if b, err := openBucket(t, s, o, "").ReadFile(t.Context(), "x", 10); err != nil || string(b) != "x" {
			t.Errorf("%s: %v", what, err)
		}
	}
	s.Public = ""
	s.Take()
	for what, c := range map[string]struct {
		o          Options
		more       string
		want, hint string
	}{
		"none":         {patient, "", "403 Forbidden (AccessDenied)", "there are no keys"},
		"unknown":      {withKeys(sigv4.Keys{ID: "none", Secret: "secret"}), "", "403 Forbidden (InvalidAccessKeyId)", "does not know this key"},
		"wrong":        {withKeys(sigv4.Keys{ID: "access", Secret: "other"}), "", "403 Forbidden (SignatureDoesNotMatch)", "wrong one"},
		"token":        {withKeys(sigv4.Keys{ID: "access", Secret: "secret", Token: "x"}), "", "403 Forbidden (InvalidToken)", "new keys"},
		"other region": {withKeys(sigv4.Keys{ID: "access", Secret: "secret"}), "&region=x-1", "403 Forbidden (AuthorizationHeaderMalformed)", "add region="},
	} {
		_, err := openBucket(t, s, c.o, c.more).ReadFile(t.Context(), "x", 10)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(Hint(err), c.hint) {
			t.Errorf("%s: %v, %q", what, err, Hint(err))
		}
		if n := len(s.Take()); n != 1 {
			t.Errorf("%s: %d requests", what, n)
		}
	}
}

// The text of an error is not trusted, and signatures go to no other server.
func TestOddBucket(t *testing.T) {
	for what, c := range map[string]struct {
		h    http.HandlerFunc
		want string
	}{
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://other.invalid/", http.StatusTemporaryRedirect)
		}, "answers 307 Temporary Redirect"},
		"elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Amz-Bucket-Region", "eu-west-1")
			w.WriteHeader(http.StatusMovedPermanently)
		}, "the bucket is in the region eu-west-1, not us-east-1"},
		"odd region": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Amz-Bucket-Region", "x y")
			w.WriteHeader(http.StatusBadRequest)
		}, "answers 400 Bad Request"},
		"endless": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, "<a>"+strings.Repeat(" ", 1<<16)); err != nil {
					return
				}
			}
		}, "answers 403 Forbidden"},
		"code": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, "<Error><Code>x\x1b[2J</Code></Error>")
		}, "answers 403 Forbidden"},
	} {
		h := httptest.NewServer(c.h)
		_, err := openBucket(t, &s3test.Server{URL: h.URL}, withKeys(sigv4.Keys{ID: "a", Secret: "b"}), "").ReadFile(t.Context(), "x", 10)
		h.Close()
		if err == nil || !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// What passes is tried again: each attempt is signed anew.
func TestBucketRetry(t *testing.T) {
	s := s3test.New(t)
	s.Put("bucket/a dir/x", []byte(text))
	h := httptest.NewServer(first(status(503), breakOff{s}.ServeHTTP, s.ServeHTTP))
	defer h.Close()
	d := openBucket(t, &s3test.Server{URL: h.URL}, withKeys(sigv4.Keys{ID: "access", Secret: "secret"}), "")
	if b, err := d.ReadFile(t.Context(), "x", 1<<20); err != nil || string(b) != text {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

// breakOff breaks off a response.
type breakOff struct{ h http.Handler }

func (b breakOff) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.h.ServeHTTP(&shortWriter{w, 100_000}, r)
	panic(http.ErrAbortHandler)
}

type shortWriter struct {
	http.ResponseWriter
	left int
}

func (w *shortWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p[:min(len(p), w.left)])
	if w.left -= n; err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}

func TestParseBucket(t *testing.T) {
	for address, want := range map[string]string{
		"s3://bucket": "https://bucket.s3.r-1.amazonaws.com",
		"s3://my.bucket/prefix/a?region=eu-west-1":                   "https://s3.eu-west-1.amazonaws.com/my.bucket/prefix/a",
		"s3://bucket?region=eu-west-1&addressing-style=path":         "https://s3.eu-west-1.amazonaws.com/bucket",
		"s3://bucket/p?endpoint=minio.example:9000&scheme=http":      "http://minio.example:9000/bucket/p",
		"s3://bucket/p?endpoint=http://minio.example/&profile=x":     "http://minio.example/bucket/p",
		"s3://bucket/p?addressing-style=virtual&endpoint=r2.example": "https://bucket.r2.example/p",
		"s3://":                                  `"" is not the name of a bucket`,
		"s3://b":                                 `"b" is not the name of a bucket`,
		"s3://a:b@bucket":                        "keys do not belong in the URL",
		"s3://bucket#x":                          "not of the form",
		"s3://bucket?compression=xz":             `parameter "compression" is not supported, only endpoint, scheme,`,
		"s3://bucket?region=a&region=b":          "region is there twice",
		"s3://bucket?region=a.b/":                `region: "a.b/" is not the name`,
		"s3://bucket?scheme=ftp":                 "not http or https",
		"s3://bucket?endpoint=http://h/path":     "is not a host or a URL",
		"s3://bucket?endpoint=":                  "is not a host or a URL",
		"s3://bucket?addressing-style=x":         "is not auto, path or virtual",
		"s3://bucket?endpoint=http://a:b@h.test": "is not a host or a URL",
	} {
		u, err := Parse(address)
		if err != nil {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %s", address, err, want)
			}
			continue
		}
		b, err := parseBucket(u)
		if err != nil {
			t.Fatal(err)
		}
		region := b.region
		if region == "" {
			region = "r-1"
		}
		if got := b.base(region).String(); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

// What is accepted leads to the endpoint.
func FuzzParse(f *testing.F) {
	for _, address := range []string{"s3://bucket/p?endpoint=h:1&scheme=http&profile=x", "s3://my.bucket?region=a", "http://h/x", "file:///x"} {
		f.Add(address)
	}
	hosttest.Fuzz(f, func(t *testing.T, address string) {
		u, err := Parse(address)
		if err != nil || u.Scheme != "s3" {
			return
		}
		b, err := parseBucket(u)
		if err != nil {
			t.Fatal(err)
		}
		if base := b.base("r"); b.endpoint == nil && !strings.HasSuffix(base.Host, ".amazonaws.com") || b.endpoint != nil && !strings.HasSuffix(base.Host, b.endpoint.Host) {
			t.Errorf("%q leads to %v", address, base)
		}
	})
}
