package series

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"imprint/internal/objects"
	"imprint/internal/recipe"
	"imprint/internal/restore"
)

// A Record is what a generation consists of. All but Image are digests of contents.
type Record struct {
	Image    string // the digest of the disk, as in manifests
	Manifest objects.Digest
	Inputs   objects.Digest
	Recipe   objects.Digest
	Sums     objects.Digest
	Outlines objects.Digest // what store items of the disk consist of; zero for nothing
}

const (
	recordForm   = "imprint generation 1\nimage %s\nmanifest %s\ninputs %s\nrecipe %s\nsums %s\n"
	outlinesForm = "outlines %s\n"
)

func (r *Record) text() []byte {
	t := objects.Text
	b := fmt.Appendf(nil, recordForm, r.Image, t(r.Manifest), t(r.Inputs), t(r.Recipe), t(r.Sums))
	if r.hasOutlines() {
		b = fmt.Appendf(b, outlinesForm, t(r.Outlines))
	}
	return b
}

func (r *Record) hasOutlines() bool { return r.Outlines != objects.Digest{} }

// contents returns the digests of what the record leads to.
func (r *Record) contents() []objects.Digest {
	list := []objects.Digest{r.Manifest, r.Inputs, r.Recipe, r.Sums}
	if r.hasOutlines() {
		list = append(list, r.Outlines)
	}
	return list
}

// parseRecord is the inverse of text.
func parseRecord(text []byte) (*Record, error) {
	r, digests := &Record{}, [5]string{}
	fields := []any{&r.Image, &digests[0], &digests[1], &digests[2], &digests[3], &digests[4]}
	form, known := recordForm+outlinesForm, []*objects.Digest{&r.Manifest, &r.Inputs, &r.Recipe, &r.Sums, &r.Outlines}
	if !bytes.Contains(text, []byte("\noutlines ")) {
		form, fields, known = recordForm, fields[:5], known[:4]
	}
	if _, err := fmt.Sscanf(string(text), form, fields...); err != nil {
		return nil, errors.New("is no record of a generation")
	}
	for i, to := range known {
		d, err := objects.Parse(digests[i])
		if err != nil {
			return nil, err
		}
		*to = d
	}
	if !bytes.Equal(r.text(), text) {
		return nil, errors.New("is no record of a generation")
	}
	return r, nil
}

// Bounds in bytes of what is read.
const (
	maxRecord   = 1 << 10
	maxManifest = 64 << 20
	maxInputs   = 256 << 20
	maxRecipe   = 1 << 30
	maxSums     = 1 << 30
	maxOutlines = 1 << 30
)

// Record reads the record of a generation.
func (s *Store) Record(g Generation) (*Record, error) {
	text, err := s.contents.Text(g.Record, maxRecord)
	if err != nil {
		return nil, fmt.Errorf("read generation %d: %w", g.Number, err)
	}
	r, err := parseRecord(text)
	if err != nil {
		return nil, fmt.Errorf("read generation %d: %s %w", g.Number, objects.Text(g.Record), err)
	}
	return r, nil
}

// Recipe reads the recipe of a disk.
func (s *Store) Recipe(r *Record) (*recipe.Recipe, error) {
	text, err := s.contents.Text(r.Recipe, maxRecipe)
	if err != nil {
		return nil, err
	}
	d, err := recipe.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s %w", objects.Text(r.Recipe), err)
	}
	return d, nil
}

// Manifest reads the manifest of a disk.
func (s *Store) Manifest(r *Record) ([]byte, error) { return s.contents.Text(r.Manifest, maxManifest) }

// Outlines reads what store items of a disk consist of; nil if nothing is kept of that.
func (s *Store) Outlines(r *Record) ([]byte, error) {
	if !r.hasOutlines() {
		return nil, nil
	}
	return s.contents.Text(r.Outlines, maxOutlines)
}

// Sums reads the sums of a disk.
func (s *Store) Sums(r *Record) (restore.Sums, error) {
	text, err := s.contents.Text(r.Sums, maxSums)
	if err != nil {
		return nil, err
	}
	if len(text)%sha256.Size != 0 {
		return nil, fmt.Errorf("%s %w: it has no list of digests", objects.Text(r.Sums), objects.ErrDamaged)
	}
	sums := make(restore.Sums, len(text)/sha256.Size)
	for i := range sums {
		sums[i] = [sha256.Size]byte(text[i*sha256.Size:])
	}
	return sums, nil
}

