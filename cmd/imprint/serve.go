package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"imprint/image/disk"
	"imprint/image/plan"
	"imprint/image/serve"
	"imprint/image/write"
	"imprint/internal/httpfile"
	"imprint/internal/listen"
	"imprint/internal/nbd"
	"imprint/internal/overlay"
	"imprint/internal/scratch"
	"imprint/internal/units"
	"imprint/internal/visible"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
)

// serveFlags are the flags of serve.
type serveFlags struct {
	nbd, http string
	write     string
	verify    bool
}

// mostClients is how many connections each address has at a time.
const mostClients = 64

func (r *root) serve() *cobra.Command {
	var f serveFlags
	c := &cobra.Command{
		Use:   "serve FILE|IMAGE",
		Short: "Serve the image of a description without building it, or an image",
		Long: `serve reads the image that the description FILE describes on demand, straight from the store: nothing is built, and nothing is
written unless a host tool makes a partition. It serves the disk as a network block device, with --nbd, or as a file by
HTTP, with --http, until it is interrupted. Then it prints how much of the disk was read. An IMAGE is served too.

Clients cannot write, unless --write names a file that keeps what they write. It can be used again with the same image.

Every file is looked at when serve starts, and must be the same whenever it is read. When something of a store item is read
first, the whole item is compared with its NAR hash. What has changed ends serve, with exit code 5: no client gets the rest.
--verify compares everything before anything is served.

There is no login and no encryption. Only you can connect to a Unix socket; a TCP port is open to all who reach it.`,
		Example: `  imprint serve web.toml --nbd unix:web.sock
  qemu-img info 'nbd+unix:///?socket=web.sock'
  imprint serve web.toml --http 127.0.0.1:8080
  imprint serve web.raw --nbd tcp:127.0.0.1:10809 --write changes.cow`,
		Args: exactly(1, "one description FILE or IMAGE"),
		RunE: func(c *cobra.Command, args []string) error { return r.runServe(c.Context(), args[0], f) },
	}
	c.Flags().StringVar(&f.nbd, "nbd", "", "serve a network block device at this `address`: unix:PATH or tcp:HOST:PORT")
	c.Flags().StringVar(&f.http, "http", "", "serve a file by HTTP at this `address`: HOST:PORT")
	c.Flags().StringVar(&f.write, "write", "", "let clients write, and keep what they write in this `file`")
	c.Flags().BoolVar(&f.verify, "verify", false, "compare everything with its hash before anything is served")
	return c
}

// sockets are what a server listens at.
type sockets struct {
	nbd, http *listen.Listener
}

// open opens the addresses of the flags. The caller closes them.
func (f serveFlags) open() (s sockets, err error) {
	if f.nbd == "" && f.http == "" {
		return s, usagef("serve needs --nbd or --http")
	}
	if f.http != "" && f.write != "" {
		return s, usagef("--write is for --nbd: a file that changes while it is sent is none")
	}
	for _, one := range []struct {
		flag, text string
		to         **listen.Listener
	}{{"--nbd", f.nbd, &s.nbd}, {"--http", prefixed("tcp:", f.http), &s.http}} {
		if one.text == "" {
			continue
		}
		a, err := listen.Parse(one.text)
		if err != nil {
			s.close()
			return s, usagef("%s: %w", one.flag, err)
		}
		if *one.to, err = a.Open(mostClients); err != nil {
			s.close()
			return s, err
		}
	}
	return s, nil
}

func prefixed(prefix, text string) string {
	if text == "" || strings.HasPrefix(text, prefix) {
		return text
	}
	return prefix + text
}

func (s sockets) close() {
	for _, l := range []*listen.Listener{s.nbd, s.http} {
		if l != nil {
			l.Close()
		}
	}
}

// An export is a disk that is served.
type export struct {
	disk     *serve.Disk
	name     string         // of the image
	file     string         // name of the image as a file
	manifest *plan.Manifest // nil for an image without one

	prepared *write.Prepared    // of a description
	scratch  *scratch.Directory // likewise
	image    *disk.Disk         // of an image
	path     string             // of that
	opened   []func()
}

