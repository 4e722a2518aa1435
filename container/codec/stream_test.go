package codec

import (
	"bytes"
	"io"
	"os/exec"
	"strings"
	"testing"

	"imprint/internal/unpack"
)

// What a Writer compresses is the same after it was unpacked, here and by the program of that name.
func TestWriter(t *testing.T) {
	text := strings.Repeat("some text to compress\n", 20_000)
	for _, by := range []string{"zstd", "xz", "none"} {
		var b bytes.Buffer
		w, err := Writer(&b, by)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		r, err := unpack.Reader(bytes.NewReader(b.Bytes()), by)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != text {
			t.Errorf("%s: %d bytes, %v", by, len(got), err)
		}
		if _, err := exec.LookPath(by); err == nil {
			c := exec.Command(by, "-dc")
			c.Stdin = bytes.NewReader(b.Bytes())
			if got, err := c.Output(); err != nil || string(got) != text {
				t.Errorf("%s -dc: %d bytes, %v", by, len(got), err)
			}
		}
	}
	if _, err := Writer(io.Discard, "lz4"); err == nil {
		t.Error("lz4 is not supported")
	}
}
