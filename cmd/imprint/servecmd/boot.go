package servecmd

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"imprint/container"
	"imprint/image/emulator"
	"imprint/image/write"
	"imprint/internal/hosttool"
	"imprint/internal/listen"
	"imprint/internal/nbd"
	"imprint/internal/output"

	"github.com/spf13/cobra"
)

// bootFlags are the flags of boot.
type bootFlags struct {
	write      string
	exportBoot string
}

func (w World) boot() *cobra.Command {
	var f bootFlags
	c := &cobra.Command{
		Use:   "boot FILE|IMAGE [-- QEMU-ARG...]",
		Short: "Boot an image in QEMU, or a description without building it",
		Long: `boot starts QEMU with the machine, firmware and sector size that an image is for, and its serial console on the terminal:
the command that build prints. For an IMAGE, these come from its manifest, or without one from its boot loader. The image of a
description FILE is not built, but served to QEMU as "imprint serve" does; at the end boot prints how much of it was read.

What the system writes is discarded, unless --write names a file that keeps it, for the next boot of the same image. The
image itself is not changed. Arguments after -- go to QEMU, such as -accel kvm or -m 4096.

To end QEMU, switch the system off, or press Ctrl-A and then X.`,
		Example: `  imprint boot web.toml
  imprint boot web.raw -- -accel kvm -m 4096
  imprint boot web.toml --write changes.cow`,
		Args: func(c *cobra.Command, args []string) error {
			if n := c.ArgsLenAtDash(); n >= 0 {
				args = args[:n]
			}
			return w.Exactly(1, "one description FILE or IMAGE, and after -- arguments of QEMU")(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error { return w.runBoot(c.Context(), args[0], args[1:], f) },
	}
	c.Flags().StringVar(&f.write, "write", "", "keep what the system writes in this `file`")
	w.Describes(c)
	c.Flags().StringVar(&f.exportBoot, "export-boot", "", "for an IMAGE without a boot loader: the `directory` that build --export-boot has written")
	return c
}

// runBoot boots a description or an image.
func (w World) runBoot(ctx context.Context, file string, args []string, f bootFlags) error {
	defer w.Clear()
	e, err := w.export(ctx, file)
	if err != nil {
		return err
	}
	defer e.close()
	target, err := e.target()
	if err != nil {
		return fmt.Errorf("boot %s: %w", file, err)
	}
	b := emulator.Boot{Target: target, Image: file, Discard: f.write == "", Export: f.exportBoot}
	if err := w.findMachine(ctx, file, target); err != nil {
		return err
	}
	if err := w.bootFiles(ctx, e, &b); err != nil {
		return err
	}
	b.Format = e.qemuFormat()
	if e.image != nil && f.write == "" && b.Format != "" {
		w.Clear()
		return w.runQEMU(ctx, b, args)
	}
	return w.bootServed(ctx, e, b, args, f)
}

// target returns the machine that the disk is for, from its manifest or from the contents of the image.
func (e *export) target() (emulator.Target, error) {
	if e.manifest != nil {
		return emulator.TargetOf(e.manifest), nil
	}
	t, err := emulator.Recognise(e.image)
	if err != nil {
		err = fmt.Errorf("there is no manifest %s.json that names its machine, and %w", e.path, err)
	}
	return t, err
}

// qemuFormat returns QEMU's name for the format of the file, "" if QEMU cannot read it, so that the disk in it has to be served.
func (e *export) qemuFormat() string {
	name := container.Raw
	switch {
	case e.manifest != nil:
		name = cmp.Or(e.manifest.FileFormat, container.Raw)
	case e.packed:
		return ""
	}
	if format := container.Named(name); format != nil {
		return format.QEMU
	}
	return ""
}

// findMachine returns an error if there is no machine for an image, or if it is not installed.
func (w World) findMachine(ctx context.Context, file string, t emulator.Target) error {
	found, ok := emulator.For(t)
	if !ok {
		return fmt.Errorf("boot %s: no machine is known for arch %q with firmware %q", file, t.Arch, t.Firmware)
	}
	return w.Installed(ctx, found)
}

// bootFiles finds the files that QEMU starts if the image has no boot loader. Those of a description are written to the scratch directory.
func (w World) bootFiles(ctx context.Context, e *export, b *emulator.Boot) (err error) {
	switch {
	case b.Target.Firmware != emulator.None:
		return nil
	case e.prepared != nil:
		b.Export = filepath.Join(e.scratch.Path, "boot")
		b.Entries, err = e.writeBootFiles(ctx, b.Export)
	case b.Export == "":
		return w.usagef("boot %s: the image has no boot loader: --export-boot must name the directory that build --export-boot has written", b.Image)
	default:
		b.Entries, err = readExport(b.Export)
	}
	if err == nil && b.Words() == nil {
		err = fmt.Errorf("boot %s: there is no boot entry", b.Image)
	}
	return err
}

// writeBootFiles writes the boot files of a description to a directory.
func (e *export) writeBootFiles(ctx context.Context, dir string) ([]write.ExportedEntry, error) {
	x, err := e.prepared.Boot(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer x.Discard()
	return x.Entries, output.Commit(ctx, true, x.Group())
}

// maxIndex is the largest size in bytes of an index of boot files.
const maxIndex = 64 << 20

// readExport reads the index of exported boot files, which must be in the same directory.
func readExport(dir string) ([]write.ExportedEntry, error) {
	name := filepath.Join(dir, write.ExportFile)
	info, err := os.Stat(name)
	if err == nil && (!info.Mode().IsRegular() || info.Size() > maxIndex) {
		err = fmt.Errorf("read %s: it is not an index of boot files", name)
	}
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var index struct{ Entries []write.ExportedEntry }
	if err := json.Unmarshal(text, &index); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	for _, x := range index.Entries {
		for _, file := range []string{x.Kernel, x.Initrd} {
			if file != filepath.Base(file) && file != "" {
				return nil, fmt.Errorf("read %s: %q is not the name of a file beside it", name, file)
			}
		}
	}
	return index.Entries, nil
}

// bootServed boots a disk that it serves at a socket in the scratch directory.
func (w World) bootServed(ctx context.Context, e *export, b emulator.Boot, args []string, f bootFlags) error {
	device, err := e.device(f.write)
	if err != nil {
		return err
	}
	if err := e.makeScratch(); err != nil {
		return err
	}
	l, err := listen.Address{Network: "unix", Where: filepath.Join(e.scratch.Path, "nbd")}.Open(mostClients)
	if err != nil {
		return err
	}
	defer l.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	served := make(chan error, 1)
	go func() {
		err := e.serve(ctx, sockets{nbd: l}, device)
		cancel(err) // QEMU ends with the disk
		served <- err
	}()
	b.Image, b.Format = nbd.URI(l.Network, l.Address(), ""), container.Raw
	w.Clear()
	err = w.runQEMU(ctx, b, args)
	cancel(nil)
	if lost := <-served; lost != nil {
		return lost
	}
	return errors.Join(err, w.served(e))
}

// runQEMU runs QEMU on the terminal, without filtering its output. In addition to the environment of all host tools, it gets the variables that a
// window needs.
func (w World) runQEMU(ctx context.Context, b emulator.Boot, args []string) error {
	words := slices.Concat(b.Words(), args)
	c := hosttool.Command{Name: words[0], Args: words[1:], Stdin: w.Stdin}
	for _, name := range []string{"HOME", "TERM", "DISPLAY", "XAUTHORITY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR", "TMPDIR"} {
		if value := w.Env(name); value != "" {
			c.Env = append(c.Env, name+"="+value)
		}
	}
	return hosttool.Attach(ctx, c, w.Raw, w.RawErr)
}
