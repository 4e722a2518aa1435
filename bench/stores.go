package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"imprint/closure"
	"imprint/closure/nar"

	"golang.org/x/sys/unix"
)

// A storeBench compares what imprint store does with what other programs do for the same, in turns. Reported are medians of the ratios within a round.
type storeBench struct {
	dir     string
	rounds  int
	program string
	results string
}

// stores runs the comparison: go run ./bench stores [-n 3] [-only copying] [-dir build/bench].
func stores(args []string) error {
	var b storeBench
	flags := flag.NewFlagSet("stores", flag.ContinueOnError)
	flags.StringVar(&b.dir, "dir", "build/bench", "working directory, on the file system to measure")
	flags.IntVar(&b.rounds, "n", 3, "rounds")
	flags.StringVar(&b.program, "imprint", "bin/imprint", "the program to measure")
	flags.StringVar(&b.results, "o", "bench/RESULTS.md", "results file; sections of others in it are kept")
	only := flags.String("only", "", "registering or copying; by default both")
	if err := flags.Parse(args); err != nil {
		return err
	}
	for _, path := range []*string{&b.dir, &b.program} {
		abs, err := filepath.Abs(*path)
		if err != nil {
			return err
		}
		*path = abs
	}
	for _, part := range []struct {
		title   string
		compare func() (string, error)
	}{
		{"Stores: registering", func() (string, error) { return b.registering(50_000, 10) }},
		{"Stores: copying", b.copying},
	} {
		if *only != "" && !strings.HasSuffix(part.title, *only) {
			continue
		}
		text, err := part.compare()
		if err != nil {
			return err
		}
		fmt.Printf("%s\n", text)
		if err := appendSection(b.results, part.title, text); err != nil {
			return err
		}
	}
	return nil
}

// A trial is a shell script that does something in a fresh directory, which is its working directory.
type trial struct{ name, script string }

// compare runs some trials in turns, and returns a table of their medians, with ratios to the first one. What they make is removed after all of them:
// an ext4 without a journal looks at many inodes that were deleted a short time ago before it finds one for a new file.
func (b storeBench) compare(ways []trial) (string, error) {
	spent, all := map[string][]float64{}, filepath.Join(b.dir, "stores-run")
	defer removeAll(all)
	if err := removeAll(all); err != nil {
		return "", err
	}
	for round := range b.rounds {
		for i, w := range ways {
			s, err := b.run(w, filepath.Join(all, fmt.Sprintf("%d-%d", round, i)))
			if err != nil {
				return "", err
			}
			spent[w.name] = append(spent[w.name], s)
		}
	}
	var text strings.Builder
	text.WriteString("| | seconds | × the first |\n|---|---|---|\n")
	for _, w := range ways {
		var ratios []float64
		for i, s := range spent[w.name] {
			ratios = append(ratios, s/spent[ways[0].name][i])
		}
		fmt.Fprintf(&text, "| %s | %.2f | %.2f |\n", w.name, median(spent[w.name]), median(ratios))
	}
	return text.String(), nil
}

// removeAll removes a directory with stores, whose directories nobody may write to.
func removeAll(dir string) error {
	exec.Command("chmod", "-R", "u+w", dir).Run()
	return os.RemoveAll(dir)
}

// medians says what the figures are.
func (b storeBench) medians() string {
	if b.rounds == 1 {
		return "one round"
	}
	return fmt.Sprintf("medians of %d rounds", b.rounds)
}

// run runs a trial once in a directory that it makes, and returns how long it takes.
func (b storeBench) run(w trial, out string) (float64, error) {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return 0, err
	}
	unix.Sync()
	cmd := exec.Command("sh", "-ec", w.script)
	cmd.Dir = out
	cmd.Env = append(os.Environ(), "IMPRINT="+b.program, "DIR="+b.dir, "NIX_CONF_DIR="+b.dir, "NIX_USER_CONF_FILES=", "XDG_CACHE_HOME="+out+"/cache")
	start := time.Now()
	if said, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("%s: %v\n%.2000s", w.name, err, said)
	}
	return time.Since(start).Seconds(), nil
}

// registering compares load-db with the sqlite3 program, which executes one script with the same rows.
func (b storeBench) registering(items, references int) (string, error) {
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return "", err
	}
	if err := writeRows(filepath.Join(b.dir, "rows"), items, references); err != nil {
		return "", err
	}
	table, err := b.compare([]trial{
		{"the sqlite3 program", `sqlite3 db.sqlite < "$DIR/rows.sql"`},
		{"imprint store load-db", `"$IMPRINT" store load-db . "$DIR/rows.registration"`},
	})
	return fmt.Sprintf("Registering %d items with %d references; %s.\n\n%s", items, items*references, b.medians(), table), err
}

