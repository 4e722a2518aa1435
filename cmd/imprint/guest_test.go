package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"imprint/internal/demostore"
	"imprint/internal/demostore/demotest"
	"imprint/internal/hosttest"
	"imprint/internal/qemutest"
)

// A guest is a machine whose init runs commands and switches it off.
type guest struct {
	modules    []string // of the kernel
	programs   []string // of this machine
	init       string   // commands, after modules are loaded
	cmdline    string   // words of the kernel's command line
	partitions string   // of the description
	files      map[string]string
}

const guestStart = `#!/bin/sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
while read -r module; do insmod "/modules/$module.ko"; done < /modules/order
`

const guestEnd = `
echo "imprint: ready"
poweroff -f
`

const guestDescription = `name = "guest"
arch = "x86_64"
[boot]
loader = "none"
console = ["ttyS0,115200"]
[[boot.entry]]
title = "guest"
kernel = "linux"
initrd = ["initrd"]
cmdline = "%s panic=-1 quiet"
`

// build builds the image of a guest, whose kernel and initrd go to the directory boot beside it.
func (g guest) build(t *testing.T) (image string) {
	t.Helper()
	parts := demotest.Need(t)
	parts.Modules = g.modules
	dir := t.TempDir()
	image = filepath.Join(dir, "guest.raw")
	files := map[string]string{
		"guest.toml": fmt.Sprintf(guestDescription, g.cmdline) + g.partitions, "linux": string(read(t, parts.Kernel.Image)), "initrd": g.initrd(t, parts),
	}
	maps.Copy(files, g.files)
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		writeFile(t, file, text)
	}
	imprint(t, "build", filepath.Join(dir, "guest.toml"), "-o", image, "--export-boot", filepath.Join(dir, "boot"), "--no-sync")
	return image
}

// initrd returns an initrd with the programs and their libraries.
func (g guest) initrd(t *testing.T, parts demostore.Parts) string {
	t.Helper()
	files := slices.Clone(g.programs)
	for _, program := range g.programs {
		files = append(files, regexp.MustCompile(`/\S+`).FindAllString(hosttest.Run(t, "ldd", program), -1)...)
	}
	slices.Sort(files)
	initrd, err := parts.Initrd(guestStart+g.init+guestEnd, slices.Compact(files)...)
	if err != nil {
		t.Fatal(err)
	}
	return string(initrd)
}

// bootGuest boots the image of a guest until the guest switches the machine off, and returns what it printed.
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
