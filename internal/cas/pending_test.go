package cas

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"testing"
	"time"

	"imprint/internal/tree"
)

// begin begins to keep a text.
func begin(t *testing.T, s *Store, text string) (*Pending, Digest, int64) {
	t.Helper()
	d, size := Digest(sha256.Sum256([]byte(text))), int64(len(text))
	p, err := s.Begin(t.Context(), d, size)
	if err != nil {
		t.Fatal(err)
	}
	return p, d, size
}

// What passed by is there once it was kept.
func TestKeep(t *testing.T) {
	s := open(t, t.TempDir())
	p, d, size := begin(t, s, "some text")
	for _, part := range []string{"some", " ", "text"} {
		if _, err := io.WriteString(p, part); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Get(t.Context(), d, size); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("it is there too early: %v", err)
		}
	}
	b, err := p.Keep()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := tree.ReadAll(b, 100); string(got) != "some text" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := s.Get(t.Context(), d, size); err != nil {
		t.Error(err)
	}
	if _, err := p.Keep(); err == nil {
		t.Error("kept twice")
	}
	if n := len(files(t, s.String())); n != 1 {
		t.Errorf("%d files", n)
	}
}

// Nothing is left of what was dropped, is too long or too short, or too large for the disk.
func TestDrop(t *testing.T) {
	s := open(t, t.TempDir())
	for text, kept := range map[string]bool{"": false, "some tex": false, "some textx": false, "dropped": true} {
		p, _, _ := begin(t, s, "some text")
		io.WriteString(p, text)
		if kept {
			p.Drop()
		} else if _, err := p.Keep(); !errors.Is(err, ErrMismatch) {
			t.Errorf("%q: %v", text, err)
		}
		if all := files(t, s.String()); len(all) > 0 {
			t.Errorf("%q: left %q", text, all)
		}
	}
	if _, err := s.Begin(t.Context(), Digest{}, 1<<60); err == nil || len(files(t, s.String())) > 0 {
		t.Errorf("more than the disk: %v", err)
	}
}

// Others wait until it is kept or dropped, and then have it or make it.
func TestBeginWaits(t *testing.T) {
	s := open(t, t.TempDir())
	p, d, size := begin(t, s, "some text")
	ctx, cancel := context.WithTimeout(t.Context(), 3*between)
	defer cancel()
	if _, err := open(t, s.String()).Begin(ctx, d, size); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	time.AfterFunc(2*between, func() {
		io.WriteString(p, "some text")
		p.Keep()
	})
	b, err := s.Add(t.Context(), d, size, func(io.Writer) error { return errors.New("made twice") })
	if err != nil || b.Size() != size {
		t.Error(err)
	}
}
