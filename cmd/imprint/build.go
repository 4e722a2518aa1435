package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"imprint/image/description"
	"imprint/image/plan"
	"imprint/image/resolve"
	"imprint/image/write"
	"imprint/internal/diag"
	"imprint/internal/units"

	"github.com/spf13/cobra"
)

// buildFlags are the flags of build.
type buildFlags struct {
	out        string
	exportBoot string
	noManifest bool
	write      write.Options
}

func (r *root) build() *cobra.Command {
	var f buildFlags
	c := &cobra.Command{
		Use:   "build FILE",
		Short: "Build the image that a description describes",
		Long: `build writes the image that FILE describes to OUT, and its manifest to OUT.json: the plan, every identifier, and the
digests of every partition and store item.

While it writes a store item, build checks the contents against the NAR hash that the item is registered with.
The image digest is the SHA-256 of the SHA-256s of consecutive 4 MiB pieces of the image. --sha256 also computes the
SHA-256 of the whole image, which takes a second pass.

OUT appears only when it is complete. A build that fails or is interrupted leaves nothing behind and does not change an
older OUT.`,
		Example: `  imprint build image.toml
  imprint build image.toml -o /srv/images/web.raw
  SOURCE_DATE_EPOCH=1700000000 imprint build image.toml --json`,
		Args:              exactly(1, "one description FILE"),
		ValidArgsFunction: tomlFiles,
		RunE:              func(c *cobra.Command, args []string) error { return r.runBuild(c.Context(), args[0], f) },
	}
	flags := c.Flags()
	flags.StringVarP(&f.out, "out", "o", "", "image `file` (default NAME.raw or NAME.iso in the working directory)")
	flags.StringVar(&f.exportBoot, "export-boot", "", "also write kernel, initrd and command line of every boot entry to this `directory`")
	flags.BoolVar(&f.noManifest, "no-manifest", false, "do not write OUT.json")
	flags.BoolVar(&f.write.SHA256, "sha256", false, "also compute the SHA-256 of the whole image")
	flags.BoolVar(&f.write.NoDigest, "no-digest", false, "do not compute the image digest")
	flags.BoolVar(&f.write.NoVerify, "no-verify", false, "do not check the NAR hashes of store items")
	flags.BoolVar(&r.json, "json", false, "print events as lines of JSON")
	return c
}

// planned is a description after Parse, Resolve and Layout.
type planned struct {
	plan   *plan.Plan
	layout *plan.Layout
}

// resolve takes a description through Parse, Resolve and Layout. The image will be written to outDir; "" means that none will be.
func (r *root) resolve(ctx context.Context, file, outDir string) (*planned, error) {
	src, err := readDescription(file)
	if err != nil {
		return nil, err
	}
	d, err := description.Parse(file, src)
	if err != nil {
		return nil, err
	}
	in := resolve.Inputs{Dir: filepath.Dir(file), Unique: rand.Text(), OutDir: outDir}
	if in.Epoch, err = sourceDateEpoch(r.env("SOURCE_DATE_EPOCH")); err != nil {
		return nil, err
	}
	r.ui.stage("resolve", "reading the store and other inputs")
	resolved, err := resolve.Plan(ctx, d, in)
	if err != nil {
		return nil, err
	}
	r.log.WithField("items", len(resolved.Items)).Info("resolved")
	r.ui.stage("layout", "laying out the disk")
	layout, err := resolved.Layout(nil)
	if err != nil {
		return nil, err
	}
	r.log.WithField("bytes", layout.Size).Info("laid out")
	r.ui.warn(resolved.Warnings)
	return &planned{resolved, layout}, nil
}

// readDescription reads a description, but no more than Parse accepts.
func readDescription(file string) ([]byte, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, diag.List{{Position: diag.Position{File: file}, Text: "no such file", Hint: "imprint init prints a description to start from"}}
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, description.MaxSource+1))
}

// checkOut refuses an impossible output path before any work is done. It accepts "", which means that the name is not known yet.
func checkOut(file, out string) error {
	if out == "" {
		return nil
	}
	dir, err := os.Stat(filepath.Dir(out))
	if err != nil {
		return fmt.Errorf("write %s: %w", out, err)
	}
	if !dir.IsDir() {
		return fmt.Errorf("write %s: %s is not a directory", out, filepath.Dir(out))
	}
	a, errA := os.Stat(file)
	b, errB := os.Stat(out)
	if errA == nil && errB == nil && os.SameFile(a, b) {
		return usagef("the output %s is the description itself", out)
	}
	return nil
}

// maxEpoch is the last second that the superblock of an ext4 file system can store, in 2106.
const maxEpoch = 1<<32 - 1

