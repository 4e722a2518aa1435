package serve

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"slices"

	"imprint/image/plan"
	"imprint/internal/tree"
)

// An Identity identifies the contents of a disk: disks with equal identities have equal bytes.
type Identity [sha256.Size]byte

// String returns the identity as hexadecimal digits.
func (i Identity) String() string { return hex.EncodeToString(i[:]) }

// Identity returns the identity of the disk. It takes as long as listing all its files.
func (d *Disk) Identity() (Identity, error) { return d.tag() }

// identity hashes the plan, which has the hashes of store items and host files, the offsets of all contents, and the other bytes of the disk.
// The output of a host tool has no hash: a disk with one gets an identity that no other disk has.
func (l *layoutDisk) identity() (id Identity, err error) {
	h := sha256.New()
	e := json.NewEncoder(h)
	if err := e.Encode(anywhere(l.Plan)); err != nil {
		return id, err
	}
	if err := e.Encode(l.Plan.Manifest(l.Layout, 0)); err != nil {
		return id, err
	}
	for x := range l.Layout.Extents(0) {
		fmt.Fprintln(h, x.Off, x.Len, x.At, x.Meta)
		if x.Meta {
			continue // follows from the plan
		}
		if err := l.identify(h, x.Blob); err != nil {
			return id, err
		}
	}
	if l.Filled != nil {
		p, err := fingerprintOf(l.Filled.Name())
		if err != nil {
			return id, err
		}
		fmt.Fprintln(h, p)
	}
	h.Sum(id[:0])
	return id, nil
}

// anywhere returns a plan without the scratch directory of host tools, which differs from run to run.
func anywhere(p *plan.Plan) *plan.Plan {
	c := *p
	c.Partitions = slices.Clone(p.Partitions)
	for i, part := range c.Partitions {
		one := *part
		one.Spec.Scratch = ""
		c.Partitions[i] = &one
	}
	return &c
}

// identify hashes a content: nothing if the plan has a hash of it, the fingerprint if it is another file, else its bytes.
func (l *layoutDisk) identify(h hash.Hash, b tree.Blob) error {
	if sum, ok := tree.PinOf(b); ok {
		h.Write(sum[:])
		return nil
	}
	for _, piece := range tree.Pieces(b) {
		fmt.Fprintln(h, piece.Off, piece.Len)
		src := l.sources[piece.Blob]
		if src != nil && len(src.checks) == 0 {
			fmt.Fprintln(h, src.print)
		}
		if src != nil {
			continue
		}
		r, err := piece.Blob.Open()
		if err != nil {
			return err
		}
		_, err = io.Copy(h, io.NewSectionReader(r, piece.Off, piece.Len))
		r.Close()
		if err != nil {
			return err
		}
	}
	return nil
}
