package remote

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"imprint/internal/unpack"
)

// A file is a file of a server while it is read.
type file struct {
	request
	body    *body  // of the current response; nil between two
	texts   bool   // the content may be encoded
	coding  string // how it is, in the words of package unpack; "" if it is not
	at      int64  // bytes that were read
	version string // of the first response
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
	if f.got >= enough {
		f.progress()
	}
	f.got = 0
	return f.request.again(err, wait)
}

// connect requests the rest of the file, repeatedly until there is a response.
func (f *file) connect() error {
	if f.body != nil {
		f.body.Close()
		f.body = nil
	}
	return f.until(f.ask, f.again)
}

// ask sends one request.
func (f *file) ask() (wait time.Duration, err error) {
	answer, b, err := f.send(http.MethodGet, func(r *http.Request, _ *body) {
		if f.at > 0 {
			r.Header.Set("Range", fmt.Sprintf("bytes=%d-", f.at))
			if f.version != "" {
				r.Header.Set("If-Range", f.version)
			}
		}
	})
	if err != nil {
		return 0, err
	}
	if err := f.check(answer, b); err != nil {
		b.Close()
		return retryAfter(answer.Header), err
	}
	f.body = b
	return 0, nil
}

// check checks a response, and skips the bytes read before if the server sends the whole file again.
func (f *file) check(answer *http.Response, b *body) error {
	v := version(answer.Header)
	if f.at == 0 {
		f.version = v
	}
	if err := f.encoded(answer.Header.Get("Content-Encoding")); err != nil {
		return err
	}
	switch {
	case answer.StatusCode == http.StatusPartialContent && f.at > 0:
		if got := answer.Header.Get("Content-Range"); !strings.HasPrefix(got, fmt.Sprintf("bytes %d-", f.at)) {
			return &finalError{fmt.Sprintf("the server sends the range %.60q, not the rest from byte %d on", got, f.at)}
		}
		return nil
	case answer.StatusCode != http.StatusOK:
		return f.server.refusedBy(answer)
	case f.at > 0 && v != f.version:
		return &finalError{"it has changed while it was read"}
	}
	_, err := io.CopyN(io.Discard, b, f.at)
	return err
}

// codings maps the content codings that are understood to the names of package unpack.
var codings = map[string]string{"br": "brotli", "gzip": "gzip", "x-gzip": "gzip", "zstd": "zstd", "xz": "xz", "bzip2": "bzip2"}

// encoded notes how a content is encoded. It is an error where that is not expected: archives have hashes of what is sent.
func (f *file) encoded(coding string) error {
	by := codings[coding]
	switch {
	case coding == "" || coding == "identity":
	case !f.texts || by == "":
		return &finalError{fmt.Sprintf("the server sends it with Content-Encoding %.40q, which was not requested", coding)}
	}
	if f.at > 0 && by != f.coding {
		return &finalError{"it has changed while it was read"}
	}
	f.coding = by
	return nil
}

// openText requests a file that the server may have encoded, as Nix does with listings (ls-compression) and texts about items, and returns its content.
func (s *server) openText(ctx context.Context, name string) (io.ReadCloser, error) {
	f := &file{request: s.request(ctx, "fetch", name), texts: true}
	if err := f.connect(); err != nil {
		return nil, err
	}
	if f.coding == "" {
		return f, nil
	}
	r, err := unpack.Reader(f, f.coding)
	if err != nil {
		f.Close()
		return nil, f.errorOf(fmt.Errorf("damaged: %s: %w", f.coding, err))
	}
	return &decoded{r, f}, nil
}

// A decoded file is read without its encoding.
type decoded struct {
	io.ReadCloser
	file *file
}

// Read implements io.Reader.
func (d *decoded) Read(p []byte) (int, error) {
	n, err := d.ReadCloser.Read(p)
	if err != nil && err != io.EOF && d.file.err == nil {
		err = d.file.errorOf(fmt.Errorf("damaged: %s: %w", d.file.coding, err))
	}
	return n, err
}

// Close implements io.Closer.
func (d *decoded) Close() error {
	d.ReadCloser.Close()
	return d.file.Close()
}
