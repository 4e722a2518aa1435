package remote

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// connections is the number of concurrent connections to a server.
const connections = 32

// A server is a directory of an HTTP server.
type server struct {
	base   *url.URL
	client *http.Client
	Options
	sign    func(*http.Request)               // changes a request before it is sent; may be nil
	refused func(answer *http.Response) error // returns the error for an answer without the file; may be nil
}

// newServer returns a server. It uses the proxy of the environment, as other programs do, which cannot change contents: they have hashes.
func newServer(u *url.URL, o Options) *server {
	if o.Attempts == 0 {
		o.Attempts = 6
	}
	if o.Pause == 0 {
		o.Pause = 250 * time.Millisecond
	}
	if o.Stall == 0 {
		o.Stall = time.Minute
	}
	return &server{base: u, client: &http.Client{CheckRedirect: redirect, Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, DisableCompression: true,
		MaxConnsPerHost: connections, MaxIdleConnsPerHost: connections, MaxResponseHeaderBytes: 64 << 10,
		ExpectContinueTimeout: time.Second,
	}}, Options: o}
}

// mostRedirects is the number of redirects that are followed.
const mostRedirects = 10

// redirect refuses what a server may not redirect to.
func redirect(r *http.Request, before []*http.Request) error {
	switch {
	case r.URL.Scheme != "http" && r.URL.Scheme != "https":
		return &finalError{fmt.Sprintf("the server redirects to a URL with %.40q, not http or https", r.URL.Scheme)}
	case len(before) > mostRedirects:
		return &finalError{fmt.Sprintf("the server redirects more than %d times", mostRedirects)}
	}
	return nil
}

// at returns the URL of a file, whose name may be followed by a query.
func (s *server) at(name string) *url.URL {
	path, query, _ := strings.Cut(name, "?")
	u := s.base.JoinPath(path)
	u.RawQuery = query
	return u
}

func (s *server) open(ctx context.Context, name string) (io.ReadCloser, error) {
	f := &file{request: s.request(ctx, "fetch", name)}
	if err := f.connect(); err != nil {
		return nil, err
	}
	return f, nil
}

// A StatusError reports a response without the file, or without taking it, by its HTTP status code.
type StatusError struct {
	Code   int
	Reason string // one word of a bucket's answer, such as AccessDenied; may be empty
	Hint   string // may be empty
}

// Error implements error. It does not use the server's text, which may be anything.
func (e *StatusError) Error() string {
	text := strings.TrimSpace(fmt.Sprintf("the server answers %d %s", e.Code, http.StatusText(e.Code)))
	if e.Reason != "" {
		text += " (" + e.Reason + ")"
	}
	return text
}

// Is makes 404 and 410 match [fs.ErrNotExist], and 401, 403 and 407 [fs.ErrPermission].
func (e *StatusError) Is(target error) bool {
	switch e.Code {
	case http.StatusNotFound, http.StatusGone:
		return target == fs.ErrNotExist
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired:
		return target == fs.ErrPermission
	}
	return false
}

// passes reports whether another attempt may succeed.
func (e *StatusError) passes() bool {
	return e.Reason == "RequestTimeout" || e.Code >= 500 && e.Code != http.StatusNotImplemented || e.Code == http.StatusTooManyRequests || e.Code == http.StatusRequestTimeout
}

// longestWait bounds the pause that a server may ask for.
const longestWait = time.Minute

// retryAfter returns the pause that a response asks for (Retry-After), 0 for none.
func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || seconds <= 0 {
		return 0
	}
	return min(longestWait, time.Duration(min(seconds, 3600))*time.Second)
}

// version returns a text that identifies the version of a file, "" if there is none.
func version(h http.Header) string {
	if tag := h.Get("ETag"); tag != "" && !strings.HasPrefix(tag, "W/") {
		return tag
	}
	return h.Get("Last-Modified")
}
