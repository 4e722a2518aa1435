package write

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"

	"imprint/closure"
	"imprint/closure/nar"
	"imprint/image/plan"
	"imprint/internal/tree"
)

// ErrMismatch is matched by errors about contents that differ from their hash.
var ErrMismatch = errors.New("contents do not match their hash")

// A HashMismatch reports an item whose NAR hash differs from the one in its registration.
type HashMismatch struct {
	Path              closure.Path
	Registered, Found nar.Digest
	From              string // the archive that it was read from; "" if it was none
}

// Error implements error.
func (m *HashMismatch) Error() string {
	what := "has changed"
	if m.From != "" {
		what = "from " + m.From
	}
	return fmt.Sprintf("%v %s: its NAR hash is sha256:%s, but it is registered with sha256:%s",
		m.Path, what, nar.EncodeBase32(m.Found[:]), nar.EncodeBase32(m.Registered[:]))
}

// Unwrap makes it match ErrMismatch.
func (m *HashMismatch) Unwrap() error { return ErrMismatch }

// A verifier compares contents as they are read: a store item with its registered NAR hash, a pinned content with its pin, and
// what is read more than once with the earlier reads. Everything that is written passes through one, whoever moves it.
type verifier struct {
	off    bool
	ledger *ledger // nil if nothing is read twice
}

// wants reports whether a content has to be compared with something.
func (v verifier) wants(b tree.Blob) bool {
	_, pinned := tree.PinOf(b)
	return !v.off && (pinned || v.ledger.has(b))
}

// content calls move, which copies a content and writes all of it to h too, unless h is nil, and verifies it.
func (v verifier) content(b tree.Blob, move func(h io.Writer) error) error {
	if !v.wants(b) {
		return move(nil)
	}
	whole := tree.NewPinner()
	to := tree.ZeroWriter(whole) // so that holes are neither read nor hashed
	if v.ledger.has(b) {
		to = tree.Tee(whole, v.ledger.reading(b))
	}
	if err := move(to); err != nil {
		return err
	}
	if want, pinned := tree.PinOf(b); pinned && whole.Pin() != want {
		return fmt.Errorf("%s has changed since it was planned: %w", tree.HostPath(b), ErrMismatch)
	}
	return nil
}

// item verifies a store item. It calls move for each file in the order of a NAR, including further names of a file; move
// copies the content and writes it to h too. reset is a SHA-256 for item to use, so that a worker allocates one for all its
// items.
func (v verifier) item(ctx context.Context, item *plan.Item, reset hash.Hash, move func(n *tree.Node, h io.Writer) error) error {
	if v.off {
		return deleted(item, each(ctx, item.Node, func(n *tree.Node) error { return move(n, nil) }))
	}
	if size := nar.Size(item.Node); size != item.Info.NARSize {
		return fmt.Errorf("%v has changed: its NAR has %d bytes, but it is registered with %d: %w", item.Info.Path, size, item.Info.NARSize, ErrMismatch)
	}
	if item.Stream == nil {
		return v.hashed(ctx, item, reset, move)
	}
	end, err := item.Stream.Begin(ctx)
	if err != nil {
		return fmt.Errorf("%v: %w", item.Info.Path, err)
	}
	err = v.hashed(ctx, item, reset, move)
	if ended := end(err == nil); err == nil && ended != nil {
		err = fmt.Errorf("%v: %w", item.Info.Path, ended)
	}
	return err
}

// hashed compares the hash of an item while its files are moved.
func (v verifier) hashed(ctx context.Context, item *plan.Item, reset hash.Hash, move func(n *tree.Node, h io.Writer) error) error {
	reset.Reset()
	err := nar.Write(reset, item.Node, func(h io.Writer, n *tree.Node) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		b := n.Inode().Blob()
		if !v.ledger.has(b) {
			return move(n, h)
		}
		return move(n, io.MultiWriter(h, v.ledger.reading(b)))
	})
	if err != nil {
		return deleted(item, fmt.Errorf("%v: %w", item.Info.Path, err))
	}
	if got := nar.Digest(reset.Sum(nil)); got != item.Info.NARHash {
		m := &HashMismatch{Path: item.Info.Path, Registered: item.Info.NARHash, Found: got}
		if item.Stream != nil {
			m.From = item.Stream.String()
		}
		return m
	}
	return nil
}

// deleted turns the error of a missing file into one that says that the item is gone, probably garbage-collected.
func deleted(item *plan.Item, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w (%w)", &closure.GoneError{Path: item.Info.Path}, err)
	}
	return err
}

// each calls move for the files of a node and everything below it, without further names of files.
func each(ctx context.Context, n *tree.Node, move func(*tree.Node) error) error {
	if n.Kind() == tree.File {
		return move(n)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for _, k := range n.Children() {
		if err := each(ctx, k, move); err != nil {
			return err
		}
	}
	return nil
}
