package description

import (
	"fmt"
	"slices"

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
		for _, k := range []diag.Key{e.Kernel.Key, e.Initrd.Key, e.DeviceTree.Key} {
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
