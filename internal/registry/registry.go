// Package registry fetches images of containers from registries (OCI distribution specification). Besides [remote] it is the only package that fetches
// anything. Contents are not trusted: callers compare them with digests.
package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"time"

	"imprint/internal/oci"

	"github.com/docker/cli/cli/config"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// A Repository is a repository of a registry. Registries on this machine are asked by HTTP, others by HTTPS.
type Repository struct {
	repo   name.Repository
	puller *remote.Puller
	stall  time.Duration
}

// Options are what access to a registry depends on.
type Options struct {
	Docker string        // directory with the config.json of docker login; "" for none
	Stall  time.Duration // time without a byte after which fetching fails; 0 for a minute
}

// Open returns a repository by its name, such as "debian", "example.org/web" or "localhost:5000/web". It asks nothing yet.
func Open(repository string, o Options) (*Repository, error) {
	repo, err := name.NewRepository(repository)
	if err != nil {
		return nil, fmt.Errorf("%.200q is no name of a repository: %w", repository, err)
	}
	puller, err := remote.NewPuller(remote.WithAuthFromKeychain(keychain{o.Docker}), remote.WithUserAgent("imprint"))
	if o.Stall == 0 {
		o.Stall = time.Minute
	}
	return &Repository{repo, puller, o.Stall}, err
}

// A keychain finds the passwords of docker login, also those that a helper keeps.
type keychain struct{ dir string }

// Resolve implements authn.Keychain.
func (k keychain) Resolve(r authn.Resource) (authn.Authenticator, error) {
	if k.dir == "" {
		return authn.Anonymous, nil
	}
	file, err := config.Load(k.dir)
	if err != nil {
		return nil, err
	}
	host := r.RegistryStr()
	if host == name.DefaultRegistry {
		host = authn.DefaultAuthKey
	}
	found, err := file.GetAuthConfig(host)
	if err != nil {
		return nil, fmt.Errorf("find the password for %s: %w", host, err)
	}
	a := authn.AuthConfig{
		Username: found.Username, Password: found.Password, Auth: found.Auth, IdentityToken: found.IdentityToken, RegistryToken: found.RegistryToken,
	}
	if a == (authn.AuthConfig{}) {
		return authn.Anonymous, nil
	}
	return authn.FromConfig(a), nil
}

// Tagged returns the manifest or index with a tag, "" for the tag latest, and its digest.
func (r *Repository) Tagged(ctx context.Context, tag string) ([]byte, oci.Digest, error) {
	if tag == "" {
		tag = name.DefaultTag
	}
	return r.document(ctx, r.repo.Tag(tag))
}

// Manifest returns the manifest or index with a digest.
func (r *Repository) Manifest(ctx context.Context, d oci.Digest) ([]byte, error) {
	text, _, err := r.document(ctx, r.repo.Digest(oci.Text(d)))
	return text, err
}

func (r *Repository) document(ctx context.Context, ref name.Reference) ([]byte, oci.Digest, error) {
	found, err := r.puller.Get(ctx, ref)
	if err != nil {
		return nil, oci.Digest{}, reason(ctx, ref, err)
	}
	if len(found.Manifest) > oci.MaxDocument {
		return nil, oci.Digest{}, fmt.Errorf("fetch %s: it has %d bytes, more than %d", ref, len(found.Manifest), oci.MaxDocument)
	}
	d, err := oci.ParseDigest(found.Digest.String())
	return found.Manifest, d, err
}

// Blob opens a configuration or a layer. Reading ends with an error if nothing arrives for long.
func (r *Repository) Blob(ctx context.Context, d oci.Digest) (io.ReadCloser, error) {
	ref := r.repo.Digest(oci.Text(d))
	ctx, cancel := context.WithCancelCause(ctx)
	b := &body{cancel: cancel, stall: r.stall}
	b.timer = time.AfterFunc(r.stall, func() { cancel(fmt.Errorf("nothing was received for %v", r.stall)) })
	l, err := r.puller.Layer(ctx, ref)
	if err == nil {
		b.ReadCloser, err = l.Compressed()
	}
	if err != nil {
		err = reason(ctx, ref, err)
		b.timer.Stop()
		cancel(nil)
		return nil, err
	}
	b.ctx, b.ref = ctx, ref
	return b, nil
}

// A body is a blob while it is read.
type body struct {
	io.ReadCloser
	ctx    context.Context
	ref    name.Reference
	cancel context.CancelCauseFunc
	timer  *time.Timer
	stall  time.Duration
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	b.timer.Reset(b.stall)
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = reason(b.ctx, b.ref, err)
	}
	return n, err
}

// Close implements io.Closer.
func (b *body) Close() error {
	b.timer.Stop()
	b.cancel(nil)
	return b.ReadCloser.Close()
}

// reason returns an error with the reference. It matches [fs.ErrNotExist] if the registry does not have the image, and [fs.ErrPermission] if it does not
// give it away.
func reason(ctx context.Context, ref name.Reference, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	var answer *transport.Error
	if !errors.As(err, &answer) {
		return fmt.Errorf("fetch %s: %w", ref, err)
	}
	kind := errAnswer
	switch answer.StatusCode {
	case http.StatusNotFound:
		kind = fs.ErrNotExist
	case http.StatusUnauthorized, http.StatusForbidden:
		kind = fs.ErrPermission
	}
	return fmt.Errorf("fetch %s: the registry answers %d %s: %w", ref, answer.StatusCode, http.StatusText(answer.StatusCode), kind)
}

var errAnswer = errors.New("it failed")
