package description

import (
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"imprint/internal/diag"
	"imprint/internal/keyed"
	"imprint/partition"
)

// A Template is text with substitutions: ${closure.N}, ${closure.N.I}, ${partition.N.partuuid|uuid|label|roothash}, ${disk.guid},
// ${iso.uuid|label}, and $$ for $. The file of a boot entry may also be ${input.N}, alone.
type Template string

// A Reference is what a substitution stands for.
type Reference struct {
	Kind  string // "closure", "partition", "disk", KindISO or KindInput
	Name  string // of the closure, the partition or the input
	Index int    // of the closure's root; 0 if none was written: then there is only one, or the last one is meant
	Field string // "partuuid", "uuid", "label" or "roothash" of a partition, "guid" of the disk, "uuid" or "label" of an ISO

	Indexed bool // whether an index was written
}

// KindISO is the kind of a substitution that stands for an identifier of an ISO.
const KindISO = partition.ISO

// KindInput is the kind of a substitution that stands for an input.
const KindInput = "input"

// Expand returns the text with every substitution replaced by what lookup returns, which is not expanded again. Text that is
// not a valid substitution stays as it is; Parse refuses it.
func (t Template) Expand(lookup func(Reference) string) string {
	var out strings.Builder
	for p := range t.pieces() {
		if p.isReference() {
			p.text = lookup(p.ref)
		}
		out.WriteString(p.text)
	}
	return out.String()
}

// References returns the substitutions of a template in order, and an error for each $ that begins none.
func (t Template) References() (refs []Reference, errs []error) {
	for p := range t.pieces() {
		if p.err != nil {
			errs = append(errs, p.err)
		} else if p.isReference() {
			refs = append(refs, p.ref)
		}
	}
	return refs, errs
}

// InTree splits the template of a boot file that is in a partition's own tree, "${partition.NAME}/PATH", into the name and the rest; ok is false
// for any other. Such a beginning is no [Reference].
func (t Template) InTree() (partition string, path Template, ok bool) {
	rest, begins := strings.CutPrefix(string(t), "${partition.")
	name, after, closed := strings.Cut(rest, "}")
	if !begins || !closed || name == "" {
		return "", "", false
	}
	if _, err := parseReference("partition." + name); err == nil {
		return "", "", false
	}
	return name, Template(after), true
}

// literal reports whether a template has no substitutions other than $$.
func (t Template) literal() bool {
	for p := range t.pieces() {
		if p.isReference() {
			return false
		}
	}
	return true
}

// A piece of a template is literal text, a reference, or an error.
type piece struct {
	text string // with $$ replaced; for a reference or an error, as written
	ref  Reference
	err  error
}

func (p piece) isReference() bool { return p.err == nil && p.ref != Reference{} }

// pieces yields the pieces one at a time, so that a text of many megabytes takes no memory.
func (t Template) pieces() iter.Seq[piece] {
	return func(yield func(piece) bool) {
		rest := string(t)
		for {
			text, after, found := strings.Cut(rest, "$")
			if text != "" && !yield(piece{text: text}) || !found {
				return
			}
			var p piece
			if p, rest = substitution(after); !yield(p) {
				return
			}
		}
	}
}

// substitution parses what follows a $, and returns the text after it.
func substitution(text string) (piece, string) {
	if rest, ok := strings.CutPrefix(text, "$"); ok {
		return piece{text: "$"}, rest
	}
	inside, ok := strings.CutPrefix(text, "{")
	if !ok {
		return piece{text: "$", err: diag.Mistake{Text: "a $ is followed by neither { nor $", Hint: "write $$ for a $"}}, text
	}
	inside, rest, ok := strings.Cut(inside, "}")
	if !ok { // and so neither is any later one
		return piece{text: "$" + text, err: diag.Mistake{Text: "a ${ is not closed by }", Hint: "write $$ for a $"}}, ""
	}
	ref, err := parseReference(inside)
	return piece{text: "${" + inside + "}", ref: ref, err: err}, rest
}

// The kinds of substitution, and the fields of a partition.
var (
	substitutions   = []string{"closure", "partition", "disk", KindISO, KindInput}
	partitionFields = []string{"partuuid", "uuid", "label", "roothash"}
)

// parseReference parses what is between the braces. Names of partitions may contain dots, names of closures may not.
func parseReference(text string) (Reference, error) {
	bad := func(problem, hint string) (Reference, error) {
		return Reference{}, diag.Mistake{Text: fmt.Sprintf("${%s} %s", text, problem), Hint: hint}
	}
	kind, rest, _ := strings.Cut(text, ".")
	switch kind {
	case "closure":
		name, digits, indexed := strings.Cut(rest, ".")
		index, err := strconv.ParseUint(digits, 10, 31)
		if name == "" || indexed && err != nil {
			return bad("is not ${closure.NAME} or ${closure.NAME.INDEX}", "the index counts roots from 0")
		}
		return Reference{Kind: kind, Name: name, Index: int(index), Indexed: indexed}, nil
	case "partition":
		dot := strings.LastIndexByte(rest, '.')
		if dot < 1 {
			return bad("is not ${partition.NAME.partuuid}, .uuid or .label", "only kernel, initrd and devicetree may begin with ${partition.NAME}, for a path in its tree")
		}
		ref := Reference{Kind: kind, Name: rest[:dot], Field: rest[dot+1:]}
		if !slices.Contains(partitionFields, ref.Field) {
			return bad(fmt.Sprintf("has the unknown field %q", ref.Field), keyed.Meant(ref.Field, partitionFields))
		}
		return ref, nil
	case KindInput:
		if rest == "" {
			return bad("is not ${input.NAME}", "")
		}
		return Reference{Kind: kind, Name: rest}, nil
	case "disk":
		if rest != "guid" {
			return bad("is not ${disk.guid}", "")
		}
		return Reference{Kind: kind, Field: rest}, nil
	case KindISO:
		if rest != "uuid" && rest != "label" {
			return bad("is neither ${iso.uuid} nor ${iso.label}", "")
		}
		return Reference{Kind: kind, Field: rest}, nil
	}
	return bad("is no substitution", keyed.Meant(kind, substitutions)+"\na plain ${ is written $${")
}

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
