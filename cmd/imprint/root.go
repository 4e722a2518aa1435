package main

import (
	"cmp"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"imprint/cmd/imprint/imagecmd"
	"imprint/cmd/imprint/servecmd"
	"imprint/internal/repro"
	"imprint/internal/visible"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
)

// world is the environment of the program, apart from the file system. Tests replace it.
type world struct {
	stdout, stderr io.Writer
	args           []string
	env            func(string) string
}

// root is the root command. All commands share its logger and user interface.
type root struct {
	world
	cmd   *cobra.Command
	log   *logrus.Logger
	level string
	json  bool

	buildStore string // directory; "" for the usual one
	noKeep     bool   // --no-keep
	gateway    string // URL of a gateway to IPFS; "" for the usual one

	held    []func() // end the hold on store items
	written string   // the image that a build has completed but not yet checked
	ui      *ui
	tty     io.Writer // standard error unfiltered, for output that moves the cursor
	raw     io.Writer // standard output unfiltered, for contents and for programs that the user talks to
	printed printer   // standard output, for what the library prints
}

const help = `imprint turns a software closure (store items and everything they refer to) into a bootable disk image, without a virtual
machine, root, fakeroot, loop devices or user namespaces. The store in the image is complete: its items are registered in
its database and protected by GC roots, so that the first boot has nothing left to do.

Exit codes:
  0    done
  1    failed: an input or output error
  2    wrong usage
  3    the description or its inputs are invalid, or the contents do not fit
  4    a host tool is missing
  5    contents do not match their hash
  6    there are differences (diff, plan --diff, build --check)
  130  interrupted`

// A printer keeps the first error of writing, which the library ignores when it prints help.
type printer struct {
	io.Writer
	err error
}

// Write implements io.Writer.
func (p *printer) Write(b []byte) (int, error) {
	n, err := p.Writer.Write(b)
	p.err = cmp.Or(p.err, err)
	return n, err
}

func newRoot(w world) *root {
	r := &root{world: w, log: logrus.New(), tty: w.stderr, raw: w.stdout}
	r.stdout, r.stderr = visible.To(w.stdout), visible.To(w.stderr)
	r.ui = newUI(r.stdout, r.tty, false)
	r.cmd = &cobra.Command{
		Use:               "imprint",
		Short:             "Turn a software closure into a bootable disk image",
		Long:              help,
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: func(*cobra.Command, []string) error { return r.prepare() },
		Example: `  imprint init image.toml          a commented description to start from
  imprint plan image.toml          what the image will contain, and where
  imprint build image.toml         the image`,
	}
	r.printed.Writer = r.stdout
	r.cmd.SetOut(&r.printed)
	r.cmd.SetErr(r.stderr)
	r.cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage{err} })
	r.cmd.PersistentFlags().StringVar(&r.level, "log-level", "warning", "log messages of this `level` and above: error, warning, info or debug")
	r.completions()
	r.cmd.AddCommand(r.build(), r.plan(), r.doctor(), r.init(), r.schema(), r.version(), r.man(), r.environments(), r.cache(), r.stores(), r.seriesCommand())
	r.cmd.AddCommand(imagecmd.Commands(r.images())...)
	r.cmd.AddCommand(servecmd.Commands(r.servers())...)
	return r
}

// prepare sets up the logger once the flags are parsed.
func (r *root) prepare() error {
	level, err := logrus.ParseLevel(r.level)
	if err != nil {
		return usage{err}
	}
	r.log.SetOutput(r.stderr)
	r.log.SetLevel(level)
	r.log.SetFormatter(&logrus.TextFormatter{DisableTimestamp: true, DisableColors: true})
	if r.json {
		r.log.SetFormatter(&logrus.JSONFormatter{DisableTimestamp: true})
	}
	// go-diskfs logs to logrus' own logger.
	logrus.SetOutput(r.stderr)
	logrus.SetLevel(min(level, logrus.WarnLevel))
	r.ui = newUI(r.stdout, r.tty, r.json)
	return nil
}

// exactly is cobra.ExactArgs with a usage error.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == n {
			return nil
		}
		return usagef("%s takes %s, not %q", cmd.CommandPath(), what, args)
	}
}

// levels are the values of --log-level.
var levels = []cobra.Completion{"error", "warning", "info", "debug"}

// completions registers completions for the values of the global flags.
func (r *root) completions() {
	if err := r.cmd.RegisterFlagCompletionFunc("log-level", cobra.FixedCompletions(levels, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // only for an unknown flag
	}
}

// tomlFiles completes a description, the only argument of a command: a file that ends in .toml, or a directory on the way to
// one.
func tomlFiles(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return []cobra.Completion{"toml"}, cobra.ShellCompDirectiveFilterFileExt
}

// atMost is cobra.MaximumNArgs with a usage error.
func atMost(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) <= n {
			return nil
		}
		return usagef("%s takes %s, not %s", cmd.CommandPath(), what, strings.Join(args, " "))
	}
}

// buildStoreFlag adds the flag for the build store.
func (r *root) buildStoreFlag(c *cobra.Command) {
	c.Flags().StringVar(&r.buildStore, "build-store", "", "keep what is fetched from binary caches, environments and series in this `directory`")
}

// storeDir returns the directory of the build store, "" if the environment names none.
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

// scratch returns the directory for unnamed files: that of the image, else one for temporary files that is on a disk.
func (r *root) scratch(outDir string) string { return cmp.Or(outDir, r.env("TMPDIR"), "/var/tmp") }

// maxEpoch is the last second that a superblock of ext4 can store, in 2106.
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

// epoch returns the time of what has no other: SOURCE_DATE_EPOCH, or 1.
func (r *root) epoch() (int64, error) {
	epoch, err := sourceDateEpoch(r.env("SOURCE_DATE_EPOCH"))
	if epoch == nil {
		return repro.DefaultEpoch, err
	}
	return *epoch, err
}
