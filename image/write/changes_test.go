package write_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imprint/closure"
	"imprint/closure/nar"
	"imprint/image/imagetest"
	"imprint/image/write"
	"imprint/internal/hosttest"
	"imprint/internal/tree"
)

// Sources that are not what they were when the plan was made are found while they are written.
func TestChangesAreFound(t *testing.T) {
	for name, change := range map[string]func(w imagetest.World, system string){
		"item":      func(w imagetest.World, _ string) { w.File("store"+w.Path("lib")+"/doc/a", "x") },
		"shrunk":    func(w imagetest.World, _ string) { w.File("store"+w.Path("lib")+"/lib.so", "short") },
		"grown":     func(w imagetest.World, _ string) { w.File("store"+w.Path("lib")+"/doc/a", "longer than it was") },
		"gone":      func(w imagetest.World, _ string) { os.Remove(w.Dir + "/store" + w.Path("lib") + "/doc/b") },
		"host file": func(w imagetest.World, _ string) { w.File("blob.bin", strings.Repeat("y", 100_000)) },
		"host tree": func(w imagetest.World, _ string) { w.File("rootfs/etc/hosts", "127.0.0.3 localhost\n") },
	} {
		t.Run(name, func(t *testing.T) {
			w, system := imagetest.Boot(t)
			p, err := w.Plan(fmt.Sprintf(imagetest.Bootable, system))
			if err != nil {
				t.Fatal(err)
			}
			l, err := p.Layout(nil)
			if err != nil {
				t.Fatal(err)
			}
			change(w, system)
			f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			_, err = write.Image(context.Background(), f, p, l, write.Options{})
			if !errors.Is(err, write.ErrMismatch) && !errors.Is(err, tree.ErrChanged) && !errors.Is(err, os.ErrNotExist) {
				t.Errorf("Write gave %v", err)
			}
			if name == "gone" && !strings.Contains(err.Error(), "was it garbage-collected? Make it a root first") {
				t.Errorf("%v does not say why", err)
			}
			if err != nil && !strings.Contains(err.Error(), w.Dir) && !strings.Contains(err.Error(), "/nix/store/") {
				t.Errorf("%v names no file", err)
			}
		})
	}
}

// A host file that only a host tool puts on the disk is compared with what it was, too.
func TestChangeOnHostMadePartition(t *testing.T) {
	hosttest.Need(t, "syslinux", "mtools")
	w, system := imagetest.Boot(t)
	w.File("usr/lib/SYSLINUX/mbr.bin", strings.Repeat("m", 440))
	w.File("usr/lib/syslinux/modules/bios/menu.c32", "menu")
	w.File("usr/lib/syslinux/modules/bios/libutil.c32", "library")
	p, err := w.Plan(imagetest.OnMBR(system, "syslinux"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := p.Layout(nil)
	if err != nil {
		t.Fatal(err)
	}
	w.File("extra.img", "an INITRD of the host")
	f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, err = write.Image(context.Background(), f, p, l, write.Options{})
	if !errors.Is(err, write.ErrMismatch) {
		t.Errorf("Write gave %v", err)
	}
}

// A size that is not the registered one is found, whatever the hash says.
func TestNARSizeIsVerified(t *testing.T) {
	w := imagetest.New(t)
	item := w.Item("item", nil, map[string]string{"file": "x"})
	p, err := w.Plan(fmt.Sprintf("[[closure]]\nname = \"c\"\nroots = [%q]\n[[partition]]\nname = \"root\"\ntype = \"root\"\n"+
		"filesystem = \"ext4\"\nclosures = [\"c\"]\n", item))
	if err != nil {
		t.Fatal(err)
	}
	p.Items[0].Info.NARSize += 8
	l, err := p.Layout(nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err = write.Image(context.Background(), f, p, l, write.Options{}); !errors.Is(err, write.ErrMismatch) || !strings.Contains(err.Error(), item) {
		t.Errorf("Write gave %v", err)
	}
}

// A mismatch names the item and both hashes.
func TestHashMismatchMessage(t *testing.T) {
	p, err := closure.Nix.ParsePath("/nix/store/00000000000000000000000000000000-x")
	if err != nil {
		t.Fatal(err)
	}
	e := &write.HashMismatch{Path: p, Registered: nar.Digest{1}, Found: nar.Digest{2}}
	for _, want := range []string{"-x has changed", nar.EncodeBase32(e.Registered[:]), nar.EncodeBase32(e.Found[:])} {
		if !strings.Contains(e.Error(), want) {
			t.Errorf("%q does not hold %q", e.Error(), want)
		}
	}
}

// Sources that are not what they were are found, wherever in the ISO they lie.
func TestISOChangesAreFound(t *testing.T) {
	hosttest.Need(t, "xorriso", "sqfstar")
	for name, change := range map[string]func(w imagetest.World){
		"item":   func(w imagetest.World) { w.File("store"+w.Path("lib")+"/doc/a", "x") },
		"shrunk": func(w imagetest.World) { w.File("store"+w.Path("lib")+"/lib.so", "short") },
		"gone":   func(w imagetest.World) { os.Remove(w.Dir + "/store" + w.Path("lib") + "/doc/b") },
		"tree":   func(w imagetest.World) { w.File("rootfs/etc/hosts", "127.0.0.3 localhost\n") },
		"ESP":    func(w imagetest.World) { w.File("blob.bin", strings.Repeat("y", 100_000)) },
	} {
		for _, inside := range []string{"", "squashfs", "erofs"} {
			t.Run(name+" "+inside, func(t *testing.T) {
				w, p := isoPlan(t, inside)
				l, err := p.Layout(nil)
				if err != nil {
					t.Fatal(err)
				}
				change(w)
				f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				if _, err = write.Image(context.Background(), f, p, l, write.Options{}); err == nil {
					t.Error("nothing was found")
				} else if inside == "" && (name == "item" || name == "tree") && !errors.Is(err, write.ErrMismatch) && !errors.Is(err, tree.ErrChanged) {
					t.Errorf("Write gave %v", err)
				}
				left, err := filepath.Glob(w.Dir + "/.*-*")
				if err != nil || len(left) > 0 {
					t.Errorf("left over: %v, %v", left, err)
				}
			})
		}
	}
}
