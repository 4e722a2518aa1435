package servecmd

import (
	"context"
	"fmt"
	"strings"
	"time"

	"imprint/internal/httpfile"
	"imprint/internal/listen"
	"imprint/internal/nbd"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
)

// serveFlags are the flags of serve.
type serveFlags struct {
	nbd, http string
	write     string
	verify    bool
}

// mostClients is the limit of concurrent connections to each address.
const mostClients = 64

func (w World) serve() *cobra.Command {
	var f serveFlags
	c := &cobra.Command{
		Use:   "serve FILE|IMAGE",
		Short: "Serve the image of a description without building it, or an image",
		Long: `serve reads the image that the description FILE describes on demand, straight from the store: nothing is built, and nothing is
written unless a host tool makes a partition. It serves the disk as a network block device, with --nbd, or as a file by
HTTP, with --http, until it is interrupted. Then it prints how much of the disk was read. An IMAGE is served too.

Clients cannot write, unless --write names a file that keeps what they write. It can be used again with the same image.

serve records the size and times of every file when it starts, and compares them at each read. After the first read of a store item, the
whole item is compared with its NAR hash. A change ends serve with exit code 5; clients get no more data.
--verify compares everything before anything is served.

There is no login and no encryption. Only you can connect to a Unix socket; a TCP port is open to everybody who can reach it.`,
		Example: `  imprint serve web.toml --nbd unix:web.sock
  qemu-img info 'nbd+unix:///?socket=web.sock'
  imprint serve web.toml --http 127.0.0.1:8080
  imprint serve web.raw --nbd tcp:127.0.0.1:10809 --write changes.cow`,
		Args: w.Exactly(1, "one description FILE or IMAGE"),
		RunE: func(c *cobra.Command, args []string) error { return w.runServe(c.Context(), args[0], f) },
	}
	c.Flags().StringVar(&f.nbd, "nbd", "", "serve a network block device at this `address`: unix:PATH or tcp:HOST:PORT")
	c.Flags().StringVar(&f.http, "http", "", "serve a file by HTTP at this `address`: HOST:PORT")
	c.Flags().BoolVar(w.JSON, "json", false, "print events as lines of JSON")
	c.Flags().StringVar(&f.write, "write", "", "let clients write, and keep what they write in this `file`")
	w.Describes(c)
	c.Flags().BoolVar(&f.verify, "verify", false, "compare everything with its hash before anything is served")
	return c
}

// sockets are the listening sockets of serve.
type sockets struct {
	nbd, http *listen.Listener
}

// open opens the addresses of the flags. The caller closes them.
func (w World) open(f serveFlags) (s sockets, err error) {
	if f.nbd == "" && f.http == "" {
		return s, w.usagef("serve needs --nbd or --http")
	}
	if f.http != "" && f.write != "" {
		return s, w.usagef("--write is for --nbd: HTTP serves a file that does not change")
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
			return s, w.usagef("%s: %w", one.flag, err)
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

// verifyExport compares everything with its hash.
func (w World) verifyExport(ctx context.Context, e *export) error {
	start := time.Now()
	if e.image != nil {
		return w.Verify(ctx, e.path, e.image)
	}
	w.Stage("verify", "comparing everything with its hash")
	err := e.disk.Verify(ctx)
	w.Clear()
	if err == nil && !*w.JSON {
		_, err = fmt.Fprintf(w.Stdout, "%s: everything matches its hash, in %.1f s\n", e.name, time.Since(start).Seconds())
	}
	return err
}

// runServe serves until ctx ends, which is not an error, or until a source has changed.
func (w World) runServe(ctx context.Context, file string, f serveFlags) error {
	defer w.Clear()
	s, err := w.open(f)
	if err != nil {
		return err
	}
	defer s.close()
	e, err := w.export(ctx, file)
	if err != nil {
		return err
	}
	defer e.close()
	if f.verify {
		if err := w.verifyExport(ctx, e); err != nil {
			return err
		}
	}
	device, err := e.device(f.write)
	if err != nil {
		return err
	}
	w.Clear()
	if err := w.serving(e, s); err != nil {
		return err
	}
	if err := e.serve(ctx, s, device); err != nil {
		return err
	}
	return w.served(e)
}

// serve runs the servers until ctx or the disk ends.
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
