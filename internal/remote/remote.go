// Package remote reads the files of a directory on an HTTP server, in a bucket of S3 or on this machine, and puts files into a bucket. It is the
// only package that fetches anything. Contents are not trusted: callers compare them with hashes.
//
// Requests that fail for a reason that may pass are repeated, with growing pauses, and a file that was cut off is continued where it ended.
package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"imprint/internal/awskeys"
)

// Options set the retries and timeouts of a Dir. Zero values mean the defaults.
type Options struct {
	Attempts int           // number of attempts without progress
	Pause    time.Duration // before the second attempt; later ones are longer
	Stall    time.Duration // time without progress after which an attempt fails

	// Account finds the keys for buckets, by the profile of the URL or "". Without it, or without Now, the clock, requests are not signed.
	Account func(profile string) (awskeys.Account, error)
	Now     func() time.Time
}

// A Dir is a directory of files. Its methods are safe for concurrent use.
type Dir struct {
	shown  string
	open   func(ctx context.Context, name string) (io.ReadCloser, error)
	text   func(ctx context.Context, name string) (io.ReadCloser, error) // likewise, without an encoding
	close  func()
	local  bool
	bucket *server // nil for others
}

// Open returns the directory at a URL with the scheme file, http, https or s3. It reads nothing yet but the keys of an account.
func Open(address string, o Options) (*Dir, error) {
	u, err := Parse(address)
	if err != nil {
		return nil, err
	}
	if u.Scheme == "file" {
		open := local(u.Path).open
		return &Dir{u.String(), open, open, func() {}, true, nil}, nil
	}
	if u.Scheme == "s3" {
		s, err := newBucket(u, o)
		if err != nil {
			return nil, err
		}
		return &Dir{u.String(), s.open, s.openText, s.client.CloseIdleConnections, false, s}, nil
	}
	s := newServer(u, o)
	return &Dir{u.Redacted(), s.open, s.openText, s.client.CloseIdleConnections, false, nil}, nil
}

// Parse parses and checks the URL of a directory.
func Parse(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil {
		var inside *url.Error
		if errors.As(err, &inside) { // its text has the URL, perhaps with a password
			err = inside.Err
		}
		return nil, fmt.Errorf("not a URL: %v", err)
	}
	switch {
	case u.Scheme == "s3":
		_, err := parseBucket(u)
		return u, err
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("what follows the path, from %q on, is not supported", firstOf(u))
	case u.Scheme == "file" && (u.Host != "" || u.Opaque != "" || !path.IsAbs(u.Path)):
		return nil, errors.New("a file URL has an absolute path, as in file:///srv/cache")
	case u.Scheme == "file":
		return u, nil
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("scheme %q is not supported, only file, http, https and s3 are", u.Scheme)
	case u.Hostname() == "":
		return nil, errors.New("the host is missing")
	}
	return u, nil
}

// firstOf returns the character at which a query or fragment begins.
func firstOf(u *url.URL) string {
	if u.RawQuery != "" {
		return "?"
	}
	return "#"
}

// String returns the URL without a password.
func (d *Dir) String() string { return d.shown }

// Local reports whether the directory is on this machine.
func (d *Dir) Local() bool { return d.local }

// Close closes idle connections.
func (d *Dir) Close() { d.close() }

// Open opens a file for reading. name is a path in the directory, without "..", perhaps followed by a query. The error matches
// [fs.ErrNotExist] if there is no such file, and [fs.ErrPermission] if it may not be read.
func (d *Dir) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	return d.open(ctx, name)
}

// CheckName returns an error for a name that may lead out of the directory.
func CheckName(name string) error {
	u, err := url.Parse(name)
	if err != nil || u.Scheme != "" || u.Host != "" || u.Opaque != "" || u.User != nil || u.Fragment != "" ||
		!filepath.IsLocal(u.Path) || path.Clean(u.Path) != u.Path || u.Path == "." || strings.ContainsAny(u.Path, "\x00\\") {
		return fmt.Errorf("%.100q is not the name of a file in the directory", name)
	}
	return nil
}

// ReadFile reads a file of at most limit bytes. A server may send it encoded (Content-Encoding). Errors are those of Open.
func (d *Dir) ReadFile(ctx context.Context, name string, limit int64) ([]byte, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	f, err := d.text(ctx, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("fetch %s/%s: it has more than %d bytes", d, name, limit)
	}
	return b, err
}

// local is a directory of this machine.
type local string

func (dir local) open(_ context.Context, name string) (io.ReadCloser, error) {
	name, _, _ = strings.Cut(name, "?")
	file, err := url.PathUnescape(name)
	if err != nil || !filepath.IsLocal(file) {
		return nil, fmt.Errorf("%.100q is not the name of a file in the directory", name)
	}
	file = filepath.Join(string(dir), file)
	info, err := os.Stat(file)
	if err == nil && !info.Mode().IsRegular() { // opening a pipe may block
		err = &fs.PathError{Op: "read", Path: file, Err: errors.New("is not a regular file")}
	}
	if err != nil {
		return nil, err
	}
	return os.Open(file)
}
