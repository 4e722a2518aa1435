package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"text/tabwriter"

	"imprint/image/description"
	"imprint/image/emulator"
	"imprint/image/plan"
	"imprint/image/resolve"
	"imprint/internal/hosttool"

	"github.com/spf13/cobra"
)

// A finding is a host tool or file, and whether it exists.
type finding struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"` // of a program, if it reports one
	Path    string `json:"path,omitempty"`    // empty if it is missing
	Package string `json:"package"`           // the Debian package with it
	Purpose string `json:"neededFor"`

	asked bool // whether it was asked for its version
	spare bool // the build does not need it
}

// there returns the table cell that describes the finding.
func (f finding) there() string {
	switch {
	case f.Path == "":
		return "missing"
	case f.asked:
		return f.Version
	}
	return f.Path
}

func (r *root) doctor() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "doctor [FILE]",
		Short: "List the host tools, or what a description needs, and what is missing",
		Long: `doctor lists the host tools that imprint can use, their versions, and what needs them.

With FILE it lists what the image of that description needs: host tools, the files of its boot loader, and the emulator and
firmware for the boot command that build prints. If something is missing, it prints the command that installs it on Debian. If
the build needs it, doctor exits with 4.`,
		Example: "  imprint doctor\n  imprint doctor image.toml",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return exactly(1, "one description FILE or nothing")(cmd, args)
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return r.examined(allTools(c.Context()), false, asJSON)
			}
			found, err := r.examine(c.Context(), args[0])
			if err != nil {
				return err
			}
			return r.examined(found, true, asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the list as a JSON document")
	r.describes(c)
	return c
}

// allTools looks for every host tool.
func allTools(ctx context.Context) (list []finding) {
	for _, t := range hosttool.Tools() {
		list = append(list, tool(ctx, t.Name, t.Package, t.Purpose))
	}
	return list
}

// tool looks for a program.
func tool(ctx context.Context, name, pkg, purpose string) finding {
	f := finding{Name: name, Package: pkg, Purpose: purpose}
	if where, err := hosttool.Find(name); err == nil {
		f.Path = where
		f.Version, err = hosttool.Version(ctx, name)
		f.asked = err == nil
	}
	return f
}

// examine looks for everything that the image of a description needs.
func (r *root) examine(ctx context.Context, file string) (list []finding, err error) {
	d, err := parse(ctx, file)
	if err != nil {
		return nil, err
	}
	needs, err := resolve.Needs(ctx, d, resolve.Inputs{Dir: dirOf(file), Scratch: r.scratch(""), BuildStore: r.storeDir(), Remote: r.remote()})
	if err != nil {
		fmt.Fprintf(r.stderr, "warning: cannot read the closures: %v\n", err)
	}
	for _, n := range needs {
		if n.Tool != "" {
			list = append(list, tool(ctx, n.Tool, n.Package, n.Purpose))
			continue
		}
		list = append(list, finding{Name: path.Base(n.Path), Path: n.Found, Package: n.Package, Purpose: n.Purpose})
	}
	return append(list, machine(ctx, d.WithDefaults())...), nil
}

// machine looks for what the command that boots the image needs.
func machine(ctx context.Context, d *description.Image) (list []finding) {
	m := &plan.Manifest{Arch: d.Arch.V, Format: d.Format.V, Loader: d.Boot.Loader.V}
	for _, p := range d.Partition.Items {
		m.Partitions = append(m.Partitions, plan.ManifestPartition{Type: p.Type.V})
	}
	found, ok := emulator.For(emulator.TargetOf(m))
	if !ok || !d.HasBootEntries() {
		return nil
	}
	list = parts(ctx, found)
	for i := range list {
		list[i].spare = true
	}
	return list
}

// parts looks for the program and the firmware of a machine.
func parts(ctx context.Context, found emulator.Machine) (list []finding) {
	const purpose = "the boot command"
	list = append(list, tool(ctx, found.Program, found.Package, purpose))
	if found.Firmware != "" {
		f := finding{Name: path.Base(found.Firmware), Package: found.FirmwarePackage, Purpose: purpose}
		if _, err := os.Stat(found.Firmware); err == nil {
			f.Path = found.Firmware
		}
		list = append(list, f)
	}
	return list
}

// installed returns an error if something of a machine is missing.
func installed(ctx context.Context, m emulator.Machine) error {
	gone, install := lacking(parts(ctx, m))
	if len(gone) == 0 {
		return nil
	}
	return fmt.Errorf("%w; to install it on Debian: %s", gone, install)
}

// examined prints the findings. It returns an error if something that the build needs is missing.
func (r *root) examined(list []finding, needed, asJSON bool) error {
	gone, install := lacking(list)
	if err := r.showFindings(list, needed, install, asJSON); err != nil {
		return err
	}
	if needed && len(gone) > 0 {
		return gone
	}
	return nil
}

// lacking returns the missing files, and the command that installs them, "" if there are none.
func lacking(list []finding) (gone missing, install string) {
	var packages []string
	for _, f := range list {
		if f.Path != "" {
			continue
		}
		if packages = append(packages, f.Package); !f.spare {
			gone = append(gone, f.Name)
		}
	}
	slices.Sort(packages)
	if packages = slices.Compact(packages); len(packages) > 0 {
		install = "apt-get install " + strings.Join(packages, " ")
	}
	return gone, install
}

func (r *root) showFindings(list []finding, needed bool, install string, asJSON bool) error {
	if asJSON {
		text, err := json.MarshalIndent(map[string]any{"needs": list, "install": install}, "", "  ")
		if err == nil {
			_, err = fmt.Fprintf(r.stdout, "%s\n", text)
		}
		return err
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(r.stdout, "nothing but imprint is needed")
		return err
	}
	t := tabwriter.NewWriter(r.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "TOOL\tVERSION\tPACKAGE\tNEEDED FOR")
	for _, f := range list {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", f.Name, f.there(), f.Package, f.Purpose)
	}
	if err := t.Flush(); err != nil || install == "" || !needed {
		return err
	}
	_, err := fmt.Fprintf(r.stdout, "\nto install what is missing (Debian):\n  %s\n", install)
	return err
}
