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
