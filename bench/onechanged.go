package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"

	"imprint/closure/nar"
	"imprint/internal/hosttree"
)

// seeded is a disk whose identifiers do not depend on its contents, as that of a system which is updated.
var seeded = imageShape{top: "seed = \"bench\"\n", store: disk.store}

// updates returns contenders that build a disk of which one item has changed since the last build: as a whole, and as the next generation of a series.
func (o options) updates() []contender {
	title := "one item changed: "
	return []contender{
		{name: "one-full", title: title + "imprint, the whole job", command: func(w workload, out string) (*exec.Cmd, error) {
			changed, err := w.oneChanged()
			if err != nil {
				return nil, err
			}
			return o.imprint(seeded, nil)(changed, out)
		}},
		{name: "one-in-place", title: title + "a series, in place", command: o.update("--in-place")},
		{name: "one-copy", title: title + "a series, another file", command: o.update()},
	}
}

// update builds the generation before, which is not measured, and returns the command of the next one.
func (o options) update(flags ...string) func(workload, string) (*exec.Cmd, error) {
	return func(w workload, out string) (*exec.Cmd, error) {
		changed, err := w.oneChanged()
		if err != nil {
			return nil, err
		}
		kept := []string{"--series", "bench", "--build-store", filepath.Join(o.dir, "build-store")}
		before, err := o.imprint(seeded, kept)(w, out)
		if err != nil {
			return nil, err
		}
		if said, err := before.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%v: %s", err, said)
		}
		return o.imprint(seeded, append(kept, flags...))(changed, out)
	}
}

// oneChanged returns the workload with other bytes in one file of one item, made of links to the files of this one.
func (w workload) oneChanged() (workload, error) {
	c := workload{w.shape, w.dir + "-changed"}
	if _, err := os.Stat(c.path("registration")); err == nil {
		return c, nil
	}
	if err := os.RemoveAll(c.dir); err != nil {
		return c, err
	}
	if out, err := exec.Command("cp", "-al", w.dir, c.dir).CombinedOutput(); err != nil {
		return c, fmt.Errorf("cp: %s", out)
	}
	text, err := os.ReadFile(w.path("registration"))
	if err != nil {
		return c, err
	}
	if err := os.Remove(c.path("registration")); err != nil {
		return c, err
	}
	lines := bytes.Split(text, []byte("\n"))
	if err := c.change(lines); err != nil {
		return c, err
	}
	return c, os.WriteFile(c.path("registration"), bytes.Join(lines, []byte("\n")), 0o644)
}

// change changes the middle item, and its hash in the lines of the registration: a path, a hash, a size, a deriver, and the number of references,
// which follow.
func (w workload) change(lines [][]byte) error {
	at := 0
	for range w.items / 2 {
		references, err := strconv.Atoi(string(lines[at+4]))
		if err != nil {
			return err
		}
		at += 5 + references
	}
	item := w.path("root") + string(lines[at])
	if err := changeFile(item); err != nil {
		return err
	}
	node, err := new(hosttree.Scanner).Read(item)
	if err != nil {
		return err
	}
	digest, size, err := nar.Hash(node)
	lines[at+1], lines[at+2] = fmt.Appendf(nil, "%x", digest), strconv.AppendInt(nil, size, 10)
	return err
}

// changeFile replaces the largest file of an item by another one of the same size.
func changeFile(item string) error {
	var files []string
	sizes := map[string]int64{}
	err := filepath.WalkDir(item, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			files, sizes[path] = append(files, path), info.Size()
		}
		return err
	})
	if err != nil || len(files) == 0 {
		return errors.Join(err, fmt.Errorf("change %s: %d files", item, len(files)))
	}
	name := slices.MaxFunc(files, func(a, b string) int { return int(sizes[a] - sizes[b]) })
	content, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	for i := range content {
		content[i] ^= 1
	}
	if err := os.Chmod(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	if err := os.Remove(name); err != nil {
		return err
	}
	return os.WriteFile(name, content, 0o444)
}
