package nar

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"imprint/internal/framed"
	"imprint/internal/hosttest"
	"imprint/internal/tree"
)

// streamed returns an archive with everything that one can have.
func streamed(t testing.TB) string {
	t.Helper()
	a := &tree.Attr{Mode: 0o555}
	n := tree.NewDir("", a, []*tree.Node{
		tree.NewDir("dir", a, []*tree.Node{tree.NewFile("program", a, tree.Text("text"))}),
		tree.NewFile("file", &tree.Attr{Mode: 0o444}, tree.Text(strings.Repeat("x", 100_003))), tree.NewFile("nothing", a, tree.Text("")), tree.NewSymlink("link", a, "dir"),
	})
	var b bytes.Buffer
	err := Write(&b, n, func(w io.Writer, file *tree.Node) error {
		text, err := tree.ReadAll(file.Blob(), 1<<20)
		w.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// An archive is copied up to its end, whatever follows.
func TestCopy(t *testing.T) {
	text := streamed(t)
	r := strings.NewReader(text + "more")
	var b bytes.Buffer
	n, err := Copy(&b, r, int64(len(text)))
	if rest, _ := io.ReadAll(r); err != nil || n != int64(len(text)) || b.String() != text || string(rest) != "more" {
		t.Errorf("%d of %d, %v, then %q", n, len(text), err, rest)
	}
	for _, limit := range []int{0, 7, 100, len(text) - 1} {
		if _, err := Copy(io.Discard, strings.NewReader(text), int64(limit)); !errors.Is(err, ErrTooLong) {
			t.Errorf("%d: %v", limit, err)
		}
		if _, err := Copy(io.Discard, strings.NewReader(text[:limit]), 1<<20); !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
			t.Errorf("%d: %v", limit, err)
		}
	}
}

func TestCopyRefuses(t *testing.T) {
	words := func(list ...string) string {
		var b []byte
		for _, s := range list {
			b = framed.AppendString(b, s)
		}
		return string(b)
	}
	deep := words("nix-archive-1") + strings.Repeat(words("(", "type", "directory", "entry", "(", "name", "a", "node"), maxDepth+2)
	for text, want := range map[string]string{
		words("nix-archive-2"):                                        `"nix-archive-1" is missing`,
		words("nix-archive-1", "(", "type", "fifo"):                   `unknown type "fifo"`,
		words("nix-archive-1", "(", "type", "regular", "content"):     `"content" where the contents of a file are expected`,
		words("nix-archive-1", "(", "type", "directory", "entries"):   `"entries" where an entry`,
		words("nix-archive-1", "(", "type", strings.Repeat("x", 100)): "a text of 100 bytes",
		deep: "more than 2048 directories",
	} {
		if _, err := Copy(io.Discard, strings.NewReader(text), 1<<20); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %s", text, err, want)
		}
	}
}

// What is copied is a beginning of the stream, within the limit; a whole archive is one for Index, unless its names are wrong.
func FuzzCopy(f *testing.F) {
	f.Add(streamed(f)[:400], 500)
	f.Add(streamed(f)+"x", 1<<20)
	hosttest.Fuzz(f, func(t *testing.T, text string, limit int) {
		var b bytes.Buffer
		limit = max(0, min(limit, 1<<20))
		n, err := Copy(&b, strings.NewReader(text), int64(limit))
		if b.Len() > limit || !strings.HasPrefix(text, b.String()) || err == nil && int64(b.Len()) != n {
			t.Errorf("%d bytes of at most %d, %d, %v", b.Len(), limit, n, err)
		}
	})
}
