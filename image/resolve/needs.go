package resolve

import (
	"context"

	"imprint/bootloader"
	"imprint/bootloader/grubmkimage"
	"imprint/closure"
	"imprint/image/closures"
	"imprint/image/description"
	"imprint/image/realise"
	"imprint/image/trees"
	"imprint/internal/hosttool"
	"imprint/internal/locator"
	"imprint/internal/tree"
)

// A Need is a host program, or a file of the boot loader, that building an image takes besides its contents.
type Need struct {
	Tool    string // name of the program; "" for a file
	Path    string // of the file, relative to a store item or the host's /usr
	Package string // the Debian package that has it
	Purpose string
	Found   string // path of the program or file; "" if it is missing
}

// Needs returns what building an image takes, present or not. If the closures cannot be read, it returns the error along with
// the needs, and looks for files on the host only.
func Needs(ctx context.Context, d *description.Image, in Inputs) ([]Need, error) {
	d = d.WithDefaults()
	loader, err := bootloader.Named(d.Boot.Loader.V)
	if err != nil {
		return nil, err
	}
	flavor, err := closure.FlavorNamed(d.Store.Flavor.V)
	if err != nil {
		return nil, err
	}
	w := world{whole: ctx, d: d, in: in, flavor: flavor, epoch: epoch(d, in), warnings: &warnings{}}
	if err := w.find(ctx); err != nil {
		return nil, err
	}
	s, problems, err := w.closures(ctx)
	if err == nil {
		err = problems.Err()
	}
	if s == nil {
		s = &closures.Union{}
	}
	f := &bootFinder{world: w, store: s, stated: w.statedTrees(ctx, s), boot: &boot{loader: loader, machine: d.Machine()}}
	var needs []Need
	words := toolWords(d)
	for _, input := range loader.Requires(d.Machine()).Inputs {
		if input.EFI && d.Boot.EFIBinary.Written() {
			continue // the description names the finished program
		}
		needs = append(needs, f.need(input))
		words[loader.Name] = true
	}
	return append(needs, toolsFor(words)...), err
}

// toolWords returns the words of the description that may need a host tool.
func toolWords(d *description.Image) map[string]bool {
	words := map[string]bool{}
	for _, in := range d.Input.Items {
		for _, text := range in.Locators.Items {
			l, _ := locator.Parse(text.V)
			words[string(l.Kind)] = true
		}
	}
	for _, p := range d.Partition.Items {
		words[p.Filesystem.V], words[p.Engine.V] = true, true
		words["compression-level"] = words["compression-level"] || p.Level.Written()
	}
	return words
}

// statedTrees returns the trees of the description, where a loader may have its files; none if they cannot be read.
func (w world) statedTrees(ctx context.Context, s *closures.Union) []*trees.Tree {
	hosts, problems, err := w.host().All(ctx, w.d)
	if err != nil || len(problems) > 0 {
		return nil
	}
	w.steps(ctx, hosts, realise.Options{DryRun: true}) // what has run before
	stated, _ := w.described(hosts, s)
	return stated
}

// toolsFor returns the host tools that some words of the description need.
func toolsFor(words map[string]bool) (needs []Need) {
	for _, t := range hosttool.Tools() {
		if words[t.For] {
			path, _ := hosttool.Find(t.Name)
			needs = append(needs, Need{Tool: t.Name, Package: t.Package, Purpose: t.Purpose, Found: path})
		}
	}
	return needs
}

// need looks for a file of the loader.
func (f *bootFinder) need(in bootloader.Input) Need {
	n := Need{Path: in.Path, Package: in.Package, Purpose: "loader " + f.d.Boot.Loader.V}
	name := in.Path
	if in.Core != nil {
		name += "/" + grubmkimage.Index
	}
	if at, found := f.inClosures(name); at != nil {
		n.Found = tree.HostPath(at.Node.Inode().Blob())
	} else if node := f.inTrees(in.Path); node != nil {
		n.Found = tree.HostPath(node.Blob())
	} else if !found {
		n.Found = f.below(name)
	}
	return n
}
