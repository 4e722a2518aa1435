package disk_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"imprint/image/disk"
	"imprint/internal/chain"
	"imprint/internal/diag"
)

const menu = `
  [[partition.file]]
  path = "/loader/entries/app.conf"
  text = "options init=${closure.app}/run\n"
  [[partition.file]]
  path = "/loader/entries/app.txt"
  text = "options init=${closure.app}/run\n"
`

// GC roots and boot entries of an image lead to its items, also to those in a file system that is a file of another.
func TestGraph(t *testing.T) {
	for name, text := range map[string]string{
		"ext4":  closure + strings.TrimRight(esp, "\n") + menu + root,
		"EROFS": "format = \"iso\"\nepoch = 86400\n" + closure + tree + inside + esp + menu,
	} {
		b, _ := small(t, text)
		d, err := disk.Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		g, err := disk.Graph(t.Context(), d.Trees())
		if err != nil {
			t.Fatal(err)
		}
		lib, err := disk.FindItem(g, "lib")
		if err != nil {
			t.Fatal(err)
		}
		chains, _ := g.All(lib, 10)
		var roots []string
		for _, c := range chains {
			roots = append(roots, c.Root)
		}
		const want = `/nix/var/nix/profiles/app /nix/var/nix/profiles/app-1-link boot entry in "esp":/loader/entries/app.conf`
		if got := strings.Join(roots, " "); got != want {
			t.Errorf("%s: roots %s", name, got)
		}
	}
}

func TestFindItem(t *testing.T) {
	const a, b, c = "/nix/store/0000000000000000000000000000000a-lib-1.0", "/nix/store/0000000000000000000000000000000b-lib-1.0-dev", "/nix/store/1000000000000000000000000000000c-app"
	g := &chain.Graph{References: map[string][]string{a: nil, b: nil, c: nil}}
	for text, want := range map[string]string{
		"lib-1.0": a, "lib-1.0-": b, a: a, b + "/lib/x": b, "0000000000000000000000000000000b-lib-1.0-dev": b, "1": c, "ap": c,
		"lib": "names 2 store items", "": "names 3 store items", "libc": "no store item", "lib-1.0-dex": "no store item",
	} {
		got, err := disk.FindItem(g, text)
		if err != nil {
			got = err.Error()
		}
		if got != want && (err == nil || !strings.Contains(got, want)) {
			t.Errorf("%q is %s, not %s", text, got, want)
		}
	}
	if _, err := disk.FindItem(&chain.Graph{}, "lib"); err == nil || err.Error() != "there is no store that imprint can read" {
		t.Error(err)
	}
	_, err := disk.FindItem(g, "lib-1.0-dex")
	var mistake diag.Mistake
	if !errors.As(err, &mistake) || mistake.Hint != `did you mean "lib-1.0-dev"?` {
		t.Errorf("%+v", err)
	}
}
