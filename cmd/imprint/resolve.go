package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"imprint/cmd/imprint/envcmd"
	"imprint/cmd/imprint/seriescmd"
	"imprint/image/base"
	"imprint/image/description"
	"imprint/image/input"
	"imprint/image/plan"
	"imprint/image/resolve"
	"imprint/internal/awskeys"
	"imprint/internal/diag"
	"imprint/internal/limits"
	"imprint/internal/units"

	"github.com/spf13/cobra"
)

// planned is a description after the stages Parse, Resolve and Layout.
type planned struct {
	plan   *plan.Plan
	layout *plan.Layout
	in     resolve.Inputs
	series *seriescmd.Build // of which it becomes the next generation; nil for none
}

// fetchingHelp is the text about caches in the help of commands that resolve a description.
const fetchingHelp = `Items of a binary cache ([[source]] with url) are fetched, unless they are in the build store already: a directory that
keeps them unpacked, by their digest, for this and later commands ($XDG_CACHE_HOME/imprint, or ~/.cache/imprint). It may be
removed when no command is running, apart from layers/ in it, where environments and series are. So are inputs ([[input]]) that are on a server;
those of IPFS come from the gateway of --ipfs-gateway or $IPFS_GATEWAY, by default http://127.0.0.1:8080.`

// describes adds the flags of commands that resolve a description.
func (r *root) describes(c *cobra.Command) {
	r.buildStoreFlag(c)
	c.Flags().StringVar(&r.gateway, "ipfs-gateway", "", "fetch inputs of IPFS from the gateway at this `URL`")
}

// parse reads a description, after checking that the limits of the process suffice for a build.
func parse(ctx context.Context, file string) (*description.Image, error) {
	if err := limits.Check(); err != nil {
		return nil, err
	}
	type text struct {
		src []byte
		err error
	}
	read := make(chan text, 1)
	go func() { // opening a pipe without a writer blocks for ever
		src, err := readDescription(file)
		read <- text{src, err}
	}()
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case t := <-read:
		if t.err != nil {
			return nil, t.err
		}
		return description.Parse(file, t.src)
	}
}

// readDescription reads a description, but no more than Parse accepts.
func readDescription(file string) ([]byte, error) {
	if file == "" {
		return nil, usagef("the name of a description is empty")
	}
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

// resolve takes a description through Resolve and Layout. outDir is the directory of the image; "" if none will be written.
func (r *root) resolve(ctx context.Context, file string, d *description.Image, outDir string) (*plan.Plan, *plan.Layout, error) {
	p, err := r.resolveAs(ctx, d, resolve.Inputs{Dir: dirOf(file), OutDir: outDir})
	if err != nil {
		return nil, nil, err
	}
	return p.plan, p.layout, nil
}

// dirOf returns the directory to which the paths in a description are relative. Its symlinks are resolved, so that ".." means the same as for
// the system.
func dirOf(file string) string {
	dir := filepath.Dir(file)
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		return real
	}
	return dir
}

// resolveAs is resolve with control over how inputs are read.
func (r *root) resolveAs(ctx context.Context, d *description.Image, in resolve.Inputs) (_ *planned, err error) {
	in.Unique, in.Scratch = rand.Text(), r.scratch(in.OutDir)
	in.BuildStore, in.Fetching, in.Getting, in.Gateway, in.Env = r.storeDir(), r.fetching, r.getting, r.ipfsGateway(), r.passedOn()
	in.Steps.Identity, in.Steps.Report = envcmd.Identity(), r.ui.step
	in.Basing, in.Docker = r.basing, r.dockerDir()
	in.Hold = func(release func()) { r.held = append(r.held, release) }
	in.Remote = r.remote()
	in.NoKeep = r.noKeep
	in.NotKept = func(err error) { r.log.WithError(err).Warn("the next build has to fetch it again") }
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
	return &planned{plan: resolved, layout: layout, in: in}, nil
}

// remote returns how sources on other machines are read.
func (r *root) remote() resolve.Remote {
	return resolve.Remote{Account: func(profile string) (awskeys.Account, error) { return awskeys.Find(r.env, profile) }, Now: time.Now}
}

// fetching shows the progress of fetching items.
func (r *root) fetching(f *resolve.Fetch) {
	r.ui.stage("realise", fmt.Sprintf("fetching %s (%s) from %v", units.Count(f.Items, "store item"), units.FormatBytes(f.Total), f.From))
	r.ui.watch(progress{"fetching", event{"event": "progress", "stage": "realise"}, f.Done, f.Total})
}

// getting shows the progress of fetching an input. Several may be fetched at a time; the last one is shown.
func (r *root) getting(f *input.Fetch) {
	what := "fetching input " + f.Name
	if f.Size > 0 {
		what += " (" + units.FormatBytes(f.Size) + ")"
	}
	r.ui.stage("realise", what+" from "+f.From)
	r.ui.watch(progress{"fetching", event{"event": "progress", "stage": "realise"}, f.Done, f.Size})
}

// basing shows the progress of fetching the layers of a base.
func (r *root) basing(f *base.Fetch) {
	what := "fetching " + units.Count(f.Layers, "layer")
	if f.Total > 0 {
		what += " (" + units.FormatBytes(f.Total) + ")"
	}
	r.ui.stage("realise", what+" of "+f.From)
	r.ui.watch(progress{"fetching", event{"event": "progress", "stage": "realise"}, f.Done, f.Total})
}

// localGateway is where a node of IPFS on this machine serves.
const localGateway = "http://127.0.0.1:8080"

// ipfsGateway returns the URL of the gateway to IPFS.
func (r *root) ipfsGateway() string { return cmp.Or(r.gateway, r.env("IPFS_GATEWAY"), localGateway) }

// passed are the variables that git-annex and what it runs get: where their configuration and their keys are.
var passed = []string{"HOME", "USER", "XDG_CONFIG_HOME", "SSH_AUTH_SOCK", "GIT_SSH_COMMAND"}

// passedOn returns those variables, as "NAME=value".
func (r *root) passedOn() (list []string) {
	for _, name := range passed {
		if value := r.env(name); value != "" {
			list = append(list, name+"="+value)
		}
	}
	return list
}

// dockerDir returns the directory where docker login keeps passwords, "" if the environment names none.
func (r *root) dockerDir() string {
	if dir := r.env("DOCKER_CONFIG"); dir != "" {
		return dir
	}
	if home := r.env("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".docker")
	}
	return ""
}
