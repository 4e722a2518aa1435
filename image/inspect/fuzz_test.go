package inspect

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"

	"imprint/image/disk"
	"imprint/internal/hosttest"
)

// A patched image has other bytes at some offsets.
type patched struct {
	image   []byte
	patches []patch
}

type patch struct {
	off   int64
	bytes []byte
}

// patchesOf reads patches: four bytes for the offset, one for the length, and as many bytes.
func patchesOf(p []byte, size int) (list []patch) {
	for len(p) > 5 {
		off, n := int64(binary.LittleEndian.Uint32(p))%int64(size), min(int(p[4]), len(p)-5)
		list = append(list, patch{off, p[5 : 5+n]})
		p = p[5+n:]
	}
	return list
}

// ReadAt implements io.ReaderAt.
func (p patched) ReadAt(b []byte, off int64) (int, error) {
	n, err := bytes.NewReader(p.image).ReadAt(b, off)
	for _, c := range p.patches {
		for i, v := range c.bytes {
			if at := c.off + int64(i) - off; at >= 0 && at < int64(n) {
				b[at] = v
			}
		}
	}
	return n, err
}

// Whatever an image is made to be, it is opened, verified, described and drawn, or refused: without a panic, and in good time.
func FuzzImage(f *testing.F) {
	var images [][]byte
	for _, filesystem := range []string{"ext4", "erofs"} {
		images = append(images, storeImage(f, filesystem, 3))
	}
	at := func(off uint32, bytes ...byte) []byte {
		return append(append(binary.LittleEndian.AppendUint32(nil, off), byte(len(bytes))), bytes...)
	}
	for kind := range byte(len(images)) {
		f.Add(kind, []byte{})
		f.Add(kind, at(512, 0))                          // no GPT
		f.Add(kind, at(1024+48, 0xff, 0xff, 0xff, 0xff)) // an end of a partition
		f.Add(kind, at(5<<20+1024, 0xff, 0xff, 0xff, 0xff))
		f.Add(kind, at(5<<20+1024+88, 0xff, 0xff))
		f.Add(kind, append(at(1<<20+11, 0), at(5<<20+1024+0x60, 0xff)...))
	}
	hosttest.Fuzz(f, func(t *testing.T, kind byte, p []byte) {
		image := images[int(kind)%len(images)]
		r := patched{image, patchesOf(p, len(image))}
		d, err := disk.Open(r, int64(len(image)))
		if err != nil {
			return
		}
		if err := d.Verify(t.Context(), func(disk.Fault) {}); err != nil {
			t.Error(err)
		}
		report, err := Of(t.Context(), d, Options{Deep: true, Graph: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := report.Text(io.Discard, "image"); err != nil {
			t.Error(err)
		}
		if err := report.Page(io.Discard, "image"); err != nil {
			t.Error(err)
		}
	})
}
