package main

import (
	"context"
	"io"
	"os"
	"time"

	"imprint/cmd/imprint/cachecmd"
	"imprint/cmd/imprint/envcmd"
	"imprint/cmd/imprint/family"
	"imprint/cmd/imprint/imagecmd"
	"imprint/cmd/imprint/seriescmd"
	"imprint/cmd/imprint/servecmd"
	"imprint/cmd/imprint/storecmd"
	"imprint/image/disk"
	"imprint/internal/sandbox"

	"github.com/spf13/cobra"
)

// images is what commands that read images use.
func (r *root) images() imagecmd.World {
	return imagecmd.World{
		Stdin: os.Stdin, Stdout: r.stdout, Stderr: r.stderr, Raw: r.raw, Log: r.log,
		JSON: &r.json, Event: func(e map[string]any) { r.ui.event(e) }, Failed: func() error { return r.ui.failed }, Clear: func() { r.ui.clear() },
		Scratch: func() string { return r.scratch("") }, Owners: os.Geteuid() == 0, Describes: r.describes, Parse: parse, Resolve: r.resolve,
		Exactly: exactly, Usage: func(err error) error { return usage{err} }, Differs: errDiffers,
	}
}

// servers is what commands for disks that are not built use.
func (r *root) servers() servecmd.World {
	return servecmd.World{
		World: r.images(), RawErr: r.tty, Env: r.env, Stage: func(name, text string) { r.ui.stage(name, text) }, Installed: installed,
	}
}

// family is what commands in families use.
func (r *root) family() family.World {
	return family.World{Stdout: r.stdout, Stderr: r.stderr, StoreFlag: r.buildStoreFlag, StoreDir: r.storeDir, Usage: func(err error) error { return usage{err} }}
}

// environments is the command for environments, which are in the build store.
func (r *root) environments() *cobra.Command {
	return envcmd.Command(envcmd.World{
		World: r.family(), Stdin: os.Stdin, Raw: r.raw, RawErr: r.tty, Scratch: func() string { return r.scratch("") }, Env: r.env, Root: func() bool { return sandbox.HasIDs(os.Getuid()) }, UID: os.Getuid(), GID: os.Getgid(),
		Epoch: r.epoch, Differs: errDiffers,
	})
}

// cache is the command for what steps have made.
func (r *root) cache() *cobra.Command {
	return cachecmd.Command(cachecmd.World{
		World: r.family(), Identity: envcmd.Identity, Now: time.Now, Open: envcmd.Open, Collect: envcmd.Collect,
	})
}

// stores is the command for stores.
func (r *root) stores() *cobra.Command {
	return storecmd.Command(storecmd.World{
		World: r.family(), Stdin: os.Stdin, Raw: r.raw, RawErr: r.tty, Epoch: r.epoch, Scratch: func() string { return r.scratch("") },
		Env: r.env, Environ: os.Environ, Remote: r.remote(), UID: os.Getuid(), GID: os.Getgid(), Root: func() bool { return sandbox.HasIDs(os.Getuid()) },
		Image: func(ctx context.Context, name string) (*disk.Disk, io.Closer, error) {
			return imagecmd.Open(ctx, name, r.scratch(""))
		},
		Watch: func(doing string, done func() int64, total int64) {
			r.ui.watch(progress{doing, event{}, done, total})
		},
		Clear: func() { r.ui.clear() },
	})
}

// seriesCommand is the command for series of images, which are in the build store.
func (r *root) seriesCommand() *cobra.Command {
	return seriescmd.Command(seriescmd.World{
		World: r.family(), Files: r.seriesFiles, Differs: errDiffers,
		Stage: func(name, text string) { r.ui.stage(name, text) }, Done: func() { r.ui.clear() },
	})
}
