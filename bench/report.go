package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A table is the results of one workload.
type table struct {
	shape
	cold   bool
	rounds int
	field  []contender
	runs   map[string][]run // by contender name, in the order of the rounds
	absent []string
}

func (t table) title() string {
	if t.cold {
		return t.name + ", cold cache"
	}
	return t.name + ", warm cache"
}

// String returns the table as a section in Markdown.
func (t table) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n%d items, %d files, %d symlinks, %d directories, about %d MB; medians of %d rounds.\n\n",
		t.title(), t.items, t.files+len(t.huge), t.links, t.dirs, t.aboutMB, t.rounds)
	b.WriteString("| | seconds | min–max | with sync | CPU seconds | memory, MB | × imprint whole | × imprint plain |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|\n")
	for _, c := range t.field {
		wall := t.each(c.name, func(r run) float64 { return r.wall })
		fmt.Fprintf(&b, "| %s | %.2f | %.2f–%.2f | %.2f | %.2f | %.0f | %s | %s |\n", c.title,
			median(wall), slices.Min(wall), slices.Max(wall),
			median(t.each(c.name, func(r run) float64 { return r.synced })),
			median(t.each(c.name, func(r run) float64 { return r.cpu })),
			slices.Max(t.each(c.name, func(r run) float64 { return r.memory })),
			t.ratio(c.name, "imprint"), t.ratio(c.name, "imprint-plain"))
	}
	if whole, plain := t.ratio("imprint", "floor-hash"), t.ratio("imprint-plain", "floor"); whole+plain != "" {
		fmt.Fprintf(&b, "\nCompared to the floor with the same hashes: the whole job %s times, like for like %s times.\n", whole, plain)
	}
	for _, c := range []string{"iso", "iso-erofs"} {
		if whole, plain := t.ratio(c, "floor-hash"), t.ratio(c+"-plain", "floor"); whole+plain != "" {
			fmt.Fprintf(&b, "\n%s: %s times, like for like %s times.\n", c, whole, plain)
		}
	}
	b.WriteString(t.outputs())
	if verify := t.ratio("verify", "hash"); verify != "" {
		fmt.Fprintf(&b, "\nVerifying the finished disk takes %s times as long as hashing its store items at their source.\n", verify)
	}
	if base, kept := t.ratio("oci", "oci-floor"), t.ratio("oci-kept", "oci-floor"); base+kept != "" {
		fmt.Fprintf(&b, "\nA disk of a container image takes %s times as long as unpacking and hashing its layer, the second time %s times.\n", base, kept)
	}
	for _, a := range t.absent {
		fmt.Fprintf(&b, "\nMissing: %s.\n", a)
	}
	return b.String()
}

// outputs compares several formats in one build with what they replace, an image with a hash tree with one without, and updates with whole builds.
func (t table) outputs() (text string) {
	if covered := t.ratio("verity", "imprint"); covered != "" {
		text = fmt.Sprintf("\nWith a hash tree: %s times the whole job without; %s times its CPU seconds (the least of each: %s; of user time alone: %s).\n", covered,
			t.ratioOf("verity", "imprint", run.seconds), t.leastOf("verity", "imprint", run.seconds), t.leastOf("verity", "imprint", run.own))
	}
	slowest := ""
	for _, name := range []string{"imprint", "out-zst", "out-qcow2", "out-vhd"} {
		if len(t.runs[name]) > 0 && (slowest == "" || median(t.each(name, run.whole)) > median(t.each(slowest, run.whole))) {
			slowest = name
		}
	}
	if four := t.ratio("out-four", slowest); four != "" {
		text += fmt.Sprintf("\nFour formats in one build: %s times the slowest of them alone (%s; the least of each: %s); %s times its CPU seconds.\n", four,
			slowest, t.leastOf("out-four", slowest, run.whole), t.leastOf("out-four", slowest, run.seconds))
	}
	if two := t.ratio("out-two", "zstd-after"); two != "" {
		text += fmt.Sprintf("\nzst and qcow2 in one build: %s times raw and zstd -1 -T0 one after the other.\n", two)
	}
	if inPlace := t.ratio("one-in-place", "one-full"); inPlace != "" {
		text += fmt.Sprintf("\nOne item changed: as the next generation of a series %s times the whole job in place, %s times into another file.\n",
			inPlace, t.ratio("one-copy", "one-full"))
	}
	return text
}

func (t table) each(name string, field func(run) float64) []float64 {
	var all []float64
	for _, r := range t.runs[name] {
		all = append(all, field(r))
	}
	return all
}

// ratio returns the median over the rounds of a's time divided by b's, or "" if one of them did not run. Both end with the image on the disk,
// as every build of imprint does.
func (t table) ratio(a, b string) string { return t.ratioOf(a, b, run.whole) }

// ratioOf is ratio for any measurement.
func (t table) ratioOf(a, b string, field func(run) float64) string {
	var ratios []float64
	for i, r := range t.runs[a] {
		if i < len(t.runs[b]) {
			ratios = append(ratios, field(r)/field(t.runs[b][i]))
		}
	}
	if len(ratios) == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", median(ratios))
}

// leastOf returns the least measurement of a divided by that of b: what others do on the machine only adds to both.
func (t table) leastOf(a, b string, field func(run) float64) string {
	return fmt.Sprintf("%.2f", slices.Min(t.each(a, field))/slices.Min(t.each(b, field)))
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// record writes the section to the results file, replacing one with the same title.
func record(o options, t table) error {
	old, err := os.ReadFile(o.results)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	sections := []string{"## " + t.title()}
	for s := range strings.SplitSeq("\n"+string(old), "\n## ") {
		if title, _, _ := strings.Cut(s, "\n"); title != "" && title != t.title() {
			sections = append(sections, "## "+s)
		}
	}
	slices.Sort(sections)
	var b strings.Builder
	b.WriteString(head(o))
	for _, s := range sections {
		if s == "## "+t.title() {
			s = t.String()
		}
		b.WriteString("\n" + strings.TrimSpace(s) + "\n")
	}
	return os.WriteFile(o.results, []byte(b.String()), 0o644)
}

// head returns the head of the results file, which describes the machine.
func head(o options) string {
	var memory unix.Sysinfo_t
	var system unix.Utsname
	unix.Sysinfo(&memory)
	unix.Uname(&system)
	return fmt.Sprintf(`# Results

Written by `+"`make bench`"+`. Measured is the time from a tree on disk to a finished GPT disk with an ESP and an ext4 root. *The whole job* of
imprint checks every NAR hash and computes an image digest; *like for like* does neither (%s), since no other contender hashes
anything. *The floor* reads every file once and writes the bytes to one file, with the same hashes or none. Images of imprint are on the disk when
a build ends; ratios are of times *with sync*, for all contenders.

* Machine: %d × %s, %.1f GiB of memory, Linux %s.
* %s.
`, o.plain, runtime.NumCPU(), processor(), float64(memory.Totalram)*float64(memory.Unit)/(1<<30), unix.ByteSliceToString(system.Release[:]),
		strings.Join(versions(o), "; "))
}

func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// versions returns the first line of what each tool prints as its version.
func versions(o options) []string {
	all := []string{runtime.Version()}
	for _, argv := range [][]string{
		{o.program, "version"}, {"mke2fs", "-V"}, {"systemd-repart", "--version"}, {"genimage", "--version"}, {"fakeroot", "--version"},
	} {
		out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
		if err == nil && len(out) > 0 {
			line, _, _ := strings.Cut(string(out), "\n")
			if !strings.Contains(line, " ") {
				line = argv[0] + " " + line
			}
			all = append(all, line)
		}
	}
	return all
}