// sourceDateEpoch parses the value of SOURCE_DATE_EPOCH: seconds since 1970.
func sourceDateEpoch(text string) (*int64, error) {
	if text == "" {
		return nil, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > maxEpoch {
		return nil, usagef("SOURCE_DATE_EPOCH is %q; it must be a number of seconds from 0 to %d", text, int64(maxEpoch))
	}
	return &n, nil
}

func (r *root) runBuild(ctx context.Context, file string, f buildFlags) error {
	start := time.Now()
	defer r.ui.clear()
	if err := checkOut(file, f.out); err != nil {
		return err
	}
	p, err := r.resolve(ctx, file, filepath.Dir(f.out))
	if err != nil {
		return err
	}
	if f.exportBoot != "" && len(p.plan.Entries) == 0 {
		return usagef("--export-boot %s: the description has no boot entries", f.exportBoot)
	}
	if err := checkOut(file, f.exportBoot); err != nil {
		return err
	}
	if f.out == "" {
		f.out = p.plan.Name + "." + p.plan.Format
	}
	manifest, result, err := r.write(ctx, p, f)
	if err != nil {
		return err
	}
	r.ui.clear()
	return r.built(f, manifest, result, time.Since(start))
}

// write writes the image, its manifest and the boot files, and names them when all are complete.
func (r *root) write(ctx context.Context, p *planned, f buildFlags) (*plan.Manifest, *write.Result, error) {
	out, err := write.Create(f.out)
	if err != nil {
		return nil, nil, err
	}
	defer out.Discard()
	r.ui.stage("write", "writing "+f.out)
	f.write.Progress = r.ui.meter
	result, err := write.Image(ctx, out.File, p.plan, p.layout, f.write)
	if err != nil {
		return nil, nil, err
	}
	r.ui.stage("commit", "")
	m := p.plan.Manifest(result.Layout, 0)
	m.Built(result.Digests, !f.write.NoVerify)
	outputs := []output{out}
	for _, more := range []func() (output, error){
		func() (output, error) { return manifest(f, m) },
		func() (output, error) { return exportBoot(ctx, p.plan, f.exportBoot) },
	} {
		o, err := more()
		if err != nil {
			return nil, nil, err
		}
		if o != nil {
			defer o.Discard()
			outputs = append(outputs, o)
		}
	}
	for _, o := range outputs {
		if err := o.Commit(); err != nil {
			return nil, nil, err
		}
	}
	return m, result, nil
}

// An output appears complete on Commit, or not at all.
type output interface {
	Commit() error
	Discard()
}

// manifest writes the manifest, if one is wanted.
func manifest(f buildFlags, m *plan.Manifest) (output, error) {
	if f.noManifest {
		return nil, nil
	}
	beside, err := write.Create(f.out + ".json")
	if err != nil {
		return nil, err
	}
	if _, err := beside.File.Write(m.JSON()); err != nil {
		beside.Discard()
		return nil, err
	}
	return beside, nil
}

// exportBoot writes the directory of boot files, if one is wanted.
func exportBoot(ctx context.Context, p *plan.Plan, dir string) (output, error) {
	if dir == "" {
		return nil, nil
	}
	e, err := write.Boot(ctx, p, dir)
	if err != nil {
		return nil, err
	}
	return e, nil
}

// built reports what was made, and how to boot it.
func (r *root) built(f buildFlags, m *plan.Manifest, result *write.Result, spent time.Duration) error {
	onDisk := int64(0)
	if info, err := os.Stat(f.out); err == nil {
		onDisk = info.Sys().(*syscall.Stat_t).Blocks * 512
	}
	if f.write.NoVerify {
		r.log.Warn("the NAR hashes of store items were not checked (--no-verify)")
	}
	if r.json {
		r.ui.event(event{
			"event": "done", "image": f.out, "size": m.Size, "onDisk": onDisk, "written": result.Written, "seconds": spent.Seconds(),
			"digest": result.Digests.Image, "sha256": result.Digests.SHA256, "verified": !f.write.NoVerify, "manifest": manifestName(f),
		})
		return r.ui.failed
	}
	var text strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&text, format+"\n", args...) }
	say("%s: %s (%s on disk), %d partitions, %d store items, in %.1f s", f.out, units.FormatBytes(m.Size), units.FormatBytes(onDisk),
		len(m.Partitions), len(m.Items), spent.Seconds())
	for _, line := range [][2]string{{"digest", result.Digests.Image}, {"sha256", result.Digests.SHA256}, {"manifest", manifestName(f)}, {"boot", bootCommand(m, f.out)}} {
		if line[1] != "" {
			say("  %-8s  %s", line[0], line[1])
		}
	}
	if f.write.NoVerify {
		say("  unverified: the NAR hashes of store items were not checked")
	}
	_, err := io.WriteString(r.stdout, text.String())
	return err
}

func manifestName(f buildFlags) string {
	if f.noManifest {
		return ""
	}
	return f.out + ".json"
}

// bootCommand returns a command that boots the image in QEMU, or "" if it has no boot loader.
func bootCommand(m *plan.Manifest, out string) string {
	if m.Loader == "none" {
		return ""
	}
	drive := " -drive if=virtio,format=raw,file="
	if m.Format == "iso" {
		drive = " -cdrom "
	}
	firmware := m.Firmware()
	switch {
	case m.Arch == "x86_64" && firmware == "bios":
		return "qemu-system-x86_64 -m 1024 -nographic" + drive + out
	case m.Arch == "x86_64" && firmware == "uefi":
		return "qemu-system-x86_64 -machine q35 -m 1024 -nographic -bios /usr/share/ovmf/OVMF.fd" + drive + out
	case m.Arch == "aarch64" && firmware == "u-boot":
		return "qemu-system-aarch64 -machine virt -cpu max -m 1024 -nographic -bios /usr/lib/u-boot/qemu_arm64/u-boot.bin" + drive + out
	case m.Arch == "aarch64" && firmware == "uefi":
		return "qemu-system-aarch64 -machine virt -cpu max -m 1024 -nographic -bios /usr/share/qemu-efi-aarch64/QEMU_EFI.fd" + drive + out
	}
	return ""
}
