package host

import (
	"path/filepath"
	"strings"

	"imprint/closure"
	"imprint/image/description"
	"imprint/internal/diag"
	"imprint/internal/locator"
	"imprint/internal/oci"
	"imprint/internal/remote"
)

// A Path is a file or directory on the host that a key of the description names.
type Path struct {
	Key  diag.Key
	Path string // absolute, or relative to the working directory
}

// Paths returns all files and directories on the host that a description names, whether they exist or not: no output may
// replace one or be inside one. Relative paths are relative to dir.
func Paths(d *description.Image, dir string) []Path {
	flavor, err := closure.FlavorNamed(d.WithDefaults().Store.Flavor.V)
	if err != nil {
		return nil
	}
	n := &collector{dir: dir, flavor: flavor}
	if len(d.Closure.Items) > 0 { // otherwise no source is read
		n.sources(d)
	}
	for _, in := range d.Input.Items {
		n.input(in)
	}
	for _, c := range d.Closure.Items {
		for _, root := range c.Roots.Items {
			n.text(root)
		}
	}
	n.boot(d.Boot)
	for _, p := range d.Partition.Items {
		n.text(p.Content)
		for _, f := range p.File.Items {
			n.text(f.Source)
		}
		for _, l := range p.Layer.Items {
			n.text(l.Source)
			n.base(l.From)
		}
		for _, t := range p.Tree.Items {
			n.text(t.Source)
		}
	}
	for _, s := range d.Step.Items {
		for _, in := range s.Inputs.Items {
			n.text(in.Source)
		}
	}
	for _, r := range d.Raw.Items {
		n.text(r.Source)
	}
	return n.paths
}

// Join returns a path of the description as a path on the host. Relative ones are relative to dir.
func Join(dir, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}

// A collector collects host paths.
type collector struct {
	dir    string
	flavor closure.Flavor
	paths  []Path
}

// sources adds the stores of a description.
func (n *collector) sources(d *description.Image) {
	for _, s := range d.WithDefaults().Source.Items {
		n.text(s.Registration)
		if own := s.Own(); own.Written() {
			n.source(s, own)
			continue
		}
		if !s.Registration.Written() { // else the image may be an item itself, as in a Nix build, whose store holds its output too
			n.add(s.Path.Key, s.Path.V+n.flavor.StoreDir)
		}
		n.add(s.Path.Key, s.Path.V+n.flavor.StateDir)
	}
}

// source adds the path of a source that is not a directory, if it is on this machine.
func (n *collector) source(s description.Source, own description.Text) {
	if own.Key != s.URL.Key {
		n.text(own)
		return
	}
	if u, err := remote.Parse(own.V); err == nil && u.Scheme == "file" {
		n.add(own.Key, u.Path)
	}
}

// input adds the places of an input on this machine.
func (n *collector) input(in description.Input) {
	for _, text := range in.Locators.Items {
		if l, err := locator.Parse(text.V); err == nil && (l.Kind == locator.File || l.Kind == locator.Annex) {
			n.add(text.Key, l.Path)
		}
	}
}

// base adds the path of a base.
func (n *collector) base(from description.Text) {
	if ref, err := oci.ParseReference(from.V); err == nil && ref.OnDisk() {
		n.add(from.Key, ref.Name)
	}
}

// boot adds the files in [boot]. A kernel whose path has substitutions is in the store, or is an error.
func (n *collector) boot(b description.Boot) {
	for _, t := range []description.Text{b.EFIBinary, b.SignKey, b.SignCert} {
		n.text(t)
	}
	for _, e := range b.Entry.Items {
		for _, t := range append([]description.Value[description.Template]{e.Kernel, e.DeviceTree}, e.Initrd.Items...) {
			_, _, inTree := t.V.InTree()
			if refs, _ := t.V.References(); len(refs) == 0 && !inTree { // others are in a store item
				n.add(t.Key, t.V.Expand(nil))
			}
		}
	}
}

func (n *collector) text(t description.Text) { n.add(t.Key, t.V) }

// add adds a path, unless it is empty, an input or in the image's store.
func (n *collector) add(key diag.Key, path string) {
	if _, isInput := description.InputOf(path); isInput {
		return
	}
	if path != "" && !strings.HasPrefix(filepath.Clean(path), n.flavor.StoreDir+"/") {
		n.paths = append(n.paths, Path{key, Join(n.dir, path)})
	}
}
