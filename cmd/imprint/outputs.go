package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"imprint/bootloader"
	"imprint/image/description"
	"imprint/image/host"
	"imprint/image/plan"
	"imprint/image/write"
	"imprint/internal/diag"
	"imprint/internal/hosttool"
)

// outputs are the files that a build writes. They are created before any input is read, so that an unwritable output fails at
// once.
type outputs struct {
	image    *write.Output
	manifest *write.Output // nil for none
	stale    []string      // paths where manifests of older images may be
}

func (o *outputs) discard() {
	for _, out := range []*write.Output{o.image, o.manifest} {
		if out != nil {
			out.Discard()
		}
	}
}

// group returns what is committed when the build is complete.
func (o *outputs) group() write.Group {
	return write.Group{Files: []*write.Output{o.image}, Index: o.manifest, Stale: o.stale, IsIndex: isManifest}
}

// open checks the names of all outputs, and creates the image and its manifest. The caller discards them.
func (o *outputs) open(f *buildFlags, file string, d *description.Image) (err error) {
	format := d.WithDefaults().Format.V
	if f.out == "" {
		f.out = d.Name.V + "." + format
	}
	if err := checkSuffix(f.out, format); err != nil {
		return err
	}
	if err := f.check(file, d, writtenEntries(d)); err != nil {
		return err
	}
	if o.image, err = write.Create(f.out); err != nil {
		return err
	}
	if !f.noManifest {
		if o.manifest, err = write.Create(f.manifest()); err != nil {
			return err
		}
	}
	for _, beside := range []string{f.manifest(), o.image.Path() + ".json"} { // these differ if a symlink leads to the image
		if place, err := write.Place(beside); err == nil {
			o.stale = append(o.stale, place)
		}
	}
	return nil
}

// manifest returns the name of the manifest.
func (f *buildFlags) manifest() string { return f.out + ".json" }

// writtenEntries returns the boot entries whose titles are in the description. Those of systems are known when they are read.
func writtenEntries(d *description.Image) (entries []bootloader.Entry) {
	for _, e := range d.Boot.Entry.Items {
		if !e.System.Written() {
			entries = append(entries, bootloader.Entry{Title: e.Title.V})
		}
	}
	return entries
}

// check reports names that an output cannot have.
func (f *buildFlags) check(file string, d *description.Image, entries []bootloader.Entry) error {
	names := []string{f.out}
	if !f.noManifest {
		names = append(names, f.manifest())
	}
	if f.exportRoot && f.exportBoot == "" {
		return usagef("--export-root is for --export-boot DIR")
	}
	if f.exportBoot != "" {
		exported, err := f.exported(file, d, entries)
		if err != nil {
			return err
		}
		names = append(names, exported...)
	}
	inputs := append(host.Paths(d, filepath.Dir(file)), host.Path{Path: file})
	taken := map[string]string{}
	for _, name := range names {
		place, err := write.Place(name)
		if err != nil {
			return err
		}
		if other := taken[place]; other != "" {
			return usagef("the outputs %s and %s are the same file", other, name)
		}
		taken[place] = name
		if err := refuseInput(name, place, inputs); err != nil {
			return err
		}
	}
	return f.checkManifest()
}

// exported returns the names of the files that --export-boot may write for entries.
func (f *buildFlags) exported(file string, d *description.Image, entries []bootloader.Entry) (names []string, err error) {
	if !d.HasBootEntries() {
		return nil, usagef("--export-boot %s: the description has no boot entries", f.exportBoot)
	}
	dir := filepath.Clean(f.exportBoot)
	switch info, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		place, err := write.Place(dir) // it will be made
		if err != nil {
			return nil, err
		}
		return nil, refuseInput(f.exportBoot, place, host.Paths(d, filepath.Dir(file)))
	case err != nil:
		return nil, err
	case sameFile(dir, file):
		return nil, usagef("the output %s is the description itself", f.exportBoot)
	case !info.IsDir():
		return nil, fmt.Errorf("write %s: not a directory", f.exportBoot)
	}
	for _, name := range write.ExportNames(entries) {
		names = append(names, filepath.Join(dir, name))
	}
	return names, nil
}

