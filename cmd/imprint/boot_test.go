package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"imprint/internal/demostore"
	"imprint/internal/demostore/demotest"
	"imprint/internal/hosttest"
	"imprint/internal/qemutest"
)

// A bootRow is a row of the boot matrix: a description in configs, and a machine that boots its image.
type bootRow struct {
	config string
	mode   string // of qemutest
	how    string // in words, for the README
	line   bool   // booted by the line that build prints, which is for that machine
	says   string // a text on the console, in addition to the marker
}

var bootMatrix = []bootRow{
	{config: "hello", mode: "uefi", how: "GPT, systemd-boot", line: true},
	{config: "nixos", mode: "uefi", how: "GPT, systemd-boot; NixOS's menu of two generations", says: "-nixos-system-demo-2\n", line: true},
	{config: "guix", mode: "uefi", how: "GPT, GRUB; Guix's menu of two generations", says: "imprint: hello from /gnu/store/", line: true},
	{config: "grub-uefi", mode: "uefi", how: "GPT, GRUB on the ESP; kernel in the store", line: true},
	{config: "grub-bios", mode: "bios", how: "GPT, GRUB with a BIOS boot partition", line: true},
	{config: "grub-given", mode: "uefi", how: "GPT, GRUB as Debian ships it", line: true},
	{config: "generations", mode: "bios", how: "GPT, GRUB, the older of two entries", says: " generation=1 ", line: true},
	{config: "grub-both", mode: "uefi", how: "GPT, GRUB for both", line: true},
	{config: "grub-both", mode: "bios-ide", how: "the same disk"},
	{config: "grub-mbr", mode: "bios", how: "MBR, GRUB before the first partition", line: true},
	{config: "syslinux", mode: "bios", how: "MBR, SYSLINUX on FAT", line: true},
	{config: "appliance", mode: "uefi", how: "GPT, systemd-boot; an EROFS as root", line: true},
	{config: "store-apart", mode: "uefi", how: "GPT, systemd-boot; the store on a partition of its own", line: true},
	{config: "uki", mode: "uefi", how: "GPT, unified kernel image", line: true},
	{config: "uki-signed", mode: "uefi-secure", how: "GPT, unified kernel image, signed for Secure Boot"},
	{config: "verity", mode: "uefi", how: "GPT, unified kernel image with the root hash of a dm-verity tree", line: true},
	{config: "direct", mode: "bios", how: "GPT, kernel started by QEMU", line: true},
	{config: "systemd-boot-aarch64", mode: "aarch64-uefi", how: "GPT, systemd-boot", line: true},
	{config: "grub-aarch64", mode: "aarch64-uefi", how: "GPT, GRUB on the ESP; kernel in the store", line: true},
	{config: "uki-aarch64", mode: "aarch64-uefi", how: "GPT, unified kernel image", line: true},
	{config: "extlinux", mode: "aarch64-u-boot", how: "GPT, menu for U-Boot on FAT", line: true},
	{config: "board", mode: "aarch64-u-boot", how: "MBR, U-Boot at 8 KiB; its menu on the root file system", line: true},
	{config: "board-gpt", mode: "aarch64-u-boot", how: "hybrid MBR and GPT with its entries after U-Boot", line: true},
	{config: "iso", mode: "uefi-cd", how: "ISO, the store in its tree", line: true},
	{config: "iso", mode: "bios-cd", how: "the same ISO"},
	{config: "iso", mode: "uefi-usb", how: "the same ISO on a stick"},
	{config: "iso", mode: "bios-usb", how: "the same ISO on a stick"},
	{config: "iso", mode: "uefi", how: "the same ISO on a hard disk"},
	{config: "iso", mode: "bios-ide", how: "the same ISO on a hard disk"},
	{config: "iso-squashfs", mode: "uefi-cd", how: "ISO, the store in a squashfs in it", line: true},
	{config: "iso-squashfs", mode: "bios-usb", how: "the same ISO on a stick"},
	{config: "iso-menu", mode: "uefi-cd", how: "ISO, a submenu, the store in a squashfs in it", line: true},
	{config: "iso-menu", mode: "bios-cd", how: "the same ISO"},
	{config: "iso-erofs", mode: "uefi-cd", how: "ISO, the store in an EROFS in it", line: true},
	{config: "iso-erofs", mode: "bios-ide", how: "the same ISO on a hard disk"},
	{config: "guix-iso", mode: "uefi-cd", how: "ISO, a system in Guix's form", says: "imprint: hello from /gnu/store/", line: true},
	{config: "guix-iso", mode: "bios-usb", how: "the same ISO on a stick"},
	{config: "iso-aarch64", mode: "aarch64-cd", how: "ISO, the store in its tree", line: true},
	{config: "iso-aarch64", mode: "aarch64-uefi", how: "the same ISO on a hard disk"},
}

