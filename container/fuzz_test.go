package container_test

import (
	"encoding/binary"
	"io"
	"testing"

	"imprint/container"
	"imprint/internal/hosttest"
	"imprint/internal/pieces"
)

// memory is a file in memory.
type memory struct{ data []byte }

func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	if grow := off + int64(len(p)) - int64(len(m.data)); grow > 0 {
		m.data = append(m.data, make([]byte, grow)...)
	}
	return copy(m.data[off:], p), nil
}

func (m *memory) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= int64(len(m.data)) {
		return 0, io.EOF
	}
	n := copy(p, m.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (m *memory) Truncate(size int64) error {
	m.data = append(m.data, make([]byte, max(0, size-int64(len(m.data))))...)[:size]
	return nil
}

// A patched file is another one with a few bytes changed and another length, without a copy of it: files of some formats have MiB at least.
type patched struct {
	io.ReaderAt
	size    int64
	patches []byte // one after the other: an offset in four bytes, a length in one, and the bytes
}

func (f *patched) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= f.size {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), f.size-off))
	clear(p[:n])
	f.ReaderAt.ReadAt(p[:n], off)
	for rest := f.patches; len(rest) > 5; {
		at, size := int64(binary.LittleEndian.Uint32(rest)), min(int(rest[4]), len(rest)-5)
		for i, b := range rest[5 : 5+size] {
			if k := at + int64(i) - off; k >= 0 && k < int64(n) {
				p[k] = b
			}
		}
		rest = rest[5+size:]
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Whatever is changed in a file, it is opened or refused, and read or an error, without a panic and in little time.
func FuzzOpen(f *testing.F) {
	const size = 200<<10 + 512
	content, holes := disk(size)
	var files []*memory
	variants(func(_ string, format *container.Format, o container.Options) {
		if !format.Readable {
			return
		}
		file := &memory{}
		o.Workers = 1
		w, err := format.Create(container.Target{File: file, Spool: &memory{}}, describe(size, holes), o)
		if err != nil {
			f.Fatal(err)
		}
		if err := w.Put(0, content); err != nil {
			f.Fatal(err)
		}
		if err := w.Close(); err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(len(files)), int32(0), []byte{}, uint64(0))
		f.Add(uint8(len(files)), int32(-1), []byte{20, 0, 0, 0, 2, 0xff, 0xff}, uint64(65536))
		files = append(files, file)
	})
	hosttest.Fuzz(f, func(t *testing.T, which uint8, more int32, patches []byte, at uint64) {
		base := files[int(which)%len(files)]
		file := &patched{base, max(0, int64(len(base.data))+int64(more)), patches}
		image, err := container.Open(file, file.size)
		if err != nil || image == nil {
			return
		}
		if image.Size() < 0 || image.Size() > pieces.MaxSize {
			t.Fatalf("the disk has %d bytes", image.Size())
		}
		if image.Size() == 0 {
			return
		}
		p := make([]byte, 3000)
		for _, off := range []int64{0, int64(at % uint64(image.Size())), image.Size() - 1} {
			if next := image.NextData(image.Size() - image.Size()%4096); next < 0 || next > image.Size() {
				t.Fatalf("the next data is at %d of %d", next, image.Size())
			}
			want := min(int64(len(p)), image.Size()-off)
			if n, err := image.ReadAt(p, off); err == nil && n != len(p) || err == io.EOF && int64(n) != want {
				t.Fatalf("read at %d of %d: %d, %v", off, image.Size(), n, err)
			}
		}
	})
}
