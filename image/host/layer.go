package host

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"imprint/image/description"
	"imprint/internal/diag"
	"imprint/internal/environment"
	"imprint/internal/hosttree"
	"imprint/internal/layer"
	"imprint/internal/named"
	"imprint/internal/objects"
	"imprint/internal/pattern"
	"imprint/internal/tree"
	"imprint/partition"
)

// Layer reads a directory or an archive that a key names as a layer, without the contents of its files. Of a directory the top itself is no part of it.
// The layer is nil after a problem.
func (r Reader) Layer(ctx context.Context, key diag.Key, name string) (*layer.Layer, diag.List) {
	h := r.start()
	l := h.layer(ctx, treeSource{key: key, name: name})
	if ctx.Err() != nil {
		return nil, diag.List{key.ProblemOf(context.Cause(ctx))}
	}
	return l, h.problems
}

// layer reads a directory or an archive.
func (h *reading) layer(ctx context.Context, src treeSource) *layer.Layer {
	path := h.onHost(src.name)
	if inside := CheckOutput(src.key, path, h.OutDir, pattern.Set{}); inside != nil {
		h.problems = append(h.problems, inside...)
		return nil
	}
	in, err := h.readTree(ctx, path, src)
	if err == nil && in.IsDir {
		in.Entries = below(in.Entries[0].Node)
	}
	var l *layer.Layer
	if err == nil {
		if l, err = layer.Of(in.Entries); err != nil {
			err = fmt.Errorf("read %s: %w", path, err)
		}
	}
	if err != nil && ctx.Err() == nil {
		h.problems = append(h.problems, src.key.ProblemOf(err))
	}
	if len(h.problems) > 0 {
		return nil
	}
	return l
}

// below returns what is in a directory as entries.
func below(top *tree.Node) (list []hosttree.Entry) {
	for _, n := range top.Children() {
		list = append(list, hosttree.Entry{Path: "/" + n.Name, Node: n})
	}
	return list
}

// layers reads the layers that a [[partition.layer]] names.
func (h *reading) layers(ctx context.Context, p description.Partition, d description.Layer) {
	in := &Input{}
	switch {
	case d.Step.Written():
		h.inputs[d.Key] = &Input{Digest: "not made yet"} // see package realise
		return
	case h.Bases[d.Key] != nil:
		in.Base = h.Bases[d.Key]
		in.Layers, in.Digest = in.Base.Layers, stackDigest+objects.Text(in.Base.Pin)
	case d.Source.Written():
		if l := h.layer(ctx, treeSource{key: d.Source.Key, name: d.Source.V, to: partition.Named(p.Filesystem.V)}); l != nil {
			in.Layers = []*layer.Layer{l}
		}
	case h.BuildStore == "":
		h.problems = append(h.problems, d.Key.Problem("there is no build store", "name one (--build-store DIR), or set XDG_CACHE_HOME or HOME"))
	default:
		h.stored(d, in)
	}
	h.inputs[d.Key] = in
	for _, l := range in.Layers {
		for _, f := range l.Files() {
			if _, pinned := tree.PinOf(f.Node.Blob()); h.fits(d.Key, partition.Named(p.Filesystem.V), f.Path, f.Node.Size()) && !pinned {
				h.contents = append(h.contents, content{f.Node.Blob(), f.Node.SetBlob, in, f.Path})
			}
		}
	}
	if d.Source.Written() && d.Digest.Written() {
		h.expect(in, d.Digest)
	}
}

// stored finds layers in the build store. Their contents are pinned already, and so are read, and compared, only when they are written.
func (h *reading) stored(d description.Layer, in *Input) {
	store, err := environment.Open(h.BuildStore)
	if err != nil {
		h.problems = append(h.problems, d.Key.ProblemOf(err))
		return
	}
	if !d.Env.Written() {
		h.byDigest(store, d, in)
		return
	}
	e, err := store.Environment(d.Env.V)
	if err != nil {
		h.problems = append(h.problems, unknown(d.Env.Key, err, store.Dir()))
		return
	}
	pin, err := store.Pin(e, d.Tag.V)
	if err != nil {
		h.problems = append(h.problems, unknown(d.Tag.Key, err, store.Dir()))
		return
	}
	if want := digits(d.Digest); want != "" && want != objects.Text(pin) {
		h.problems = append(h.problems, d.Digest.Key.Problem(fmt.Sprintf("the pin of %s is %s", d.Env.V, objects.Text(pin)), "write this one if the change is intended"))
		return
	}
	in.Digest = stackDigest + objects.Text(pin)
	stack, err := store.Stack(pin)
	if err == nil {
		in.Layers, err = environment.Layers(stack, store.Layer)
	}
	if err != nil {
		h.problems = append(h.problems, d.Env.Key.ProblemOf(err))
	}
}

// byDigest finds the layer with a digest.
func (h *reading) byDigest(store *environment.Store, d description.Layer, in *Input) {
	sum, err := objects.Parse(digits(d.Digest))
	if err == nil {
		var l *layer.Layer
		if l, err = store.Layer(sum); err == nil {
			in.Layers = []*layer.Layer{l}
			in.Digest = layerDigest + objects.Text(sum)
			return
		}
	}
	h.problems = append(h.problems, d.Digest.Key.ProblemOf(err))
}

// unknown is the problem of an environment or a tag that is not in the build store.
func unknown(key diag.Key, err error, dir string) diag.Problem {
	var missing *named.UnknownError
	if !errors.As(err, &missing) {
		return key.ProblemOf(err)
	}
	hint := "imprint env init makes one"
	if near := diag.Nearest(missing.Name, missing.Known); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	} else if len(missing.Known) > 0 {
		hint = "there is " + strings.Join(missing.Known, ", ")
	}
	return key.Problem(fmt.Sprintf("%v in %s", err, dir), hint)
}

// Prefixes of the digests of layers and of their stacks.
const (
	layerDigest = "layer:"
	stackDigest = "stack:"
)

// digits returns the hexadecimal digits of a digest.
func digits(d description.Text) string { return strings.TrimPrefix(d.V, "sha256:") }

// expect records the digest that an input must have once its contents are pinned.
func (h *reading) expect(in *Input, d description.Text) {
	h.expected = append(h.expected, expectation{in, d})
}

// An expectation is the digest that an input must have.
type expectation struct {
	in     *Input
	digest description.Text
}

// digests computes the digests of what was read, and compares those that the description states.
func (h *reading) digests() error {
	for _, in := range h.inputs {
		switch {
		case in.Digest != "":
		case in.Layers == nil:
			in.Digest = digestOf(in)
		default:
			sum, err := in.Layers[0].Digest()
			if err != nil {
				return err
			}
			in.Digest = layerDigest + hex.EncodeToString(sum[:])
		}
	}
	for _, e := range h.expected {
		if got := strings.TrimPrefix(e.in.Digest, layerDigest); got != digits(e.digest) {
			h.problems = append(h.problems, e.digest.Key.Problem("the digest of the layer is "+got, "write this one if the change is intended"))
		}
	}
	return nil
}

// SetLayer makes the input the layer that a step has made.
func (in *Input) SetLayer(l *layer.Layer) {
	in.Layers, in.Digest = []*layer.Layer{l}, ""
	if sum, err := l.Digest(); err == nil { // its contents are those of the build store, and pinned
		in.Digest = layerDigest + hex.EncodeToString(sum[:])
	}
}
