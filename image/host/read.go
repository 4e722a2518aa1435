package host

import (
	"context"
	"fmt"
	"os"

	"imprint/closure"
	"imprint/image/base"
	"imprint/image/description"
	"imprint/image/input"
	"imprint/internal/diag"
	"imprint/internal/hosttree"
	"imprint/internal/processors"
	"imprint/internal/tree"
	"imprint/partition"

	"golang.org/x/sync/errgroup"
)

// A Reader reads what a description names on the host. Its fields are what the inputs depend on besides the description.
type Reader struct {
	Dir    string         // base of relative paths
	OutDir string         // directory of the image, which no tree may contain; "" to write none
	Epoch  int64          // modification time of what is in directories, seconds since 1970
	Flavor closure.Flavor // whose store paths are looked for in small files

	// Backwards takes the names of directories in reverse order, which makes no difference to what is read.
	Backwards bool

	// BuildStore is the directory of the build store, where environments and their layers are; "" if there is none.
	BuildStore string

	// Files are the inputs by their names, for which ${input.NAME} stands.
	Files map[string]*input.File

	// Bases are what layers with from are made of, by the keys of the layers.
	Bases map[diag.Key]*base.Base

	// Scratch is the directory where compressed archives are unpacked, into files without names. If it is "", such archives are an error.
	// Nothing else is written.
	Scratch string

	Warn func(key diag.Key, text, hint string) // takes what is valid but probably a mistake
}

// All reads every host file and tree that a description names, and pins the contents, unless there is a problem already. Kernels
// and the like are not among them: only the closures show which of those are on the host. The description has its defaults.
//
// The list has the problems of the description, such as a missing file. The error is one of the host, such as a broken disk.
func (r Reader) All(ctx context.Context, d *description.Image) (Inputs, diag.List, error) {
	h := r.start()
	h.named(ctx, d)
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	if len(h.problems) > 0 {
		return h.inputs, h.problems, nil
	}
	if err := h.pin(ctx); err != nil {
		return nil, nil, err
	}
	err := h.checkBytes(d)
	return h.inputs, h.problems, err
}

// File reads and pins a file that a key names. The input is nil after a problem.
func (r Reader) File(ctx context.Context, key diag.Key, name string) (*Input, diag.List) {
	h := r.start()
	return h.one(ctx, key, h.file(key, name))
}

// Tree reads and pins a directory or an archive that a key names. The input is nil after a problem.
func (r Reader) Tree(ctx context.Context, key diag.Key, name string) (*Input, diag.List) {
	h := r.start()
	return h.one(ctx, key, h.tree(ctx, treeSource{key: key, name: name}))
}

// A reading is what a Reader has found so far.
type reading struct {
	Reader
	inputs   Inputs
	problems diag.List
	contents []content
	expected []expectation
}

// A content is a blob to pin. set stores the pinned blob in its place.
type content struct {
	blob tree.Blob
	set  func(tree.Blob)
	in   *Input
	path string // in a tree, else ""
}

func (r Reader) start() *reading { return &reading{Reader: r, inputs: Inputs{}} }

// named reads every host file and tree that the description names, without their contents.
func (h *reading) named(ctx context.Context, d *description.Image) {
	for _, p := range d.Partition.Items {
		h.fileIf(p.Content)
		for _, f := range p.File.Items {
			if in := h.fileIf(f.Source); in != nil {
				h.fits(f.Source.Key, partition.Named(p.Filesystem.V), f.Path.V, in.Blob.Size())
			}
		}
		for _, l := range p.Layer.Items {
			h.layers(ctx, p, l)
		}
		for _, t := range p.Tree.Items {
			h.tree(ctx, sourceOf(p, t))
		}
	}
	for _, s := range d.Step.Items {
		for _, in := range s.Inputs.Items {
			h.stepInput(ctx, in)
		}
	}
	for _, raw := range d.Raw.Items {
		if in := h.file(raw.Source.Key, raw.Source.V); in != nil && in.Blob.Size() == 0 {
			h.problems = append(h.problems, raw.Source.Key.Problem(raw.Source.V+" is empty", ""))
		}
	}
	h.fileIf(d.Boot.EFIBinary)
	h.fileIf(d.Boot.SignKey)
	h.fileIf(d.Boot.SignCert)
	h.fileIf(d.Boot.Background)
}

// stepInput reads a file or directory that a step is given.
func (h *reading) stepInput(ctx context.Context, in description.StepInput) {
	if info, err := os.Stat(Join(h.Dir, in.Source.V)); err == nil && info.IsDir() {
		h.tree(ctx, treeSource{key: in.Source.Key, name: in.Source.V})
		return
	}
	h.file(in.Source.Key, in.Source.V)
}

// fileIf reads the file that a key names, if there is such a key.
func (h *reading) fileIf(name description.Text) *Input {
	if name.V == "" {
		return nil
	}
	return h.file(name.Key, name.V)
}

// file opens a file; a missing one is a problem at the key.
func (h *reading) file(key diag.Key, source string) *Input {
	b, err := h.blob(source)
	if err != nil {
		h.problems = append(h.problems, key.ProblemOf(err))
		return nil
	}
	in := &Input{Blob: b}
	h.inputs[key] = in
	h.contents = append(h.contents, content{b, func(b tree.Blob) { in.Blob = b }, in, ""})
	return in
}

// blob returns an input, or a file on the host.
func (h *reading) blob(source string) (tree.Blob, error) {
	if name, ok := description.InputOf(source); ok {
		if f := h.Files[name]; f != nil {
			return f.Blob, nil
		}
		return nil, fmt.Errorf("input %q was not found", name) // which is reported, or nobody has looked for it
	}
	return hosttree.File(Join(h.Dir, source))
}

// onHost returns the path of a file or a directory on the host, which an input has too.
func (h *reading) onHost(source string) string {
	if name, ok := description.InputOf(source); ok && h.Files[name] != nil {
		return tree.HostPath(h.Files[name].Blob)
	}
	return Join(h.Dir, source)
}

// pin reads and hashes all contents in parallel, and then computes the digests of what was read.
func (h *reading) pin(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2 * processors.Count())
	pinned, texts := make([]tree.Blob, len(h.contents)), make([]smallText, len(h.contents))
	for i, c := range h.contents {
		group.Go(func() (err error) {
			if _, known := tree.PinOf(c.blob); known && c.blob.Size() > maxScanned { // an input
				pinned[i] = c.blob
				return ctx.Err()
			}
			if err = ctx.Err(); err == nil {
				pinned[i], err = tree.PinContent(ctx, c.blob, &texts[i])
			}
			texts[i].mentions = h.Flavor.Mentions(texts[i].String())
			texts[i].Reset()
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i, c := range h.contents {
		c.set(pinned[i])
		for _, item := range texts[i].mentions {
			c.in.Mentions = append(c.in.Mentions, Mention{c.path, item})
		}
	}
	h.contents = nil
	return h.digests()
}

// one pins the only input of a reading. An error is a problem at its key.
func (h *reading) one(ctx context.Context, key diag.Key, in *Input) (*Input, diag.List) {
	if in == nil && ctx.Err() != nil {
		return nil, diag.List{key.ProblemOf(context.Cause(ctx))}
	}
	if in == nil {
		return nil, h.problems
	}
	if err := h.pin(ctx); err != nil {
		return nil, append(h.problems, key.ProblemOf(err))
	}
	return in, h.problems
}
