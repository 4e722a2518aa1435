package main

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/nixtest"
)

var tiny = shape{name: "tiny", items: 12, files: 200, huge: []int64{1e6}, links: 60, dirs: 80, aboutMB: 6}

// deal distributes exactly what the shape says: sizes add up, and a tenth of the files are copies.
func TestDeal(t *testing.T) {
	for _, s := range append(slices.Clone(shapes), tiny) {
		t.Run(s.name, func(t *testing.T) {
			files, links, dirs, bytes := 0, 0, 0, 0.0
			seen, copies := map[content]bool{}, 0
			for _, it := range deal(s) {
				files, links, dirs = files+len(it.files), links+it.links, dirs+it.dirs
				for _, c := range it.files {
					bytes += float64(c.size)
					if seen[c] {
						copies++
					}
					seen[c] = true
				}
			}
			if files != s.files+len(s.huge) || dirs < s.dirs-1 || links < s.links-1 {
				t.Errorf("%d files, %d links, %d directories", files, links, dirs)
			}
			if want := float64(s.aboutMB) * 1e6; math.Abs(bytes-want) > want/10 {
				t.Errorf("%.0f MB, want %d", bytes/1e6, s.aboutMB)
			}
			if tenth := s.files / 10; copies < tenth-1 || copies > tenth {
				t.Errorf("%d copies among %d files", copies, files)
			}
		})
	}
}

func TestSizes(t *testing.T) {
	for _, q := range quantiles {
		if got := sizeAt(q.share); got != int64(q.bytes) {
			t.Errorf("at %g: %d bytes, want %g", q.share, got, q.bytes)
		}
	}
}

// Items are the same every time, on any number of processors.
func TestWorkloadIsDeterministic(t *testing.T) {
	var made [2]string
	for i := range made {
		w := small(t)
		text, err := os.ReadFile(w.path("registration"))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), "sha256:"); n != tiny.items {
			t.Fatalf("%d items are registered", n)
		}
		made[i] = string(text)
	}
	if made[0] != made[1] {
		t.Error("two workloads of one shape differ")
	}
}

func small(t *testing.T) workload {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() { hosttest.Run(t, "chmod", "-R", "u+w", dir) })
	w, err := prepare(dir, tiny)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// Every way whose tools are installed makes a disk with a complete root file system. The loop mount is not tested: the mount stays alive in
// namespaces that other tests create meanwhile, so that unmounting it here does not write it to the disk.
func TestRace(t *testing.T) {
	w := small(t)
	for _, c := range others() {
		t.Run(c.name, func(t *testing.T) {
			if why := c.missing(); why != "" || c.root {
				t.Skip("cannot run: ", why)
			}
			out := t.TempDir()
			t.Cleanup(func() { hosttest.Run(t, "chmod", "-R", "u+w", out) })
			cmd, err := c.command(w, out)
			if err != nil {
				t.Fatal(err)
			}
			if said, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, said)
			}
			image := filepath.Join(out, "disk.raw")
			name := "root"
			if c.name == "repart" {
				name = "root-x86-64"
			}
			tree := nixtest.Extract(t, image, nixtest.Partition(t, image, name))
			if items, err := os.ReadDir(filepath.Join(tree.Root, "nix/store")); err != nil || len(items) != tiny.items {
				t.Errorf("%d items in the image, %v", len(items), err)
			}
		})
	}
}

func TestFloor(t *testing.T) {
	w := small(t)
	out := filepath.Join(t.TempDir(), "out")
	if err := floor([]string{"-item", "-piece", "-j", "3", w.path("root"), out}); err != nil {
		t.Fatal(err)
	}
	files, err := list(w.path("root"), 2)
	if err != nil || len(files) != tiny.files+len(tiny.huge) {
		t.Fatalf("%d files, %v", len(files), err)
	}
	total := int64(0)
	for _, f := range files {
		total += f.size
	}
	if info, err := os.Stat(out); err != nil || info.Size() != total {
		t.Errorf("%d bytes of %d, %v", info.Size(), total, err)
	}
	if err := floor([]string{w.path("nothing"), out}); err == nil {
		t.Error("no error for a tree that does not exist")
	}
}

func TestHashItems(t *testing.T) {
	w := small(t)
	if err := hashItems(w.path("root")); err != nil {
		t.Error(err)
	}
	if err := hashItems(w.path("esp")); err == nil {
		t.Error("no error for a tree without a store")
	}
}

// A section replaces an older one of the same workload and keeps the others.
func TestRecord(t *testing.T) {
	o := options{results: filepath.Join(t.TempDir(), "RESULTS.md"), program: "true", plain: "--plain"}
	runs := map[string][]run{
		"imprint": {{wall: 2, synced: 2}, {wall: 4, synced: 4}, {wall: 3, synced: 3}}, "imprint-plain": {{wall: 1, synced: 1}, {wall: 1, synced: 1}, {wall: 1, synced: 1}},
		"floor": {{wall: 1, synced: 1}, {wall: 2, synced: 2}, {wall: 0.5, synced: 0.5}}, "guix": {{wall: 30, synced: 30}, {wall: 60, synced: 60}, {wall: 90, synced: 90}},
	}
	var field []contender
	for _, c := range contenders(o) {
		if runs[c.name] != nil {
			field = append(field, c)
		}
	}
	for _, s := range []shape{shapes[1], shapes[0], shapes[1]} {
		if err := record(o, table{shape: s, rounds: 3, field: field, runs: runs, absent: []string{"loop needs root"}}); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(o.results)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| Guix's way | 60.00 | 30.00–90.00 |", " 15.00 | 60.00 |", "Missing: loop needs root.", "like for like 1.00 times",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for _, title := range []string{"# Results", "\n## M, warm", "\n## S, warm"} {
		if strings.Count(string(text), title) != 1 {
			t.Errorf("%q does not occur exactly once in\n%s", title, text)
		}
	}
}