// close releases what is open. Nobody may use the disk any more.
func (e *export) close() {
	for i := len(e.opened) - 1; i >= 0; i-- {
		e.opened[i]()
	}
}

// export opens a description or an image. The caller closes the export.
func (r *root) export(ctx context.Context, file string) (e *export, err error) {
	e = &export{}
	defer func() {
		if err != nil {
			e.close()
		}
	}()
	image, err := isImage(file)
	if err != nil {
		return e, err
	}
	if image {
		return e, e.openImage(file)
	}
	return e, r.openDescription(ctx, e, file)
}

// isImage reports whether a file is an image, not a description. Every image has a NUL where its boot code or partition table may be, and
// no description has one anywhere.
func isImage(name string) (bool, error) {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode()&fs.ModeNamedPipe != 0:
		return false, nil // which reading the description reports
	case err != nil:
		return false, err
	case info.Mode().Type() != 0:
		return true, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	head := make([]byte, 4096)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	return bytes.IndexByte(head[:n], 0) >= 0, nil
}

// openDescription resolves a description. Host tools work in a directory for temporary files.
func (r *root) openDescription(ctx context.Context, e *export, file string) error {
	d, err := parse(ctx, file)
	if err != nil {
		return err
	}
	if err := e.makeScratch(); err != nil {
		return err
	}
	p, err := r.resolve(ctx, file, d, e.scratch.Path)
	if err != nil {
		return err
	}
	r.ui.stage("prepare", "")
	if e.prepared, err = write.Prepare(ctx, p.plan, p.layout); err != nil {
		return err
	}
	e.opened = append(e.opened, e.prepared.Discard)
	e.manifest = p.plan.Manifest(e.prepared.Layout, 0)
	e.name, e.file = p.plan.Name, p.plan.Name+"."+p.plan.Format
	if e.disk, err = serve.Layout(ctx, e.prepared); err == nil {
		e.opened = append(e.opened, e.disk.Close)
	}
	return err
}

// makeScratch makes the scratch directory, unless it is there.
func (e *export) makeScratch() (err error) {
	if e.scratch != nil {
		return nil
	}
	if e.scratch, err = scratch.Dir(os.TempDir()); err == nil {
		e.opened = append(e.opened, func() { e.scratch.Remove() })
	}
	return err
}

// openImage opens an image. Its manifest counts if nobody has written to the image after it.
func (e *export) openImage(name string) error {
	image, f, err := openImage(name)
	if err != nil {
		return err
	}
	e.opened = append(e.opened, func() { f.Close() })
	if e.manifest, err = readManifest(name + ".json"); err != nil {
		return err
	}
	digest := ""
	if m := e.manifest; m != nil && m.Size == image.Size && !newer(name, name+".json") {
		digest = m.Digest
	}
	e.name, e.file, e.image, e.path = filepath.Base(name), filepath.Base(name), image, name
	if e.disk, err = serve.File(name, image, digest); err == nil {
		e.opened = append(e.opened, e.disk.Close)
	}
	return err
}

// newer reports whether the first file was written to after the second one.
func newer(a, b string) bool {
	first, err1 := os.Stat(a)
	second, err2 := os.Stat(b)
	return err1 != nil || err2 != nil || first.ModTime().After(second.ModTime())
}

// verifyExport compares everything with its hash.
func (r *root) verifyExport(ctx context.Context, e *export) error {
	start := time.Now()
	if e.image != nil {
		return r.runVerify(ctx, e.path, e.image)
	}
	r.ui.stage("verify", "comparing everything with its hash")
	err := e.disk.Verify(ctx)
	r.ui.clear()
	if err == nil {
		_, err = fmt.Fprintf(r.stdout, "%s: everything has its hash, in %.1f s\n", e.name, time.Since(start).Seconds())
	}
	return err
}

