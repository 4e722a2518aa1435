package description

import (
	"embed"
	"fmt"

	"imprint/internal/keyed"
)

// MaxSource is the maximum length of a description in bytes.
const MaxSource = keyed.MaxSource

// Values that carry their keys; see package keyed. An absent key has the zero value, or its default after
// [Image.WithDefaults].
type (
	Value[T any] = keyed.Value[T]
	List[T any]  = keyed.List[T]

	Text   = Value[string]
	Bool   = Value[bool]
	Int    = Value[int64]
	Number = Value[uint32] // a user or group ID
)

// Strings returns the elements of an array of texts.
func Strings(l List[Text]) []string {
	var texts []string
	for _, v := range l.Items {
		texts = append(texts, v.V)
	}
	return texts
}

// Parse reads a description in TOML. It looks at the text only; file is its name in diagnostics. The error is a [diag.List] of
// all problems that the text shows by itself.
func Parse(file string, src []byte) (*Image, error) {
	c := &checker{Reporter: keyed.NewReporter(file), d: &Image{}}
	if tables.Decode(c.Reporter, src, c.d, withoutSubstitutions) {
		c.validate()
	}
	if err := c.Err(); err != nil {
		return nil, err
	}
	return c.d, nil
}

//go:embed init.toml init-*.toml
var starting embed.FS

// The kinds of descriptions to start from, besides the commented one.
const (
	StartNixOS = "nixos"   // a disk of a NixOS system
	StartGuix  = "guix"    // a disk of a Guix system
	StartISO   = FormatISO // a live ISO
	StartTree  = "tree"    // a disk of a system in a tar archive
)

// Starting returns a description to start from: one of the kinds, or "" for one with a comment for each key.
func Starting(kind string) string {
	name := "init.toml"
	if kind != "" {
		name = fmt.Sprintf("init-%s.toml", kind)
	}
	text, err := starting.ReadFile(name)
	if err != nil {
		panic(err) // no such kind
	}
	return string(text)
}
