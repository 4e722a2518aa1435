package interrupt

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Everything works until the context ends, and returns its cause from then on.
func TestInterrupt(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	text, p := strings.NewReader("0123456789"), make([]byte, 2)
	do := map[string]func() error{
		"read":    func() error { _, err := Reader(ctx, text).Read(p); return err },
		"read at": func() error { _, err := ReaderAt(ctx, text).ReadAt(p, 4); return err },
		"write":   func() error { _, err := WriteSeeker(ctx, file).Write(p); return err },
	}
	for name, call := range do {
		if err := call(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	stop := errors.New("stop")
	cancel(stop)
	for name, call := range do {
		if err := call(); err != stop {
			t.Errorf("%s after the end: %v", name, err)
		}
	}
	if off, err := WriteSeeker(ctx, file).Seek(0, io.SeekEnd); off != 2 || err != nil {
		t.Errorf("the file has %d bytes, %v", off, err)
	}
}
