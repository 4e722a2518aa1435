package description

import _ "embed"

//go:embed init.toml
var starting string

// Starting returns a description with comments to begin with: one that boots a closure from an ESP and a root partition.
func Starting() string { return starting }
