package description

import (
	"embed"
	"fmt"
)

//go:embed init.toml init-*.toml
var starting embed.FS

// The kinds of descriptions to start from, besides the commented one.
const (
	StartNixOS = "nixos"   // a disk of a NixOS system
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