const (
	marker     = "^imprint: ready$"
	failure    = "^imprint: FAIL"
	readme     = "../../README.md"
	matrixFrom = "<!-- boot matrix -->\n"
	matrixTo   = "<!-- end of the boot matrix -->\n"
)

// Two builds of every description in configs have the same bytes, and the image boots to the marker on every machine it is for.
// UPDATE_MATRIX=1 rewrites the matrix in the README.
func TestBootMatrix(t *testing.T) {
	t.Parallel()
	dir := configs(t)
	keys(t, filepath.Join(dir, "../build/keys"), true)
	seconds := make([]float64, len(bootMatrix))
	rows := map[string][]int{}
	for i, row := range bootMatrix {
		rows[row.config] = append(rows[row.config], i)
	}
	t.Run("rows", func(t *testing.T) {
		for config, rows := range rows {
			t.Run(config, func(t *testing.T) {
				t.Parallel()
				image, line := buildTwice(t, dir, config)
				for _, i := range rows {
					t.Run(bootMatrix[i].mode, func(t *testing.T) {
						t.Parallel()
						seconds[i] = bootMatrix[i].boot(t, image, line)
					})
				}
			})
		}
	})
	if os.Getenv("UPDATE_MATRIX") == "1" && !t.Failed() {
		writeMatrix(t, seconds)
	}
}

// boot boots an image as a row says, and returns how many seconds it took.
func (row bootRow) boot(t *testing.T, image, line string) float64 {
	t.Helper()
	o := qemutest.Options{Image: image, Mode: row.mode, Marker: marker, Bad: failure, PowerOff: true}
	if row.line {
		o.Command = line
	}
	r := qemutest.Boot(t, o)
	if !strings.Contains(r.Serial, row.says) {
		t.Errorf("the console does not show %q:\n%s", row.says, r.Serial)
	}
	return r.Seconds
}

// configs copies the descriptions to a directory beside the store of the demo, as after `make demo`.
func configs(t *testing.T) string {
	t.Helper()
	root := public(t)
	dir := filepath.Join(root, "configs")
	hosttest.Run(t, "cp", "-r", "../../configs", dir)
	for name, parts := range map[string]demostore.Parts{"demo": demotest.Need(t), "demo-arm64": demotest.NeedArm(t)} {
		if _, _, err := demostore.Demo(filepath.Join(root, "build", name), parts); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := demostore.GuixDemo(filepath.Join(root, "build/demo-guix"), demotest.Need(t)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// buildTwice builds a description's image on one processor and on several, compares the two and returns the path, with the line that boots it.
func buildTwice(t *testing.T, dir, config string) (image, line string) {
	t.Helper()
	file := filepath.Join(dir, config+".toml")
	first, second := filepath.Join(dir, config+".img"), filepath.Join(dir, config+".again")
	said := hosttest.Run(t, "env", "GOMAXPROCS=1", "imprint", "build", file, "-o", first, "--export-boot", first+".boot")
	hosttest.Run(t, "env", "GOMAXPROCS=5", "TZ=Asia/Tokyo", "imprint", "build", file, "-o", second)
	sameFiles(t, first, second)
	os.Remove(second)
	imprint(t, "verify", first) // our readers find no fault in what our writers and the host's tools have written
	return first, printedLine(t, said)
}

// printedLine is the boot command, in what build has printed.
func printedLine(t *testing.T, said string) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^  boot +(.*)$`).FindStringSubmatch(said)
	if found == nil {
		t.Fatalf("build prints no line to boot with:\n%s", said)
	}
	return found[1]
}

// The line that build prints boots images that no row of the matrix is for: of a disk with large sectors, of one with a signed program without Secure
// Boot, in another format than raw, and from a directory whose name a shell and QEMU would take apart.
func TestPrintedLine(t *testing.T) {
	t.Parallel()
	dir := configs(t)
	keys(t, filepath.Join(dir, "../build/keys"), true)
	src, err := os.ReadFile(filepath.Join(dir, "hello.toml"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "large-sectors.toml"), strings.Replace(string(src), "\narch ", "\nsector-size = 4096\narch ", 1))
	writeFile(t, filepath.Join(dir, "small-sectors.toml"), string(src))
	odd := filepath.Join(dir, "it's, $HOME & more")
	if err := os.Mkdir(odd, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"large-sectors", "small-sectors", "small-sectors.qcow2", "uki-signed"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			image := filepath.Join(odd, name)
			config, _, _ := strings.Cut(name, ".")
			line := printedLine(t, imprint(t, "build", filepath.Join(dir, config+".toml"), "-o", image))
			qemutest.Boot(t, qemutest.Options{Image: image, Command: line, Marker: marker, Bad: failure, PowerOff: true})
		})
	}
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
	writeFile(t, readme, before+matrixFrom+b.String()+matrixTo+after)
}

// The README has every row, and every description is in a row.
func TestMatrixIsWhole(t *testing.T) {
	elsewhere := []string{"debian", "debian-steps", "iso-memtest"} // which TestDebian, TestDebianSteps and TestMemoryTestInISO boot
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
		if name := strings.TrimSuffix(filepath.Base(file), ".toml"); !inRow[name] && !slices.Contains(elsewhere, name) {
			t.Errorf("no row boots configs/%s.toml", name)
		}
		src, err := os.ReadFile(file)
		if err != nil || !regexp.MustCompile(`^#:schema ./imprint.schema.json\n# `).Match(src) {
			t.Errorf("%s does not begin with its schema and a comment: %v", file, err)
		}
	}
}

