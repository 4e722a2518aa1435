// Package toplevel reads how a system boots from its store item. That of NixOS, the toplevel, has a bootspec, or if it is older, single files
// with the same information. That of Guix has a file of boot parameters.
package toplevel

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"imprint/bootloader/bootspec"
	"imprint/closure"
	"imprint/internal/diag"
	"imprint/internal/tree"
)

// A System is a system of NixOS or of Guix.
type System struct {
	bootspec.Spec
	Version string      // of NixOS, such as "25.05.20250601"; "" if unknown or of Guix
	Read    []tree.Blob // the files that this was read from
}

// Read reads how a system boots. The files that it names need not be in the image. The error may be a [diag.Mistake], or an error of the
// host if the item cannot be read.
func Read(w closure.Walker, system closure.Path) (System, error) {
	r := &reader{Walker: w}
	dir := system.String()
	if w.Flavor == closure.Guix {
		spec := r.guix(dir)
		return System{Spec: spec, Read: r.blobs}, r.err
	}
	s := System{Version: r.line(dir + "/nixos-version")}
	text := r.file(dir+"/"+bootspec.File, bootspec.MaxSize)
	switch {
	case r.err != nil:
	case text == nil:
		s.Spec = r.synthesize(dir)
	default:
		if s.Spec, r.err = bootspec.Parse(text); r.err != nil {
			r.err = fmt.Errorf("%s/%s: %w", dir, bootspec.File, r.err)
		}
	}
	s.Read = r.blobs
	return s, r.err
}

// A reader reads files of a store until the first error.
type reader struct {
	closure.Walker
	blobs []tree.Blob // what was read
	err   error
}

// find follows a path; it returns nil if that leads nowhere.
func (r *reader) find(name string) *closure.Location {
	if r.err != nil {
		return nil
	}
	at, err := r.Find(name)
	var nowhere *closure.NowhereError
	switch {
	case errors.As(err, &nowhere):
		return nil
	case err != nil:
		r.err = err
		return nil
	}
	return &at
}

// file reads a file of at most limit bytes. It returns nil if there is none.
func (r *reader) file(name string, limit int64) []byte {
	if r.find(name) == nil {
		return nil
	}
	at, err := r.File(name)
	if err != nil {
		r.err = err
		return nil
	}
	blob := at.Node.Inode().Blob()
	text, err := tree.ReadAll(blob, limit)
	if err != nil {
		r.err = fmt.Errorf("read %s: %w", at.Path, err)
		return nil
	}
	r.blobs = append(r.blobs, blob)
	return append([]byte{}, text...) // not nil
}

// maxLine is the maximum size in bytes of a file with one line. A command line of Linux is shorter.
const maxLine = 64 << 10

// line reads a file with one line of text. It returns "" if there is none.
func (r *reader) line(name string) string {
	line := strings.TrimSpace(string(r.file(name, maxLine)))
	if r.err == nil && strings.ContainsFunc(line, unicode.IsControl) {
		r.err = fmt.Errorf("%s has several lines, or a control character", name)
	}
	return line
}

// synthesize makes the bootspec of a system that was built without one, as NixOS itself does for old generations.
func (r *reader) synthesize(dir string) bootspec.Spec {
	s := r.plain(dir)
	all := r.find(dir + "/specialisation")
	if all == nil || all.Node.Inode().Kind() != tree.Dir {
		return s
	}
	if n := len(all.Node.Inode().Children()); n > bootspec.MaxSpecialisations && r.err == nil {
		r.err = fmt.Errorf("%s has %d specialisations, more than %d", all.Path, n, bootspec.MaxSpecialisations)
		return s
	}
	for _, n := range all.Node.Inode().Children() {
		if err := bootspec.CheckName(n.Name); err != nil && r.err == nil {
			r.err = fmt.Errorf("%s: %w", all.Path, err)
		}
		if at := r.find(all.Path + "/" + n.Name); at != nil {
			one := r.plain(at.Path)
			one.Name = n.Name
			s.Specialised = append(s.Specialised, one)
		}
	}
	return s
}

// plain is synthesize without specialisations.
func (r *reader) plain(dir string) bootspec.Spec {
	s := bootspec.Spec{Toplevel: dir, Kernel: dir + "/kernel", Init: dir + "/init"}
	if r.find(s.Kernel) == nil && r.err == nil {
		r.err = diag.Mistake{
			Text: fmt.Sprintf("%s has neither %s nor kernel, so it is not a NixOS system", dir, bootspec.File),
			Hint: "it must be what NixOS calls the toplevel: the result of nix-build '<nixpkgs/nixos>' -A system",
		}
	}
	if r.find(dir+"/initrd") != nil {
		s.Initrd = dir + "/initrd"
	}
	if r.find(dir+"/append-initrd-secrets") != nil {
		s.Secrets = dir + "/append-initrd-secrets"
	}
	s.System = r.line(dir + "/system")
	s.Params = strings.Fields(r.line(dir + "/kernel-params"))
	s.Label = strings.TrimSpace("NixOS "+r.line(dir+"/nixos-version")) + r.linux(dir)
	return s
}

// linux returns the kernel's version for a title, as " (Linux 6.1.0)", "" if it is unknown.
func (r *reader) linux(dir string) string {
	at := r.find(dir + "/kernel-modules/lib/modules")
	if at == nil {
		return ""
	}
	for _, n := range at.Node.Inode().Children() {
		if n.Inode().Kind() == tree.Dir && !strings.ContainsFunc(n.Name, unicode.IsControl) {
			return fmt.Sprintf(" (Linux %s)", n.Name)
		}
	}
	return ""
}