// An Input is a part of what a disk was made of: a key of its description, a file of the host or a store item.
type Input struct{ Name, Value string }

// Inputs reads the inputs of a disk.
func (s *Store) Inputs(r *Record) (list []Input, err error) {
	text, err := s.contents.Text(r.Inputs, maxInputs)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		list = append(list, Input{name, value})
	}
	return list, nil
}

// A Finished is a disk that becomes a generation. Names and values of its inputs have no tab and no newline.
type Finished struct {
	Image    string
	Manifest []byte
	Inputs   []Input
	Recipe   *recipe.Recipe // with contents of the store
	Sums     restore.Sums
	Outlines []byte // of store items; nil for none
}

// Put adds what a record leads to. The caller holds [Store.Use].
func (s *Store) Put(ctx context.Context, f *Finished) (*Record, error) {
	var inputs strings.Builder
	for _, i := range f.Inputs {
		fmt.Fprintf(&inputs, "%s\t%s\n", i.Name, i.Value)
	}
	sums := make([]byte, 0, len(f.Sums)*sha256.Size)
	for _, sum := range f.Sums {
		sums = append(sums, sum[:]...)
	}
	r := &Record{Image: f.Image}
	for _, c := range []struct {
		to   *objects.Digest
		text []byte
	}{{&r.Manifest, f.Manifest}, {&r.Inputs, []byte(inputs.String())}, {&r.Recipe, f.Recipe.Text()}, {&r.Sums, sums}, {&r.Outlines, f.Outlines}} {
		if c.to == &r.Outlines && c.text == nil {
			continue
		}
		d, err := s.contents.PutText(ctx, c.text)
		if err != nil {
			return nil, err
		}
		*c.to = d
	}
	return r, nil
}

// Use keeps what is in the store from being collected until release is called.
func (s *Store) Use(ctx context.Context) (release func(), err error) {
	return s.contents.Lock(ctx, "use.lock", false)
}

// Live adds everything that series lead to. What is missing is among it. If last is not 0, it is as after [Store.Prune].
func (s *Store) Live(live map[objects.Digest]bool, last int) error {
	all, err := s.List()
	if err != nil {
		return err
	}
	for _, e := range all {
		if last > 0 {
			e.prune(last)
		}
		for _, g := range e.Generations {
			if err := s.mark(live, g); err != nil {
				return fmt.Errorf("series %q: %w", e.Name, err)
			}
		}
	}
	return nil
}

// mark adds what a generation leads to.
func (s *Store) mark(live map[objects.Digest]bool, g Generation) error {
	if live[g.Record] {
		return nil
	}
	live[g.Record] = true
	r, err := s.Record(g)
	if err != nil {
		return err
	}
	d, err := s.Recipe(r)
	if err != nil {
		return fmt.Errorf("generation %d: %w", g.Number, err)
	}
	for _, d := range r.contents() {
		live[d] = true
	}
	for _, c := range d.Contents {
		live[c.Digest] = true
	}
	return nil
}

// Verify reads everything that series lead to, and compares it with its digests. It calls report for whatever is missing or damaged, and returns
// how many records and contents it has read.
func (s *Store) Verify(ctx context.Context, report func(error)) (read int, err error) {
	all, err := s.List()
	if err != nil {
		return 0, err
	}
	seen := map[objects.Digest]bool{}
	for _, e := range all {
		for _, g := range e.Generations {
			live := map[objects.Digest]bool{}
			if err := s.mark(live, g); err != nil {
				report(fmt.Errorf("series %q: %w", e.Name, err))
				continue
			}
			for d := range live {
				if seen[d] {
					continue
				}
				seen[d] = true
				b, err := s.contents.Get(d, -1, nil)
				if err == nil {
					err = objects.Verify(ctx, b)
				}
				if ctx.Err() != nil {
					return 0, context.Cause(ctx)
				}
				if err != nil {
					report(fmt.Errorf("series %q, generation %d: %w", e.Name, g.Number, err))
				}
			}
		}
	}
	return len(seen), nil
}
