package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"imprint/cmd/imprint/imagecmd"
	"imprint/image/emulator"
)

// libraryLimits match the warnings about what go-diskfs cannot read: names of 248 bytes and more, and an ext4 without metadata_csum.
var libraryLimits = regexp.MustCompile(`/names.*: no second opinion: go-diskfs: .*slice bounds out of range|no second opinion: .*invalid checksum type 0`)

// The image of every description has no fault: its file systems, its store, its boot entries; and other libraries see in it what imprint does.
func TestVerifyEveryImage(t *testing.T) {
	t.Parallel()
	s := setting{dir: syntheticConfigs(t)}
	for _, file := range descriptions(t) {
		name := strings.TrimSuffix(filepath.Base(file), ".toml")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, image := filepath.Join(s.dir, "configs", name+".toml"), filepath.Join(t.TempDir(), "image.raw")
			if regexp.MustCompile(`(?m)^filesystem += "squashfs"`).Match(read(t, file)) {
				return // made by a stand-in here
			}
			needsOf(t, file)
			s.run(t, "build", file, "-o", image)
			stdout, stderr := s.both(t, "verify", "--cross-check", image)
			if !strings.Contains(string(stdout), "no faults, ") {
				t.Errorf("%s%s", stdout, stderr)
			}
			for line := range strings.Lines(stderr) {
				if !libraryLimits.MatchString(line) {
					t.Error(line)
				}
			}
			if menu := regexp.MustCompile(`(?m)^\[\[boot.entry\]\]`).Match(read(t, file)); menu && !regexp.MustCompile(`(?m)^loader += "(none|uki)"`).Match(read(t, file)) {
				if report := string(s.run(t, "inspect", image)); !strings.Contains(report, "\n  boot entry ") {
					t.Errorf("no boot entry is shown:\n%s", report)
				}
			}
			recognised(t, image)
		})
	}
}

// recognised checks that an image without its manifest boots on the same machine.
func recognised(t *testing.T, image string) {
	t.Helper()
	m, err := imagecmd.ReadManifest(image + ".json")
	if err != nil {
		t.Fatal(err)
	}
	d, f, err := imagecmd.Open(t.Context(), image, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := emulator.Recognise(d)
	want := emulator.TargetOf(m)
	switch _, known := emulator.For(want); {
	case want.Firmware == emulator.None || !known:
		if err == nil || !strings.Contains(err.Error(), "no EFI program for x86_64 or aarch64, no menu with a kernel for aarch64 and no boot code for a BIOS") {
			t.Errorf("without a loader or a machine: %+v, %v", got, err)
		}
	case err != nil || got != want:
		t.Errorf("recognised as %+v, not %+v: %v", got, want, err)
	}
}
