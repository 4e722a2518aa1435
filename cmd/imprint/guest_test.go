package main

import (
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"imprint/internal/demostore"
	"imprint/internal/hosttest"
	"imprint/internal/qemutest"
)

// guestInitrd returns an initrd with an init, and with programs of this machine and their libraries.
func guestInitrd(t *testing.T, parts demostore.Parts, init string, programs ...string) string {
	t.Helper()
	files := slices.Clone(programs)
	for _, program := range programs {
		files = append(files, regexp.MustCompile(`/\S+`).FindAllString(hosttest.Run(t, "ldd", program), -1)...)
	}
	slices.Sort(files)
	initrd, err := parts.Initrd(init, slices.Compact(files)...)
	if err != nil {
		t.Fatal(err)
	}
	return string(initrd)
}

// buildGuest builds DIR/guest.toml, whose kernel and initrd go to DIR/boot, and returns the image.
func buildGuest(t *testing.T, dir string) string {
	t.Helper()
	image := filepath.Join(dir, "guest.raw")
	imprint(t, "build", filepath.Join(dir, "guest.toml"), "-o", image, "--export-boot", filepath.Join(dir, "boot"), "--no-sync")
	return image
}

// bootGuest boots an image of buildGuest until the guest switches the machine off, and returns what it printed.
func bootGuest(t *testing.T, image string, keep bool) string {
	t.Helper()
	boot := filepath.Join(filepath.Dir(image), "boot")
	r := qemutest.Boot(t, qemutest.Options{Image: image, Mode: "bios", Marker: marker, Bad: failure, PowerOff: true, Keep: keep, Args: []string{
		"-kernel", boot + "/guest.kernel", "-initrd", boot + "/guest.initrd", "-append", cmdlineOf(t, boot+"/boot.json"),
	}})
	return r.Serial
}

// cmdlineOf returns the command line of the first entry of an export.
func cmdlineOf(t *testing.T, index string) string {
	t.Helper()
	found := regexp.MustCompile(`"cmdline": "(.*)"`).FindSubmatch(read(t, index))
	if found == nil {
		t.Fatalf("%s has no command line", index)
	}
	return string(found[1])
}
