package storecmd

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"imprint/closure"
	"imprint/image/target"
	"imprint/internal/diag"
	"imprint/internal/hosttree"

	"github.com/spf13/cobra"
)

func (m *commands) dumpDB() *cobra.Command {
	return &cobra.Command{
		Use:   "dump-db STORE [PATH…]",
		Short: "Print what is registered, as nix-store --dump-db does",
		Long: `dump-db prints the registration of the items, or of all items by name: the same text as that of nix-store --dump-db, which load-db reads
and a [[source]] with registration.`,
		Example: "  imprint store dump-db / $(imprint store closure / ./result) > registration",
		Args:    m.Arguments(1, -1, "a STORE and perhaps PATHs"),
		RunE: func(c *cobra.Command, args []string) error {
			p, err := m.open(c.Context(), args[0])
			if err != nil {
				return err
			}
			defer p.close()
			infos, err := p.dumped(c.Context(), args[1:])
			if err != nil {
				return err
			}
			w := bufio.NewWriter(m.Stdout)
			for _, info := range infos {
				writeRegistration(w, info)
			}
			return w.Flush()
		},
	}
}

// dumped returns the registration of the items that the user names, or of all.
func (p *place) dumped(ctx context.Context, texts []string) ([]*closure.Info, error) {
	if len(texts) > 0 {
		paths, err := p.roots(texts)
		if err != nil {
			return nil, err
		}
		return p.about(ctx, paths)
	}
	infos, err := p.infos(ctx)
	slices.SortFunc(infos, func(a, b *closure.Info) int { return a.Path.Compare(b.Path) })
	return infos, err
}

// writeRegistration writes the form that closure.ParseRegistration reads (makeValidityRegistration in store-api.cc).
func writeRegistration(w io.Writer, info *closure.Info) {
	fmt.Fprintf(w, "%v\n%s\n%d\n%s\n%d\n", info.Path, hex.EncodeToString(info.NARHash[:]), info.NARSize, info.Deriver, len(info.References))
	for _, r := range info.References {
		fmt.Fprintln(w, r)
	}
}

func (m *commands) loadDB() *cobra.Command {
	return &cobra.Command{
		Use:   "load-db DIR [FILE]",
		Short: "Register items in a store directory, as nix-store --load-db does",
		Long: `load-db registers the items that dump-db, nix-store --dump-db or nixpkgs' closureInfo has listed, in FILE or on standard input, in the
database of a store directory. It does not look at the items, apart from derivations: verify does. Items that are registered already are registered again.
Either all are registered, or none.`,
		Example: "  imprint store load-db /mnt < registration",
		Args:    m.Arguments(1, 2, "a DIR and perhaps a FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := m.checkDirectory(args[0]); err != nil {
				return err
			}
			f, err := m.flavors(args[0])
			if err != nil {
				return err
			}
			if len(args) == 1 {
				return m.load(c.Context(), args[0], f[0], "standard input", m.Stdin)
			}
			file, err := os.Open(args[1])
			if err != nil {
				return err
			}
			defer file.Close()
			return m.load(c.Context(), args[0], f[0], args[1], file)
		},
	}
}

// checkDirectory returns an error for what names a store of another kind.
func (m *commands) checkDirectory(text string) error {
	switch info, err := os.Stat(text); {
	case err == nil && info.IsDir() && !isCache(text):
		return nil
	case err != nil && text != "-" && !isDaemon(text) && !strings.Contains(text, "://") && !strings.HasPrefix(text, "export:"):
		return nil // it is made
	}
	return m.Usage(fmt.Errorf("%s is no store directory", text))
}

// load registers the items that a text lists.
func (m *commands) load(ctx context.Context, dir string, f closure.Flavor, name string, text io.Reader) error {
	infos, err := closure.ParseRegistration(text, name, f)
	if err != nil {
		return err
	}
	epoch, err := m.Epoch()
	if err != nil {
		return err
	}
	for _, info := range infos {
		switch {
		case info.NARSize == 0:
			return diag.List{{Position: diag.Position{File: name}, Text: "is a graph of references, without hashes and sizes"}}
		case info.Path.IsDerivation():
			if err := outputs(dir, f, info); err != nil {
				return err
			}
		}
	}
	d, err := target.OpenDirectory(ctx, target.DirectoryOptions{Prefix: dir, Flavor: f, Epoch: epoch})
	if err != nil {
		return of(dir, err)
	}
	defer d.Close()
	if err := acyclic(ctx, dir, f, infos); err != nil {
		return err
	}
	return of(dir, f.Register(ctx, dir, infos, epoch, true))
}

// outputs fills in the outputs of a derivation, which the registration does not list.
func outputs(dir string, f closure.Flavor, info *closure.Info) error {
	n, err := new(hosttree.Scanner).Read(dir + info.Path.String())
	if errors.Is(err, fs.ErrNotExist) {
		return diag.List{{Position: diag.Position{File: dir}, Text: fmt.Sprintf("%v is registered with its outputs, which it has to be there for", info.Path)}}
	}
	if err != nil {
		return err
	}
	info.Outputs, err = f.Outputs(n)
	return of(dir, err)
}

// acyclic reports references that are valid neither in the store nor after the registration, and cycles.
func acyclic(ctx context.Context, dir string, f closure.Flavor, infos []*closure.Info) error {
	s, err := closure.OpenLocal(ctx, dir, f, new(hosttree.Scanner).Read)
	if err != nil {
		return of(dir, err)
	}
	defer s.Close()
	all := &listed{s, map[closure.Path]*closure.Info{}}
	paths := make([]closure.Path, len(infos))
	for i, info := range infos {
		all.infos[info.Path], paths[i] = info, info.Path
	}
	_, err = closure.Compute(ctx, []closure.Store{all}, paths)
	return of(dir, err)
}

// listed is a store after a registration.
type listed struct {
	*closure.LocalStore
	infos map[closure.Path]*closure.Info
}

// Info implements closure.Store.
func (l *listed) Info(ctx context.Context, p closure.Path) (*closure.Info, error) {
	if info := l.infos[p]; info != nil {
		return info, nil
	}
	return l.LocalStore.Info(ctx, p)
}