// QEMU's network card has iPXE in its ROM, which fetches the exported script, and the kernel and initrd that it names.
func TestBootFromExport(t *testing.T) {
	t.Parallel()
	hosttest.NeedFile(t, "/usr/lib/ipxe/qemu/pxe-virtio.rom")
	dir := configs(t)
	out, export := filepath.Join(dir, "direct.img"), filepath.Join(dir, "export")
	imprint(t, "build", filepath.Join(dir, "direct.toml"), "-o", out, "--export-boot", export, "--export-root")
	qemutest.Boot(t, qemutest.Options{Image: out, Mode: "bios", Marker: marker, Bad: failure, PowerOff: true, Args: []string{
		"-netdev", "user,id=net,tftp=" + export + ",bootfile=script.ipxe", "-device", "virtio-net-pci,netdev=net,bootindex=0",
	}})
	var index struct {
		Entries []struct {
			Memory string `json:"cmdlineInMemory"`
		}
	}
	if err := json.Unmarshal(read(t, filepath.Join(export, "boot.json")), &index); err != nil {
		t.Fatal(err)
	}
	// The root file system as an initrd is there as a whole: its init starts. The demo's own needs an initrd to mount /proc, so it gets no further.
	qemutest.Boot(t, qemutest.Options{Marker: "imprint: hello from /nix/store/", Command: fmt.Sprintf(
		"qemu-system-x86_64 -m 1024 -nographic -no-reboot -kernel %s/hello.kernel -initrd %[1]s/root.initrd -append '%s'", export, index.Entries[0].Memory)})
}

// A menu on a picture, with a program other than Linux in a submenu, starts its default entry on both kinds of firmware.
func TestMenuOnPicture(t *testing.T) {
	t.Parallel()
	hosttest.NeedFile(t, "/usr/share/grub/unicode.pf2", "/usr/lib/systemd/boot/efi/systemd-bootx64.efi")
	dir := configs(t)
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewRGBA(image.Rect(0, 0, 640, 480))); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "splash.png"), picture.String())
	text := strings.Replace(string(read(t, filepath.Join(dir, "grub-both.toml"))), "timeout = 0\n", "timeout = 1\nbackground = \"splash.png\"\nmenu-color = \"white/black\"\n", 1)
	text += "[[boot.entry]]\ntitle = \"other\"\nsubmenu = \"More\"\nplain = true\nkernel = \"/usr/lib/systemd/boot/efi/systemd-bootx64.efi\"\n"
	writeFile(t, filepath.Join(dir, "picture.toml"), text)
	out := filepath.Join(dir, "picture.img")
	imprint(t, "build", filepath.Join(dir, "picture.toml"), "-o", out)
	for _, mode := range []string{"uefi", "bios"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			qemutest.Boot(t, qemutest.Options{Image: out, Mode: mode, Marker: marker, Bad: failure, PowerOff: true})
		})
	}
}
