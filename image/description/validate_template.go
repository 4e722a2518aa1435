package description

import (
	"fmt"

	"imprint/internal/diag"
	"imprint/partition"
)

// path checks the template of a path.
func (c *checker) path(t Value[Template]) {
	c.template(t)
	switch {
	case t.V == "" && t.Written():
		c.Report(t.Key, "is empty", "")
	case hasControl(string(t.V)):
		c.Report(t.Key, "contains a control character", "")
	}
}

// template checks the substitutions in a text, and that the description has what they refer to.
func (c *checker) template(t Value[Template]) {
	for p := range t.V.pieces() {
		err := p.err
		if p.isReference() {
			err = c.resolves(p.ref)
		}
		if err != nil {
			c.Reopen(t.Key.Path) // report every error in this text
			c.ReportError(t.Key, err)
		}
		if c.Full() {
			return
		}
	}
}

// resolves returns what is wrong with a reference. Missing names of closures and partitions are reported where they are
// defined.
func (c *checker) resolves(ref Reference) error {
	switch ref.Kind {
	case "closure":
		return c.resolvesClosure(ref)
	case "partition":
		return c.resolvesPartition(ref)
	case KindInput:
		return diag.Mistake{Text: fmt.Sprintf("${input.%s} is not valid here: it is a file, not a text", ref.Name), Hint: "the file of a boot entry may be an input; nothing comes before or after it"}
	case KindISO:
		if !c.d.isISO() {
			return diag.Mistake{Text: fmt.Sprintf("${iso.%s}: the image is not an ISO", ref.Field), Hint: "for a partition write ${partition.NAME." + ref.Field + "}"}
		}
	}
	return nil
}

func (c *checker) resolvesClosure(ref Reference) error {
	cl := c.closures[ref.Name]
	if cl == nil {
		return c.absent("closure", ref.Name, c.closureNames)
	}
	switch n := len(cl.Roots.Items); {
	case c.Reported(cl.Roots.Key.Path) || n == 0:
	case ref.Indexed && ref.Index >= n:
		return diag.Mistake{Text: fmt.Sprintf("${closure.%s.%d}: the closure has roots 0 to %d", ref.Name, ref.Index, n-1)}
	case !ref.Indexed && n > 1 && !cl.Profile.Written():
		return diag.Mistake{
			Text: fmt.Sprintf("${closure.%s}: the closure has %d roots", ref.Name, n),
			Hint: fmt.Sprintf("name one, as in ${closure.%s.0}", ref.Name),
		}
	}
	return nil
}

func (c *checker) resolvesPartition(ref Reference) error {
	p := c.partitions[ref.Name]
	if p == nil {
		return c.absent("partition", ref.Name, c.partitionNames)
	}
	row := partition.Named(p.Filesystem.V)
	if row == nil {
		return nil
	}
	without := func(what, hint string) error {
		return diag.Mistake{Text: fmt.Sprintf("${partition.%s.%s}: %s", ref.Name, ref.Field, what), Hint: hint}
	}
	switch {
	case ref.Field == "partuuid" && p.Inside.Written():
		return without(fmt.Sprintf("the partition is inside %q, which has the partuuid", p.Inside.V), "")
	case ref.Field == "partuuid" && row.WholeDisk:
		return without("the tree of an ISO has none", row.Refuses["partuuid"])
	case ref.Field == "roothash" && !p.Verity.Written():
		return without("the partition has no hash tree", `it has one with verity = "NAME"`)
	case ref.Field == "partuuid" || ref.Field == "roothash":
	case row.Raw:
		return without("the partition has no file system", "it has a partuuid")
	case ref.Field == "uuid" && row.CheckID == nil && !row.WholeDisk, ref.Field == "label" && row.CheckLabel == nil:
		return without(row.Name+" has none", "")
	}
	return nil
}
