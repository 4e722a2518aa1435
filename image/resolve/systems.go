package resolve

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"imprint/bootloader"
	"imprint/bootloader/bootspec"
	"imprint/closure"
	"imprint/image/description"
	"imprint/image/plan"
	"imprint/image/toplevel"
	"imprint/internal/diag"
	"imprint/internal/tree"
)

// menu finds the entries: the generations of boot.system, the newest first, and every [[boot.entry]]. efi says that firmware
// starts the kernels.
func (f *bootFinder) menu(ctx context.Context, efi bool) error {
	d := f.d.Boot
	if c := f.generations(); c != nil {
		for i, item := range slices.Backward(c.Roots) {
			e := description.Entry{Key: d.System.Key, System: d.System}
			if i+1 < len(c.Roots) && f.boot.loader.Submenus {
				e.Submenu.V = f.distribution().older
			}
			if err := f.system(ctx, e, system{item, c, i}, efi); err != nil {
				return err
			}
		}
	}
	for _, e := range d.Entry.Items {
		if !e.System.Written() {
			f.boot.entries = append(f.boot.entries, f.entry(ctx, e, efi))
		} else if item, ok := f.systemOf(e.System); ok {
			if err := f.system(ctx, e, f.placed(item), efi); err != nil {
				return err
			}
		}
	}
	f.checkDefault()
	return nil
}

// generations returns the closure that boot.system names; nil for none.
func (f *bootFinder) generations() *plan.Closure {
	ref, _ := f.d.Boot.System.V.Whole()
	i := slices.IndexFunc(f.store.Closures, func(c *plan.Closure) bool { return c.Name == ref.Name })
	if i < 0 || ref.Kind != "closure" {
		return nil
	}
	return f.store.Closures[i]
}

// systemOf returns the item that an entry's system leads to.
func (f *bootFinder) systemOf(name description.Value[description.Template]) (closure.Path, bool) {
	path, inStore := f.path(name)
	if !inStore {
		if path != "" {
			f.problem(name.Key, fmt.Sprintf("%q is not in the store", path), `as in "${closure.system}"`)
		}
		return closure.Path{}, false
	}
	at, err := f.store.Walker.Find(path)
	if err != nil {
		f.problems = append(f.problems, name.Key.ProblemOf(err))
		return closure.Path{}, false
	}
	if at.Path != at.Item.String() {
		f.problem(name.Key, fmt.Sprintf("%s is inside the store item %s, not an item itself", at.Path, at.Item), "")
		return closure.Path{}, false
	}
	return at.Item, true
}

// A system is one of NixOS or Guix, and where in the image it is: a generation of a profile, or no more than an item.
type system struct {
	item    closure.Path
	profile *plan.Closure // nil for none
	index   int           // of the profile's generations
}

// placed returns the latest generation of a profile that a system is.
func (f *bootFinder) placed(item closure.Path) system {
	for _, c := range f.store.Closures {
		for i, root := range slices.Backward(c.Roots) {
			if root == item && c.Profile != "" {
				return system{item, c, i}
			}
		}
	}
	return system{item: item}
}

// system adds the entries of a system: its own, and one for each specialisation.
func (f *bootFinder) system(ctx context.Context, d description.Entry, at system, efi bool) error {
	s, err := toplevel.Read(f.store.Walker, at.item)
	if err != nil {
		f.problems = append(f.problems, d.System.Key.ProblemOf(err))
		return nil
	}
	for _, b := range s.Read {
		pinned, err := tree.PinContent(ctx, b)
		if err != nil {
			return err
		}
		f.boot.read = append(f.boot.read, pinned)
	}
	for _, spec := range slices.Concat([]bootspec.Spec{s.Spec}, s.Specialised) {
		f.boot.entries = append(f.boot.entries, f.specEntry(d, f.generationOf(at, spec, s.Version), spec, efi))
	}
	return nil
}

// systemProfile is the profile whose generations boot.
const systemProfile = "system"

// A distribution is what menus say about systems of a flavor.
type distribution struct {
	name      string // of its systems
	older     string // of GRUB's submenu of generations other than the current one
	maintains bool   // its tools add to the files of the menu that it finds, and remove some
}

// distributions are those of the flavors by name. Guix writes a menu anew, with titles that follow from the labels (gnu/bootloader/grub.scm).
var distributions = map[string]distribution{
	closure.Nix.Name:  {"NixOS", "NixOS - All configurations", true},
	closure.Guix.Name: {"GNU", "GNU system, old configurations...", false},
}

func (w world) distribution() distribution { return distributions[w.flavor.Name] }

// A generation is that of a system, which NixOS itself knows if it is one of its profile.
type generation struct {
	*bootloader.Generation
	known, titled bool
	numbered      bool // the title is the label, with the number of an older one
}

