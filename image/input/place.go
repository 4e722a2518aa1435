package input

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"imprint/image/description"
	"imprint/internal/annex"
	"imprint/internal/cas"
	"imprint/internal/diag"
	"imprint/internal/hosttree"
	"imprint/internal/locator"
	"imprint/internal/remote"
	"imprint/internal/tree"
)

// try looks for the input in one place. The error says why it is not there; a problem ends the search.
func (s *search) try(ctx context.Context, text description.Text, l locator.Locator) (*File, error) {
	switch l.Kind {
	case locator.File:
		return s.local(ctx, text, s.path(l.Path))
	case locator.Store:
		return s.local(ctx, text, s.inStore(l.Path))
	case locator.Annex:
		return s.annexed(ctx, text, l)
	}
	return s.fetched(ctx, text, l)
}

func (s *search) path(p string) string {
	if filepath.IsAbs(p) {
		return filepath.Clean(p)
	}
	return filepath.Join(s.Dir, p)
}

// inStore returns where a store path is: in the first source that has it, else in the first.
func (s *search) inStore(path string) string {
	for _, dir := range s.stores {
		at := s.path(dir) + path
		if _, err := os.Stat(at); err == nil {
			return at
		}
	}
	return filepath.Join(s.path(s.stores[0]), path)
}

// local takes a file of this machine. It is read each time, so that a change is noticed at once, and kept in the build store, so that the image can be
// built when the file is gone.
func (s *search) local(ctx context.Context, text description.Text, path string) (*File, error) {
	b, err := hosttree.File(path)
	if err != nil {
		return nil, err
	}
	return s.compared(ctx, text, b, true)
}

// compared pins a file, if it has the hash of the input. What has another one is a problem: somebody has changed the file and not the description.
func (s *search) compared(ctx context.Context, text description.Text, b tree.Blob, keep bool) (*File, error) {
	pinned, sum, err := hashed(ctx, b)
	switch {
	case err != nil:
		return nil, err
	case sum != s.want:
		s.other(text.Key, locator.Shown(text.V), sum)
		return nil, nil
	case s.in.Size.Written() && b.Size() != s.in.Size.V.Bytes:
		s.problems = append(s.problems, s.in.Size.Key.Problem(fmt.Sprintf("is %d, but %s has %d bytes, and the right hash", s.in.Size.V.Bytes, locator.Shown(text.V), b.Size()),
			fmt.Sprintf("write size = %d", b.Size())))
		return nil, nil
	}
	f := &File{Name: s.in.Name.V, SHA256: sum, From: locator.Shown(text.V), Blob: pinned}
	if keep && s.Keep != "" {
		if err := s.keep(ctx, b); err != nil {
			return nil, err
		}
		f.Kept = true
	}
	return f, nil
}

// hashed returns a file with its pin, and its SHA-256. They are the same for a file without holes.
func hashed(ctx context.Context, b tree.Blob) (pinned tree.Blob, sum cas.Digest, err error) {
	if pinned, err = tree.PinContent(ctx, b); err != nil {
		return nil, sum, err
	}
	if _, sparse := pinned.(tree.SparseBlob); !sparse {
		sum, _ = tree.PinOf(pinned)
		return pinned, sum, nil
	}
	h := sha256.New()
	err = tree.Copy(ctx, h, b, nil)
	return pinned, cas.Digest(h.Sum(nil)), err
}

// keep adds a file of this machine to the build store, unless it is there.
func (s *search) keep(ctx context.Context, b tree.Blob) error {
	store, err := s.store()
	if err != nil || store.Has(s.want, b.Size()) {
		return err
	}
	_, err = store.Add(ctx, s.want, b.Size(), func(w io.Writer) error { return tree.Copy(ctx, w, b, nil) })
	return err
}

// annexed takes a content of git-annex, and gets it if it is not there. It stays in the annex, which keeps it by its hash already.
func (s *search) annexed(ctx context.Context, text description.Text, l locator.Locator) (*File, error) {
	r := annex.Repository{Env: s.Env}
	found, err := r.Find(ctx, s.path(l.Path))
	if err != nil {
		return nil, err
	}
	sum, known := found.Key.SHA256()
	if known && sum != s.want {
		s.other(text.Key, locator.Shown(text.V), sum)
		return nil, nil
	}
	if found.Path == "" {
		s.report(&Fetch{Name: s.in.Name.V, From: text.V, Size: max(0, found.Key.Size)})
		if found, err = r.Get(ctx, found); err != nil {
			return nil, err
		}
	}
	b, err := hosttree.File(found.Path)
	if err != nil {
		return nil, err
	}
	return s.compared(ctx, text, b, false)
}

