package resolve_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"imprint/image/imagetest"
	"imprint/internal/diag"
)

// Two closures that share an item have it once, and one database.
func TestClosuresShareItems(t *testing.T) {
	w := imagetest.New(t)
	lib := w.Item("lib", nil, map[string]string{"lib": "x"})
	a, b := w.Item("a", []string{lib}, map[string]string{"a": "a"}), w.Item("b", []string{lib}, map[string]string{"b": "b"})
	p, err := w.Plan(fmt.Sprintf(`
[[closure]]
name = "one"
roots = ["%s"]
[[closure]]
name = "two"
roots = ["%s", "%s"]
[[partition]]
name = "root"
type = "root"
filesystem = "ext4"
closures = ["one", "two"]
`, a, b, a))
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, item := range p.Partitions[0].Items {
		order = append(order, item.Info.Path.Name())
	}
	if got := strings.Join(order, " "); len(order) != 3 || order[0] != "lib" {
		t.Errorf("items in this order: %s", got)
	}
	for _, link := range []string{"one-0", "two-0", "two-1"} {
		if p.Partitions[0].Spec.Tree.Find("/nix/var/nix/gcroots/imprint/"+link) == nil {
			t.Errorf("no GC root %s", link)
		}
	}
}

// Items that are registered and not there are told all at once, with who refers to them.
func TestItemsThatAreGone(t *testing.T) {
	w := imagetest.New(t)
	a, b := w.Item("a", nil, map[string]string{"f": "a"}), w.Item("b", nil, map[string]string{"f": "b"})
	top := w.Item("top", []string{a, b}, map[string]string{"f": "top"})
	for _, path := range []string{a, b} {
		if err := os.RemoveAll(w.Dir + "/store" + path); err != nil {
			t.Fatal(err)
		}
	}
	_, err := w.Plan(fmt.Sprintf("[[closure]]\nname = \"c\"\nroots = [%q]\n[[partition]]\nname = \"root\"\ntype = \"root\"\n"+
		"filesystem = \"ext4\"\nclosures = [\"c\"]\n", top))
	for _, path := range []string{a, b} {
		if err == nil || !strings.Contains(err.Error(), path+" is registered, but") || !strings.Contains(err.Error(), "referred to by "+top) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// Of very many items that are gone, or that no source knows, the first ones are reported, and how many more there are. Time that grows
// with the square of their number would be minutes here.
func TestManyItemsThatAreGone(t *testing.T) {
	const n = 30_000
	for name, c := range map[string]struct {
		registered bool
		want       string
	}{
		"gone":    {true, fmt.Sprintf("%d more items are registered and cannot be read", n+1-20)},
		"unknown": {false, fmt.Sprintf("%d more items that they refer to are not valid in any source", n-20)},
	} {
		w := imagetest.New(t)
		var text, refs strings.Builder
		for i := range n {
			path := w.Path(fmt.Sprint(i))
			fmt.Fprintln(&refs, path)
			if c.registered {
				fmt.Fprintf(&text, "%s\n%064d\n120\n\n0\n", path, 0)
			}
		}
		top := w.Path("top")
		fmt.Fprintf(&text, "%s\n%064d\n120\n\n%d\n%s", top, 0, n, refs.String())
		w.File("registration", text.String())
		w.File("store/nix/store/.keep", "")
		_, err := w.Plan(fmt.Sprintf("[[closure]]\nname = \"c\"\nroots = [%q]\n[[partition]]\nname = \"root\"\ntype = \"root\"\n"+
			"filesystem = \"ext4\"\nclosures = [\"c\"]\n", top))
		var list diag.List
		if !errors.As(err, &list) || len(list) != 20+1 || list[20].Text != c.want {
			t.Errorf("%s: %d problems: %.3000v", name, len(list), err)
		}
		if c.registered && !strings.Contains(list[0].Hint, "was it garbage-collected") {
			t.Errorf("%s: hint %q", name, list[0].Hint)
		}
	}
}

// Problems of the inputs are told at the key that names them, all at once.
func TestResolveProblems(t *testing.T) {
	w, system := imagetest.Boot(t)
	text := fmt.Sprintf(imagetest.Bootable, system)
	text = strings.Replace(text, "/kernel\"", "/no-kernel\"", 1)
	text = strings.Replace(text, "extra.img", "missing.img", 1)
	_, err := w.Plan(text)
	var problems diag.List
	if !errors.As(err, &problems) {
		t.Fatalf("Resolve gave %v", err)
	}
	for i, want := range []string{"boot.entry[0].kernel: ", "boot.entry[0].initrd[1]: "} {
		if i >= len(problems) || !strings.Contains(problems[i].String(), want) || problems[i].Line == 0 {
			t.Errorf("problem %d is not of %s:\n%v", i, want, err)
		}
	}
}
