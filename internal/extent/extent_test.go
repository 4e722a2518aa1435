package extent

import (
	"bytes"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/tree"

	"pgregory.net/rapid"
)

func TestReadAt(t *testing.T) {
	count := Generated(300, func(p []byte, off int64) {
		for i := range p {
			p[i] = byte(off + int64(i))
		}
	})
	l := List{{Off: 20, Len: 10, Blob: tree.Text("0123456789")}, {Off: 2, Len: 5, Blob: tree.Text("xxabcde"), At: 2}, {Off: 40, Len: 60, Blob: count, At: 100}}
	if err := l.Sort(120); err != nil {
		t.Fatal(err)
	}
	whole := make([]byte, 120)
	if err := ReadAt(l, whole, 0); err != nil {
		t.Fatal(err)
	}
	if string(whole[2:7]) != "abcde" || string(whole[20:30]) != "0123456789" || whole[40] != 100 || whole[99] != 159 || whole[100] != 0 || whole[7] != 0 {
		t.Errorf("got %q", whole)
	}
	hosttest.Check(t, func(t *rapid.T) {
		off := rapid.IntRange(0, 119).Draw(t, "off")
		p := bytes.Repeat([]byte{0xff}, rapid.IntRange(0, 120-off).Draw(t, "len"))
		if err := ReadAt(l, p, int64(off)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(p, whole[off:off+len(p)]) {
			t.Fatalf("%d bytes at %d: %q", len(p), off, p)
		}
	})
}

func TestReadAtReportsShortBlob(t *testing.T) {
	l := List{{Off: 0, Len: 10, Blob: tree.Text("short")}}
	if err := ReadAt(l, make([]byte, 10), 0); err == nil {
		t.Error("a blob shorter than its extent was taken")
	}
}

func TestSortRefuses(t *testing.T) {
	for _, l := range []List{
		{{Off: 0, Len: 10}, {Off: 9, Len: 1}},
		{{Off: 95, Len: 10}},
		{{Off: -1, Len: 1}},
		{{Off: 5, Len: -1}},
	} {
		if l.Sort(100) == nil {
			t.Errorf("%v was taken", l)
		}
	}
}
