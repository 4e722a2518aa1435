package grubmkimage

import (
	"bytes"
	"context"
	"errors"
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
