package gce

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"imprint/internal/hosttest"
)

// archived is a tar archive of files, given as names and contents.
func archived(files ...string) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		w.WriteHeader(&tar.Header{Name: files[i], Size: int64(len(files[i+1])), Mode: 0o600, Format: tar.FormatGNU})
		io.WriteString(w, files[i+1])
	}
	w.Close()
	return b.Bytes()
}

// disk reads the disk in an archive.
func disk(archive []byte) (content string, err error) {
	var b strings.Builder
	size, err := Read(bytes.NewReader(archive), make([]byte, 700), func(p []byte, off int64) error {
		if off != int64(b.Len()) {
			return errors.New("not what follows")
		}
		b.Write(p)
		return nil
	})
	if err == nil && size != int64(b.Len()) {
		err = errors.New("another size")
	}
	return b.String(), err
}

func TestRead(t *testing.T) {
	want := strings.Repeat("disk", 500)
	whole := archived(name, want)
	for _, archive := range [][]byte{whole, archived("./"+name, want), append(whole, make([]byte, 10240)...)} {
		if got, err := disk(archive); got != want || err != nil || !Is(archive) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	}
	for problem, archive := range map[string][]byte{
		`the archive begins with "other"`:   archived("other", want),
		`the archive has another file, "b"`: archived(name, want, "b", ""),
		"byte 700 of the disk: unexpected":  whole[:block+1300],
		"the archive: unexpected EOF":       nil,
		"more follows the archive":          append(archived(name, want), make([]byte, 2<<20)...),
	} {
		if _, err := disk(archive); err == nil || !strings.HasPrefix(err.Error(), problem) {
			t.Errorf("error %v, want %s", err, problem)
		}
	}
	full := errors.New("no space")
	if _, err := Read(bytes.NewReader(whole), make([]byte, 100), func([]byte, int64) error { return full }); err != full {
		t.Errorf("error %v", err)
	}
}

// What is not an archive with a disk is an error, whatever it claims.
func FuzzRead(f *testing.F) {
	f.Add(archived(name, "disk"))
	f.Add(archived(name, strings.Repeat("x", 2000), "more", "b"))
	f.Add(archived("other", "disk")[:700])
	buf := make([]byte, 4096)
	hosttest.Fuzz(f, func(t *testing.T, archive []byte) {
		at := int64(0)
		size, err := Read(bytes.NewReader(archive), buf, func(p []byte, off int64) error {
			if off != at || len(p) == 0 {
				t.Fatalf("%d bytes at %d, after %d", len(p), off, at)
			}
			at += int64(len(p))
			if at > 64<<20 {
				return io.ErrShortWrite // a hole, which takes no bytes of the archive
			}
			return nil
		})
		if err == nil && size != at {
			t.Fatalf("%d bytes of %d", at, size)
		}
	})
}
