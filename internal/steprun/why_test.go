package steprun

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/objects"
	"imprint/internal/tree"
)

// A step that has to run again is compared with what ran before under its name and is most like it.
func TestWhy(t *testing.T) {
	b := newBench(t)
	file := tree.NewFile("", attr(0o644), tree.Text("x"))
	step := func() *Step {
		s := script("touch /x")
		s.Env, s.Outputs = []string{"A=1", "B=2"}, []string{"/x"}
		s.Inputs = []Input{{Target: "/in", File: file, Digest: "sha256:0123456789abcdef"}, {Target: "/other", File: file, Digest: "sha256:1"}}
		return s
	}
	if reasons := b.Why(step(), b.below.Pin); len(reasons) > 0 {
		t.Errorf("before it has run: %q", reasons)
	}
	b.must(step())
	unlike := step()
	unlike.Env, unlike.Inputs, unlike.Network = nil, nil, true
	b.must(unlike)
	other := step()
	other.Name = "other"
	if reasons := b.Why(other, objects.Digest{9}); len(reasons) > 0 {
		t.Errorf("a step of another name: %q", reasons)
	}
	for _, c := range []struct {
		change func(s *Step)
		want   []string
	}{
		{func(s *Step) { s.Inputs[0].Digest = "sha256:fedcba9876543210" }, []string{"input /in was sha256:0123456789ab, mode 0644 and is sha256:fedcba987654, mode 0644"}},
		{func(s *Step) { s.Inputs[1].Writable = true }, []string{"input /other was sha256:1, mode 0644 and is sha256:1, writable, mode 0644"}},
		{func(s *Step) { s.Inputs = s.Inputs[:1] }, []string{"input /other is gone"}},
		{func(s *Step) { s.Env = []string{"A=1", "B=3", "C=", "LANG=C"} }, []string{`variable B was "2" and is "3"`, "variable C is new", "variable LANG is new"}},
		{func(s *Step) { s.Argv[2] = "touch /y" }, []string{`run was ["sh" "-c" "touch /x"] and is ["sh" "-c" "touch /y"]`}},
		{func(s *Step) { s.Argv[2] = "touch /x" + strings.Repeat("-", 60) }, []string{`run was … "touch /x"] and is … "touch /x` + strings.Repeat("-", 50) + "…"}},
		{func(s *Step) { s.UID, s.Work, s.Epoch = 7, "/bin", 6 }, []string{`variable SOURCE_DATE_EPOCH was "5" and is "6"`, "owner was 0:0 and is 7:0", `work was "" and is "/bin"`, "epoch was 5 and is 6"}},
		{func(s *Step) { s.Outputs, s.Caches = nil, []Cache{{"c", "/c"}} }, []string{"cache c is new", "output /x is gone"}},
	} {
		s := step()
		c.change(s)
		if got := b.Why(s, b.below.Pin); !slices.Equal(got, c.want) {
			t.Errorf("got %q\nwant %q", got, c.want)
		}
	}
	if got := b.Why(step(), objects.Digest{9}); !slices.Equal(got, []string{"the tree below was 010000000000 and is 090000000000"}) {
		t.Errorf("got %q", got)
	}
	id := step().ID(b.below.Pin)
	path := filepath.Join(b.Store.Dir(), "steps", objects.Text(id))
	if err := os.WriteFile(filepath.Join(path, "step"), []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := b.Why(step(), objects.Digest{9}); len(got) < 5 {
		t.Errorf("a damaged text is compared: %q", got)
	}
	if err := os.WriteFile(filepath.Join(path, "record"), []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.said(Note)
	b.must(step())
	if got := b.said(Note); got != "runs again: what it has made before is damaged" {
		t.Errorf("it says %q", got)
	}
}

func FuzzParts(f *testing.F) {
	f.Add(script("true").whole(objects.Digest{1}))
	f.Add([]byte("input \"/x\" \"sha256:12\" true 0755\nenv [\"A=b\" \"C\"\ncache \"\ninput \"\\xff\" \"\"\non\n"))
	hosttest.Fuzz(f, func(t *testing.T, text []byte) {
		old := parts(string(text))
		if len(old) > len(text)+1 {
			t.Errorf("%d parts of %d bytes", len(old), len(text))
		}
		for _, line := range differences(old, nil) {
			if line == "" {
				t.Error("an empty reason")
			}
		}
	})
}
