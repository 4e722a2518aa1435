package remote

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// An Upload is what becomes a file.
type Upload struct {
	Content io.ReaderAt // may be read several times
	Size    int64
	SHA256  [sha256.Size]byte // of Content; the server compares it
	Type    string            // of the content, as HTTP names it
}

// TextUpload returns a text as an Upload.
func TextUpload(text, kind string) Upload {
	return Upload{strings.NewReader(text), int64(len(text)), sha256.Sum256([]byte(text)), kind}
}

// Put stores a file in a bucket, in place of an older one of that name; whoever reads it meanwhile has one or the other. It is repeated as
// reading is.
func (d *Dir) Put(ctx context.Context, name string, u Upload) error {
	s, err := d.bucketFor(name)
	if err != nil {
		return err
	}
	q := s.request(ctx, "put", name)
	return q.until(func() (time.Duration, error) { return q.put(u) }, q.again)
}

// Size returns the size in bytes of a file in a bucket. The error matches [fs.ErrNotExist] if there is none, and [fs.ErrPermission] if the
// server does not say.
func (d *Dir) Size(ctx context.Context, name string) (size int64, err error) {
	s, err := d.bucketFor(name)
	if err != nil {
		return 0, err
	}
	q := s.request(ctx, "look for", name)
	err = q.until(func() (wait time.Duration, err error) {
		size, wait, err = q.size()
		return wait, err
	}, q.again)
	return size, err
}

// bucketFor returns the server of a bucket for a request about a file.
func (d *Dir) bucketFor(name string) (*server, error) {
	if d.bucket == nil {
		return nil, fmt.Errorf("%s is only read: it is not a bucket", d)
	}
	return d.bucket, CheckName(name)
}

// asked is the size in bytes from which on a server is asked whether it takes a file before the file is sent (Expect in RFC 9110). Servers read
// what is smaller even if they refuse it, so that the answer arrives.
const asked = 128 << 10

// put sends a file once.
func (q *request) put(u Upload) (time.Duration, error) {
	stalled := func() bool { return false }
	answer, b, err := q.send(http.MethodPut, func(r *http.Request, b *body) {
		stalled = b.stalled.Load
		u.fill(r, b)
	})
	switch {
	case err != nil && stalled():
		return 0, fmt.Errorf("the server has taken nothing, and has not answered, for %v", q.server.Stall)
	case err != nil:
		return 0, err
	}
	defer b.Close()
	switch answer.StatusCode {
	case http.StatusOK, http.StatusCreated, http.StatusNoContent:
		io.CopyN(io.Discard, b, maxAnswer) // so that the connection is used again
		return 0, nil
	}
	return retryAfter(answer.Header), q.server.refusedBy(answer)
}

// fill completes a request with what it sends. The client may read that again on another connection.
func (u Upload) fill(r *http.Request, b *body) {
	r.ContentLength, r.Body = u.Size, http.NoBody
	if u.Size > 0 {
		r.GetBody = func() (io.ReadCloser, error) {
			return &sending{r: io.NewSectionReader(u.Content, 0, u.Size), timer: b.timer, stall: b.stall}, nil
		}
		r.Body, _ = r.GetBody()
	}
	r.Header.Set(payloadHeader, hex.EncodeToString(u.SHA256[:]))
	r.Header.Set("Content-Type", u.Type)
	if u.Size >= asked {
		r.Header.Set("Expect", "100-continue")
	}
}

// size asks for the size of a file once.
func (q *request) size() (int64, time.Duration, error) {
	answer, b, err := q.send(http.MethodHead, func(*http.Request, *body) {})
	if err != nil {
		return 0, 0, err
	}
	defer b.Close()
	if answer.StatusCode != http.StatusOK {
		return 0, retryAfter(answer.Header), q.server.refusedBy(answer)
	}
	return answer.ContentLength, 0, nil
}

// A sending is the body of a request. The timer of its answer starts again with what is sent.
type sending struct {
	r     io.Reader
	timer *time.Timer
	stall time.Duration
	sent  int // bytes since the timer was started
}

// Read implements io.Reader.
func (s *sending) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if s.sent += n; s.sent >= slow {
		s.sent = 0
		s.timer.Reset(s.stall)
	}
	return n, err
}

// Close implements io.Closer.
func (s *sending) Close() error { return nil }