// refuseInput reports an output that would replace an input or be inside one. A tree that contains the image has a position in
// the description.
func refuseInput(name, place string, inputs []host.Path) error {
	for _, in := range inputs {
		info, err := os.Stat(in.Path)
		if err != nil {
			continue // reported by the stage that reads it
		}
		real, err := filepath.EvalSymlinks(in.Path)
		if err == nil {
			real, err = filepath.Abs(real)
		}
		switch rel, relErr := filepath.Rel(real, place); {
		case info.IsDir() && err == nil && relErr == nil && filepath.IsLocal(rel):
			return diag.List{in.Key.Problem(fmt.Sprintf("the output %s would be inside the input %s", name, in.Path),
				"use another -o, or a directory with nothing else in it")}
		case !info.IsDir() && sameFile(in.Path, place) && in.Key.Path == "":
			return usagef("the output %s is the description itself", name)
		case !info.IsDir() && sameFile(in.Path, place):
			return usagef("the output %s is an input of the image: %v: %s", name, in.Key.Position, in.Key.Path)
		}
	}
	return nil
}

func sameFile(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// checkManifest refuses to replace a file that is not a manifest: nobody has asked for that.
func (f *buildFlags) checkManifest() error {
	if f.noManifest {
		return nil
	}
	if info, err := os.Stat(f.manifest()); err != nil || info.Size() == 0 {
		return nil
	}
	is, err := isManifest(f.manifest())
	if err == nil && !is {
		err = usagef("%s exists and is not a manifest; to keep it, use another -o or --no-manifest", f.manifest())
	}
	return err
}

// maxManifest is the number of bytes of a manifest that are read: far more than one of a hundred thousand store items has.
const maxManifest = 64 << 20

// isManifest reports whether a file is the manifest of an image.
func isManifest(path string) (bool, error) {
	m, err := readManifest(path)
	return m != nil, err
}

// readManifest reads the manifest of an image. It is nil for what is none, or what this user may not read; the error is one of the machine.
func readManifest(path string) (*plan.Manifest, error) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return nil, unlessAbsent(err)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, unlessAbsent(err)
	}
	defer f.Close()
	var m plan.Manifest
	err = json.NewDecoder(io.LimitReader(f, maxManifest)).Decode(&m)
	var read *fs.PathError
	if errors.As(err, &read) {
		return nil, err
	}
	if err != nil || m.Seed == "" || m.Table == "" || m.SectorSize <= 0 {
		return nil, nil
	}
	return &m, nil
}

// unlessAbsent drops the error of a file that is not there, or that belongs to somebody else.
func unlessAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}

// converters are commands that make files of other formats, by suffix; "" if no description can name one.
var converters = map[string]string{
	"qcow2": "qemu-img convert -O qcow2", "vmdk": "qemu-img convert -O vmdk", "vdi": "qemu-img convert -O vdi",
	"vhd": "qemu-img convert -O vpc", "vhdx": "qemu-img convert -O vhdx",
	"zst": "zstd", "gz": "gzip", "xz": "xz", "bz2": "bzip2", "lz4": "lz4",
	"tar": "", "tgz": "", "ova": "", "ovf": "", "zip": "", "7z": "",
}

// checkSuffix reports names that promise another format. An ISO is a disk image too, so .raw and .img suit both.
func checkSuffix(out, format string) error {
	if out == "-" {
		return usagef("-o -: an image is written in parallel at offsets, which a pipe cannot do; use -o FILE, and then copy it")
	}
	base := strings.ToLower(filepath.Base(out))
	suffix := strings.TrimPrefix(filepath.Ext(base), ".")
	plain := strings.TrimSuffix(out, filepath.Ext(out))
	if !strings.HasSuffix(strings.ToLower(plain), "."+format) {
		plain += "." + format
	}
	converter, other := converters[suffix]
	switch {
	case suffix == description.FormatISO && format != description.FormatISO:
		return usagef(`-o %s: the name suggests an ISO, but the description makes a raw disk; use -o %s, or format = "iso"`, out, plain)
	case !other:
		return nil
	case converter == "":
		return usagef("-o %s: the name suggests another format, but the image is %s; use -o %s", out, format, plain)
	}
	how := converter + " " + hosttool.ShellWord(plain)
	if strings.Contains(converter, "convert") {
		how += " " + hosttool.ShellWord(out)
	}
	return usagef("-o %s: the name suggests another format, but the image is %s; use -o %s, and then %s", out, format, plain, how)
}
