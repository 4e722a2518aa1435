package fault

import (
	"slices"
	"strings"
	"testing"
)

func TestPath(t *testing.T) {
	for want, up := range map[string][]string{"/": nil, "/a": {"a"}, "/a/b/c": {"c", "b", "a"}} {
		if got := Path(slices.Values(up)); got != want {
			t.Errorf("%q: %q, want %q", up, got, want)
		}
	}
}

// A path in a circle ends.
func TestPathIsCut(t *testing.T) {
	got := Path(func(yield func(string) bool) {
		for yield("0123456") {
		}
	})
	if want := "/…" + strings.Repeat("/0123456", maxPath/8+1); got != want {
		t.Errorf("%d bytes, want %d: %.30q", len(got), len(want), got)
	}
}
