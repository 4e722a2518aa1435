package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"imprint/internal/demostore"
	"imprint/internal/hosttest"
	"imprint/internal/qemutest"
)

// A bootRow is a row of the boot matrix: a description in configs, and a machine that boots its image.
type bootRow struct {
	config string
	mode   string // of qemutest
	how    string // in words, for the README
}

var bootMatrix = []bootRow{
	{"hello", "uefi", "GPT, systemd-boot"},
	{"grub-uefi", "uefi", "GPT, GRUB on the ESP; kernel in the store"},
	{"grub-bios", "bios", "GPT, GRUB with a BIOS boot partition"},
	{"grub-both", "uefi", "GPT, GRUB for both"},
	{"grub-both", "bios-ide", "the same disk"},
	{"iso", "uefi-cd", "ISO, the store in its tree"},
	{"iso", "bios-cd", "the same ISO"},
	{"iso", "uefi-usb", "the same ISO on a stick"},
	{"iso", "bios-usb", "the same ISO on a stick"},
	{"iso", "uefi", "the same ISO on a hard disk"},
	{"iso", "bios-ide", "the same ISO on a hard disk"},
	{"iso-squashfs", "uefi-cd", "ISO, the store in a squashfs in it"},
	{"iso-squashfs", "bios-usb", "the same ISO on a stick"},
}

const (
	marker     = "^imprint: ready$"
	failure    = "^imprint: FAIL"
	readme     = "../../README.md"
	matrixFrom = "<!-- boot matrix -->\n"
	matrixTo   = "<!-- end of the boot matrix -->\n"
)

// Every description in configs gives the same bytes twice, and an image that boots to its marker on every machine it is for.
// UPDATE_MATRIX=1 writes the matrix in the README anew.
func TestBootMatrix(t *testing.T) {
	dir := configs(t)
	seconds := make([]float64, len(bootMatrix))
	t.Run("rows", func(t *testing.T) {
		images := map[string]func() string{}
		for i, row := range bootMatrix {
			if images[row.config] == nil {
				images[row.config] = sync.OnceValue(func() string { return buildTwice(t, dir, row.config) })
			}
			t.Run(row.config+" "+row.mode, func(t *testing.T) {
				t.Parallel()
				r := qemutest.Boot(t, qemutest.Options{
					Image: images[row.config](), Mode: row.mode, Marker: marker, Bad: failure, PowerOff: true,
				})
				seconds[i] = r.Seconds
			})
		}
	})
	if os.Getenv("UPDATE_MATRIX") == "1" && !t.Failed() {
		writeMatrix(t, seconds)
	}
}

// configs copies the descriptions to where the demo's store lies beside them, as after `make demo`.
func configs(t *testing.T) string {
	t.Helper()
	root := public(t)
	dir := filepath.Join(root, "configs")
	hosttest.Run(t, "cp", "-r", "../../configs", dir)
	if _, _, err := demostore.Demo(filepath.Join(root, "build/demo"), demostore.Need(t)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// buildTwice builds a description's image, once on one processor and once on several, and gives its path.
func buildTwice(t *testing.T, dir, config string) string {
	t.Helper()
	file := filepath.Join(dir, config+".toml")
	first, second := filepath.Join(dir, config+".img"), filepath.Join(dir, config+".again")
	hosttest.Run(t, "env", "GOMAXPROCS=1", "imprint", "build", file, "-o", first)
	hosttest.Run(t, "env", "GOMAXPROCS=5", "TZ=Asia/Tokyo", "imprint", "build", file, "-o", second)
	a, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(second)
	if err != nil {
		t.Fatal(err)
	}
	if string(a) != string(b) {
		t.Errorf("%s: two builds differ", config)
	}
	os.Remove(second)
	return first
}

func writeMatrix(t *testing.T, seconds []float64) {
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := strings.Cut(string(text), matrixFrom)
	_, after, ok := strings.Cut(rest, matrixTo)
	if !ok {
		t.Fatalf("%s has no %s", readme, matrixFrom)
	}
	var b strings.Builder
	b.WriteString("| image | description | machine | to the marker |\n|---|---|---|---|\n")
	for i, row := range bootMatrix {
		fmt.Fprintf(&b, "| %s | [%s](configs/%s.toml) | %s | %.1f s |\n", row.how, row.config, row.config, row.mode, seconds[i])
	}
	write(t, readme, before+matrixFrom+b.String()+matrixTo+after)
}

// The README has all rows, and every description is in a row.
func TestMatrixIsWhole(t *testing.T) {
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	inRow := map[string]bool{}
	for _, row := range bootMatrix {
		inRow[row.config] = true
		line := fmt.Sprintf("| %s | [%s](configs/%s.toml) | %s | ", row.how, row.config, row.config, row.mode)
		if !strings.Contains(string(text), line) {
			t.Errorf("the README has no row %q: UPDATE_MATRIX=1 go test -run BootMatrix ./cmd/imprint", line)
		}
	}
	files, err := filepath.Glob("../../configs/*.toml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if name := strings.TrimSuffix(filepath.Base(file), ".toml"); !inRow[name] {
			t.Errorf("configs/%s.toml is booted by no row", name)
		}
		src, err := os.ReadFile(file)
		if err != nil || !regexp.MustCompile(`^#:schema ./imprint.schema.json\n# `).Match(src) {
			t.Errorf("%s does not begin with its schema and what it is about: %v", file, err)
		}
	}
}
