package toplevel

import (
	"fmt"

	"imprint/bootloader/bootparameters"
	"imprint/bootloader/bootspec"
	"imprint/internal/diag"
)

// guix reads how a Guix system boots. Guix has no specialisations, and names init in the kernel parameters.
func (r *reader) guix(dir string) bootspec.Spec {
	text := r.file(dir+"/"+bootparameters.File, bootparameters.MaxSize)
	switch {
	case r.err != nil:
		return bootspec.Spec{}
	case text == nil:
		r.err = diag.Mistake{
			Text: fmt.Sprintf("%s has no %s, so it is not a Guix system", dir, bootparameters.File),
			Hint: "it must be the result of guix system build, or a generation of the profile system",
		}
		return bootspec.Spec{}
	}
	p, err := bootparameters.Parse(text)
	if err != nil {
		r.err = fmt.Errorf("%s/%s: %w", dir, bootparameters.File, err)
	}
	return bootspec.Spec{Toplevel: dir, Label: p.Label, Kernel: p.Kernel, Initrd: p.Initrd, Params: p.CommandLine(dir)}
}
