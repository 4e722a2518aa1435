package description

import (
	"fmt"
	"strconv"
	"strings"
)

// A Template is text with substitutions: ${closure.N}, ${closure.N.I}, ${partition.N.partuuid|uuid|label}, ${disk.guid},
// ${iso.uuid|label}, and $$ for $.
type Template string

// A Reference is what a substitution stands for.
type Reference struct {
	Kind  string // "closure", "partition", "disk" or "iso"
	Name  string // of the closure or the partition
	Index int    // of the closure's root; 0 is the only one when none was written
	Field string // "partuuid", "uuid" or "label" of a partition, "guid" of the disk; "uuid" or "label" of an ISO

	indexed bool // the index was written
}

// Expand gives the text with every substitution replaced by what lookup says. The template is of a description that Parse returned.
func (t Template) Expand(lookup func(Reference) string) string {
	var out strings.Builder
	for _, p := range t.pieces() {
		if p.err == nil && p.ref != (Reference{}) {
			p.text = lookup(p.ref)
		}
		out.WriteString(p.text)
	}
	return out.String()
}

// references are the substitutions of a template, in order; a piece of it that is none is an error.
func (t Template) references() (refs []Reference, errs []error) {
	for _, p := range t.pieces() {
		if p.err != nil {
			errs = append(errs, p.err)
		} else if p.ref != (Reference{}) {
			refs = append(refs, p.ref)
		}
	}
	return refs, errs
}

// literal tells whether there is nothing to replace in a template but $$.
func (t Template) literal() bool {
	refs, _ := t.references()
	return len(refs) == 0
}

// A piece of a template is text as it is, or a reference, or what is no substitution.
type piece struct {
	text string
	ref  Reference
	err  error
}

func (t Template) pieces() []piece {
	var pieces []piece
	rest := string(t)
	for {
		text, behind, found := strings.Cut(rest, "$")
		if text != "" {
			pieces = append(pieces, piece{text: text})
		}
		if !found {
			return pieces
		}
		var p piece
		p, rest = substitution(behind)
		pieces = append(pieces, p)
	}
}

// substitution reads what follows a $ and gives what is behind it.
func substitution(text string) (piece, string) {
	if rest, ok := strings.CutPrefix(text, "$"); ok {
		return piece{text: "$"}, rest
	}
	inside, ok := strings.CutPrefix(text, "{")
	if !ok {
		return piece{text: "$", err: mistake{"a $ is followed by neither { nor $", "write $$ for a $"}}, text
	}
	inside, rest, ok := strings.Cut(inside, "}")
	if !ok {
		return piece{text: "$", err: mistake{"a ${ is not closed by }", "write $$ for a $"}}, text
	}
	ref, err := parseReference(inside)
	return piece{text: "${" + inside + "}", ref: ref, err: err}, rest
}

// The fields that a substitution may ask for.
var (
	substitutions   = []string{"closure", "partition", "disk", "iso"}
	partitionFields = []string{"partuuid", "uuid", "label"}
)

// parseReference reads what stands between the braces. The name of a partition may have dots in it, that of a closure has none.
func parseReference(text string) (Reference, error) {
	bad := func(problem, hint string) (Reference, error) {
		return Reference{}, mistake{fmt.Sprintf("${%s} %s", text, problem), hint}
	}
	kind, rest, _ := strings.Cut(text, ".")
	switch kind {
	case "closure":
		name, digits, indexed := strings.Cut(rest, ".")
		index, err := strconv.ParseUint(digits, 10, 31)
		if name == "" || indexed && err != nil {
			return bad("is not ${closure.NAME} or ${closure.NAME.INDEX}", "the index counts roots from 0")
		}
		return Reference{Kind: kind, Name: name, Index: int(index), indexed: indexed}, nil
	case "partition":
		dot := strings.LastIndexByte(rest, '.')
		if dot < 1 {
			return bad("is not ${partition.NAME.partuuid}, .uuid or .label", "")
		}
		ref := Reference{Kind: kind, Name: rest[:dot], Field: rest[dot+1:]}
		for _, field := range partitionFields {
			if ref.Field == field {
				return ref, nil
			}
		}
		return bad(fmt.Sprintf("asks for the unknown field %q of a partition", ref.Field), meant(ref.Field, partitionFields))
	case "disk":
		if rest != "guid" {
			return bad("is not ${disk.guid}", "")
		}
		return Reference{Kind: kind, Field: rest}, nil
	case "iso":
		if rest != "uuid" && rest != "label" {
			return bad("is neither ${iso.uuid} nor ${iso.label}", "")
		}
		return Reference{Kind: kind, Field: rest}, nil
	}
	return bad("is no substitution", meant(kind, substitutions)+"\na plain ${ is written $${")
}
