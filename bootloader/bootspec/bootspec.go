// Package bootspec reads bootspec documents, version 1: the file boot.json in the toplevel of a NixOS system, which says how it boots
// (NixOS RFC 125). Extensions other than that of systemd-boot are ignored, as the RFC wants it.
package bootspec

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// File is the name of the document in the toplevel of a system.
const File = "boot.json"

// MaxSize is the maximum size of a document in bytes. Real ones have a few kilobytes.
const MaxSize = 1 << 20

// MaxSpecialisations is the maximum number of specialisations of a system: each is an entry of the menu.
const MaxSpecialisations = 256

// The members of a document.
const (
	version         = "org.nixos.bootspec.v1"
	specialisations = "org.nixos.specialisation.v1"
	systemdBoot     = "org.nixos.systemd-boot"
)

// A Spec says how a system boots. Paths are absolute.
type Spec struct {
	System      string   // of the machine, as Nix calls it: "x86_64-linux"
	Toplevel    string   // the system's store path
	Label       string   // such as "NixOS 25.05 (Linux 6.12)"
	Kernel      string   // path of the kernel
	Initrd      string   // path of the initrd, "" for none
	Secrets     string   // path of a program that appends secrets to the initrd, "" for none
	Init        string   // path of what the initrd starts
	Params      []string // of the kernel, without init
	SortKey     string   // in a menu that sorts, "" for the default
	DeviceTree  string   // path of a device tree, "" for the firmware's
	Name        string   // of a specialisation, "" for the system itself
	Specialised []Spec   // the system's specialisations by name; those of a specialisation are ignored
}

// Parse reads a document. The error names the member that is wrong.
func Parse(text []byte) (Spec, error) {
	if len(text) > MaxSize {
		return Spec{}, fmt.Errorf("is %d bytes long, more than %d", len(text), MaxSize)
	}
	doc, err := object(text, "the document")
	if err != nil {
		return Spec{}, err
	}
	s, err := parse(doc, "")
	if err != nil {
		return Spec{}, err
	}
	below, err := object(doc[specialisations], specialisations)
	if err != nil {
		return Spec{}, err
	}
	if n := len(below); n > MaxSpecialisations {
		return Spec{}, fmt.Errorf("%s has %d specialisations, more than %d", specialisations, n, MaxSpecialisations)
	}
	for _, name := range slices.Sorted(maps.Keys(below)) {
		one, err := specialised(name, below[name])
		if err != nil {
			return Spec{}, err
		}
		s.Specialised = append(s.Specialised, one)
	}
	return s, nil
}

// A members is a JSON object. Names match exactly, which encoding/json does not demand of the fields of a struct.
type members map[string]json.RawMessage

// object reads an object; an absent one is empty.
func object(text json.RawMessage, name string) (members, error) {
	if text == nil {
		return nil, nil
	}
	var m members
	if err := json.Unmarshal(text, &m); err != nil || m == nil {
		return nil, fmt.Errorf("%s is not a JSON object", name)
	}
	return m, nil
}

var validName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}$`)

// CheckName reports the name of a specialisation that cannot be part of the name of a file. The name is not trusted.
func CheckName(name string) error {
	if !validName.MatchString(name) {
		return fmt.Errorf("the specialisation %.120q has a name with other characters than A-Z a-z 0-9 _ . + -, or longer than 100", name)
	}
	return nil
}

// specialised reads the document of a specialisation.
func specialised(name string, text json.RawMessage) (Spec, error) {
	if err := CheckName(name); err != nil {
		return Spec{}, err
	}
	doc, err := object(text, name)
	if err != nil {
		return Spec{}, err
	}
	s, err := parse(doc, specialisations+"."+name+".")
	s.Name = name
	return s, err
}

// parse reads a document without its specialisations. where is the path of the document, for errors.
func parse(doc members, where string) (Spec, error) {
	if doc[version] == nil {
		return Spec{}, fmt.Errorf("has no member %s%s", where, version)
	}
	main, err := object(doc[version], where+version)
	if err != nil {
		return Spec{}, err
	}
	extension, err := object(doc[systemdBoot], where+systemdBoot)
	if err != nil {
		return Spec{}, err
	}
	var s Spec
	r := reader{members: main, where: where + version + "."}
	r.text("system", &s.System, true)
	r.path("toplevel", &s.Toplevel, true)
	r.text("label", &s.Label, true)
	r.path("kernel", &s.Kernel, true)
	r.path("initrd", &s.Initrd, false)
	r.path("initrdSecrets", &s.Secrets, false)
	r.path("init", &s.Init, true)
	r.texts("kernelParams", &s.Params)
	r.members, r.where = extension, where+systemdBoot+"."
	r.text("sortKey", &s.SortKey, false)
	r.path("devicetree", &s.DeviceTree, false)
	return s, r.err
}

// A reader reads the members of an object until the first error.
type reader struct {
	members
	where string
	err   error
}

// text reads a text without control characters, which ends up in a line of a menu.
func (r *reader) text(name string, into *string, required bool) {
	r.read(name, into, required)
	r.check(name, *into)
}

// path reads an absolute path.
func (r *reader) path(name string, into *string, required bool) {
	r.text(name, into, required)
	if r.err == nil && *into != "" && !strings.HasPrefix(*into, "/") {
		r.err = fmt.Errorf("%s%s is %.120q, not an absolute path", r.where, name, *into)
	}
}

// texts reads a list of texts.
func (r *reader) texts(name string, into *[]string) {
	r.read(name, into, true)
	for _, text := range *into {
		r.check(name, text)
	}
}

// read reads a member. null stands for an absent one.
func (r *reader) read(name string, into any, required bool) {
	switch text := r.members[name]; {
	case r.err != nil:
	case text == nil || string(text) == "null":
		if required {
			r.err = fmt.Errorf("has no member %s%s", r.where, name)
		}
	case json.Unmarshal(text, into) != nil:
		r.err = fmt.Errorf("%s%s has another type than bootspec version 1 has", r.where, name)
	}
}

// check reports a control character.
func (r *reader) check(name, text string) {
	if r.err == nil && strings.ContainsFunc(text, unicode.IsControl) {
		r.err = fmt.Errorf("%s%s contains a control character: %.120q", r.where, name, text)
	}
}
