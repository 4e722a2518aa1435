package toplevel

import (
	"fmt"
	"strings"
	"testing"

	"imprint/bootloader/bootspec"
	"imprint/closure"
	"imprint/internal/hosttest"
	"imprint/internal/tree"

	"github.com/google/go-cmp/cmp"
)

var attr = &tree.Attr{Mode: 0o555}

// item is the store path of an item.
func item(name string) string { return "/nix/store/" + strings.Repeat("a", 32) + "-" + name }

// walker returns a store with items of files by path; a text that begins with "->" is a link, and one of "dir" a directory.
func walker(t *testing.T, items map[string]map[string]string) (closure.Walker, func(name string) closure.Path) {
	t.Helper()
	parse := func(name string) closure.Path {
		p, err := closure.Nix.ParsePath(item(name))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	w := closure.Walker{Flavor: closure.Nix, Nodes: map[closure.Path]*tree.Node{}}
	for name, files := range items {
		b := tree.NewBuilder(attr)
		for at, text := range files {
			n := tree.NewFile("", attr, tree.Text(text))
			if target, ok := strings.CutPrefix(text, "->"); ok {
				n = tree.NewSymlink("", attr, target)
			} else if text == "dir" {
				n = tree.NewDir("", attr, nil)
			}
			if err := b.Add(at, n, ""); err != nil {
				t.Fatal(err)
			}
		}
		all, err := b.Tree()
		if err != nil {
			t.Fatal(err)
		}
		w.Nodes[parse(name)] = all.Root()
	}
	return w, parse
}

// An old system without a bootspec is described by what it contains.
func TestReadWithoutBootspec(t *testing.T) {
	w, parse := walker(t, map[string]map[string]string{
		"system": {
			"/kernel": "->" + item("linux") + "/bzImage", "/initrd": "i", "/init": "x", "/kernel-params": "a  b=c\n", "/nixos-version": "25.05\n",
			"/system": "x86_64-linux", "/kernel-modules": "->" + item("linux"), "/append-initrd-secrets": "x", "/specialisation/quiet": "->" + item("quiet"),
		},
		"quiet": {"/kernel": "k", "/init": "x", "/kernel-params": "quiet", "/nixos-version": "25.05"},
		"linux": {"/bzImage": "k", "/lib/modules/6.12.1": "dir"},
	})
	got, err := Read(w, parse("system"))
	if err != nil {
		t.Fatal(err)
	}
	if got.Version != "25.05" || len(got.Read) != 6 {
		t.Errorf("version %q from %d files", got.Version, len(got.Read))
	}
	top, quiet := item("system"), item("quiet")
	want := bootspec.Spec{
		System: "x86_64-linux", Toplevel: top, Label: "NixOS 25.05 (Linux 6.12.1)", Kernel: top + "/kernel", Initrd: top + "/initrd",
		Secrets: top + "/append-initrd-secrets", Init: top + "/init", Params: []string{"a", "b=c"},
		Specialised: []bootspec.Spec{{
			Toplevel: quiet, Label: "NixOS 25.05", Kernel: quiet + "/kernel", Init: quiet + "/init", Params: []string{"quiet"}, Name: "quiet",
		}},
	}
	if d := cmp.Diff(want, got.Spec); d != "" {
		t.Error(d)
	}
}

const document = `{"org.nixos.bootspec.v1": {"init": "/i", "kernel": "/k", "kernelParams": [], "label": "l", "system": "s", "toplevel": "/t"}}`

func TestReadBootspec(t *testing.T) {
	w, parse := walker(t, map[string]map[string]string{
		"system": {"/boot.json": "->" + item("doc"), "/kernel": "other"}, "doc": {"/": "dir"},
	})
	w.Nodes[parse("doc")] = tree.NewFile("", attr, tree.Text(document))
	got, err := Read(w, parse("system"))
	if err != nil || got.Kernel != "/k" || got.Version != "" || len(got.Read) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestReadRefuses(t *testing.T) {
	many := map[string]string{"/kernel": "k"}
	for i := range bootspec.MaxSpecialisations + 1 {
		many[fmt.Sprintf("/specialisation/s%d", i)] = "dir"
	}
	for _, c := range []struct {
		files map[string]string
		want  string
	}{
		{many, "specialisation has 257 specialisations, more than 256"},
		{map[string]string{"/init": "x"}, "has neither boot.json nor kernel"},
		{map[string]string{"/boot.json": "{}"}, item("system") + "/boot.json: has no member org.nixos.bootspec.v1"},
		{map[string]string{"/boot.json": strings.Repeat(" ", bootspec.MaxSize+1)}, "read " + item("system") + "/boot.json: "},
		{map[string]string{"/boot.json": "dir"}, "boot.json is a directory"},
		{map[string]string{"/boot.json": "->" + item("absent")}, "which is not in the image"},
		{map[string]string{"/boot.json": "->/etc/passwd"}, "leads to /etc/passwd, outside the store"},
		{map[string]string{"/kernel": "k", "/kernel-params": "a\nb"}, "kernel-params has several lines"},
		{map[string]string{"/kernel": "k", "/specialisation/a b": "dir"}, `the specialisation "a b" has a name`},
		{map[string]string{"/kernel": "k", "/specialisation/empty": "dir"}, "specialisation/empty has neither"},
	} {
		w, parse := walker(t, map[string]map[string]string{"system": c.files})
		if _, err := Read(w, parse("system")); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, not %s", c.files, err, c.want)
		}
	}
}

// Whatever is in a toplevel, reading it ends, and its texts fit into a line of a menu.
func FuzzRead(f *testing.F) {
	f.Add(document, "k", "quiet", "25.05")
	f.Add("", "", "a", "->kernel")
	hosttest.Fuzz(f, func(t *testing.T, boot, kernel, params, version string) {
		files := map[string]string{"/kernel": kernel, "/kernel-params": params, "/nixos-version": version, "/specialisation/s": "->.."}
		if boot != "" {
			files["/boot.json"] = boot
		}
		for _, text := range files {
			if target, ok := strings.CutPrefix(text, "->"); ok && (target == "" || len(target) > 4095 || strings.Contains(target, "\x00")) {
				t.Skip()
			}
		}
		w, parse := walker(t, map[string]map[string]string{"system": files})
		s, err := Read(w, parse("system"))
		if err == nil && strings.ContainsAny(s.Label+s.Version+strings.Join(s.Params, " "), "\n\r\x00\x1b") {
			t.Errorf("%+v", s)
		}
	})
}

// A system of Guix is described by its parameters, and only by them.
func TestReadGuix(t *testing.T) {
	digits := "/gnu/store/" + strings.Repeat("a", 32)
	read := func(files map[string]string) (System, error) {
		p, err := closure.Guix.ParsePath(digits + "-system")
		if err != nil {
			t.Fatal(err)
		}
		b := tree.NewBuilder(attr)
		for at, text := range files {
			if err := b.Add(at, tree.NewFile("", attr, tree.Text(text)), ""); err != nil {
				t.Fatal(err)
			}
		}
		all, err := b.Tree()
		if err != nil {
			t.Fatal(err)
		}
		return Read(closure.Walker{Flavor: closure.Guix, Nodes: map[closure.Path]*tree.Node{p: all.Root()}}, p)
	}
	const parameters = `(boot-parameters (version 1) (label "GNU") (root-device "/dev/vda2") (kernel "/k") (kernel-arguments ("quiet")) (initrd "/i"))`
	got, err := read(map[string]string{"/parameters": parameters, "/nixos-version": "25.05", "/boot.json": "{}"})
	top := digits + "-system"
	want := bootspec.Spec{
		Toplevel: top, Label: "GNU", Kernel: "/k", Initrd: "/i", Params: []string{"root=/dev/vda2", "gnu.system=" + top, "gnu.load=" + top + "/boot", "quiet"},
	}
	if d := cmp.Diff(want, got.Spec); err != nil || d != "" || got.Version != "" || len(got.Read) != 1 {
		t.Errorf("%v, %d files\n%s", err, len(got.Read), d)
	}
	for text, want := range map[string]string{
		"":                      top + " has no parameters, so it is not a Guix system",
		"(boot-parameters)":     top + "/parameters: has version",
		strings.Repeat("(", 99): top + "/parameters: at byte",
	} {
		files := map[string]string{"/parameters": text}
		if text == "" {
			files = map[string]string{"/kernel": "k"}
		}
		if _, err := read(files); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
