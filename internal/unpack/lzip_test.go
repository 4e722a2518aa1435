package unpack

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// Whatever is wrong with a member is an error, wherever the file is cut.
func TestLzip(t *testing.T) {
	good := pack(t, "lzip", []byte("content content content"))
	two := append(bytes.Clone(good), pack(t, "lzip", nil)...)
	read := func(b []byte) (string, error) {
		r, err := Reader(bytes.NewReader(b), "lzip")
		if err != nil {
			return "", err
		}
		got, err := io.ReadAll(r)
		return string(got), err
	}
	if got, err := read(two); err != nil || got != "content content content" {
		t.Errorf("%q, %v", got, err)
	}
	for n := range good {
		if _, err := read(good[:n]); err == nil {
			t.Errorf("%d bytes are no error", n)
		}
	}
	size := len(good)
	for what, c := range map[string]struct {
		at   int
		want string
	}{"magic": {0, "no header"}, "version": {4, "no header"}, "dictionary": {5, "no header"}, "checksum": {size - 20, "checksum differs"},
		"size": {size - 16, "23 bytes, not"}, "member": {size - 8, "size of a member"}} {
		bad := bytes.Clone(good)
		bad[c.at] ^= 0x80
		if c.at == 5 {
			bad[5] = 31
		}
		if _, err := read(bad); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := read(append(bytes.Clone(good), "more bytes"...)); err == nil || !strings.Contains(err.Error(), "no header") {
		t.Error(err)
	}
	if got, err := read(pack(t, "lzip", content(), "-9", "-b100k")); err != nil || got != string(content()) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}
