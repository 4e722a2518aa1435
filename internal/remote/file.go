package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// A file is a file of a server while it is read.
type file struct {
	server *server
	ctx    context.Context
	url    *url.URL
	pause  *backoff.ExponentialBackOff

	body    *body  // of the current response; nil between two
	at      int64  // bytes that were read
	version string // of the first response
	failed  int    // attempts since the last progress
	got     int64  // bytes since the last failure
	err     error  // final: every Read returns it
}

// enough is the number of bytes that counts as progress: a server that sends a byte and breaks off is not asked for ever.
const enough = 64 << 10

// Read implements io.Reader.
func (f *file) Read(p []byte) (int, error) {
	for f.err == nil {
		n, err := f.body.Read(p)
		f.at, f.got = f.at+int64(n), f.got+int64(n)
		switch {
		case n > 0:
			return n, nil // the next call has the error again
		case err == nil || err == io.EOF:
			return 0, err
		}
		if f.err = f.again(err, 0); f.err == nil {
			f.err = f.connect()
		}
	}
	return 0, f.err
}

// Close implements io.Closer.
func (f *file) Close() error {
	if f.body != nil {
		f.body.Close()
	}
	return nil
}

// again waits before another attempt. It returns an error if there are none left.
func (f *file) again(err error, wait time.Duration) error {
	if f.ctx.Err() != nil {
		return context.Cause(f.ctx)
	}
	if f.got >= enough {
		f.failed = 0
		f.pause.Reset()
	}
	if f.got, f.failed = 0, f.failed+1; f.failed >= f.server.Attempts {
		return f.errorOf(fmt.Errorf("%w (tried %d times)", err, f.failed))
	}
	select {
	case <-f.ctx.Done():
		return context.Cause(f.ctx)
	case <-time.After(max(wait, f.pause.NextBackOff())):
		return nil
	}
}

func (f *file) errorOf(err error) error { return fmt.Errorf("fetch %s: %w", f.url.Redacted(), err) }

// connect requests the rest of the file, repeatedly until there is a response.
func (f *file) connect() error {
	if f.body != nil {
		f.body.Close()
		f.body = nil
	}
	for {
		wait, err := f.ask()
		if err == nil {
			return nil
		}
		if isFinal(err) {
			return f.errorOf(err)
		}
		if err := f.again(err, wait); err != nil {
			return err
		}
	}
}

// isFinal reports whether another attempt would not avoid an error.
func isFinal(err error) bool {
	var status *StatusError
	var final *finalError
	var refused *RefusedError
	return errors.As(err, &status) && !status.passes() || errors.As(err, &final) || errors.As(err, &refused)
}

// A finalError is an error that another attempt would not avoid.
type finalError struct{ text string }

func (e *finalError) Error() string { return e.text }

// ask sends one request.
func (f *file) ask() (wait time.Duration, err error) {
	ctx, cancel := context.WithCancel(f.ctx)
	b := &body{cancel: cancel, stall: f.server.Stall}
	b.timer = time.AfterFunc(b.stall, b.stop)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url.String(), nil)
	if err != nil {
		cancel()
		return 0, &finalError{"not a URL that can be requested"}
	}
	r.Header.Set("User-Agent", "imprint")
	if f.at > 0 {
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-", f.at))
		if f.version != "" {
			r.Header.Set("If-Range", f.version)
		}
	}
	if f.server.sign != nil {
		f.server.sign(r)
	}
	answer, err := f.server.client.Do(r)
	b.timer.Stop()
	if err != nil {
		cancel()
		return 0, b.reason(reasonOf(err))
	}
	b.ReadCloser = answer.Body
	if err := f.check(answer, b); err != nil {
		b.Close()
		return retryAfter(answer.Header), err
	}
	f.body = b
	return 0, nil
}

// reasonOf returns an error of the client without the URL, which may have a password.
func reasonOf(err error) error {
	var inside *url.Error
	if errors.As(err, &inside) {
		return inside.Err
	}
	return err
}

// check checks a response, and skips the bytes read before if the server sends the whole file again.
func (f *file) check(answer *http.Response, b *body) error {
	if c := answer.Header.Get("Content-Encoding"); c != "" && c != "identity" {
		return &finalError{fmt.Sprintf("the server sends it with Content-Encoding %.40q, which was not requested", c)}
	}
	v := version(answer.Header)
	if f.at == 0 {
		f.version = v
	}
	switch {
	case answer.StatusCode == http.StatusPartialContent && f.at > 0:
		if got := answer.Header.Get("Content-Range"); !strings.HasPrefix(got, fmt.Sprintf("bytes %d-", f.at)) {
			return &finalError{fmt.Sprintf("the server sends the range %.60q, not the rest from byte %d on", got, f.at)}
		}
		return nil
	case answer.StatusCode != http.StatusOK && f.server.refused != nil:
		return f.server.refused(answer)
	case answer.StatusCode != http.StatusOK:
		return &StatusError{Code: answer.StatusCode}
	case f.at > 0 && v != f.version:
		return &finalError{"it has changed while it was read"}
	}
	_, err := io.CopyN(io.Discard, b, f.at)
	return err
}
