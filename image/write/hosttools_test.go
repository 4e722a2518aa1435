package write_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imprint/image/imagetest"
	"imprint/image/plan"
	"imprint/image/write"
	"imprint/internal/hosttest"
	"imprint/internal/tree"
)

// byHostTools are images of which a host tool makes a part, by the tool that gets contents.
var byHostTools = map[string]func(w imagetest.World, system string) string{
	"debugfs": func(_ imagetest.World, system string) string {
		return strings.Replace(fmt.Sprintf(imagetest.Bootable, system), `filesystem = "ext4"`, "filesystem = \"ext4\"\nengine = \"mke2fs\"", 1)
	},
	"syslinux": func(w imagetest.World, system string) string {
		w.File("usr/lib/SYSLINUX/mbr.bin", strings.Repeat("m", 440))
		w.File("usr/lib/syslinux/modules/bios/menu.c32", "menu")
		w.File("usr/lib/syslinux/modules/bios/libutil.c32", "library")
		return imagetest.OnMBR(system, "syslinux")
	},
	"sqfstar": func(_ imagetest.World, system string) string {
		return strings.NewReplacer("filesystem = \"ext4\"\nfree = \"10%\"", `filesystem = "squashfs"`, "${partition.root.uuid}", "no UUID").
			Replace(fmt.Sprintf(imagetest.Bootable, system))
	},
}

