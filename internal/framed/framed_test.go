package framed

import (
	"errors"
	"strings"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/tree"
)

func reader(t testing.TB, text string) *Reader {
	t.Helper()
	b := tree.Text(text)
	r, err := b.Open()
	if err != nil {
		t.Fatal(err)
	}
	return NewReader(r, b, 0)
}

// What is appended is read again, in the encoding of Nix.
func TestRoundTrip(t *testing.T) {
	long := strings.Repeat("x", 40_000)
	text := string(AppendString(AppendString(AppendNumber(AppendString(nil, "hi"), 7), ""), long))
	if want := "\x02\x00\x00\x00\x00\x00\x00\x00hi\x00\x00\x00\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00"; text[:len(want)] != want {
		t.Fatalf("%q", text[:len(want)])
	}
	r := reader(t, text+"\x00\x00\x00\x00\x00\x00\x00\x00")
	if err := r.Expect("hi"); err != nil {
		t.Error(err)
	}
	if n, err := r.Number(); n != 7 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if s, err := r.String(0); len(s) != 0 || err != nil {
		t.Errorf("%q, %v", s, err)
	}
	if at, err := r.Skip(); err != nil || text[at.Off:at.End()] != long {
		t.Errorf("%v, %v", at, err)
	}
	if n, err := r.Number(); n != 0 || err != nil || r.Offset() != int64(len(text))+8 {
		t.Errorf("%d, %v at %d", n, err, r.Offset())
	}
}

// A content that has become shorter is an error that says so, not one of the format.
func TestChanged(t *testing.T) {
	b := tree.Text("1234567")
	r, _ := tree.Text("123").Open()
	if _, err := NewReader(r, sized{b, 8}, 0).Number(); !errors.Is(err, tree.ErrChanged) {
		t.Errorf("%v", err)
	}
}

type sized struct {
	tree.Blob
	size int64
}

func (s sized) Size() int64 { return s.size }

// No text makes the reader read beyond its end, or fail to make progress.
func FuzzReader(f *testing.F) {
	f.Add(string(AppendString(AppendNumber(nil, 3), "abc")), "nssn")
	f.Add("\xff\xff\xff\xff\xff\xff\xff\xff", "s")
	f.Add("\xff\xff\xff\xff\xff\xff\xff\x7f", "k")
	hosttest.Fuzz(f, func(t *testing.T, text, calls string) {
		r := reader(t, text)
		for _, c := range calls {
			before := r.Offset()
			var err error
			switch c {
			case 'n':
				_, err = r.Number()
			case 's':
				_, err = r.String(100)
			default:
				_, err = r.Skip()
			}
			if r.Offset() > int64(len(text)) || err == nil && r.Offset() < before+8 {
				t.Fatalf("at %d after %d of %d, %v", r.Offset(), before, len(text), err)
			}
			if err != nil {
				return
			}
		}
	})
}
