package storecmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"imprint/closure"
	"imprint/internal/cas"
	"imprint/internal/fault"
	"imprint/internal/hosttree"
	"imprint/internal/tree"
	"imprint/internal/units"
	"imprint/internal/visible"

	"github.com/spf13/cobra"
)

func (m *commands) verify() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "verify STORE [ROOT…]",
		Short: "Compare the items of a store with what is registered about them",
		Long: `verify reads all items of a store, or the ROOTs and all that they refer to, and compares them with their registered hashes and sizes. In a
store directory and an image it also compares modes, owners and times with those of a store, and the files in .links with their names, and looks for
references that are not valid. It prints a line for each fault, and exits with 5 if there is one. It changes nothing.`,
		Example: "  imprint store verify /mnt\n  imprint store verify file:///srv/cache ./result",
		Args:    m.Arguments(1, -1, "a STORE and perhaps ROOTs"),
		RunE: func(c *cobra.Command, args []string) error {
			p, err := m.open(c.Context(), args[0])
			if err != nil {
				return err
			}
			defer p.close()
			return m.runVerify(c.Context(), p, args[1:], asJSON)
		},
	}
	jsonFlag(c, &asJSON)
	return c
}

// A verdict is what verify says about a store.
type verdict struct {
	Store  string       `json:"store"`
	Items  int          `json:"items"`
	Faults []faultEntry `json:"faults"`
}

// A faultEntry is a fault of an item, or of a file in it.
type faultEntry struct {
	Path   string `json:"path,omitempty"`
	Object string `json:"object"`
	Text   string `json:"text"`
}

func (m *commands) runVerify(ctx context.Context, p *place, roots []string, asJSON bool) error {
	infos, err := m.verified(ctx, p, roots)
	if err != nil {
		return err
	}
	var faults []fault.Fault
	report := func(f fault.Fault) { faults = append(faults, f) }
	if err := closure.VerifyItems(ctx, infos, p.reader(ctx), report); err != nil {
		return err
	}
	if len(roots) == 0 {
		if err := p.verifyLinks(ctx, report); err != nil {
			return err
		}
	}
	closure.SortFaults(faults)
	if err := m.verdict(p, len(infos), faults, asJSON); err != nil {
		return err
	}
	if n := len(faults); n > 0 {
		return fmt.Errorf("%s in %s: %w", units.Count(n, "fault"), p.text, cas.ErrMismatch)
	}
	return nil
}

// verifyLinks compares the files that equal ones are linked to, in a store directory or an image, with their names.
func (p *place) verifyLinks(ctx context.Context, report fault.Report) error {
	switch p.kind {
	case directoryKind:
		s := &hosttree.Scanner{Attr: func(h hosttree.Host) *tree.Attr { return closure.CanonicalAttr(h.Kind, h.Mode) }, Special: true}
		links, err := s.Read(p.prefix + p.flavor.StoreDir + "/" + closure.LinksDir)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return p.flavor.VerifyLinks(ctx, links, report)
	case imageKind:
		return p.image.VerifyLinks(ctx, report)
	}
	return nil
}

// verdict prints what was found.
func (m *commands) verdict(p *place, items int, faults []fault.Fault, asJSON bool) error {
	if asJSON {
		v := verdict{Store: p.text, Items: items, Faults: []faultEntry{}}
		for _, f := range faults {
			v.Faults = append(v.Faults, faultEntry{f.Path, f.Object, f.Text})
		}
		return m.Document(v)
	}
	for _, f := range faults {
		if err := m.Print("%s\n", visible.Line(f.String())); err != nil {
			return err
		}
	}
	if len(faults) > 0 {
		return nil
	}
	return m.Print("%s: verified %s\n", p.text, units.Count(items, "item"))
}

// verified returns what is registered about the items to read: a closure, or all. References that are not valid are errors of both.
func (m *commands) verified(ctx context.Context, p *place, texts []string) ([]*closure.Info, error) {
	var paths []closure.Path
	infos := []*closure.Info{}
	var err error
	if len(texts) == 0 {
		if infos, err = p.infos(ctx); err != nil {
			return nil, err
		}
		for _, info := range infos {
			paths = append(paths, info.Path)
		}
	} else if paths, err = p.roots(texts); err != nil {
		return nil, err
	}
	items, err := compute(ctx, []*place{p}, paths)
	if err != nil {
		return nil, err
	}
	infos = infos[:0]
	for _, item := range items {
		infos = append(infos, item.Info)
	}
	return infos, m.realiser(ctx)(items)
}

// reader returns what reads items with the attributes that they have; those of other stores than directories and images have none.
func (p *place) reader(ctx context.Context) func(closure.Path) (*tree.Node, error) {
	switch p.kind {
	case directoryKind:
		s := &hosttree.Scanner{Attr: ownAs(p.prefix + p.flavor.Database()), Special: true}
		return func(at closure.Path) (*tree.Node, error) { return s.Read(p.prefix + at.String()) }
	case imageKind:
		return p.image.Raw
	}
	return func(at closure.Path) (*tree.Node, error) { return p.Item(ctx, at) }
}

// ownAs returns what maps attributes: the owner of the database is the one of the store, and so taken for root.
func ownAs(database string) func(hosttree.Host) *tree.Attr {
	var owner *syscall.Stat_t
	if info, err := os.Stat(database); err == nil {
		owner, _ = info.Sys().(*syscall.Stat_t)
	}
	return func(h hosttree.Host) *tree.Attr {
		if owner != nil && h.UID == owner.Uid && h.GID == owner.Gid {
			h.UID, h.GID = 0, 0
		}
		a := &tree.Attr{Mode: h.Mode, UID: h.UID, GID: h.GID, Mtime: h.Mtime, Xattrs: h.Xattrs}
		if own := closure.CanonicalAttr(h.Kind, h.Mode); own.Mode == a.Mode && own.Mtime == a.Mtime && a.UID == 0 && a.GID == 0 && a.Xattrs == nil {
			return own
		}
		return a
	}
}
