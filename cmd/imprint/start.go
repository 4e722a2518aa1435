package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"imprint/image/description"
	"imprint/image/description/starting"

	"github.com/spf13/cobra"
)

// schemaFile is the file name of the JSON Schema, as in the first line of a new description.
const schemaFile = "imprint.schema.json"

// eventSchema is the JSON Schema of the events of build --json.
//
//go:embed events.schema.json
var eventSchema string

func (r *root) init() *cobra.Command {
	kinds := map[string]*bool{}
	c := &cobra.Command{
		Use:   "init [FILE]",
		Short: "Write a commented description to start from",
		Long: `init writes a commented description to FILE, which must not exist, and the JSON Schema of the language to
` + schemaFile + ` beside it. The first line of the description names the schema, from which editors complete and check keys.

With --nixos, --guix, --iso or --tree it is one that can be built as it is, if what it names is beside it: "result", a link to a system as
nix-build or guix system build makes it, or "rootfs.tar.zst", an archive of a system.

Without FILE init prints the description, and "imprint schema" the schema.`,
		Example: "  imprint init image.toml\n  imprint init --nixos nixos.toml",
		Args:    atMost(1, "at most one FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			kind, err := startKind(kinds)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				_, err := io.WriteString(r.stdout, starting.Description(kind))
				return err
			}
			return r.start(args[0], kind)
		},
	}
	kinds[starting.NixOS] = c.Flags().Bool(starting.NixOS, false, "for the disk of a NixOS system")
	kinds[starting.Guix] = c.Flags().Bool(starting.Guix, false, "for the disk of a Guix system")
	kinds[starting.ISO] = c.Flags().Bool(starting.ISO, false, "for a live ISO")
	kinds[starting.Tree] = c.Flags().Bool(starting.Tree, false, "for the disk of a system in a tar archive")
	return c
}

// startKind returns the kind of description that flags ask for.
func startKind(kinds map[string]*bool) (kind string, err error) {
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		switch {
		case !*kinds[name]:
		case kind != "":
			return "", usagef("--%s and --%s exclude each other", kind, name)
		default:
			kind = name
		}
	}
	return kind, nil
}

// start writes a new description and the schema beside it: both or neither.
func (r *root) start(file, kind string) error {
	schema := filepath.Join(filepath.Dir(file), schemaFile)
	if err := checkSchema(schema); err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	_, err = f.WriteString(starting.Description(kind))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.WriteFile(schema, description.Schema(), 0o666)
	}
	if err != nil {
		os.Remove(file)
		return err
	}
	_, err = fmt.Fprintf(r.stdout, "%s: a description to start from\n%s: the JSON Schema that its first line names\n", file, schema)
	return err
}

// checkSchema refuses to replace a file other than the schema, or an older version of it.
func checkSchema(file string) error {
	old, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && !strings.Contains(string(old), description.SchemaTitle) {
		err = fmt.Errorf("write %s: a different file exists", file)
	}
	return err
}

func (r *root) schema() *cobra.Command {
	var events bool
	c := r.prints("schema", "Print the JSON Schema of the description language", func() string {
		if events {
			return eventSchema
		}
		return string(description.Schema())
	})
	c.Long = `schema prints the JSON Schema of the description language, with which editors complete and check descriptions; with
--events that of the lines that build --json prints.`
	c.Example = "  imprint schema > " + schemaFile
	c.Flags().BoolVar(&events, "events", false, "print the schema of events instead")
	return c
}