// writeRows writes the same rows as a script for SQLite and as a registration.
func writeRows(name string, items, references int) error {
	var paths []string
	sql, registration := &strings.Builder{}, &strings.Builder{}
	empty, err := closure.Database(closure.Nix, nil, 1)
	if err != nil {
		return err
	}
	schema, err := schemaOf(empty)
	if err != nil {
		return err
	}
	fmt.Fprintf(sql, "%s\nbegin;\n", schema)
	for i := range items {
		digest := [32]byte{byte(i), byte(i >> 8), byte(i >> 16), 7}
		path := fmt.Sprintf("%s/%s-item-%d", closure.Nix.StoreDir, nar.EncodeBase32(digest[:])[20:], i)
		paths = append(paths, path)
		fmt.Fprintf(sql, "insert into ValidPaths (path, hash, registrationTime, narSize) values ('%s', 'sha256:%x', 1, 1000);\n", path, digest)
		list := make([]string, 0, references)
		for k := range min(references, i) {
			at := i - 1 - k*7%i
			list = append(list, paths[at])
			fmt.Fprintf(sql, "insert or ignore into Refs values (%d, %d);\n", i+1, at+1)
		}
		slices.Sort(list)
		list = slices.Compact(list)
		fmt.Fprintf(registration, "%s\n%x\n1000\n\n%d\n", path, digest, len(list))
		for _, r := range list {
			fmt.Fprintln(registration, r)
		}
	}
	sql.WriteString("commit;\n")
	if err := os.WriteFile(name+".sql", []byte(sql.String()), 0o644); err != nil {
		return err
	}
	return os.WriteFile(name+".registration", []byte(registration.String()), 0o644)
}

// schemaOf returns the statements of a database.
func schemaOf(database []byte) (string, error) {
	f, err := os.CreateTemp("", "schema")
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name())
	w := bufio.NewWriter(f)
	w.Write(database)
	if err := w.Flush(); err != nil {
		return "", err
	}
	out, err := exec.Command("sqlite3", f.Name(), "select sql || ';' from sqlite_master where sql is not null and name <> 'sqlite_sequence'").Output()
	return string(out), err
}

// copying compares copies of workload M into an empty store.
func (b storeBench) copying() (string, error) {
	w, err := prepare(b.dir, shapes[1])
	if err != nil {
		return "", err
	}
	conf := "build-users-group =\nsandbox = false\nsubstituters =\nexperimental-features = nix-command\nrequire-sigs = false\n"
	if err := os.WriteFile(filepath.Join(b.dir, "nix.conf"), []byte(conf), 0o644); err != nil {
		return "", err
	}
	from := w.path("root")
	if out, err := exec.Command(b.program, "store", "load-db", from, w.path("registration")).CombinedOutput(); err != nil {
		return "", fmt.Errorf("load-db: %v\n%s", err, out)
	}
	vars := fmt.Sprintf("FROM=%q; PATHS=$(cat %q); ", from, w.path("store-paths"))
	remote := `NIX_REMOTE="local?root=$FROM" `
	table, err := b.compare([]trial{
		{"imprint store copy --no-sync", vars + `"$IMPRINT" store copy --no-sync --from "$FROM" --to to $PATHS`},
		{"imprint store copy", vars + `"$IMPRINT" store copy --from "$FROM" --to to $PATHS`},
		{"nix copy", vars + remote + `nix copy --no-check-sigs --to "local?root=$PWD/to" $PATHS`},
		{"nix-store --export and --import", vars + remote + `nix-store --export $PATHS | NIX_REMOTE="local?root=$PWD/to" nix-store --import`},
	})
	return fmt.Sprintf("Copying %d items, %d files, about %d MB into an empty store, with a warm cache; %s. Nix does not wait "+
		"until the contents are on the disk.\n\n%s", w.items, w.files, w.aboutMB, b.medians(), table), err
}

// appendSection replaces the section with a title in the results file, or adds it at the end.
func appendSection(name, title, text string) error {
	old, err := os.ReadFile(name)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	var kept []string
	for i, s := range strings.Split("\n"+string(old), "\n## ") {
		if t, _, _ := strings.Cut(s, "\n"); i > 0 && t == title {
			continue
		}
		kept = append(kept, strings.TrimSpace(s))
	}
	kept = append(kept, title+"\n\n"+strings.TrimSpace(text))
	return os.WriteFile(name, []byte(strings.TrimSpace(strings.Join(kept, "\n\n## "))+"\n"), 0o644)
}
