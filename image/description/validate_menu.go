package description

import (
	"fmt"
	"slices"

	"imprint/bootloader"
	"imprint/image/description/language"
	"imprint/internal/diag"
)

// HasBootEntries reports whether an image has boot entries, written as such or those of systems.
func (d *Image) HasBootEntries() bool { return d.Boot.System.Written() || len(d.Boot.Entry.Items) > 0 }

// BootsSystems reports whether there are entries of systems, whose titles are not in the description.
func (d *Image) BootsSystems() bool {
	return d.Boot.System.Written() || slices.ContainsFunc(d.Boot.Entry.Items, func(e Entry) bool { return e.System.Written() })
}

// Whole returns the reference that a template consists of. ok is false if there is more in it, or none.
func (t Template) Whole() (ref Reference, ok bool) {
	for p := range t.pieces() {
		if ref != (Reference{}) || !p.isReference() {
			return Reference{}, false
		}
		ref = p.ref
	}
	return ref, ref != Reference{}
}

// menu checks the closure of whose generations the menu consists.
func (c *checker) menu() {
	system := c.d.Boot.System
	if !system.Written() {
		return
	}
	ref, ok := system.V.Whole()
	if !ok || ref.Kind != "closure" || ref.Indexed {
		c.Report(system.Key, fmt.Sprintf("%q is not a closure as a whole", system.V),
			`as in "${closure.system}"; for a single system write [[boot.entry]] with system`)
		return
	}
	c.template(system)
	if cl := c.closures[ref.Name]; cl != nil && !cl.Profile.Written() {
		c.Report(system.Key, fmt.Sprintf("the closure %q has no profile, so it has no generations", ref.Name),
			fmt.Sprintf("add profile = \"system\" to the [[closure]] with name = %q", ref.Name))
	}
}

// kernelOrSystem checks that an entry has either a kernel or a system, which has all that a kernel needs.
func (c *checker) kernelOrSystem(e *Entry) {
	c.path(e.System)
	if e.System.Written() {
		for _, k := range []diag.Key{e.Kernel.Key, e.Initrd.Key, e.DeviceTree.Key, e.Plain.Key} {
			if k.Written {
				c.Report(k, "has no effect with system, which names its own", "remove one of the two")
			}
		}
		return
	}
	for _, k := range []diag.Key{e.Title.Key, e.Kernel.Key} {
		if !k.Written {
			c.Report(k, "is required", "")
		}
	}
}

// maxLine is the maximum length of a line of a loader's configuration in bytes.
const maxLine = 4096

// looks checks how the menu looks and behaves.
func (c *checker) looks(l *bootloader.Loader) {
	b := &c.d.Boot
	for _, color := range []Text{b.Color, b.Highlight} {
		if c.only(color.Key, l, l.Looks, language.HaveLooks); color.Written() && l.Looks {
			if err := bootloader.CheckColor(color.V); err != nil {
				c.ReportError(color.Key, err)
			}
		}
	}
	c.only(b.Background.Key, l, l.Looks, language.HaveLooks)
	c.only(b.Editor.Key, l, l.Editor, language.HaveEditor)
	c.only(b.Mode.Key, l, l.Modes != nil, language.HaveModes)
	if c.only(b.Lines.Key, l, l.ConfigFile != "", language.TakeLines); l.ConfigFile == "" {
		return
	}
	for _, line := range b.Lines.Items {
		switch err := l.CheckLine(line.V); {
		case hasControl(line.V):
			c.Report(line.Key, "contains a control character", "write each line as a text of its own")
		case len(line.V) > maxLine:
			c.Report(line.Key, fmt.Sprintf("is %d bytes long, more than %d", len(line.V), maxLine), "")
		case err != nil:
			c.ReportError(line.Key, err)
		}
	}
}

// only reports a key that the loader has no use for, and names those that have one.
func (c *checker) only(k diag.Key, l *bootloader.Loader, has bool, have func(*bootloader.Loader) bool) {
	if k.Written && !has {
		c.Report(k, fmt.Sprintf("has no effect with %s", describe(l)), "it is for loader = "+language.Alternatives(language.LoadersThat(have)))
	}
}
