package tree

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"imprint/internal/hosttest"

	"pgregory.net/rapid"
)

// hosted is a blob that claims to lie in a file of the host.
type hosted struct {
	Blob
	off int64
}

func (hosted) HostPath() string { return "/host/file" }

func (h hosted) Open() (Reader, error) {
	r, err := h.Blob.Open()
	return described{r, h.off}, err
}

type described struct {
	Reader
	off int64
}

func (d described) Descriptor() (int, int64, bool) { return 7, d.off, true }

// A slice has the bytes of its range, and slices of the same range are equal, however they were cut.
func TestSlice(t *testing.T) {
	whole := []byte(strings.Repeat("0123456789abcdef", 4))
	hosttest.Check(t, func(t *rapid.T) {
		b, lo, hi := Blob(Text(string(whole))), int64(0), int64(len(whole))
		if rapid.Bool().Draw(t, "sparse") {
			b = Sparse(b, []Range{{3, 4}, {20, 30}})
		}
		first := b
		for range rapid.IntRange(0, 3).Draw(t, "cuts") {
			off := rapid.Int64Range(0, hi-lo).Draw(t, "off")
			n := rapid.Int64Range(0, hi-lo-off).Draw(t, "n")
			b, lo, hi = Slice(b, off, n), lo+off, lo+off+n
		}
		if b != Slice(first, lo, hi-lo) || b.Size() != hi-lo {
			t.Fatalf("%d bytes, not equal to the slice from %d to %d", b.Size(), lo, hi)
		}
		r, err := b.Open()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		off := rapid.Int64Range(0, hi-lo+2).Draw(t, "at")
		p := make([]byte, rapid.IntRange(0, 20).Draw(t, "len"))
		n, err := r.ReadAt(p, off)
		want := whole[min(lo+off, hi):min(lo+off+int64(len(p)), hi)]
		if !bytes.Equal(p[:n], want) || n < len(p) && err != io.EOF || n == len(p) && n > 0 && err != nil {
			t.Fatalf("%d bytes at %d: %q, %v; want %q", len(p), off, p[:n], err, want)
		}
	})
}

func TestSliceHasTheHolesOfTheWhole(t *testing.T) {
	b := Sparse(Text(strings.Repeat("x", 100)), []Range{{10, 20}, {50, 10}, {90, 10}})
	for _, c := range []struct {
		off, n int64
		want   []Range
	}{
		{0, 100, []Range{{10, 20}, {50, 10}, {90, 10}}},
		{15, 40, []Range{{0, 15}, {35, 5}}},
		{30, 20, nil},
		{60, 40, []Range{{30, 10}}},
	} {
		if got := DataOf(Slice(b, c.off, c.n)); !slices.Equal(got, c.want) {
			t.Errorf("%d bytes at %d: data %v, want %v", c.n, c.off, got, c.want)
		}
	}
	if got := DataOf(Slice(Text("xxx"), 1, 2)); !slices.Equal(got, []Range{{0, 2}}) {
		t.Errorf("data %v", got)
	}
}

// Slices and sparse forms of a blob of the host implement the same interfaces.
func TestWrappersPassPowersOn(t *testing.T) {
	file := hosted{Text("0123456789"), 100}
	for _, b := range []Blob{file, Sparse(file, nil), Slice(file, 3, 5), Slice(Sparse(file, []Range{{0, 4}}), 3, 5), Sparse(Slice(file, 3, 5), nil)} {
		want := int64(100)
		if b.Size() == 5 {
			want += 3
		}
		if HostPath(b) != "/host/file" {
			t.Errorf("%T is in %s", b, HostPath(b))
		}
		r, err := b.Open()
		if err != nil {
			t.Fatal(err)
		}
		if fd, off, ok := Descriptor(r); fd != 7 || off != want || !ok {
			t.Errorf("%T: descriptor %d at %d (%v)", b, fd, off, ok)
		}
		if whole, at := Origin(b); whole != Blob(file) || at != want-100 {
			t.Errorf("%T: from %d of %T", b, at, whole)
		}
	}
}

func TestPlainBlobsHaveNoPowers(t *testing.T) {
	for _, b := range []Blob{Text("0123"), Slice(Text("0123"), 1, 2), Sparse(Text("0123"), nil), Concat(Text("01"), Text("23"))} {
		if HostPath(b) != "content" {
			t.Errorf("%T lies in %s", b, HostPath(b))
		}
		r, _ := b.Open()
		if _, _, ok := Descriptor(r); ok {
			t.Errorf("%T has a descriptor", b)
		}
	}
}

// claimed is a blob whose Size is not that of its content.
type claimed struct {
	Blob
	size int64
}

func (c claimed) Size() int64    { return c.size }
func (claimed) HostPath() string { return "/host/file" }

// Content that is shorter or longer than its blob's Size is reported with its name and the numbers, however it is read.
func TestChangedContent(t *testing.T) {
	for _, c := range []struct {
		size int64
		want string
	}{
		{12, "/host/file changed while it was read: it ends at byte 10 of 12"},
		{9, "/host/file changed while it was read: it is longer than its 9 bytes"},
		{0, "/host/file changed while it was read: it is longer than its 0 bytes"},
	} {
		b := claimed{Text("0123456789"), c.size}
		_, all := ReadAll(b, 100)
		errs := map[string]error{"ReadAll": all}
		for name, buf := range map[string][]byte{"Copy": nil, "Copy by 3": make([]byte, 3), "Copy with room": make([]byte, 99)} {
			var out bytes.Buffer
			errs[name] = Copy(context.Background(), &out, b, buf)
			if int64(out.Len()) > c.size {
				t.Errorf("%s wrote %d bytes of %d", name, out.Len(), c.size)
			}
		}
		for name, err := range errs {
			if !errors.Is(err, ErrChanged) || err.Error() != c.want {
				t.Errorf("%s of %d bytes: %v", name, c.size, err)
			}
		}
	}
	r, _ := Slice(Text("0123"), 2, 5).Open()
	if n, err := r.ReadAt(make([]byte, 5), 0); n != 2 || err != io.ErrUnexpectedEOF {
		t.Errorf("a slice past the end: %d bytes, %v", n, err)
	}
}

func TestReadAll(t *testing.T) {
	if p, err := ReadAll(Text("0123"), 4); err != nil || string(p) != "0123" {
		t.Errorf("%q, %v", p, err)
	}
	if _, err := ReadAll(Text("0123"), 3); err == nil || err.Error() != "read content: 4 bytes, more than the limit of 3" {
		t.Errorf("error %v", err)
	}
	for n, want := range map[int64]string{0: "", 2: "01", 4: "0123", 9: "0123"} {
		if p, err := ReadHead(Text("0123"), n); err != nil || string(p) != want {
			t.Errorf("head of %d: %q, %v", n, p, err)
		}
	}
}

func TestCopy(t *testing.T) {
	for _, size := range []int{0, 1, 3, 10, 256<<10 - 1, 256 << 10, 700_000} {
		content := strings.Repeat("0123456789", size/10+1)[:size]
		for _, buf := range [][]byte{nil, make([]byte, 7), make([]byte, 1<<20)} {
			var out bytes.Buffer
			if err := Copy(context.Background(), &out, Text(content), buf); err != nil || out.String() != content {
				t.Errorf("%d bytes by %d: %d bytes, %v", size, len(buf), out.Len(), err)
			}
		}
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(io.ErrClosedPipe)
	if err := Copy(ctx, io.Discard, Text("x"), nil); err != io.ErrClosedPipe {
		t.Errorf("error %v", err)
	}
}
