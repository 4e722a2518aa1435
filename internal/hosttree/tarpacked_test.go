package hosttree

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imprint/internal/tree"
)

// A compressed archive is read from what it unpacks to; its own file may then change.
func TestTarCompressed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.tar.gz")
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(packed(t, folder("etc"), reg("etc/motd")))
	w.Close()
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Tar(path, TarOptions{}); err == nil || !strings.Contains(err.Error(), "compressed with gzip: unpack it first") {
		t.Errorf("without Unpack: %v", err)
	}
	unpack := func(r io.Reader, by string) (*os.File, error) {
		z, err := gzip.NewReader(r)
		if err != nil || by != "gzip" {
			return nil, errors.Join(err, errors.New(by))
		}
		f, err := os.CreateTemp(t.TempDir(), "")
		if err == nil {
			_, err = io.Copy(f, z)
		}
		return f, err
	}
	entries, err := Tar(path, TarOptions{Unpack: unpack})
	if err != nil || len(entries) != 2 {
		t.Fatal(entries, err)
	}
	os.Truncate(path, 0)
	file := entries[1].Node.Blob()
	if text, err := tree.ReadAll(file, 100); err != nil || string(text) != "etc/motd" || tree.HostPath(file) != path {
		t.Errorf("%s: %q, %v", tree.HostPath(file), text, err)
	}
	fails := errors.New("no space")
	os.WriteFile(path, b.Bytes(), 0o600)
	if _, err := Tar(path, TarOptions{Unpack: func(io.Reader, string) (*os.File, error) { return nil, fails }}); !errors.Is(err, fails) {
		t.Error(err)
	}
}

// The files of proc and sysfs have no fixed size, so none of them is taken for a file.
func TestPseudo(t *testing.T) {
	for _, path := range []string{"/proc/self/maps", "/sys/kernel/uevent_seqnum"} {
		if _, err := os.Stat(path); err != nil {
			continue
		}
		if _, err := File(path); err == nil || !strings.Contains(err.Error(), "nothing there has a fixed size") {
			t.Errorf("%s: %v", path, err)
		}
		if _, err := Tar(path, TarOptions{}); err == nil || !strings.Contains(err.Error(), "fixed size") {
			t.Errorf("%s as an archive: %v", path, err)
		}
		if _, err := new(Scanner).Read(filepath.Dir(path) + "/."); err == nil || !strings.Contains(err.Error(), "fixed size") {
			t.Errorf("%s as a tree: %v", filepath.Dir(path), err)
		}
	}
}