// generationOf returns the generation that a system is in the image. One that is in no profile is titled by its label.
func (f *bootFinder) generationOf(at system, spec bootspec.Spec, version string) generation {
	g := &bootloader.Generation{
		Distribution: f.distribution().name, Specialisation: spec.Name, Label: spec.Label, Version: version, SortKey: spec.SortKey,
		Built: time.Unix(f.epoch, 0).UTC().Format(time.DateOnly),
	}
	if at.profile == nil {
		return generation{Generation: g}
	}
	g.Number, g.Current = at.index+1, at.index+1 == len(at.profile.Roots)
	if !f.distribution().maintains {
		return generation{Generation: g, numbered: true}
	}
	return generation{Generation: g, known: at.profile.Profile == systemProfile, titled: true}
}

// title returns the title of an entry: as written, or that of the generation, or the label of the system.
func (g generation) title(written string) string {
	switch {
	case written == "" && g.titled:
		return g.Title()
	case written == "" && g.numbered && !g.Current:
		return fmt.Sprintf("%s (#%d)", g.Label, g.Number)
	case written == "":
		written = g.Label
	}
	if g.Specialisation != "" {
		return fmt.Sprintf("%s (%s)", written, g.Specialisation)
	}
	return written
}

// specEntry returns the entry that a bootspec describes.
func (f *bootFinder) specEntry(d description.Entry, g generation, spec bootspec.Spec, efi bool) bootEntry {
	key := d.System.Key
	e := bootEntry{
		Entry: bootloader.Entry{Title: g.title(d.Title.V), Submenu: d.Submenu.V}, key: d.Key, title: key, cmdline: d.Cmdline,
		ofSystem: true,
	}
	words := spec.Params
	if spec.Init != "" {
		words = append([]string{"init=" + spec.Init}, words...)
	}
	e.params = strings.Join(words, " ") + " "
	if !d.Cmdline.Written() {
		e.cmdline.Key = key
	}
	if g.known && !f.boots(g.ID()) {
		e.Generation = g.Generation
	}
	if e.Kernel = f.storeFile(key, spec.Kernel, "kernel", &e); e.Kernel.Content != nil {
		f.checkKernel(key, e.Kernel, efi)
	}
	if spec.Initrd != "" {
		e.initrds = []diag.Key{key}
		e.Initrd = []bootloader.Source{f.storeFile(key, spec.Initrd, "initrd-0", &e)}
	}
	if spec.DeviceTree != "" {
		e.DeviceTree.Source = f.storeFile(key, spec.DeviceTree, "devicetree", &e)
	}
	if err := f.boot.loader.CheckTitle(e.Title); err != nil {
		f.problems = append(f.problems, key.ProblemOf(err))
	}
	f.checkSpec(key, spec)
	return e
}

// boots reports whether there is an entry for a generation already. NixOS has one for each, so another one is not NixOS's.
func (f *bootFinder) boots(id string) bool {
	return slices.ContainsFunc(f.boot.entries, func(e bootEntry) bool { return e.Generation != nil && e.Generation.ID() == id })
}

// checkSpec reports a system for other machines, and warns about what an image cannot have.
func (f *bootFinder) checkSpec(key diag.Key, spec bootspec.Spec) {
	arch, _, _ := strings.Cut(spec.System, "-")
	if want := f.d.Arch.V; arch != "" && want != "" && arch != want {
		f.problem(key, fmt.Sprintf("%s is a system for %s, but the image is for %s", spec.Toplevel, arch, want), "")
	}
	if spec.Secrets != "" {
		f.warn(key, fmt.Sprintf("%s has secrets for its initrd, which are not in the store but on the machine: the image's initrd lacks them", spec.Toplevel),
			"the running system adds them when it is rebuilt; it must find its root file system without them before that")
	}
	if spec.DeviceTree != "" && !f.boot.loader.DeviceTree {
		f.warn(key, fmt.Sprintf("%s has a device tree, which %s does not pass on", spec.Toplevel, f.boot.loader.Name), "")
	}
}

// checkDefault reports a default entry that does not exist. Where all titles are in the description, that is done already.
func (f *bootFinder) checkDefault() {
	wanted := f.d.Boot.Default
	if wanted.V == "" || len(f.problems) > 0 {
		return
	}
	var titles []string
	for _, e := range f.boot.entries {
		titles = append(titles, e.Title)
	}
	if !slices.Contains(titles, wanted.V) {
		f.problem(wanted.Key, fmt.Sprintf("there is no entry with the title %q", wanted.V), "there are\n"+strings.Join(titles, "\n"))
	}
}
