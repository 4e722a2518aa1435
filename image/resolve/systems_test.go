package resolve_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"imprint/image/imagetest"
	"imprint/image/plan"
)

// systemsImage is an image with a closure and a menu. Its arguments are roots, the profile, the loader, and more of [boot].
const systemsImage = `
[[closure]]
name = "system"
roots = [%s]
%s
[boot]
loader = "%s"
%s
[[partition]]
name = "esp"
type = "esp"
filesystem = "fat"
[[partition]]
name = "root"
type = "root"
filesystem = "ext4"
free = "1MiB"
closures = ["system"]
`

// systems makes a world with a loader and toplevels of NixOS's form, with bootspecs of a kernel and more members, and returns their roots.
func systems(t *testing.T, more ...string) (w imagetest.World, roots string) {
	w = imagetest.New(t)
	w.File("usr/lib/systemd/boot/efi/systemd-bootx64.efi", "MZ")
	w.File("usr/lib/systemd/boot/efi/linuxx64.efi.stub", "MZ")
	linux := w.Item("linux", nil, map[string]string{"bzImage": imagetest.EFIProgram(imagetest.X86, "a kernel"), "board.dtb": "a tree"})
	var list []string
	for i, text := range more {
		name := fmt.Sprintf("nixos-%d", i+1)
		top := w.Path(name)
		main := `"kernel": "` + linux + `/bzImage", "kernelParams": ["quiet", "price=$5"], "label": "L` + name + `", "toplevel": "` + top + `"`
		boot := strings.NewReplacer("MAIN", main, "LINUX", linux, "TOP", top).Replace(text)
		list = append(list, fmt.Sprintf("%q", w.Item(name, []string{linux}, map[string]string{"boot.json": boot, "init": "x", "nixos-version": "V"})))
	}
	return w, strings.Join(list, ", ")
}

const (
	plainSpec   = `{"org.nixos.bootspec.v1": {MAIN, "system": "x86_64-linux", "init": "TOP/init"}}`
	specialSpec = `{"org.nixos.bootspec.v1": {MAIN, "system": "x86_64-linux", "init": "TOP/init"},
		"org.nixos.specialisation.v1": {"quiet": {"org.nixos.bootspec.v1": {MAIN, "system": "x86_64-linux", "init": "TOP/init"}}}}`
	profile = `profile = "system"`
	menu    = `system = "${closure.system}"`
)

func titles(p *plan.Plan) (all []string) {
	for _, e := range p.Entries {
		all = append(all, e.Title)
	}
	return all
}

// The menu has every generation, the newest first, and then what else the description has.
func TestSystems(t *testing.T) {
	w, roots := systems(t, specialSpec, plainSpec)
	const single = "[[boot.entry]]\nsystem = \"${closure.system.0}\"\ntitle = \"mine\"\ncmdline = \"disk=${disk.guid}\"\n"
	p, err := w.Plan(fmt.Sprintf(systemsImage, roots, profile, "systemd-boot", menu+"\n"+`default = "mine (quiet)"`+"\n"+single))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"NixOS - Default", "NixOS - Configuration 1 (1970-01-01 - V)", "NixOS - Configuration 1 - (quiet - 1970-01-01 - V)", "mine", "mine (quiet)",
	}
	if got := titles(p); !slices.Equal(got, want) || p.DefaultEntry != 4 {
		t.Errorf("entries %q, default %d", got, p.DefaultEntry)
	}
	if got, want := p.Entries[3].Cmdline, "init="+w.Path("nixos-1")+"/init quiet price=$5 disk="+p.DiskID(); got != want {
		t.Errorf("command line %q, not %q", got, want)
	}
	if g := p.Entries[2].Generation; g == nil || g.Number != 1 || g.Current || g.Specialisation != "quiet" {
		t.Errorf("generation %+v", g)
	}
	if len(p.Warnings) > 0 {
		t.Errorf("warnings: %v", p.Warnings)
	}
}

// A system may be several generations, as after a way back to it.
func TestSystemTwice(t *testing.T) {
	w, roots := systems(t, plainSpec, plainSpec)
	first := strings.Split(roots, ", ")[0]
	if err := os.Symlink(strings.Trim(first, `"`), w.Dir+"/again"); err != nil {
		t.Fatal(err)
	}
	p, err := w.Plan(fmt.Sprintf(systemsImage, roots+`, "again"`, profile, "systemd-boot", menu))
	if err != nil {
		t.Fatal(err)
	}
	esp, root := p.Find("esp").Spec.Tree, p.Find("root").Spec.Tree
	for n := 1; n <= 3; n++ {
		if esp.Find(fmt.Sprintf("/loader/entries/nixos-generation-%d.conf", n)) == nil {
			t.Errorf("no entry for generation %d", n)
		}
	}
	if at := root.Find("/nix/var/nix/profiles/system-3-link"); at == nil || at.Target() != strings.Trim(first, `"`) {
		t.Error("generation 3 is not the first system")
	}
}