// standIn makes a shell script the tool of that name. $REAL is the tool itself.
func standIn(t *testing.T, tool, script string) {
	t.Helper()
	dir := t.TempDir()
	text := fmt.Sprintf("#!/bin/sh\nREAL=%s\n%s\n", hosttest.Find(t, tool), script)
	if err := os.WriteFile(filepath.Join(dir, tool), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

// build carries a plan out beside the world and returns the disk. Nothing else may be left there.
func build(t *testing.T, w imagetest.World, p *plan.Plan) ([]byte, error) {
	t.Helper()
	l, err := p.Layout(nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, err = write.Image(t.Context(), f, p, l, write.Options{})
	if left, _ := filepath.Glob(w.Dir + "/.imprint*"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	disk, readErr := os.ReadFile(f.Name())
	return disk, errors.Join(err, readErr)
}

// Sources are replaced as soon as a host tool runs: by other bytes, a link to a secret, a fifo. The image is what was hashed before, or
// there is none.
func TestHostToolsGetWhatWasHashed(t *testing.T) {
	for tool, text := range byHostTools {
		t.Run(tool, func(t *testing.T) {
			hosttest.Need(t, tool)
			w, system := imagetest.Boot(t)
			p, err := w.Plan(text(w, system))
			if err != nil {
				t.Fatal(err)
			}
			want, err := build(t, w, p)
			if err != nil {
				t.Fatal(err)
			}
			secret := strings.Repeat("secret", 1500)
			w.File("secret", secret)
			lib := w.Dir + "/store" + w.Path("lib")
			standIn(t, tool, fmt.Sprintf("cd %s\nln -sf secret extra.img; ln -sf ../../../../../secret %s/lib.so\nrm -f %s/doc/b rootfs/etc/hosts\n"+
				"mkfifo %s/doc/b rootfs/etc/hosts\nexec $REAL \"$@\"", w.Dir, lib, lib, lib))
			got, err := build(t, w, p)
			switch {
			case bytes.Contains(got, []byte(secret)):
				t.Error("the secret is in the image")
			case err != nil && tool == "debugfs":
				t.Error(err) // all contents had been read
			case err == nil && !bytes.Equal(got, want):
				t.Errorf("another image, from byte %d on", imagetest.FirstDifference(got, want))
			}
		})
	}
}

// A tampered file has other bytes than when it is read elsewhere.
type tampered struct{ tree.Blob }

func (b tampered) Within() (tree.Blob, int64) { return b.Blob, 0 }
func (b tampered) Open() (tree.Reader, error) {
	return tree.Text(strings.Repeat("x", int(b.Size()))).Open()
}

// A kernel is in a store item and on the ESP. What is read for the one is right, and what is read for the other is not.
func TestSecondReadingIsCompared(t *testing.T) {
	native := func(_ imagetest.World, system string) string { return fmt.Sprintf(imagetest.Bootable, system) }
	for name, c := range map[string]struct {
		needs  string
		text   func(imagetest.World, string) string
		second func(tree.Blob) tree.Blob
	}{
		"read twice":        {"true", native, func(b tree.Blob) tree.Blob { return tampered{b} }},
		"part of a program": {"true", native, func(b tree.Blob) tree.Blob { return tree.Concat(tree.Text("head"), tampered{b}) }},
		"beside mke2fs":     {"debugfs", byHostTools["debugfs"], func(b tree.Blob) tree.Blob { return tampered{b} }},
		"beside sqfstar":    {"sqfstar", byHostTools["sqfstar"], func(b tree.Blob) tree.Blob { return tampered{b} }},
		"for syslinux":      {"syslinux", byHostTools["syslinux"], func(b tree.Blob) tree.Blob { return tampered{b} }},
	} {
		t.Run(name, func(t *testing.T) {
			hosttest.Need(t, c.needs)
			w, system := imagetest.Boot(t)
			p, err := w.Plan(c.text(w, system))
			if err != nil {
				t.Fatal(err)
			}
			kernel := p.Entries[0].Kernel.Content
			for n := range p.Partitions[0].Spec.Tree.Nodes() {
				if n.Kind() == tree.File && n.Blob() == kernel {
					n.SetBlob(c.second(kernel))
				}
			}
			if _, err := build(t, w, p); !errors.Is(err, write.ErrMismatch) || !strings.Contains(err.Error(), "bzImage changed between two reads") {
				t.Errorf("Image gave %v", err)
			}
		})
	}
}

// What a loader was made of while the plan was made must be what its store item holds when that is verified. The one here has a hole.
func TestBootInputsAreCompared(t *testing.T) {
	w := imagetest.New(t)
	loader := "MZ a loader" + strings.Repeat("\x00", 3*tree.HoleSize) + "end"
	system := w.Item("system", nil, map[string]string{
		"kernel": "MZ kernel", "a/initrd": "first", "b/initrd": "second", "lib/systemd/boot/efi/systemd-bootx64.efi": loader,
	})
	p, err := w.Plan(fmt.Sprintf(imagetest.KernelOnly, system, "${closure.system}/kernel"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := build(t, w, p); err != nil || len(p.BootInputs) != 1 {
		t.Fatalf("%d inputs, %v", len(p.BootInputs), err)
	}
	p.BootInputs[0] = tree.Pinned(p.BootInputs[0], tree.Pin{1}) // as if other bytes had been there
	if _, err := build(t, w, p); !errors.Is(err, write.ErrMismatch) || !strings.Contains(err.Error(), "systemd-bootx64.efi changed") {
		t.Errorf("Image gave %v", err)
	}
}

// What is exported is what was written to the disk.
func TestExportIsCompared(t *testing.T) {
	w, system := imagetest.Boot(t)
	p, err := w.Plan(fmt.Sprintf(imagetest.Bootable, system))
	if err != nil {
		t.Fatal(err)
	}
	l, err := p.Layout(nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := write.Image(t.Context(), f, p, l, write.Options{Export: true})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	e, err := r.Boot(t.Context(), p, dir, false)
	if err != nil {
		t.Fatal(err)
	}
	e.Discard()
	w.File("store"+system+"/initrd", "an initrd!")
	if _, err := r.Boot(t.Context(), p, dir, false); !errors.Is(err, write.ErrMismatch) {
		t.Errorf("Boot gave %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// A host tool that fails, is killed, or does nothing and says that all is well, is an error that names it, and nothing is left.
func TestHostToolsThatFail(t *testing.T) {
	images := map[string]string{"mke2fs": "debugfs", "debugfs": "debugfs", "e2fsck": "debugfs", "sqfstar": "sqfstar", "syslinux": "syslinux"}
	scripts := map[string]string{
		"does nothing":        "exit 0",
		"reads and no more":   "cat >/dev/null",
		"is killed":           "kill -KILL $$",
		"is killed, reading":  "head -c 2000 >/dev/null; kill -KILL $$",
		"fails":               "echo no luck >&2; exit 9",
		"fails after the end": `$REAL "$@" >/dev/null; echo no luck >&2; exit 9`,
		"says too much":       "yes; exit 0",
		"writes garbage":      `for f; do :; done; [ ! -f "$f" ] || yes garbage | dd of="$f" bs=1000 count=50 conv=notrunc status=none`,
	}
	for tool, image := range images {
		hosttest.Need(t, tool)
		for name, script := range scripts {
			t.Run(tool+" "+name, func(t *testing.T) {
				w, system := imagetest.Boot(t)
				p, err := w.Plan(byHostTools[image](w, system))
				if err != nil {
					t.Fatal(err)
				}
				standIn(t, tool, script)
				_, err = build(t, w, p)
				if err == nil || !strings.Contains(err.Error(), tool) {
					t.Fatalf("got %v", err)
				}
				if errors.Is(err, write.ErrMismatch) || errors.Is(err, tree.ErrChanged) {
					t.Errorf("the source is blamed: %v", err)
				}
				for cause, want := range map[string]string{"exit 9": "exit status 9", "no luck": "\nno luck", "KILL": "signal: killed", "yes;": "more than"} {
					if strings.Contains(script, cause) && !strings.Contains(err.Error(), want) {
						t.Errorf("got %v", err)
					}
				}
			})
		}
	}
}
