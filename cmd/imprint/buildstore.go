package main

import (
	"fmt"
	"os"
	"path/filepath"

	"imprint/closure"
	"imprint/cmd/imprint/envcmd"
	"imprint/internal/repro"
	"imprint/internal/units"

	"github.com/spf13/cobra"
)

// fetchingHelp is what the help of commands that resolve a description says about caches.
const fetchingHelp = `Items of a binary cache ([[source]] with url) are fetched, unless they are in the build store already: a directory that
keeps them unpacked, by their digest, for this and later commands. It may be removed at any time.`

// buildStoreFlag adds the flag for the build store.
func (r *root) buildStoreFlag(c *cobra.Command) {
	c.Flags().StringVar(&r.buildStore, "build-store", "",
		"keep what is fetched from binary caches in this `directory` (default $XDG_CACHE_HOME/imprint, or ~/.cache/imprint)")
}

// storeDir returns the directory of the build store; "" if there is no place for it.
func (r *root) storeDir() string {
	if r.buildStore != "" {
		return r.buildStore
	}
	for _, dir := range []string{r.env("XDG_CACHE_HOME"), filepath.Join(r.env("HOME"), ".cache")} {
		if filepath.IsAbs(dir) { // relative ones are to be ignored (XDG Base Directory Specification)
			return filepath.Join(dir, "imprint")
		}
	}
	return ""
}

// environments is the command for environments, which are in the build store.
func (r *root) environments() *cobra.Command {
	return envcmd.Command(envcmd.World{
		Stdin: os.Stdin, Stdout: r.stdout, Stderr: r.stderr, Raw: r.raw, RawErr: r.tty,
		StoreFlag: func(c *cobra.Command) {
			c.Flags().StringVar(&r.buildStore, "build-store", "", "keep environments in this `directory` (default $XDG_CACHE_HOME/imprint, or ~/.cache/imprint)")
		},
		StoreDir: r.storeDir, Scratch: func() string { return r.scratch("") }, Env: r.env, UID: os.Getuid(), GID: os.Getgid(),
		Epoch: func() (int64, error) {
			epoch, err := sourceDateEpoch(r.env("SOURCE_DATE_EPOCH"))
			if epoch == nil {
				return repro.DefaultEpoch, err
			}
			return *epoch, err
		},
		Usage: func(err error) error { return usage{err} }, Differs: errDiffers,
	})
}

// fetching reports that items are fetched.
func (r *root) fetching(from closure.Store, items int, bytes int64) {
	r.ui.stage("realise", "fetching "+units.Count(items, "store item")+" ("+units.FormatBytes(bytes)+") from "+fmt.Sprint(from))
}
