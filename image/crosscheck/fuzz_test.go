package crosscheck

import (
	"encoding/json"
	"slices"
	"testing"

	"imprint/image/crosscheck/opinion"
	"imprint/internal/hosttest"
	"imprint/internal/tree"
)

// Whatever is answered, it is compared without a panic, and an answer that differs has a fault.
func FuzzAnswer(f *testing.F) {
	attr := &tree.Attr{Mode: 0o755}
	b := tree.NewBuilder(attr)
	for path, n := range map[string]*tree.Node{
		"/a": tree.NewFile("a", attr, tree.Text("x")), "/d/b": tree.NewFile("b", attr, tree.Text("")), "/d/l": tree.NewSymlink("l", attr, "a"),
	} {
		if err := b.Add(path, n, ""); err != nil {
			f.Fatal(err)
		}
	}
	tr, err := b.Tree()
	if err != nil {
		f.Fatal(err)
	}
	ours, _, err := view(f.Context(), tr)
	if err != nil {
		f.Fatal(err)
	}
	same, err := json.Marshal(opinion.View{Library: "other", Root: ours})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{string(same), "", "{}", `{"Root":{}}`, `{"Root":{"Kids":[null]}}`, `{"Root":{"Kids":[{"Name":"YQ==","Kind":"directory","Kids":[{}]}]}}`} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	hosttest.Fuzz(f, func(t *testing.T, answer []byte, loose bool) {
		v, err := parse(answer)
		if err != nil || v.Root == nil {
			return
		}
		faults := 0
		m := match{library: v.Library, loose: loose, folds: loose, report: func(string, string) { faults++ }, none: func(string, string) { faults++ }}
		m.dir("/", ours, v.Root)
		names := func(n *opinion.Node) (list []string) {
			for _, k := range n.Kids {
				list = append(list, string(k.Name))
			}
			slices.Sort(list)
			return list
		}
		if !loose && faults == 0 && !slices.Equal(names(ours), names(v.Root)) {
			t.Errorf("names %q are no fault", names(v.Root))
		}
	})
}
