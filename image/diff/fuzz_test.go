package diff_test

import (
	"bytes"
	"strings"
	"testing"

	"imprint/image/diff"
	"imprint/image/disk"
	"imprint/internal/hosttest"
)

const tiny = `
[[partition]]
name = "root"
type = "root"
filesystem = "erofs"
  [[partition.file]]
  path = "/etc/machine"
  text = "a machine's own name"
  [[partition.link]]
  path = "/etc/link"
  target = "machine"
`

// FuzzCompare compares a small file system with itself after some bytes of it have changed: there is no panic, and a difference is found
// whenever there is one.
func FuzzCompare(f *testing.F) {
	i := build(f, tiny, nil)
	r := i.disk.Regions[0]
	base := i.bytes[r.Offset:][:r.Volume.Size]
	a := open(f, base)
	f.Add(uint16(1024), []byte("\xe2\xe1\xf5\xe0"), true)
	f.Add(uint16(1024+48), []byte("another UUID"), false)
	f.Add(uint16(2000), []byte(strings.Repeat("\xff", 100)), false)
	f.Add(uint16(0), []byte("boot code"), false)
	hosttest.Fuzz(f, func(t *testing.T, off uint16, patch []byte, values bool) {
		b := bytes.Clone(base)
		copy(b[min(int(off), len(b)):], patch)
		other, err := disk.Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		changes, err := diff.Compare(t.Context(), a, other, diff.Options{Values: values})
		if err == nil && !values && (len(changes) == 0) != bytes.Equal(b, base) {
			t.Fatalf("%d changes are found, equal is %v", len(changes), bytes.Equal(b, base))
		}
		diff.Text(changes, true)
	})
}
