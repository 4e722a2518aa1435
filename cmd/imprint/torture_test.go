package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"imprint/internal/hosttest"
)

// TestTorture builds images while something goes wrong at a random moment: every fault meets every engine and format. After each build its
// exit code is not 0 or the image has the right bytes, no file is left, and an older image is unchanged.
//
// TORTURE_SEED decides what is random, apart from the speed of the machine; TORTURE_ROUNDS is how often each fault meets each format. Without
// it, every other pair does, once. There is a subtest for each fault.
func TestTorture(t *testing.T) {
	hosttest.Need(t, "strace", "mke2fs", "sqfstar", "syslinux", "mtools", "sh", "env")
	seed, rounds := uint64(number(t, "TORTURE_SEED", 1)), number(t, "TORTURE_ROUNDS", 0)
	rack, tally, start := newRack(t), tally{}, time.Now()
	for i, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			for round := range max(1, rounds) {
				for j, victim := range rack.formats {
					if f.tools && !victim.tools || f.mount && !rack.mounts || rounds == 0 && (i+j)%2 == 1 {
						continue
					}
					r := rand.New(rand.NewPCG(seed, uint64(round)<<32|uint64(i)<<16|uint64(j)))
					c := rack.build(t, victim, f, r)
					tally.add(f.name, c)
					for _, wrong := range c.wrong {
						t.Errorf("%s in round %d of seed %d, %s: exit code %s: %s\n%s", victim.name, round, seed, c.what, c.code, wrong, c.said)
					}
				}
			}
		})
	}
	rack.checkSources(t)
	t.Logf("seed %d, %d formats, %v\n%s", seed, len(rack.formats), time.Since(start).Round(time.Second), tally.table())
}

// number is the value of an environment variable, or another one where it is not set.
func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		t.Fatalf("%s is %q, not a number", name, text)
	}
	return n
}

// A tally counts, for each fault, how builds ended.
type tally map[string]*count

type count struct {
	builds, wrong int
	codes         map[string]int
}

func (t tally) add(fault string, c *child) {
	if t[fault] == nil {
		t[fault] = &count{codes: map[string]int{}}
	}
	t[fault].builds++
	t[fault].codes[c.code]++
	if len(c.wrong) > 0 {
		t[fault].wrong++
	}
}

// table has a row for each fault, in the order of faults, and one for all.
func (t tally) table() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "fault\tbuilds\texit codes\tviolations")
	all := &count{codes: map[string]int{}}
	for _, f := range faults {
		if c := t[f.name]; c != nil {
			c.row(w, f.name)
			all.builds, all.wrong = all.builds+c.builds, all.wrong+c.wrong
			for code, n := range c.codes {
				all.codes[code] += n
			}
		}
	}
	all.row(w, "all")
	w.Flush()
	return b.String()
}

func (c *count) row(w *tabwriter.Writer, name string) {
	var codes []string
	for _, code := range slices.Sorted(maps.Keys(c.codes)) {
		codes = append(codes, fmt.Sprintf("%s: %d", code, c.codes[code]))
	}
	fmt.Fprintf(w, "%s\t%d\t%s\t%d\n", name, c.builds, strings.Join(codes, ", "), c.wrong)
}