// Of another profile, or of none, NixOS knows nothing: its names are not taken, and nothing of it is added. Roots of ours are only where
// no profile leads.
func TestSystemsThatNixOSDoesNotKnow(t *testing.T) {
	w, roots := systems(t, specialSpec)
	const single = "[[boot.entry]]\nsystem = \"${closure.system}\"\n"
	for name, c := range map[string]struct {
		profile, boot string
		titles        []string
		tag, roots    bool
	}{
		"generation":    {profile, single, []string{"NixOS - Default", "NixOS - (quiet - 1970-01-01 - V)"}, true, false},
		"other profile": {`profile = "web"`, menu, []string{"NixOS - Default", "NixOS - (quiet - 1970-01-01 - V)"}, false, false},
		"no profile":    {"", single, []string{"Lnixos-1", "Lnixos-1 (quiet)"}, false, true},
	} {
		p, err := w.Plan(fmt.Sprintf(systemsImage, roots, c.profile, "systemd-boot", c.boot))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		root, esp := p.Find("root").Spec.Tree, p.Find("esp").Spec.Tree
		if got := titles(p); !slices.Equal(got, c.titles) {
			t.Errorf("%s: entries %q", name, got)
		}
		for _, path := range []string{"/etc/NIXOS", "/proc", "/tmp"} {
			if (root.Find(path) != nil) != c.tag {
				t.Errorf("%s: %s is %v", name, path, root.Find(path))
			}
		}
		if named := esp.Find("/loader/entries/nixos-generation-1.conf") != nil; named != c.tag {
			t.Errorf("%s: NixOS's names: %v", name, named)
		}
		if rooted := root.Find("/nix/var/nix/gcroots/imprint") != nil; rooted != c.roots {
			t.Errorf("%s: roots of ours: %v", name, rooted)
		}
	}
}

// What the description has at NixOS's paths stays.
func TestNixOSDirectories(t *testing.T) {
	w, roots := systems(t, plainSpec)
	text := fmt.Sprintf(systemsImage, roots, profile, "systemd-boot", menu)
	p, err := w.Plan(text + "[[partition.dir]]\npath = \"/tmp\"\nmode = \"0700\"\n[[partition.link]]\npath = \"/etc\"\ntarget = \"/run/etc\"\n")
	if err != nil {
		t.Fatal(err)
	}
	root := p.Find("root").Spec.Tree
	if root.Find("/tmp").Attr.Mode != 0o700 || root.Find("/etc").Target() != "/run/etc" || root.Find("/var/tmp").Attr.Mode != 0o1777 {
		t.Error("the description does not count")
	}
}

func TestSystemProblems(t *testing.T) {
	for name, c := range map[string]struct{ spec, loader, boot, problem, warning string }{
		"no system":    {`[]`, "systemd-boot", menu, "test.toml:10:1: boot.system: /nix/store/", ""},
		"version":      {`{"v1": {}}`, "systemd-boot", menu, "boot.json: has no member org.nixos.bootspec.v1", ""},
		"architecture": {strings.Replace(plainSpec, "x86_64", "aarch64", 1), "uki", menu, "nixos-1 is a system for aarch64, but the image is for x86_64", ""},
		"kernel":       {strings.Replace(plainSpec, `MAIN,`, `MAIN, "kernel": "LINUX/vmlinuz",`, 1), "uki", menu, "there is no", ""},
		"inside":       {plainSpec, "uki", "[[boot.entry]]\nsystem = \"${closure.system}/init\"\n", "boot.entry[0].system: ", ""},
		"host":         {plainSpec, "uki", "[[boot.entry]]\nsystem = \"./result\"\n", `boot.entry[0].system: "./result" is not in the store`, ""},
		"default":      {plainSpec, "uki", menu + "\ndefault = \"NixOS\"\n", "boot.default: there is no entry with the title \"NixOS\"", ""},
		"secrets": {
			strings.Replace(plainSpec, `MAIN,`, `MAIN, "initrdSecrets": "TOP/secrets",`, 1), "systemd-boot", menu, "",
			"has secrets for its initrd, which are not in the store but on the machine",
		},
		"device tree": {
			strings.Replace(plainSpec, `}}`, `}, "org.nixos.systemd-boot": {"devicetree": "LINUX/board.dtb"}}`, 1), "none", menu, "",
			"has a device tree, which none does not pass on",
		},
	} {
		w, roots := systems(t, c.spec)
		p, err := w.Plan(fmt.Sprintf(systemsImage, roots, profile, c.loader, c.boot))
		switch {
		case c.problem != "" && (err == nil || !strings.Contains(err.Error(), c.problem)):
			t.Errorf("%s: error %v, not %s", name, err, c.problem)
		case c.problem == "" && (err != nil || len(p.Warnings) == 0 || !strings.Contains(p.Warnings.Error(), c.warning)):
			t.Errorf("%s: error %v, warnings %v", name, err, p)
		}
	}
}