// device returns what an NBD client gets: the disk, or with a file what is written over it.
func (e *export) device(file string) (nbd.Export, error) {
	if file == "" {
		return e.disk, nil
	}
	id, err := e.disk.Identity()
	if err != nil {
		return nil, err
	}
	over, err := overlay.Open(file, e.disk, id)
	if err != nil {
		return nil, err
	}
	e.opened = append(e.opened, func() { over.Sync(); over.Close() })
	return over, nil
}

// runServe serves until ctx ends, which is no error, or until a source has changed.
func (r *root) runServe(ctx context.Context, file string, f serveFlags) error {
	defer r.ui.clear()
	s, err := f.open()
	if err != nil {
		return err
	}
	defer s.close()
	e, err := r.export(ctx, file)
	if err != nil {
		return err
	}
	defer e.close()
	if f.verify {
		if err := r.verifyExport(ctx, e); err != nil {
			return err
		}
	}
	device, err := e.device(f.write)
	if err != nil {
		return err
	}
	r.ui.clear()
	if err := r.serving(e, s); err != nil {
		return err
	}
	if err := e.serve(ctx, s, device); err != nil {
		return err
	}
	return r.served(e)
}

// serving says where the disk is.
func (r *root) serving(e *export, s sockets) error {
	text := fmt.Sprintf("%s: %s, served until interrupted\n", visible.Line(e.name), units.FormatBytes(e.disk.Size()))
	if s.nbd != nil {
		text += fmt.Sprintf("  nbd   %s\n", nbdURI(s.nbd, e.name))
	}
	if s.http != nil {
		text += fmt.Sprintf("  http  http://%s%s\n", s.http.Address(), (&httpfile.File{Name: e.file}).Path())
	}
	_, err := io.WriteString(r.stdout, text)
	return err
}

// nbdURI is the URI of an export, by the rules of https://github.com/NetworkBlockDevice/nbd/blob/master/doc/uri.md.
func nbdURI(l *listen.Listener, name string) string {
	export := (&url.URL{Path: "/" + name}).EscapedPath()
	if l.Network == "unix" {
		return "nbd+unix://" + export + "?socket=" + strings.NewReplacer("+", "%20", "%2F", "/").Replace(url.QueryEscape(l.Address()))
	}
	return "nbd://" + l.Address() + export
}

// serve runs the servers until ctx ends or the disk does.
func (e *export) serve(ctx context.Context, s sockets, device nbd.Export) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	if s.nbd != nil {
		server := &nbd.Server{Name: e.name, Description: "served by imprint", Export: device}
		group.Go(func() error { return server.Serve(ctx, s.nbd) })
	}
	if s.http != nil {
		server := &httpfile.File{Name: e.file, Size: e.disk.Size(), Content: e.disk, Tag: e.tag, Failed: e.disk.Err}
		group.Go(func() error { return server.Serve(ctx, s.http) })
	}
	group.Go(func() error {
		select {
		case <-ctx.Done():
			return nil
		case <-e.disk.Ended():
			return e.disk.Err()
		}
	})
	return group.Wait()
}

func (e *export) tag() (string, error) {
	id, err := e.disk.Identity()
	return id.String(), err
}

// served says how much of the disk was read, and what is known of it.
func (r *root) served(e *export) error {
	var text strings.Builder
	shares := e.disk.Shares()
	fmt.Fprintf(&text, "read %s of %s (%s)\n", units.FormatBytes(shares[0].Read), units.FormatBytes(shares[0].Data), percent(shares[0]))
	t := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, s := range shares[1:] {
		fmt.Fprintf(t, "  %s\t%s of %s\t%s\n", visible.Line(s.Name), units.FormatBytes(s.Read), units.FormatBytes(s.Data), percent(s))
	}
	t.Flush()
	if touched, checked := e.disk.Checked(); touched > 0 {
		fmt.Fprintf(&text, "store items and files that were read from: %d, verified: %d\n", touched, min(touched, checked))
	}
	_, err := io.WriteString(r.stdout, text.String())
	return err
}

func percent(s serve.Share) string {
	if s.Data == 0 {
		return "0 %"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(s.Read)/float64(s.Data))
}
