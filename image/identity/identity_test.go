package identity_test

import (
	"fmt"
	"strings"
	"testing"

	"imprint/image/imagetest"
)

// The identity depends on contents alone: not on where things lie, nor on the order of keys, nor on comments.
func TestIdentity(t *testing.T) {
	w, system := imagetest.Boot(t)
	text := fmt.Sprintf(imagetest.Bootable, system)
	seed := func(w imagetest.World, text string) string {
		t.Helper()
		p, err := w.Plan(text)
		if err != nil {
			t.Fatal(err)
		}
		return p.Seed.String()
	}
	first := seed(w, text)
	other, _ := imagetest.Boot(t)
	if seed(other, text) != first {
		t.Error("another directory gives another seed")
	}
	if seed(w, "# a comment\n"+strings.Replace(text, "name = \"esp\"\ntype = \"esp\"", "type = \"esp\" # swapped\nname = \"esp\"", 1)) != first {
		t.Error("comments and the order of keys give another seed")
	}
	if seed(w, strings.Replace(text, "8MiB", "9MiB", 1)) == first {
		t.Error("another size gives the same seed")
	}
	other.File("rootfs/etc/hosts", "127.0.0.2 localhost\n")
	if seed(other, text) == first {
		t.Error("another file in a tree gives the same seed")
	}
	a, b := seed(w, "seed = \"x\"\n"+text), seed(other, "seed = \"x\"\n"+text)
	if a != b || a == first {
		t.Error("a seed that is given is not the only thing that counts")
	}
}

// Kernels of the host count with their content, wherever they lie.
func TestIdentityOfHostKernels(t *testing.T) {
	seed := func(path, content string) string {
		w := imagetest.New(t)
		system := w.Item("system", nil, map[string]string{"a/initrd": "first", "b/initrd": "second"})
		w.File("usr/lib/systemd/boot/efi/systemd-bootx64.efi", "EFI")
		w.File(path, "MZ"+content)
		p, err := w.Plan(fmt.Sprintf(imagetest.KernelOnly, system, path))
		if err != nil {
			t.Fatal(err)
		}
		return p.Seed.String()
	}
	if first := seed("k1/bz", "x"); first == seed("k1/bz", "y") || first != seed("k2/bz", "x") {
		t.Error("the seed depends on the path of a kernel and not on its content")
	}
}
