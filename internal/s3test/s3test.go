// Package s3test serves objects for tests as S3 does, from buckets in paths, and verifies the signature of every request. It follows the
// description of the algorithm (AWS Signature Version 4) from the side of the server: from the headers that it receives, and without the package
// that signs. Its tests let curl sign.
package s3test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A Server holds objects.
type Server struct {
	URL    string
	Keys   map[string]string // secrets by access key
	Tokens map[string]string // session tokens by access key; others have none
	Public string            // bucket that everyone may read; others need a signature
	Region string

	ReadOnly bool                    // refuses to store anything
	Fail     func(*http.Request) int // returns the status with which a request fails, 0 for none; may be nil

	mu      sync.Mutex
	objects map[string][]byte // by "bucket/key"
	asked   []string
	stored  []string // by requests, in their order
}

// New starts a server that has the account "access" with the key "secret", and ends it with the test.
func New(t testing.TB) *Server {
	s := &Server{Keys: map[string]string{"access": "secret"}, Region: "us-east-1", objects: map[string][]byte{}}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	s.URL = h.URL
	return s
}

// Put stores an object. The name is "bucket/key".
func (s *Server) Put(name string, content []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[name] = content
}

// Take returns the names that were asked for since it was called last.
func (s *Server) Take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.asked = nil }()
	return s.asked
}

// Stored returns the names of the objects that requests have stored, in their order, since it was called last.
func (s *Server) Stored() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.stored = nil }()
	return s.stored
}

// Get returns an object; nil if there is none.
func (s *Server) Get(name string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objects[name]
}

// Names returns the names of all objects.
func (s *Server) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.objects))
}

// Remove removes an object.
func (s *Server) Remove(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, name)
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	bucket, _, _ := strings.Cut(name, "/")
	s.mu.Lock()
	s.asked = append(s.asked, name)
	content, ok := s.objects[name]
	s.mu.Unlock()
	if s.Fail != nil {
		if status := s.Fail(r); status != 0 {
			fail(w, status, "InternalError")
			return
		}
	}
	switch code := s.refusal(r); {
	case code != "" && (bucket != s.Public || r.Method == http.MethodPut):
		fail(w, http.StatusForbidden, code)
	case r.Method == http.MethodPut && s.ReadOnly:
		fail(w, http.StatusForbidden, "AccessDenied")
	case r.Method == http.MethodPut:
		s.store(w, r, name)
	case !ok:
		fail(w, http.StatusNotFound, "NoSuchKey")
	default:
		sum := sha256.Sum256(content)
		w.Header().Set("ETag", fmt.Sprintf("%q", hex.EncodeToString(sum[:8])))
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}
}

// store stores what a request sends, if that has the length and the hash that its headers promise.
func (s *Server) store(w http.ResponseWriter, r *http.Request, name string) {
	if r.ContentLength < 0 {
		fail(w, http.StatusLengthRequired, "MissingContentLength")
		return
	}
	body, err := io.ReadAll(r.Body)
	switch {
	case err != nil:
		fail(w, http.StatusBadRequest, "IncompleteBody")
	case digest(string(body)) != r.Header.Get("X-Amz-Content-Sha256"):
		fail(w, http.StatusBadRequest, "XAmzContentSHA256Mismatch")
	default:
		s.Put(name, body)
		s.mu.Lock()
		s.stored = append(s.stored, name)
		s.mu.Unlock()
	}
}

func fail(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code><Message>no</Message></Error>", code)
}

// authorization is the form of the header.
var authorization = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/s3/aws4_request, ?SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})$`)

// refusal returns the code of the error that a request deserves; "" if it is signed well.
func (s *Server) refusal(r *http.Request) string {
	m := authorization.FindStringSubmatch(r.Header.Get("Authorization"))
	if m == nil {
		return "AccessDenied"
	}
	id, day, region, names, signature := m[1], m[2], m[3], strings.Split(m[4], ";"), m[5]
	secret, ok := s.Keys[id]
	at := r.Header.Get("X-Amz-Date")
	sent, err := time.Parse("20060102T150405Z", at)
	age := time.Since(sent)
	switch {
	case !ok:
		return "InvalidAccessKeyId"
	case region != s.Region:
		return "AuthorizationHeaderMalformed"
	case err != nil || age > 15*time.Minute || age < -15*time.Minute || !strings.HasPrefix(at, day):
		return "RequestTimeTooSkewed"
	case s.Tokens[id] != r.Header.Get("X-Amz-Security-Token"):
		return "InvalidToken"
	case !slices.IsSorted(names) || !covers(r, names):
		return "SignatureDoesNotMatch"
	}
	text := fmt.Sprintf("AWS4-HMAC-SHA256\n%s\n%s/%s/s3/aws4_request\n%s", at, day, region, digest(s.canonical(r, names)))
	key := []byte("AWS4" + secret)
	for _, part := range []string{day, region, "s3", "aws4_request", text} {
		h := hmac.New(sha256.New, key)
		io.WriteString(h, part)
		key = h.Sum(nil)
	}
	if hex.EncodeToString(key) != signature {
		return "SignatureDoesNotMatch"
	}
	return ""
}

// covers reports whether the host and all headers of Amazon's are signed.
func covers(r *http.Request, names []string) bool {
	needed := []string{"host"}
	for name := range r.Header {
		if name = strings.ToLower(name); strings.HasPrefix(name, "x-amz-") {
			needed = append(needed, name)
		}
	}
	return !slices.ContainsFunc(needed, func(n string) bool { return !slices.Contains(names, n) })
}

// canonical returns the text that stands for a request.
func (s *Server) canonical(r *http.Request, names []string) string {
	path, query, _ := strings.Cut(r.RequestURI, "?")
	fields := strings.Split(query, "&")
	slices.Sort(fields)
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n%s\n", r.Method, reescape(path), strings.Join(fields, "&"))
	for _, name := range names {
		value := strings.Join(r.Header.Values(name), ",")
		if name == "host" {
			value = r.Host
		}
		fmt.Fprintf(&b, "%s:%s\n", name, strings.Join(strings.Fields(value), " "))
	}
	payload := r.Header.Get("X-Amz-Content-Sha256")
	if payload == "" {
		payload = digest("")
	}
	fmt.Fprintf(&b, "\n%s\n%s", strings.Join(names, ";"), payload)
	return b.String()
}

// reescape returns an escaped path as it is signed: decoded and escaped again, with a slash and unreserved characters as they are.
func reescape(path string) string {
	plain, err := url.PathUnescape(path)
	if err != nil {
		return path
	}
	return strings.NewReplacer("+", "%20", "%2F", "/", "%7E", "~").Replace(url.QueryEscape(plain))
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
