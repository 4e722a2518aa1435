package host

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"imprint/internal/hosttree"
	"imprint/internal/tree"
)

// A hole is not read, whoever looks at the text of a file besides: one of 1 TiB would take minutes.
func TestHolesAreNotRead(t *testing.T) {
	name := filepath.Join(t.TempDir(), "sparse")
	if err := os.WriteFile(name, []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, 1<<40); err != nil {
		t.Fatal(err)
	}
	b, err := hosttree.File(name)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var text smallText
	if b, err = tree.PinContent(ctx, b, &text); err != nil {
		t.Fatal(err)
	}
	if got, want := tree.DataOf(b), []tree.Range{{Off: 0, Len: tree.HoleSize}}; !slices.Equal(got, want) || text.Len() > 0 {
		t.Errorf("data %v and a text of %d bytes; want %v and none", got, text.Len(), want)
	}
}

// Zeros count in the text of a small file as they do where there are no holes.
func TestSmallTextWithZeros(t *testing.T) {
	var text smallText
	text.Write([]byte("a"))
	text.WriteZeros(2)
	text.Write([]byte("b"))
	if got := text.String(); got != "a\x00\x00b" {
		t.Errorf("text %q", got)
	}
	if text.WriteZeros(1 << 40); text.Len() > 0 {
		t.Errorf("a text of %d bytes is kept", text.Len())
	}
}
