package write

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"imprint/bootloader"
	"imprint/bootloader/ipxe"
	"imprint/image/plan"
	"imprint/internal/output"
	"imprint/internal/tree"
	"imprint/internal/units"
)

// ExportFile is the name of the index of an export.
const ExportFile = "boot.json"

// ScriptFile is the name of a script for iPXE in an export.
const ScriptFile = "script.ipxe"

// An ExportedEntry is a boot entry in ExportFile. Its files are in the same directory.
type ExportedEntry struct {
	Title   string `json:"title"`
	Default bool   `json:"default,omitempty"`
	Kernel  string `json:"kernel"`
	Initrd  string `json:"initrd,omitempty"` // all initrds of the entry, concatenated
	Cmdline string `json:"cmdline"`
	Memory  string `json:"cmdlineInMemory,omitempty"` // for RootFile as the only initrd, if the export has that
}

// ExportNames returns the names of all files that an export of entries may have.
func ExportNames(entries []bootloader.Entry) []string {
	names := []string{ExportFile, ScriptFile, RootFile}
	for _, id := range bootloader.IDs(entries) {
		names = append(names, id+".kernel", id+".initrd")
	}
	return names
}

// An Export is boot files beside an image, for those who load a kernel themselves: `qemu -kernel`, PXE.
type Export struct {
	verify  verifier
	Entries []ExportedEntry
	dir     string
	made    bool // the directory is new
	outputs []*output.Output
}

// Boot writes the kernel, initrd and command line of every boot entry of a plan into a directory, which it makes if needed; with root also
// the root file system as an initrd, which [CheckRoot] has accepted.
// The caller commits its group, or discards it. Errors match [ErrMismatch] if a file has changed since it was planned, or,
// with [Options].Export, since it was written to the disk.
func (r *Result) Boot(ctx context.Context, p *plan.Plan, dir string, root bool) (e *Export, err error) {
	e = &Export{verify: verifier{ledger: r.ledger}, dir: dir}
	defer func() {
		if err != nil {
			e.Discard()
		}
	}()
	if err := os.Mkdir(dir, 0o755); err == nil {
		e.made = true
	} else if !errors.Is(err, fs.ErrExist) {
		return e, err
	}
	for i, id := range bootloader.IDs(p.Entries) {
		x, err := e.entry(ctx, p.Entries[i], id)
		if err != nil {
			return e, err
		}
		x.Default = i == p.DefaultEntry
		if root && !p.Entries[i].Plain {
			x.Memory = bootloader.InMemory(x.Cmdline)
		}
		e.Entries = append(e.Entries, x)
	}
	index := map[string]any{"arch": p.Arch, "entries": e.Entries}
	if root {
		index["root"] = RootFile
		if err := e.root(ctx, r.Layout); err != nil {
			return e, err
		}
	}
	if err := e.script(ctx, p); err != nil {
		return e, err
	}
	text, err := json.MarshalIndent(index, "", "  ")
	if err != nil {
		return e, err
	}
	return e, e.add(ctx, ExportFile, tree.Text(string(text)+"\n"))
}

// script writes the menu for iPXE, which fetches the files from where it has the script.
func (e *Export) script(ctx context.Context, p *plan.Plan) error {
	var list []ipxe.Entry
	for i, id := range bootloader.IDs(p.Entries) {
		x := ipxe.Entry{ID: id, Title: e.Entries[i].Title, Kernel: e.Entries[i].Kernel, Cmdline: e.Entries[i].Cmdline}
		if name := e.Entries[i].Initrd; name != "" {
			x.Initrds = []string{name}
		}
		list = append(list, x)
	}
	for i, x := range list[:len(e.Entries)] {
		if memory := e.Entries[i].Memory; memory != "" {
			list = append(list, ipxe.Entry{
				ID: x.ID + "+memory", Title: x.Title + ", in memory", Kernel: x.Kernel, Initrds: []string{RootFile}, Cmdline: memory,
			})
		}
	}
	return e.add(ctx, ScriptFile, tree.Text(ipxe.Script(p.Name, list, p.DefaultEntry, p.Timeout)))
}

// entry writes the files of one entry.
func (e *Export) entry(ctx context.Context, entry bootloader.Entry, id string) (ExportedEntry, error) {
	x := ExportedEntry{Title: entry.Title, Kernel: id + ".kernel", Cmdline: entry.Cmdline}
	if err := e.add(ctx, x.Kernel, entry.Kernel.Content); err != nil || len(entry.Initrd) == 0 {
		return x, err
	}
	x.Initrd = id + ".initrd"
	var parts []tree.Blob
	for _, src := range entry.Initrd {
		parts = append(parts, src.Content)
	}
	return x, e.add(ctx, x.Initrd, parts...)
}

// add writes an output with one content, or with several initrds. Each initrd begins at a multiple of 4 bytes, as Linux
// requires of concatenated cpio archives (Documentation/driver-api/early-userspace/buffer-format.rst).
func (e *Export) add(ctx context.Context, name string, parts ...tree.Blob) error {
	out, err := output.Create(filepath.Join(e.dir, name))
	if err != nil {
		return err
	}
	e.outputs = append(e.outputs, out)
	at := int64(0)
	for _, b := range parts {
		at = units.Align(at, 4)
		if err := e.copy(ctx, io.NewOffsetWriter(out.File, at), b); err != nil {
			return err
		}
		at += b.Size()
	}
	return nil
}

// exported returns the contents that Boot will read.
func exported(p *plan.Plan, o Options) (list []tree.Blob) {
	if !o.Export {
		return nil
	}
	for _, e := range p.Entries {
		list = append(list, e.Kernel.Content)
		for _, src := range e.Initrd {
			list = append(list, src.Content)
		}
	}
	return list
}

// copy copies a content, and verifies it.
func (e *Export) copy(ctx context.Context, w io.Writer, b tree.Blob) error {
	return e.verify.content(b, func(h io.Writer) error {
		if h != nil {
			w = io.MultiWriter(w, h)
		}
		return tree.Copy(ctx, w, b, nil)
	})
}

// Group returns the files, with ExportFile, which was added last, as their index.
func (e *Export) Group() output.Group {
	last := len(e.outputs) - 1
	return output.Group{Files: e.outputs[:last], Index: e.outputs[last]}
}

// Discard removes the files that Commit has not named.
func (e *Export) Discard() {
	for _, out := range e.outputs {
		out.Discard()
	}
	if e.made {
		os.Remove(e.dir) // fails when there are files in it
	}
}
