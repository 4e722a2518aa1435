// Package outputs determines the files that a build writes, and their formats.
package outputs

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"imprint/container"
	"imprint/image/description"
	"imprint/image/plan"
	"imprint/internal/hosttool"
)

// An Output is a file with the disk, or with the files of a partition.
type Output struct {
	Name      string
	Format    *container.Format
	Options   container.Options
	Partition string // whose files a format of trees holds
	Stdout    bool   // it goes to standard output, and Name only says how
}

// Of returns the outputs of an image: one for each name, in the format of its suffix; without names those of the description, by default one
// raw file. It returns an error for a name that promises a format that build does not write.
func Of(d *description.Image, names []string) (list []Output, err error) {
	disk := d.WithDefaults().Format.V
	for _, name := range names {
		if name == "" {
			return nil, errors.New("-o: the name is empty")
		}
		format, err := formatOf(name, disk)
		if err != nil {
			return nil, err
		}
		o := Output{Name: name, Format: format, Stdout: ToStdout(name)}
		if format.Tree {
			root := d.Root()
			if root == nil {
				return nil, fmt.Errorf("-o %s: no partition is the root file system; name one with [[output]] and partition = \"NAME\"", name)
			}
			o.Partition = root.Name.V
		}
		list = append(list, o)
	}
	if i := slices.IndexFunc(list, func(o Output) bool { return o.Stdout }); i >= 0 && len(list) > 1 {
		return nil, fmt.Errorf("-o %s is for one output alone", list[i].Name)
	}
	if len(list) > 0 {
		return list, nil
	}
	for _, o := range d.Output.Items {
		options := container.Options{Compression: o.Compression.V, Level: int(o.Level.V), Image: imageOf(&o)}
		list = append(list, Output{o.File(d.Name.V), o.FormatOf(), options, d.PartitionOf(&o), false})
	}
	if len(list) == 0 {
		list = []Output{{Name: d.Name.V + "." + disk, Format: container.Named(container.Raw)}}
	}
	return list, nil
}

// ToStdout reports whether a name stands for standard output: "-", or "-" and the suffix of a format.
func ToStdout(name string) bool { return name == "-" || strings.HasPrefix(name, "-.") }

// streamed returns the format of what goes to standard output, by default raw.
func streamed(name string) (*container.Format, error) {
	format := container.Named(container.Raw)
	if name != "-" {
		format = container.BySuffix(name)
	}
	if format == nil || !format.Streams {
		var list []string
		for _, f := range container.Formats {
			if f.Streams {
				list = append(list, "-"+f.Suffixes[0])
			}
		}
		return nil, fmt.Errorf("-o %s: that is no format that can be written to a pipe, from its start to its end; those are %s", name, strings.Join(list, " "))
	}
	return format, nil
}

// others maps suffixes of formats that build does not write to the commands that convert a raw image to them, "" if there is none.
var others = map[string]string{
	".vdi": "qemu-img convert -O vdi", ".bz2": "bzip2", ".lz4": "lz4", ".ovf": "", ".zip": "", ".7z": "",
}

// formatOf returns the format for the suffix of an output's name, by default raw. disk is the format of the disk.
func formatOf(out, disk string) (*container.Format, error) {
	if ToStdout(out) {
		return streamed(out)
	}
	lower := strings.ToLower(filepath.Base(out))
	for suffix, converter := range others {
		if strings.HasSuffix(lower, suffix) && container.BySuffix(out) == nil {
			return nil, otherFormat(out, out[:len(out)-len(suffix)], disk, converter)
		}
	}
	if strings.HasSuffix(lower, "."+description.FormatISO) && disk != description.FormatISO {
		plain := out[:len(out)-len(".iso")] + "." + disk
		return nil, fmt.Errorf(`-o %s: the name suggests an ISO, but the description makes a raw disk; use -o %s, or format = "iso"`, out, plain)
	}
	if format := container.BySuffix(out); format != nil {
		return format, nil
	}
	return container.Named(container.Raw), nil
}

// otherFormat reports a name that promises a format that build does not write. plain is the name without the suffix.
func otherFormat(out, plain, disk, converter string) error {
	if !strings.HasSuffix(strings.ToLower(plain), "."+disk) {
		plain += "." + disk
	}
	if converter == "" {
		return fmt.Errorf("-o %s: the name suggests a format that build does not write; use -o %s, or a suffix of %s", out, plain, strings.Join(suffixes(), " "))
	}
	how := converter + " " + hosttool.ShellWord(plain)
	if strings.Contains(converter, "convert") {
		how += " " + hosttool.ShellWord(out)
	}
	return fmt.Errorf("-o %s: the name suggests a format that build does not write; use -o %s, and then %s", out, plain, how)
}

// suffixes returns the usual suffix of each format.
func suffixes() (list []string) {
	for _, f := range container.Formats {
		list = append(list, f.Suffixes[0])
	}
	return list
}

// imageOf returns what an output says of a container image, without substitutions.
func imageOf(o *description.Output) container.Image {
	return container.Image{Entrypoint: texts(o.Entrypoint), Cmd: texts(o.Cmd), Env: texts(o.Env), Workdir: o.Workdir.V, User: o.User.V}
}

func texts(l description.List[description.Value[description.Template]]) (list []string) {
	for _, v := range l.Items {
		list = append(list, string(v.V))
	}
	return list
}

// Expand replaces the substitutions of closures, which have their roots in the plan.
func (o *Output) Expand(p *plan.Plan) {
	for _, list := range [][]string{o.Options.Image.Entrypoint, o.Options.Image.Cmd, o.Options.Image.Env} {
		for i, text := range list {
			list[i] = description.Template(text).Expand(func(ref description.Reference) string { return rootOf(p, ref) })
		}
	}
}

// rootOf returns the root of a closure that a substitution stands for: without an index the last one.
func rootOf(p *plan.Plan, ref description.Reference) string {
	for _, c := range p.Closures {
		if c.Name != ref.Name || ref.Index >= len(c.Roots) {
			continue
		}
		if !ref.Indexed {
			return c.Roots[len(c.Roots)-1].String()
		}
		return c.Roots[ref.Index].String()
	}
	return ""
}
