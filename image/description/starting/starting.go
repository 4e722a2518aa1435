// Package starting has descriptions to start from.
package starting

import (
	"embed"
	"fmt"

	"imprint/image/description/language"
)

//go:embed init.toml init-*.toml
var files embed.FS

// The kinds of descriptions to start from, besides the commented one.
const (
	NixOS = "nixos"            // a disk of a NixOS system
	Guix  = "guix"             // a disk of a Guix system
	ISO   = language.FormatISO // a live ISO
	Tree  = "tree"             // a disk of a system in a tar archive
)

// Description returns a description to start from: one of the kinds, or "" for one with a comment for each key.
func Description(kind string) string {
	name := "init.toml"
	if kind != "" {
		name = fmt.Sprintf("init-%s.toml", kind)
	}
	text, err := files.ReadFile(name)
	if err != nil {
		panic(err) // no such kind
	}
	return string(text)
}
