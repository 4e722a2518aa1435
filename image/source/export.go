package source

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"imprint/closure"
	"imprint/closure/address"
	"imprint/closure/db"
	"imprint/closure/export"
	"imprint/closure/nar"
	"imprint/closure/narinfo"
	"imprint/internal/framed"
	"imprint/internal/gcrypt"
	"imprint/internal/hosttree"
	"imprint/internal/processors"
	"imprint/internal/tree"
	"imprint/internal/unpack"

	"golang.org/x/sync/errgroup"
)

// An Export is a stream of nix-store --export in a file. It has no hashes, so they are computed when it is opened; no content addresses, which
// are recomputed if the path of an item proves them. Only those of guix archive are signed.
type Export struct {
	ExportOptions
	items map[closure.Path]*exported
	order []closure.Path // of the stream
}

// ExportOptions describe an export stream and the trust in it.
type ExportOptions struct {
	File    string // path of this machine
	Name    string // in messages; "" for File
	Flavor  closure.Flavor
	Keys    []narinfo.Key // each item must be signed by one of them; without keys, signatures by any key are valid
	Scratch string        // directory for what a compressed file unpacks to
}

type exported struct {
	info *closure.Info
	node *tree.Node
}

// OpenExport opens a file. A compressed one is unpacked to a file without a name in the scratch directory. Signatures are verified. It returns an
// [*InvalidError] if the file is not such a stream, or has two different items of one path.
func OpenExport(ctx context.Context, o ExportOptions) (*Export, error) {
	o.Name = cmp.Or(o.Name, o.File)
	x := &Export{ExportOptions: o, items: map[closure.Path]*exported{}}
	b, err := hosttree.Unpacked(o.File, unpack.Into(ctx, o.Scratch, o.Name))
	if err != nil {
		return nil, err
	}
	items, err := export.Read(b, closure.CanonicalAttr)
	var damaged *framed.FormatError
	if errors.As(err, &damaged) {
		return nil, x.invalid("%v", err)
	}
	if err != nil {
		return nil, err
	}
	hashes, err := hashesOf(ctx, items)
	if err != nil {
		return nil, err
	}
	for i, item := range items {
		if err := signedBy(item, hashes[i].signed, o.Keys); err != nil {
			return nil, err.of(x)
		}
		if err := x.add(item, hashes[i]); err != nil {
			return nil, x.invalid("%v", err)
		}
	}
	return x, nil
}

// hashes holds the hashes of an item.
type hashes struct {
	archive nar.Digest
	file    *nar.Digest // as in [address.Item]
	signed  *nar.Digest // of what is signed; nil without a signature
}

// hashesOf hashes items, several at a time.
func hashesOf(ctx context.Context, items []export.Item) ([]hashes, error) {
	all := make([]hashes, len(items))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2 * processors.Count())
	for i, item := range items {
		group.Go(func() error {
			archive, err := hashOf(ctx, item.Archive)
			if err == nil {
				all[i].archive = *archive
			}
			if n := item.Node; err == nil && n.Kind() == tree.File && n.Attr.Mode&0o100 == 0 {
				all[i].file, err = hashOf(ctx, n.Blob())
			}
			if err == nil && item.Signature != "" {
				all[i].signed, err = hashOf(ctx, item.Signed)
			}
			return err
		})
	}
	return all, group.Wait()
}

func hashOf(ctx context.Context, b tree.Blob) (*nar.Digest, error) {
	h := sha256.New()
	if err := tree.Copy(ctx, h, b, nil); err != nil {
		return nil, err
	}
	d := nar.Digest(h.Sum(nil))
	return &d, nil
}

// signedBy verifies the signature of an item. The source of the error is not filled in.
func signedBy(item export.Item, hash *nar.Digest, keys []narinfo.Key) *InvalidError {
	path := tree.Shown(item.Path)
	if item.Signature == "" {
		if len(keys) > 0 {
			return &InvalidError{Text: path + " is not signed", Hint: "leave the keys out, if you trust the file"}
		}
		return nil
	}
	s, err := gcrypt.ParseSignature(item.Signature)
	switch {
	case err != nil:
		return &InvalidError{Text: fmt.Sprintf("the signature of %s: %v", path, err)}
	case s.Hash != *hash || !s.Verify():
		return &InvalidError{Text: fmt.Sprintf("the signature of %s by %v is not valid: path, contents or references are not those that were signed", path, s.Key)}
	case len(keys) > 0 && !narinfo.TrustedGuix(s, keys):
		return &InvalidError{Text: fmt.Sprintf("%s is signed by %v, and not by a trusted key", path, s.Key),
			Hint: "add this key, if you trust it: " + trusting}
	}
	return nil
}

// of fills in the source.
func (e *InvalidError) of(s closure.Store) error {
	e.Source = s
	return e
}

func (x *Export) invalid(format string, args ...any) error {
	return &InvalidError{Source: x, Text: fmt.Sprintf(format, args...)}
}

// add checks an item of the stream.
func (x *Export) add(item export.Item, hash hashes) error {
	p, err := x.Flavor.ParsePath(item.Path)
	if err != nil {
		return err
	}
	info, err := x.Flavor.Registered(p, &db.Item{
		Path: item.Path, NARHash: hash.archive, NARSize: item.Archive.Size(), References: item.References, Deriver: item.Deriver,
	})
	if err != nil {
		return fmt.Errorf("%v: %w", p, err)
	}
	slices.SortFunc(info.References, closure.Path.Compare)
	info.References = slices.Compact(info.References)
	info.CA = address.Of(address.Item{Path: item.Path, References: item.References, NARHash: hash.archive, File: hash.file})
	if p.IsDerivation() {
		if info.Outputs, err = x.Flavor.Outputs(item.Node); err != nil {
			return fmt.Errorf("derivation %v: %w", p, err)
		}
	}
	if before := x.items[p]; before != nil && before.info.NARHash != hash.archive {
		return fmt.Errorf("%v is there twice, with different contents", p)
	}
	item.Node.Name = p.Base()
	if x.items[p] == nil {
		x.order = append(x.order, p)
	}
	x.items[p] = &exported{info, item.Node}
	return nil
}

// Paths returns the items, in the order of the stream.
func (x *Export) Paths(context.Context) ([]closure.Path, error) { return x.order, nil }

// String returns the name of the file.
func (x *Export) String() string { return x.Name }

// Info implements [closure.Store].
func (x *Export) Info(_ context.Context, p closure.Path) (*closure.Info, error) {
	if item := x.items[p]; item != nil {
		return item.info, nil
	}
	return nil, fmt.Errorf("%s: %w", p, closure.ErrNotFound)
}

// Item implements [closure.Store].
func (x *Export) Item(_ context.Context, p closure.Path) (*tree.Node, error) {
	if item := x.items[p]; item != nil {
		return item.node, nil
	}
	return nil, fmt.Errorf("%s: %w", p, closure.ErrNotFound)
}
