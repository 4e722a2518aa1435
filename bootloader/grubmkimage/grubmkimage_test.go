package grubmkimage

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/hosttool"
)

func TestMake(t *testing.T) {
	hosttest.Need(t, "grub-mkimage")
	for dir, magic := range map[string]string{"/usr/lib/grub/i386-pc": "\x52", "/usr/lib/grub/x86_64-efi": "MZ"} {
		hosttest.NeedFile(t, dir)
		o := Options{Dir: dir, Prefix: "/boot/grub", Modules: []string{"normal", "linux"}}
		first, err := Make(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		second, err := Make(t.Context(), o)
		if err != nil || !bytes.Equal(first, second) {
			t.Errorf("%s: two images differ, %v", dir, err)
		}
		if len(first) < 50_000 || !bytes.HasPrefix(first, []byte(magic)) || !bytes.Contains(first, []byte("GRUB")) && dir != "/usr/lib/grub/i386-pc" {
			t.Errorf("%s: %d bytes that begin with %q", dir, len(first), first[:2])
		}
		o.Prefix = "/elsewhere"
		if other, err := Make(t.Context(), o); err != nil || bytes.Equal(first, other) {
			t.Errorf("%s: the prefix makes no difference, %v", dir, err)
		}
	}
}

func TestMakeFails(t *testing.T) {
	hosttest.Need(t, "grub-mkimage")
	_, err := Make(t.Context(), Options{Dir: "/usr/lib/grub/i386-pc", Prefix: "/", Modules: []string{"no-such-module"}})
	var exit *hosttool.ExitError
	if !errors.As(err, &exit) || !strings.Contains(err.Error(), "no-such-module") {
		t.Errorf("error %v", err)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := Make(stopped, Options{Dir: "/usr/lib/grub/i386-pc"}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// The program reads only the files that Reads names: an image made from copies of these alone is the same.
func TestReads(t *testing.T) {
	hosttest.Need(t, "grub-mkimage")
	for dir, format := range map[string]string{"/usr/lib/grub/i386-pc": "i386-pc-eltorito", "/usr/lib/grub/x86_64-efi": ""} {
		hosttest.NeedFile(t, dir)
		index, err := os.ReadFile(filepath.Join(dir, Index))
		if err != nil {
			t.Fatal(err)
		}
		o := Options{Dir: dir, Format: format, Prefix: "/boot/grub", Modules: []string{"normal", "linux", "ext2"}}
		names := Reads(string(index), o.Modules)
		copied := filepath.Join(t.TempDir(), filepath.Base(dir))
		if err := os.Mkdir(copied, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			content, err := os.ReadFile(filepath.Join(dir, name))
			if errors.Is(err, fs.ErrNotExist) && strings.HasSuffix(name, ".img") {
				continue
			}
			if err == nil {
				err = os.WriteFile(filepath.Join(copied, name), content, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		want, err := Make(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		o.Dir = copied
		if got, err := Make(t.Context(), o); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v", dir, err)
		}
		if len(names) > 60 {
			t.Errorf("%s: %d files", dir, len(names))
		}
	}
	// Modules that need each other, and an index that says nothing.
	if got := Reads("a: b c\nb: a\n", []string{"a"}); !slices.Contains(got, "c.mod") || len(got) != 5+3 {
		t.Errorf("%q", got)
	}
	if got := Reads("\x00:::\n", nil); len(got) != 5 {
		t.Errorf("%q", got)
	}
}
