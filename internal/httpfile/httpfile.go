// Package httpfile serves one file by HTTP: whole or in ranges, with a length and an ETag, so that downloads can be resumed and cached copies
// validated.
package httpfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"mime"
	"net"
	"net/http"
	"net/url"
	"path"
	"sync"
	"time"
)

// A File is served at /NAME.
type File struct {
	Name    string
	Size    int64 // bytes
	Content io.ReaderAt
	Tag     func() (string, error) // returns the ETag, hexadecimal digits that differ for different contents
	Failed  func() error           // returns why the content can no longer be read; nil while it can

	// Patience limits the time in which a client receives the next part of the file; 0 means 30 s.
	Patience time.Duration

	once sync.Once
	tag  string
	err  error // of Tag
}

// Path returns the path of the file in a URL, escaped.
func (f *File) Path() string { return (&url.URL{Path: "/" + f.Name}).EscapedPath() }

const (
	headerTime = 10 * time.Second // for the header of a request
	idleTime   = 2 * time.Minute  // between two requests of a connection
	maxHeader  = 16 << 10         // bytes
	maxRanges  = 256              // bytes of a Range header, so that a request cannot ask for thousands of ranges
	graceTime  = 2 * time.Second  // for replies that are being sent when the server ends
)

// Serve serves the file until ctx ends, and then closes the listener.
func (f *File) Serve(ctx context.Context, l net.Listener) error {
	if f.Patience == 0 {
		f.Patience = 30 * time.Second
	}
	s := &http.Server{Handler: f, ReadHeaderTimeout: headerTime, ReadTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
		ErrorLog: log.New(io.Discard, "", 0)} // by default it writes to standard error
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), graceTime)
		defer cancel()
		if s.Shutdown(end) != nil {
			s.Close()
		}
	})
	err := s.Serve(l)
	if !stop() {
		<-stopped
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// ServeHTTP implements http.Handler.
func (f *File) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	w = &patient{w, http.NewResponseController(w), f.Patience}
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
	case r.URL.Path == "/":
		h.Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintln(w, f.Path())
	case r.URL.Path != "/"+f.Name:
		http.NotFound(w, r)
	case f.Failed() != nil || f.etag() != nil:
		http.Error(w, "the file cannot be read", http.StatusInternalServerError)
	default:
		f.send(w, r)
	}
}

// etag calls Tag once.
func (f *File) etag() error {
	f.once.Do(func() { f.tag, f.err = f.Tag() })
	return f.err
}

func (f *File) send(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": path.Base(f.Name)}))
	h.Set("ETag", `"`+f.tag+`"`)
	if len(r.Header.Get("Range")) > maxRanges {
		r.Header.Del("Range") // a server may ignore it
	}
	content := &section{ReadSeeker: io.NewSectionReader(f.Content, 0, f.Size)}
	http.ServeContent(w, r, "", time.Time{}, content)
	if content.err != nil {
		panic(http.ErrAbortHandler) // break the connection, so that no client takes this for the end of the file
	}
}

// A section keeps the error of a read, which http.ServeContent drops.
type section struct {
	io.ReadSeeker
	err error
}

// Read implements io.Reader.
func (s *section) Read(p []byte) (int, error) {
	n, err := s.ReadSeeker.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// patient is a response with a new deadline for each part: a download may take any time as long as it makes progress.
type patient struct {
	http.ResponseWriter
	control *http.ResponseController
	time    time.Duration
}

// Write implements io.Writer.
func (p *patient) Write(b []byte) (int, error) {
	if err := p.control.SetWriteDeadline(time.Now().Add(p.time)); err != nil {
		return 0, err
	}
	return p.ResponseWriter.Write(b)
}
