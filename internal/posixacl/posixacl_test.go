package posixacl_test

import (
	"bytes"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/posixacl"
)

// The text of a list is read as the same list.
func FuzzText(f *testing.F) {
	f.Add([]byte("\x02\x00\x00\x00\x01\x00\x06\x00\xff\xff\xff\xff\x02\x00\x07\x00\x01\x00\x00\x00\x04\x00\x04\x00\xff\xff\xff\xff\x08\x00\x05\x00\x09\x00\x00\x00" +
		"\x10\x00\x06\x00\xff\xff\xff\xff\x20\x00\x00\x00\xff\xff\xff\xff"))
	f.Add([]byte{2, 0, 0, 0})
	hosttest.Fuzz(f, func(t *testing.T, value []byte) {
		list, err := posixacl.Decode(value)
		if err != nil {
			return
		}
		again, err := posixacl.Parse(list.Text())
		if err != nil || !bytes.Equal(again.Encode(), list.Encode()) {
			t.Errorf("%s is read as %s, %v", list.Text(), again.Text(), err)
		}
	})
}
