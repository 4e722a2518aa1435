package image

import _ "embed"

//go:embed init.toml
var starting string

// StartingDescription is a description with comments to begin with: what boots one closure from an ESP and a root partition.
func StartingDescription() string { return starting }
