package diff

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"imprint/internal/processors"
	"imprint/internal/tree"
	"imprint/internal/units"

	"golang.org/x/sync/errgroup"
)

// content compares the contents of a file; those of equal size are queued for compareContents.
func (w *walker) content(path string, x, y *tree.Node) {
	if w.nested[path] && x.Size() == y.Size() {
		return
	}
	change := w.change(path, Changed)
	change.Field = "content"
	if slices.Contains(w.Unknown, w.pair.b.String()+":"+path) {
		change.Field = notMade
		w.found = append(w.found, change)
		return
	}
	if x.Size() != y.Size() {
		change.A, change.B = units.FormatBytes(x.Size()), units.FormatBytes(y.Size())
	}
	if x.Size() == 0 && y.Size() == 0 {
		return
	}
	w.contents = append(w.contents, &content{a: x.Blob(), b: y.Blob(), change: change})
}

// compareContents compares all contents, several at a time.
func (w *walker) compareContents() error {
	group, ctx := errgroup.WithContext(w.ctx)
	group.SetLimit(processors.Count())
	for _, c := range w.contents {
		if c.a.Size() != c.b.Size() {
			continue
		}
		group.Go(func() (err error) {
			c.tally, err = contents(ctx, c.a, c.b)
			if err != nil {
				err = fmt.Errorf("%s: %w", tree.Shown(c.change.Object), err)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, c := range w.contents {
		if c.tally.bytes > 0 || c.a.Size() != c.b.Size() {
			w.found = append(w.found, w.differing(c))
		}
	}
	return nil
}

// differing completes the change of a content that differs. For a text it adds the first line that differs.
func (w *walker) differing(c *content) Change {
	change := c.change
	if c.a.Size() == c.b.Size() {
		change.Offset, change.Bytes = c.tally.first, c.tally.bytes
	}
	a, b := smallText(c.a), smallText(c.b)
	if a != "" && b != "" {
		one, two := firstLines(a, b)
		change.A, change.B = cutLine(one), cutLine(two)
		if onlyIDs(a, b) {
			change.Class = ID
		}
	}
	if w.items.isDatabase(change.Object) {
		change.Class = Derived
		if !w.items.changed {
			change.A, change.B = "", "the same items with the same registration"
		}
	}
	return change
}

// mostText is the size in bytes up to which a file may be shown as text.
const mostText = 64 << 10

// smallText returns the content of a small text file, "" for others.
func smallText(b tree.Blob) string {
	if b.Size() > mostText {
		return ""
	}
	p, err := tree.ReadAll(b, mostText)
	if err != nil || bytes.IndexByte(p, 0) >= 0 || !validText(p) {
		return ""
	}
	return string(p)
}

func validText(p []byte) bool { return strings.ToValidUTF8(string(p), "\x00") == string(p) }

// firstLines returns the first lines in which two texts differ.
func firstLines(a, b string) (string, string) {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := 0; i < len(x) && i < len(y); i++ {
		if x[i] != y[i] {
			return x[i], y[i]
		}
	}
	if len(x) > len(y) {
		return x[len(y)], ""
	}
	if len(y) > len(x) {
		return "", y[len(x)]
	}
	return "", ""
}

// mostLine is the number of bytes of a line that are shown.
const mostLine = 300

func cutLine(text string) string {
	if len(text) > mostLine {
		text = strings.ToValidUTF8(text[:mostLine], "") + "…"
	}
	return tree.Shown(text)
}
