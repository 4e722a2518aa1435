// Bench compares imprint with other ways to make the same disk image from a tree, and with the floor: the time it takes to read every file
// once and write its bytes.
//
//	go run ./bench [-w S,M] [-n 5] [-cold] [-only NAMES] [-dir build/bench] [-o bench/RESULTS.md]
//	go run ./bench stores [-n 3] [-dir build/bench] [-o bench/RESULTS.md]
//
// The contenders take turns, A B C C B A A B C …, so that changes of the machine's speed affect all of them, and what one leaves behind affects
// not always the same other. Reported are medians, and medians of the ratios within a round. A contender whose tools are missing is listed as
// missing. A workload is made when it is first used, always with the same bytes.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

type options struct {
	workloads string
	rounds    int
	cold      bool
	only      string
	dir       string
	results   string
	program   string
	plain     string
}

func main() {
	switch { // processes that this program starts
	case len(os.Args) > 1 && os.Args[1] == "floor":
		exit(floor(os.Args[2:]))
	case len(os.Args) > 1 && os.Args[1] == "stores":
		exit(stores(os.Args[2:]))
	case len(os.Args) == 3 && os.Args[1] == "hash":
		exit(hashItems(os.Args[2]))
	case len(os.Args) == 3 && os.Args[1] == "archives":
		exit(hashArchives(os.Args[2], ""))
	case len(os.Args) == 4 && os.Args[1] == "archives":
		exit(hashArchives(os.Args[2], os.Args[3]))
	case len(os.Args) == 3 && os.Args[1] == "unpack":
		_, _, err := unpackAndHash(os.Args[2])
		exit(err)
	case len(os.Args) == 3 && os.Args[1] == "touch":
		exit(touch(os.Args[2]))
	}
	var o options
	flag.StringVar(&o.workloads, "w", "S,M", "workloads: S, M, L")
	flag.IntVar(&o.rounds, "n", 5, "rounds")
	flag.BoolVar(&o.cold, "cold", false, "empty the page cache before each run; needs root")
	flag.StringVar(&o.only, "only", "", "names of contenders (default all)")
	flag.StringVar(&o.dir, "dir", "build/bench", "working directory, on the file system to measure")
	flag.StringVar(&o.results, "o", "bench/RESULTS.md", "results file; sections of other workloads in it are kept")
	flag.StringVar(&o.program, "imprint", "bin/imprint", "the program to measure")
	flag.StringVar(&o.plain, "plain", "--no-verify --no-digest", "flags for the comparison without hashing, which no other contender does")
	flag.Parse()
	exit(bench(o))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func bench(o options) error {
	for _, p := range []*string{&o.dir, &o.program} {
		absolute, err := filepath.Abs(*p)
		if err != nil {
			return err
		}
		*p = absolute
	}
	for name := range strings.SplitSeq(o.workloads, ",") {
		i := slices.IndexFunc(shapes, func(s shape) bool { return s.name == name })
		if i < 0 {
			return fmt.Errorf("unknown workload %q", name)
		}
		if err := compare(o, shapes[i]); err != nil {
			return err
		}
	}
	return nil
}

// compare runs all contenders on one workload and records the results.
func compare(o options, s shape) error {
	fmt.Fprintf(os.Stderr, "workload %s: about %d MB\n", s.name, s.aboutMB)
	w, err := prepare(o.dir, s)
	if err != nil {
		return err
	}
	field, absent := o.field()
	if len(field) == 0 {
		return errors.New("no contender can run")
	}
	l := &lane{workload: w, cold: o.cold, dir: filepath.Join(o.dir, "out")}
	if err := os.RemoveAll(l.dir); err != nil {
		return err
	}
	defer os.RemoveAll(l.dir)
	if !o.cold {
		if err := floor([]string{w.path("root"), os.DevNull}); err != nil { // warms the cache
			return err
		}
	}
	runs, err := l.race(field, o.rounds)
	if err != nil {
		return err
	}
	t := table{shape: s, cold: o.cold, rounds: o.rounds, field: field, runs: runs, absent: absent}
	fmt.Println(t.String())
	return record(o, t)
}

// field returns the contenders that can run, and the reasons why others cannot.
func (o options) field() (field []contender, absent []string) {
	for _, c := range contenders(o) {
		if o.only != "" && !slices.Contains(strings.Split(o.only, ","), c.name) {
			continue
		}
		if why := c.missing(); why != "" {
			absent = append(absent, c.title+" "+why)
			continue
		}
		field = append(field, c)
	}
	return field, absent
}

// race runs the contenders in turn, every other round backwards. It returns the runs by name, in the order of the rounds.
func (l *lane) race(field []contender, rounds int) (map[string][]run, error) {
	runs := map[string][]run{}
	field = slices.Clone(field)
	for round := range rounds {
		if round > 0 {
			slices.Reverse(field)
		}
		for _, c := range field {
			r, err := l.measure(c)
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(os.Stderr, "%s round %d of %d: %s %.2f s\n", l.name, round+1, rounds, c.name, r.wall)
			runs[c.name] = append(runs[c.name], r)
		}
	}
	return runs, nil
}
