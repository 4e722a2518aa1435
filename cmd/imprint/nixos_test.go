package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"imprint/internal/demostore/demotest"
	"imprint/internal/hosttest"
	"imprint/internal/nixtest"
)

// nixOSDescription describes an image of three generations. Its arguments are the directory of the store, the generations, the loader, and
// the partitions for boot files.
const nixOSDescription = `
name = "nixos"
arch = "x86_64"
epoch = 1767312000
[[source]]
path = %q
[[closure]]
name = "system"
roots = [%q, %q, %q]
profile = "system"
[boot]
loader = %q
timeout = 5
system = "${closure.system}"
%s
[[partition]]
name = "root"
type = "root"
filesystem = "ext4"
free = "64MiB"
closures = ["system"]
`

const (
	anESP      = "[[partition]]\nname = \"esp\"\ntype = \"esp\"\nfilesystem = \"fat\"\n"
	anXBOOTLDR = "[[partition]]\nname = \"boot\"\ntype = \"xbootldr\"\nfilesystem = \"fat\"\n"
)

// What NixOS's own script would write for a system that Nix has built is what the image has, so that the first rebuild changes nothing; and
// when a generation is gone, it removes what belonged to that one, and nothing else keeps its items.
func TestNixOS(t *testing.T) {
	t.Parallel()
	s, dir := nixtest.NewStore(t), t.TempDir()
	parts := filepath.Join(dir, "parts")
	if err := demotest.Need(t).Write(parts); err != nil {
		t.Fatal(err)
	}
	generations := strings.Fields(s.Build(t, "testdata/nix/nixos.nix", "--arg", "parts", parts))
	if len(generations) != 3 {
		t.Fatalf("Nix builds %q", generations)
	}
	build := func(t *testing.T, loader, partitions string) string {
		dir := t.TempDir()
		file := filepath.Join(dir, "nixos.toml")
		writeFile(t, file, fmt.Sprintf(nixOSDescription, s.Root, generations[0], generations[1], generations[2], loader, partitions))
		imprint(t, "build", file, "-o", filepath.Join(dir, "nixos.raw"))
		return filepath.Join(dir, "nixos.raw")
	}
	for name, c := range map[string]struct{ partitions, home string }{"ESP": {anESP, "esp"}, "XBOOTLDR": {anESP + anXBOOTLDR, "boot"}} {
		t.Run(name, func(t *testing.T) {
			image := build(t, "systemd-boot", c.partitions)
			n := nixOS{store: s.Root, generations: profileLinks(t, image), built: "2026-01-02"}
			esp, home := extracted(t, image, "esp"), extracted(t, image, c.home)
			if !strings.HasPrefix(files(t, esp)["loader/loader.conf"], "timeout 5\ndefault nixos-generation-3.conf\n") {
				t.Errorf("loader.conf: %q", files(t, esp)["loader/loader.conf"])
			}
			n.checkRebuilds(t, home)
		})
	}
	t.Run("GC", func(t *testing.T) {
		image := build(t, "systemd-boot", anESP)
		root := nixtest.Extract(t, image, nixtest.Partition(t, image, "root"))
		if dead := root.Dead(t); len(dead) > 0 {
			t.Errorf("dead at first: %q", dead)
		}
		if err := os.Remove(filepath.Join(root.Root, "nix/var/nix/profiles/system-2-link")); err != nil {
			t.Fatal(err)
		}
		kept := s.Closure(t, generations[0], generations[2])
		want := slices.DeleteFunc(s.Closure(t, generations...), func(p string) bool { return slices.Contains(kept, p) })
		if slices.Sort(want); !slices.Equal(root.Dead(t), want) || len(want) < 6 {
			t.Errorf("dead without generation 2: %q, not %q", root.Dead(t), want)
		}
		for _, name := range []string{"etc/NIXOS", "dev", "proc", "sys", "run", "tmp", "var"} {
			if _, err := os.Stat(filepath.Join(root.Root, name)); err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("GRUB", func(t *testing.T) {
		hosttest.Need(t, "grub-mkimage", "grub-script-check")
		all := files(t, extracted(t, build(t, "grub", anESP), "esp"))
		for _, g := range generations {
			spec := (&nixOS{store: s.Root}).spec(t, g)
			for _, name := range []string{spec.Main.Kernel, spec.Main.Initrd} {
				copied := "kernels/" + strings.ReplaceAll(strings.TrimPrefix(name, "/nix/store/"), "/", "-")
				if all[copied] != string(read(t, s.Root+name)) {
					t.Errorf("%s is no copy of %s", copied, name)
				}
			}
		}
		grubCfg := filepath.Join(t.TempDir(), "grub.cfg")
		writeFile(t, grubCfg, all["boot/grub/grub.cfg"])
		hosttest.Run(t, "grub-script-check", grubCfg)
		titles := regexp.MustCompile(`(?m)^menuentry --id \S+ -- '(.*)' \{$`).FindAllStringSubmatch(all["boot/grub/grub.cfg"], -1)
		var got []string
		for _, m := range titles {
			got = append(got, m[1])
		}
		want := []string{
			"NixOS - Default", "NixOS - (other - 2026-01-02 - 25.05.3)", "NixOS - (quiet - 2026-01-02 - 25.05.3)",
			"NixOS - Configuration 2 (2026-01-02 - 25.05.2)", "NixOS - Configuration 2 - (other - 2026-01-02 - 25.05.2)",
			"NixOS - Configuration 2 - (quiet - 2026-01-02 - 25.05.2)", "NixOS - Configuration 1 (2026-01-02 - 25.05.1)",
			"NixOS - Configuration 1 - (other - 2026-01-02 - 25.05.1)", "NixOS - Configuration 1 - (quiet - 2026-01-02 - 25.05.1)",
		}
		if !slices.Equal(got, want) {
			t.Errorf("the menu is %q", got)
		}
		if _, older, ok := strings.Cut(all["boot/grub/grub.cfg"], "-- 'NixOS - All configurations' {\n"); !ok || strings.Count(older, "menuentry ") != 6 {
			t.Errorf("older generations are not in a submenu:\n%s", all["boot/grub/grub.cfg"])
		}
	})
}

// checkRebuilds runs the stand-in for NixOS's script on boot files of an image: with all generations, and without the second.
func (n nixOS) checkRebuilds(t *testing.T, home string) {
	t.Helper()
	before := files(t, home)
	removed := n.rebuild(t, home)
	// the script takes initrds of specialisations for unknown, and copies them again
	if slices.ContainsFunc(removed, func(name string) bool { return !strings.Contains(name, "-other-initrd.efi") }) {
		t.Errorf("the script removes %q", removed)
	}
	if after := files(t, home); !maps.Equal(before, after) {
		t.Errorf("a rebuild changes the files %q to %q", differing(before, after), differing(after, before))
	}
	delete(n.generations, 2)
	n.rebuild(t, home)
	after := files(t, home)
	gone := differing(before, after)
	if len(gone) != 6 || slices.ContainsFunc(gone, func(name string) bool { return !regexp.MustCompile(`-(generation-2|6\.12\.2)\b`).MatchString(name) }) {
		t.Errorf("without generation 2 the script removes %q", gone)
	}
	if more := differing(after, before); len(more) > 0 {
		t.Errorf("without generation 2 there are other files %q", more)
	}
}

// differing returns the names of files that another tree has not, or with other contents.
func differing(all, other map[string]string) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if content, ok := other[name]; !ok || content != all[name] {
			names = append(names, name)
		}
	}
	return names
}

// A nixOS stands in for the script that writes the menu of systemd-boot when NixOS is rebuilt: it follows the rules by which that one
// names, writes and removes files.
type nixOS struct {
	store       string // the directory that holds nix/store
	generations map[int]string
	built       string
}

// A spec is what the script reads of a bootspec.
type spec struct {
	Main struct {
		Init, Initrd, Kernel, Label string
		KernelParams                []string
	} `json:"org.nixos.bootspec.v1"`
	Specialisations map[string]spec `json:"org.nixos.specialisation.v1"`
}

func (n *nixOS) spec(t *testing.T, toplevel string) (s spec) {
	t.Helper()
	if err := json.Unmarshal(read(t, n.store+toplevel+"/boot.json"), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// copyName is the path of a copy below the partition for boot files.
func copyName(file string) string {
	item, _, _ := strings.Cut(strings.TrimPrefix(file, "/nix/store/"), "/")
	return "EFI/nixos/" + item + "-" + filepath.Base(file) + ".efi"
}

// rebuild does in a directory what the script does. It returns the names of what it has removed.
func (n *nixOS) rebuild(t *testing.T, home string) (removed []string) {
	t.Helper()
	known := map[string]bool{}
	for _, toplevel := range n.generations {
		s := n.spec(t, toplevel)
		known[copyName(s.Main.Kernel)], known[copyName(s.Main.Initrd)] = true, true
	}
	number := regexp.MustCompile(`^loader/entries/nixos-generation-([0-9]+)(-specialisation-.*)?\.conf$`)
	for _, name := range slices.Sorted(maps.Keys(files(t, home))) {
		m := number.FindStringSubmatch(name)
		stale := strings.HasPrefix(name, "EFI/nixos/") && !known[name]
		if m != nil {
			g, _ := strconv.Atoi(m[1])
			stale = n.generations[g] == ""
		}
		if stale {
			removed = append(removed, name)
			os.Remove(filepath.Join(home, name))
		}
	}
	for g, toplevel := range n.generations {
		s := n.spec(t, toplevel)
		n.entry(t, home, g, "", s)
		for name, special := range s.Specialisations {
			n.entry(t, home, g, name, special)
		}
	}
	return removed
}

// entry writes an entry, and copies its files.
func (n *nixOS) entry(t *testing.T, home string, generation int, special string, s spec) {
	t.Helper()
	title, suffix := "NixOS", ""
	if special != "" {
		title, suffix = "NixOS ("+special+")", "-specialisation-"+special
	}
	for _, file := range []string{s.Main.Kernel, s.Main.Initrd} {
		if _, err := os.Stat(filepath.Join(home, copyName(file))); err != nil {
			writeFile(t, filepath.Join(home, copyName(file)), string(read(t, n.store+file)))
		}
	}
	text := fmt.Sprintf("title %s\nsort-key nixos\nversion Generation %d %s, built on %s\nlinux /%s\ninitrd /%s\noptions init=%s %s\n",
		title, generation, s.Main.Label, n.built, copyName(s.Main.Kernel), copyName(s.Main.Initrd), s.Main.Init, strings.Join(s.Main.KernelParams, " "))
	writeFile(t, filepath.Join(home, fmt.Sprintf("loader/entries/nixos-generation-%d%s.conf", generation, suffix)), text)
}

// extracted returns a directory with the files of a partition.
func extracted(t *testing.T, image, partition string) string {
	t.Helper()
	dir := t.TempDir()
	imprint(t, "extract", image+":"+partition, "/", dir)
	return dir
}

// profileLinks returns the generations of the profile in an image.
func profileLinks(t *testing.T, image string) map[int]string {
	t.Helper()
	dir := t.TempDir()
	imprint(t, "extract", image+":root", "/nix/var/nix/profiles", dir)
	links := map[int]string{}
	for n := 1; ; n++ {
		target, err := os.Readlink(fmt.Sprintf("%s/profiles/system-%d-link", dir, n))
		if err != nil {
			break
		}
		links[n] = target
	}
	current, err := os.Readlink(filepath.Join(dir, "profiles/system"))
	if err != nil || current != "system-3-link" || len(links) != 3 {
		t.Fatalf("the profile is %q with %v, %v", current, links, err)
	}
	return links
}

// files returns the contents of all files below a directory by their path.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			below, _ := filepath.Rel(dir, name)
			all[below] = string(read(t, name))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// The boot files of a system, whose names are known only when it is read, replace no input either.
func TestExportOfSystems(t *testing.T) {
	t.Parallel()
	dir := docsWorld(t)
	mkdir(t, filepath.Join(dir, "boot"))
	writeFile(t, filepath.Join(dir, "boot/nixos-generation-1.kernel"), "an input")
	export := func(input string) (string, error) {
		file := filepath.Join(dir, "nixos.toml")
		writeFile(t, file, `name = "nixos"
[[source]]
path = "store"
registration = "registration"
[[closure]]
name = "system"
roots = ["nixos-2"]
profile = "system"
[boot]
loader = "none"
system = "${closure.system}"
[[partition]]
name = "root"
type = "linux-generic"
filesystem = "ext4"
free = "1MiB"
closures = ["system"]
`+input)
		out, err := exec.Command("imprint", "build", file, "-o", filepath.Join(dir, "nixos.raw"), "--export-boot", filepath.Join(dir, "boot")).CombinedOutput()
		return string(out), err
	}
	said, err := export("[[partition.file]]\npath = \"/etc/input\"\nsource = \"boot/nixos-generation-1.kernel\"\n")
	if err == nil || !strings.Contains(said, "boot/nixos-generation-1.kernel is an input of the image") {
		t.Errorf("build says\n%s", said)
	}
	if got := string(read(t, filepath.Join(dir, "boot/nixos-generation-1.kernel"))); got != "an input" {
		t.Errorf("the input is %.20q", got)
	}
	if said, err = export(""); err != nil {
		t.Errorf("build says\n%s", said)
	}
	if all := files(t, filepath.Join(dir, "boot")); len(all) != 6 || !strings.Contains(all["boot.json"], `"default": true`) {
		t.Errorf("%d boot files: %s", len(all), all["boot.json"])
	}
}