func (s *search) report(f *Fetch) {
	if s.Fetching != nil {
		s.Fetching(f)
	}
}

// fetched fetches the input from a server into the build store.
func (s *search) fetched(ctx context.Context, text description.Text, l locator.Locator) (*File, error) {
	if s.Keep == "" {
		return nil, errNoStore
	}
	store, err := s.store()
	if err != nil {
		return nil, err
	}
	dir, name, err := s.server(l)
	if err != nil {
		return nil, err
	}
	f := &Fetch{Name: s.in.Name.V, From: locator.Shown(text.V), Size: s.in.Size.V.Bytes}
	s.report(f)
	b, err := store.Add(ctx, s.want, s.size(), func(w io.Writer) error { return f.fetch(ctx, w, dir, name) })
	var other *cas.OtherError
	if errors.As(err, &other) { // perhaps only this server has another version
		s.Warn(text.Key, fmt.Sprintf("%s has changed: its SHA-256 is %x, the description has %x", f.From, other.Got, s.want), ifIntended(other.Got))
	}
	if err != nil {
		return nil, err
	}
	return s.pinned(ctx, b, text.V)
}

var errNoStore = errors.New("there is no build store to keep what is fetched (--build-store DIR, or XDG_CACHE_HOME or HOME)")

// server returns the URL of a directory, and the name of a file in it. At a gateway a file of IPFS is below /ipfs
// (https://specs.ipfs.tech/http-gateways/path-gateway/).
func (s *search) server(l locator.Locator) (dir, name string, err error) {
	if l.Kind != locator.IPFS {
		return remote.Split(l.URL)
	}
	if s.Gateway == "" {
		return "", "", errors.New("there is no gateway to IPFS (--ipfs-gateway URL, or IPFS_GATEWAY)")
	}
	return s.Gateway, "ipfs/" + l.Path, nil
}

// fetch copies a file of a server.
func (f *Fetch) fetch(ctx context.Context, w io.Writer, dir, name string) error {
	d, err := remote.Open(dir, remote.Options{})
	if err != nil {
		return err
	}
	defer d.Close()
	file, err := d.Open(ctx, name)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.CopyBuffer(io.MultiWriter(w, f), onlyReader{file}, make([]byte, 256<<10))
	return err
}

// An onlyReader hides further methods, by which a copy would bypass its buffer.
type onlyReader struct{ io.Reader }

// other reports a place that has another file than the description says.
func (s *search) other(key diag.Key, from string, got cas.Digest) {
	s.problems = append(s.problems, key.Problem(
		fmt.Sprintf("%s has changed: its SHA-256 is %x, the description has %x", from, got, s.want),
		ifIntended(got)))
}

func ifIntended(got cas.Digest) string {
	return fmt.Sprintf("write sha256 = \"%x\" if the change is intended", got)
}

// A NowhereError reports an input that no place has, with the reason of each. It matches [cas.ErrMismatch] and [hosttool.ErrMissing] if that is one of them.
type NowhereError struct {
	text   string
	causes []error
}

// Error implements error.
func (e *NowhereError) Error() string { return e.text }

// Unwrap returns the reasons.
func (e *NowhereError) Unwrap() []error { return e.causes }

// nowhere reports an input that no place has. If they merely lack it, that is a problem of the description.
func (s *search) nowhere() error {
	e := &NowhereError{text: fmt.Sprintf("input %q is in none of its places", s.in.Name.V)}
	mistake := true
	for _, from := range s.order {
		err := s.tried[from]
		e.text += fmt.Sprintf("; %s: %v", from, err)
		e.causes = append(e.causes, err)
		mistake = mistake && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNoStore))
	}
	if mistake {
		s.problems = append(s.problems, s.in.Locators.Key.Problem(e.text, ""))
		return nil
	}
	return e
}
