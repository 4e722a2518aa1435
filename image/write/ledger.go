package write

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"imprint/image/plan"
	"imprint/internal/tree"
)

// A ledger keeps the pin of every file of the host that is read more than once: a kernel in a store item and in a unified
// kernel image, a file in two regions of which a host tool fills one, a boot file on the disk and in an export. Sources may
// change during a build. A NAR hash verifies only one of those reads, and the ledger compares the others with it.
//
// Entries are pieces ([tree.Piece]), since a content may be composed of parts of several files.
type ledger struct {
	times map[tree.Piece]int // how often each is read; once newLedger returns, at least twice
	mu    sync.Mutex
	sums  map[tree.Piece]tree.Pin // of those read so far
}

// newLedger finds everything that writing all stages and reading besides will read more than once. known was read before, while
// resolving, and has pins.
func newLedger(stages []stage, o Options, besides, known []tree.Blob) *ledger {
	g := &ledger{times: map[tree.Piece]int{}, sums: map[tree.Piece]tree.Pin{}}
	for _, b := range known {
		if pieces := tree.Pieces(b); len(pieces) == 1 {
			g.times[pieces[0]]++
			g.sums[pieces[0]], _ = tree.PinOf(b)
		}
	}
	for _, b := range besides {
		g.count(b)
	}
	mains := make([]func(), 0, len(stages))
	for _, s := range stages {
		main, together := mainRegion(s.regions), map[tree.Blob]bool{}
		for _, r := range s.regions {
			if r.Tree != nil && r != main {
				g.countRegion(r, together)
			}
		}
		if main != nil {
			g.countBesides(main, together)
			mains = append(mains, func() { g.countItems(main, together) })
		}
	}
	for _, count := range mains { // when everything else is counted
		count()
	}
	for _, s := range stages {
		for _, r := range s.regions {
			if r.ByHostTool() && r.Tree != nil && o.archives(r) {
				g.countArchived(r)
			}
		}
	}
	maps.DeleteFunc(g.times, func(_ tree.Piece, n int) bool { return n < 2 })
	return g
}

// count adds one read of a content. One that is a whole file with a pin is not counted, since each read is compared with the
// pin.
func (g *ledger) count(b tree.Blob) {
	pieces := tree.Pieces(b)
	if _, pinned := tree.PinOf(b); pinned && len(pieces) == 1 {
		return
	}
	for _, piece := range pieces {
		if _, ok := piece.Blob.(tree.HostBlob); ok {
			g.times[piece]++
		}
	}
}

// countRegion counts the files of a region. A content in several regions is read once for all of them (see newPlanner), except
// by host tools, each of which reads for itself.
func (g *ledger) countRegion(r *plan.Region, together map[tree.Blob]bool) {
	for n := range r.Tree.Nodes() {
		b := n.Blob()
		if n.Kind() != tree.File || isRegion(n) || together[b] {
			continue
		}
		together[b] = !r.ByHostTool()
		g.count(b)
	}
}

// countBesides counts the files of a main region that are in no store item.
func (g *ledger) countBesides(r *plan.Region, together map[tree.Blob]bool) {
	for n := range besides(r) {
		if b := n.Blob(); !isRegion(n) && (r.ByHostTool() || !together[b]) {
			g.count(b)
		}
	}
}

// countItems counts the store items of a main region. They may have a million files, so only those that are also read elsewhere are looked up.
func (g *ledger) countItems(r *plan.Region, together map[tree.Blob]bool) {
	if len(g.times) == 0 {
		return
	}
	for _, item := range r.Partition.Items {
		for _, n := range tree.Walk("", item.Node) {
			if b := n.Blob(); n.Kind() == tree.File && (r.ByHostTool() || !together[b]) && g.has(b) {
				g.count(b)
			}
		}
	}
}

// countArchived counts the files that are read for an archive, too, besides those of store items, which are compared with their hash each time.
func (g *ledger) countArchived(r *plan.Region) {
	for n := range besides(r) {
		if !isRegion(n) {
			g.count(n.Blob())
		}
	}
}

// has reports whether any piece of a content is in the ledger.
func (g *ledger) has(b tree.Blob) bool {
	return g != nil && len(g.times) > 0 && slices.ContainsFunc(tree.Pieces(b), func(p tree.Piece) bool { return g.times[p] > 0 })
}

// reading returns a writer that compares a content as it is read.
func (g *ledger) reading(b tree.Blob) *reading {
	r := &reading{ledger: g, pin: tree.NewPinner()}
	if g != nil {
		r.pieces = tree.Pieces(b)
	}
	return r
}

// compare records the pin of a piece, or compares it with the one recorded.
func (g *ledger) compare(p tree.Piece, found tree.Pin) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if before, ok := g.sums[p]; ok && before != found {
		return fmt.Errorf("%s changed between two reads: %w", tree.HostPath(p.Blob), ErrMismatch)
	}
	g.sums[p] = found
	return nil
}

// A reading is one read of a content.
type reading struct {
	ledger *ledger
	pieces []tree.Piece // not completely read yet
	at     int64        // bytes of the first of them that were read
	pin    *tree.Pinner // of these bytes, since what was read before has pins
}

// Write implements io.Writer. It fails at the end of a piece that differs from an earlier read.
func (r *reading) Write(p []byte) (int, error) {
	rest := p
	return len(p), r.pass(int64(len(p)), func(n int64, wanted bool) {
		if wanted {
			r.pin.Write(rest[:n])
		}
		rest = rest[n:]
	})
}

// WriteZeros implements tree.ZeroWriter.
func (r *reading) WriteZeros(n int64) error {
	return r.pass(n, func(n int64, wanted bool) {
		if wanted {
			r.pin.WriteZeros(n)
		}
	})
}

// pass cuts bytes that pass at the ends of pieces. wanted says whether those of a piece are compared.
func (r *reading) pass(n int64, take func(n int64, wanted bool)) error {
	for n > 0 && len(r.pieces) > 0 {
		piece := r.pieces[0]
		k, wanted := min(n, piece.Len-r.at), r.ledger.times[piece] > 0
		take(k, wanted)
		if n, r.at = n-k, r.at+k; r.at < piece.Len {
			continue
		}
		if wanted {
			if err := r.ledger.compare(piece, r.pin.Pin()); err != nil {
				return err
			}
			r.pin = tree.NewPinner()
		}
		r.pieces, r.at = r.pieces[1:], 0
	}
	return nil
}
