package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"imprint/bootloader"
	"imprint/cmd/imprint/imagecmd"
	"imprint/image/description"
	"imprint/image/host"
	"imprint/image/write"
	"imprint/internal/diag"
	"imprint/internal/output"
)

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
	var names []string
	for _, t := range f.targetList {
		names = append(names, t.Name)
		if !f.noManifest && t.Format.HoldsDisk() {
			names = append(names, t.manifestName())
		}
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
	inputs := append(host.Paths(d, dirOf(file)), host.Path{Path: file})
	taken := map[string]string{}
	for _, name := range names {
		place, err := output.Place(name)
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
	for _, t := range f.targetList {
		if err := f.checkManifest(t.manifestName()); err != nil {
			return err
		}
	}
	return nil
}

// exported returns the names of the files that --export-boot may write for entries.
func (f *buildFlags) exported(file string, d *description.Image, entries []bootloader.Entry) (names []string, err error) {
	if !d.HasBootEntries() {
		return nil, usagef("--export-boot %s: the description has no boot entries", f.exportBoot)
	}
	dir := filepath.Clean(f.exportBoot)
	switch info, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		place, err := output.Place(dir) // it will be created
		if err != nil {
			return nil, err
		}
		return nil, refuseInput(f.exportBoot, place, host.Paths(d, dirOf(file)))
	case err != nil:
		return nil, err
	case output.Same(dir, file):
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
		case !info.IsDir() && output.Same(in.Path, place) && in.Key.Path == "":
			return usagef("the output %s is the description itself", name)
		case !info.IsDir() && output.Same(in.Path, place):
			return usagef("the output %s is an input of the image: %v: %s", name, in.Key.Position, in.Key.Path)
		}
	}
	return nil
}

// checkManifest refuses to replace a file that is not a manifest, since the user did not name it.
func (f *buildFlags) checkManifest(name string) error {
	if f.noManifest {
		return nil
	}
	if info, err := os.Stat(name); err != nil || info.Size() == 0 {
		return nil
	}
	is, err := isManifest(name)
	if err == nil && !is {
		err = usagef("%s exists and is not a manifest; to keep it, use another -o or --no-manifest", name)
	}
	return err
}

// isManifest reports whether a file is the manifest of an image.
func isManifest(path string) (bool, error) {
	m, err := imagecmd.ReadManifest(path)
	return m != nil, err
}
