package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"imprint/container"
	"imprint/image/description"
	"imprint/image/plan"
	"imprint/image/write"
	"imprint/internal/hosttool"
)

// A target is a file that the user wants: by -o, by the description, or by default.
type target struct {
	name    string
	format  *container.Format
	options container.Options

	file     *write.Output
	manifest *write.Output // nil for none
	stale    []string      // paths where manifests of older images may be
}

// targets returns what -o names, or else the description.
func (f *buildFlags) targets(d *description.Image) (list []*target, err error) {
	disk := d.WithDefaults().Format.V
	for _, name := range f.out {
		format, err := formatOf(name, disk)
		if err != nil {
			return nil, err
		}
		list = append(list, &target{name: name, format: format})
	}
	if len(list) > 0 {
		return list, nil
	}
	for _, o := range d.Output.Items {
		options := container.Options{Compression: o.Compression.V, Level: int(o.Level.V)}
		list = append(list, &target{name: o.File(d.Name.V), format: o.FormatOf(), options: options})
	}
	if len(list) == 0 {
		list = []*target{{name: d.Name.V + "." + disk, format: container.Named(container.Raw)}}
	}
	return list, nil
}

// readable returns the first target that can be read as an image, nil if there is none.
func (f *buildFlags) readable() *target {
	for _, t := range f.targetList {
		if t.format.Readable {
			return t
		}
	}
	return nil
}

// manifestName returns the name of the manifest beside the file.
func (t *target) manifestName() string { return t.name + ".json" }

// create creates the file, and its manifest unless the build writes none.
func (t *target) create(manifest bool) (err error) {
	if t.file, err = write.Create(t.name); err != nil || t.format.Beside {
		return err
	}
	if manifest {
		if t.manifest, err = write.Create(t.manifestName()); err != nil {
			return err
		}
	}
	for _, beside := range []string{t.manifestName(), t.file.Path() + ".json"} { // these differ if a symlink leads to the file
		if place, err := write.Place(beside); err == nil {
			t.stale = append(t.stale, place)
		}
	}
	return nil
}

// group returns what is committed when the build is complete: a manifest describes the file beside it.
func (t *target) group() write.Group {
	return write.Group{Files: []*write.Output{t.file}, Index: t.manifest, Stale: t.stale, IsIndex: isManifest}
}

// write writes the manifest, if there is one.
func (t *target) writeManifest(m plan.Manifest) error {
	if t.manifest == nil {
		return nil
	}
	if t.format.Name != container.Raw {
		m.FileFormat = t.format.Name
	}
	_, err := t.manifest.File.Write(m.JSON())
	return err
}

// sizes returns the length of the named file and what it takes on the host's disk, in bytes.
func (t *target) sizes() (length, onDisk int64) {
	info, err := os.Stat(t.name)
	if err != nil {
		return 0, 0
	}
	return info.Size(), info.Sys().(*syscall.Stat_t).Blocks * 512
}

// others are suffixes of formats that build does not write, and commands that make them of a raw image; "" if there is none.
var others = map[string]string{
	".vdi": "qemu-img convert -O vdi", ".bz2": "bzip2", ".lz4": "lz4",
	".tar": "", ".tar.gz": "", ".tgz": "", ".ovf": "", ".zip": "", ".7z": "",
}

// formatOf returns the format that the name of an output says, raw if it says none. disk is the format of the disk.
func formatOf(out, disk string) (*container.Format, error) {
	if out == "-" {
		return nil, usagef("-o -: an image is written in parallel at offsets, which a pipe cannot do; use -o FILE, and then copy it")
	}
	lower := strings.ToLower(filepath.Base(out))
	for suffix, converter := range others {
		if strings.HasSuffix(lower, suffix) && (container.BySuffix(out) == nil || suffix == ".tar.gz" && container.BySuffix(out).Name == container.BySuffix(".gz").Name) {
			return nil, otherFormat(out, out[:len(out)-len(suffix)], disk, converter)
		}
	}
	if strings.HasSuffix(lower, "."+description.FormatISO) && disk != description.FormatISO {
		plain := out[:len(out)-len(".iso")] + "." + disk
		return nil, usagef(`-o %s: the name suggests an ISO, but the description makes a raw disk; use -o %s, or format = "iso"`, out, plain)
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
		return usagef("-o %s: the name suggests a format that build does not write; use -o %s, or a suffix of %s", out, plain, strings.Join(suffixes(), " "))
	}
	how := converter + " " + hosttool.ShellWord(plain)
	if strings.Contains(converter, "convert") {
		how += " " + hosttool.ShellWord(out)
	}
	return usagef("-o %s: the name suggests a format that build does not write; use -o %s, and then %s", out, plain, how)
}

// suffixes returns the usual suffix of each format.
func suffixes() (list []string) {
	for _, f := range container.Formats {
		list = append(list, f.Suffixes[0])
	}
	return list
}
