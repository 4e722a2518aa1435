// Package bootparameters reads the file "parameters" of a Guix system, which says how it boots: an S-expression with the record
// boot-parameters, version 0 or 1 (gnu/system.scm of Guix, read-boot-parameters).
package bootparameters

import (
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
)

// File is the name of the file in a system.
const File = "parameters"

// MaxSize is the maximum size of a file in bytes. Real ones have about a kilobyte.
const MaxSize = 1 << 20

// Parameters say how a system boots. The texts contain no control characters.
type Parameters struct {
	Version   int      // 0 or 1
	Label     string   // such as "GNU with Linux-Libre 6.6.8"
	Root      string   // of the root file system: a device, its label, or its UUID; "none" for none
	Kernel    string   // absolute path
	Initrd    string   // absolute path, "" for none
	Arguments []string // of the kernel, besides those of CommandLine
}

// Parse reads a file. The error says what is wrong with it.
func Parse(text []byte) (Parameters, error) {
	if len(text) > MaxSize {
		return Parameters{}, fmt.Errorf("is %d bytes long, more than %d", len(text), MaxSize)
	}
	s := &scanner{text: string(text)}
	record, _ := s.value().(list)
	s.skip()
	switch {
	case s.err != nil:
		return Parameters{}, s.err
	case len(record) == 0 || record[0] != symbol("boot-parameters"):
		return Parameters{}, fmt.Errorf("does not begin with (boot-parameters")
	case s.at < len(s.text):
		return Parameters{}, fmt.Errorf("goes on after boot-parameters, at byte %d", s.at)
	}
	r := &reader{fields: map[string]value{}}
	r.collect(record[1:])
	return r.parameters()
}

// A reader reads the fields of a record until the first error.
type reader struct {
	fields map[string]value // the single values of fields by name
	err    error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

// collect takes fields of one value. Guix adds fields without a new version, so what else is there is left to it.
func (r *reader) collect(fields list) {
	for _, f := range fields {
		field, _ := f.(list)
		if len(field) != 2 {
			continue
		}
		if name, ok := field[0].(symbol); ok {
			if _, twice := r.fields[string(name)]; twice {
				r.fail("has the field %.40q twice", name)
			}
			r.fields[string(name)] = field[1]
		}
	}
}

func (r *reader) parameters() (Parameters, error) {
	var p Parameters
	switch v := r.fields["version"]; v {
	case symbol("0"), symbol("1"):
		p.Version = int(v.(symbol)[0] - '0')
	default:
		r.fail("has version %.20q, only 0 and 1 are known", fmt.Sprint(v))
	}
	if modules, ok := r.fields["multiboot-modules"].(list); ok && len(modules) > 0 {
		r.fail("boots by multiboot, as the Hurd does, which is not supported")
	}
	p.Label = r.text("label", r.fields["label"])
	p.Root = r.device(r.fields["root-device"])
	p.Kernel = r.path("kernel", r.fields["kernel"])
	if initrd, ok := r.fields["initrd"]; ok && initrd != symbol("#f") {
		p.Initrd = r.path("initrd", joined(initrd))
	}
	if arguments, ok := r.fields["kernel-arguments"]; ok {
		all, isList := arguments.(list)
		if !isList {
			r.fail("kernel-arguments is not a list")
		}
		for _, one := range all {
			p.Arguments = append(p.Arguments, r.text("kernel-arguments", one))
		}
	}
	return p, r.err
}

// text checks a text.
func (r *reader) text(field string, v value) string {
	text, ok := v.(string)
	switch {
	case !ok:
		r.fail("%s is missing, or not a text", field)
	case strings.ContainsFunc(text, unicode.IsControl):
		r.fail("%s contains a control character: %.120q", field, text)
	}
	return text
}

func (r *reader) path(field string, v value) string {
	text := r.text(field, v)
	if !strings.HasPrefix(text, "/") {
		r.fail("%s is %.120q, not an absolute path", field, text)
	}
	return text
}

// joined is the text of (string-append DIRECTORY FILE), in which old files have the initrd; any other value is itself.
func joined(v value) value {
	call, _ := v.(list)
	if len(call) != 3 || call[0] != symbol("string-append") {
		return v
	}
	dir, one := call[1].(string)
	file, two := call[2].(string)
	if !one || !two {
		return v
	}
	return dir + file
}

// device returns what root= takes for a device: (uuid TYPE BYTES), (file-system-label TEXT), or a text. Guix writes all UUIDs there as those
// of the DCE.
func (r *reader) device(v value) string {
	switch d := v.(type) {
	case []byte: // in old files
		return r.uuid(d)
	case string:
		return r.text("root-device", d)
	case list:
		if len(d) == 2 && d[0] == symbol("file-system-label") {
			return r.text("root-device", d[1])
		}
		if len(d) == 3 && d[0] == symbol("uuid") {
			id, _ := d[2].([]byte)
			return r.uuid(id)
		}
	}
	r.fail("root-device is missing, or neither a device nor a label nor a UUID")
	return ""
}

func (r *reader) uuid(id []byte) string {
	if len(id) != 16 {
		r.fail("root-device has a UUID of %d bytes, not 16", len(id))
		return ""
	}
	h := hex.EncodeToString(id)
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}

// CommandLine returns the words of the kernel's command line for a system at an absolute path (bootable-kernel-arguments): where the root file
// system is and what the initrd starts, then the arguments.
func (p Parameters) CommandLine(system string) []string {
	root, of, load := "root=", "gnu.system=", "gnu.load="
	if p.Version == 0 {
		root, of, load = "--root=", "--system=", "--load="
	}
	var words []string
	if p.Root != "none" {
		words = append(words, root+p.Root)
	}
	return append(append(words, of+system, load+system+"/boot"), p.Arguments...)
}
