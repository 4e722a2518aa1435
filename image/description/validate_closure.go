package description

import "imprint/closure"

// gcRoots is the directory of GC roots in the image.
var gcRoots = closure.Nix.StateDir + "/gcroots/"
